/* manifest.c -- the manifest is taken and refused as redis-server does, and written as it writes it.
 * Method: a table of texts, after the experiments with redis-server 7.0.15.                           */
#include "persist/format.h"
#include "persist/manifest.h"

#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>

#define BASE "file appendonly.aof.1.base.rdb seq 1 type b\n"
#define INCR(n) "file appendonly.aof." #n ".incr.aof seq " #n " type i\n"

static const struct {
	const char *name, *text;
	const char *want;      /* what is written back; NULL: refused */
	const char *part;      /* of the error */
} cases[] = {
	{"what redis-server writes", BASE INCR(1), BASE INCR(1), NULL},
	{"base only", BASE, BASE, NULL},
	{"incr only", INCR(3), INCR(3), NULL},
	{"any order of types", INCR(1) BASE INCR(2), BASE INCR(1) INCR(2), NULL},
	{"history", INCR(2) "file old seq 1 type h\n" BASE, BASE "file old seq 1 type h\n" INCR(2), NULL},
	{"comments", "# hello\n" BASE "#\n", BASE, NULL},
	{"comments only", "# hello\n", "", NULL},
	{"CRLF", "file a seq 1 type b\r\n", "file a seq 1 type b\n", NULL},
	{"blanks around", "  \t file  a\tseq 1   type b  \n", "file a seq 1 type b\n", NULL},
	{"pairs in any order, any case", "TYPE i Seq 5 FILE a\n", "file a seq 5 type i\n", NULL},
	{"pairs of a newer Redis", "file a seq 5 type i startoffset 7 endoffset 9\n", "file a seq 5 type i\n", NULL},
	{"only the first letter of a type counts", "file a seq 5 type incr\n", "file a seq 5 type i\n", NULL},
	{"a quoted name", "file \"a b\\x01\\n\\\"'\" seq 1 type b\n", "file \"a b\\x01\\n\\\"'\" seq 1 type b\n", NULL},
	{"a quoted name in bytes over 7f", "file \"\\xc3\\xa4\" seq 1 type b\n", "file \"\\xc3\\xa4\" seq 1 type b\n", NULL},
	{"nothing", "", NULL, "empty"},
	{"an empty line", BASE "\n", NULL, "line 2: empty line"},
	{"a line of blanks", BASE " \t\n", NULL, "line 2: empty line"},
	{"no line end", "file a seq 1 type b", NULL, "line 1: no end"},
	{"a word too few", "file a seq 1 type\n", NULL, "line 1"},
	{"a pair too few", "file a seq 1\n", NULL, "line 1"},
	{"a pair of another name", "file a seq 1 typo b\n", NULL, "missing"},
	{"a path", "file a/b seq 1 type b\n", NULL, "a/b"},
	{"a backslash", "file \"a\\\\b\" seq 1 type b\n", NULL, "name"},
	{"the parent directory", "file .. seq 1 type b\n", NULL, ".."},
	{"no name", "file \"\" seq 1 type b\n", NULL, "name"},
	{"a NUL in a name", "file \"a\\x00b\" seq 1 type b\n", NULL, "name"},
	{"sequence 0", "file a seq 0 type b\n", NULL, "\"0\""},
	{"sequence -1", "file a seq -1 type b\n", NULL, "\"-1\""},
	{"sequence x", "file a seq 1x type b\n", NULL, "\"1x\""},
	{"another type", "file a seq 1 type x\n", NULL, "\"x\""},
	{"no type", "file a seq 1 type \"\"\n", NULL, "type"},
	{"two bases", BASE BASE, NULL, "line 2: a second base"},
	{"incrs that do not rise", INCR(2) INCR(2), NULL, "line 2"},
	{"incrs that fall", INCR(2) INCR(1), NULL, "line 2"},
	{"an open quote", "file \"a seq 1 type b\n", NULL, "quotes"},
	{"a checksum that does not match", MANIFEST_SUM "00000000\n" BASE, NULL, "line 1: the checksum does not match"},
	{"a checksum cut short", MANIFEST_SUM "0000000\n" BASE, NULL, "line 1: the line with the checksum is damaged"},
	{"half a checksum", "# kvgs crc32c 00000000\n" BASE, NULL, "line 1: the line with the checksum is damaged"},
	{"a checksum where ours never stands", BASE MANIFEST_SUM "00000000\n", BASE, NULL},
};

/* What is written without the line of the checksum, which is not Redis's. */
static struct bytes lines_of(const struct bytes *text)
{
	struct bytes lines = *text;

	lines.data = memchr(text->data, '\n', text->len);
	lines.data++;
	lines.len -= (size_t)(lines.data - text->data);
	return lines;
}

static void test_case(size_t i)
{
	struct manifest m = {0};
	struct bytes out = {0};
	struct error e = {""};
	int r = manifest_parse(cases[i].text, strlen(cases[i].text), &m, &e);

	if (!cases[i].want) {
		ok(r < 0 && strstr(e.text, cases[i].part), "%s is refused (%s)", cases[i].name, e.text);
	} else if (ok(r == 0, "%s is taken%s%s", cases[i].name, e.text[0] ? ": " : "", e.text)) {
		manifest_format(&m, &out);
		struct bytes lines = lines_of(&out);

		is_bytes(lines.data, lines.len, cases[i].want, strlen(cases[i].want), "%s: written back", cases[i].name);
	}
	manifest_fini(&m);
	bytes_fini(&out);
}

/* Ours: whatever bit is flipped, it is not read as something else. */
static void test_every_bit(void)
{
	struct manifest m = {0}, again = {0};
	struct bytes text = {0};
	struct error e = {""};
	int silent = 0, unnamed = 0;
	size_t bit;

	manifest_add(&m, "appendonly.aof.4.base.rdb", 4, MANIFEST_BASE);
	manifest_add(&m, "appendonly.aof.12.incr.aof", 12, MANIFEST_INCR);
	manifest_add(&m, "a name \n", 13, MANIFEST_INCR);
	is(manifest_format(&m, &text), 0, "a manifest of ours is written");
	ok(manifest_parse(text.data, text.len, &again, &e) == 0 && again.summed && again.count == 3, "and read, its checksum being right");
	manifest_fini(&again);
	for (bit = 0; bit < text.len * 8; bit++) {
		e.text[0] = '\0';
		text.data[bit / 8] ^= (char)(1 << bit % 8);
		if (manifest_parse(text.data, text.len, &again, &e) == 0) {
			if (!silent++)
				diag("bit %zu of byte %zu: not found", bit % 8, bit / 8);
			manifest_fini(&again);
		} else if (!strstr(e.text, "line ")) {
			unnamed++;
		}
		text.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	is(silent, 0, "each of its %zu bits, flipped, is found", text.len * 8);
	is(unnamed, 0, "and the line is named");
	manifest_fini(&m);
	bytes_fini(&text);
}

static void test_line_length(void)
{
	char line[MANIFEST_LINE_MAX + 2];
	struct manifest m = {0};
	struct error e = {""};

	memset(line, ' ', sizeof(line));
	memcpy(line, "file a seq 1 type b", 19);
	line[MANIFEST_LINE_MAX - 1] = '\n';
	is(manifest_parse(line, MANIFEST_LINE_MAX, &m, &e), 0, "the longest line");
	manifest_fini(&m);
	line[MANIFEST_LINE_MAX - 1] = ' ';
	line[MANIFEST_LINE_MAX] = '\n';
	is(manifest_parse(line, MANIFEST_LINE_MAX + 1, &m, &e), -EINVAL, "a longer one");
}

static void test_lookup(void)
{
	struct manifest m = {0}, copy = {0};

	ok(!manifest_base(&m) && !manifest_last_incr(&m), "an empty one has nothing");
	is((int64_t)manifest_max_seq(&m, MANIFEST_BASE), 0, "and no sequence number");
	manifest_add(&m, "x.4.base.rdb", 4, MANIFEST_BASE);
	manifest_add(&m, "x.2.incr.aof", 2, MANIFEST_INCR);
	manifest_add(&m, "x.3.incr.aof", 3, MANIFEST_INCR);
	manifest_add(&m, "x.7.base.rdb", 7, MANIFEST_HISTORY);
	is_text(manifest_base(&m)->name, "x.4.base.rdb", "the base");
	is_text(manifest_last_incr(&m)->name, "x.3.incr.aof", "the last incr");
	is((int64_t)manifest_max_seq(&m, MANIFEST_BASE), 7, "a number that history had is not given again");
	is((int64_t)manifest_max_seq(&m, MANIFEST_INCR), 3, "but to incrs it is nothing");
	is((int64_t)manifest_max_seq(&m, MANIFEST_HISTORY), 7, "history's own");
	is(manifest_clone(&m, &copy), 0, "a copy");
	manifest_fini(&m);
	is((int64_t)copy.count, 4, "has all");
	is_text(copy.file[3].name, "x.7.base.rdb", "and owns its names");
	manifest_fini(&copy);
}

int main(void)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_case(i);
	test_every_bit();
	test_line_length();
	test_lookup();
	return tap_end();
}
