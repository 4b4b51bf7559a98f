/* manifest.c -- the manifest is taken and refused as redis-server does, and written as it writes it.
 * Method: a table of texts, after the experiments with redis-server 7.0.15.                           */
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
};

static void test_case(size_t i)
{
	struct manifest m = {0};
	struct bytes out = {0};
	struct error e = {""};
	int r = manifest_parse(cases[i].text, strlen(cases[i].text), &m, &e);

	if (!cases[i].want) {
		ok(r == -EINVAL && strstr(e.text, cases[i].part), "%s is refused (%s)", cases[i].name, e.text);
	} else if (ok(r == 0, "%s is taken%s%s", cases[i].name, e.text[0] ? ": " : "", e.text)) {
		manifest_format(&m, &out);
		is_bytes(out.data, out.len, cases[i].want, strlen(cases[i].want), "%s: written back", cases[i].name);
	}
	manifest_fini(&m);
	bytes_fini(&out);
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
	test_line_length();
	test_lookup();
	return tap_end();
}
