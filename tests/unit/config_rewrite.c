/* What CONFIG REWRITE makes of an ini file says exactly the settings as they are, and everything else in it stays as its owner left it.
 * By texts with their wanted outcome, and by random files and settings that are read back. */
#include "fs/config_rewrite.h"
#include "fs/config_table.h"
#include "tests/lib/malloc_fail.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char base[] = "/nowhere";

/* Defaults, then TEXT, then NAME=VALUE pairs. */
static bool make_config(struct config *c, const char *text, const char *const *pairs)
{
	struct error e = { { 0 } };
	bool good = config_init(c) == 0 && config_read_text(c, text, strlen(text), "text", base, &e) == 0;

	for (; good && pairs[0] != NULL; pairs += 2)
		good = config_set(c, pairs[0], pairs[1], &e) == 0;
	if (!good)
		diag("%s", e.text);
	return good;
}

static void check(const char *what, const char *text, const char *const *pairs, const char *want)
{
	struct error e = { { 0 } };
	struct bytes got = { 0 };
	struct config c;

	if (!ok(make_config(&c, text, pairs), "%s", what))
		return;
	is(config_rewrite_text(&c, text, strlen(text), base, &got, &e), 0, "is rewritten");
	is_text(e.text, "", "without a word");
	is_bytes(got.data, got.len, want, strlen(want), "to what is wanted");
	config_fini(&c);
	bytes_fini(&got);
}

#define PAIRS(...) (const char *const[]){ __VA_ARGS__, NULL }
#define NO_PAIRS ((const char *const[]){ NULL })

static void test_places(void)
{
	check("nothing differs", "# mine\n[a]\nthreads = 3\n", NO_PAIRS, "# mine\n[a]\nthreads = 3\n");
	check("an empty file and the defaults", "", NO_PAIRS, "");
	check("a value that differs", "[a]\n# why\n  Threads=3  ; three\r\nspin = 5\n", PAIRS("threads", "4"),
	      "[a]\n# why\n  Threads=4  ; three\r\nspin = 5\n");
	check("a value that was empty", "logfile =   ; none\nsave:\n", PAIRS("logfile", "/x", "save", "60 1"),
	      "logfile = /x   ; none\nsave: 60 1\n");
	check("a value that becomes empty", "save = 60 1 ; often\n", PAIRS("save", ""), "save =  ; often\n");
	check("a value that becomes the default again stays in the file", "threads = 3\n", PAIRS("threads", "2"), "threads = 2\n");
	check("the last line has no newline", "threads = 3", PAIRS("threads", "4"), "threads = 4");
	check("a new setting goes behind the last of its section", "[mount]\nthreads = 3\n\n# the log\n[log]\nloglevel = debug\n",
	      PAIRS("spin", "7", "latency", "no"),
	      "[mount]\nthreads = 3\nspin = 7\nlatency = no\n\n# the log\n[log]\nloglevel = debug\n");
	check("behind the header of an empty one", "[mount]", PAIRS("spin", "7"), "[mount]\nspin = 7\n");
	check("or into one of its own", "threads = 3", PAIRS("spin", "7", "save", "", "dbfilename", "x.rdb"),
	      "threads = 3\n\n[snapshot]\nsave =\ndbfilename = x.rdb\n\n[mount]\nspin = 7\n");
	check("of a file without anything", "", PAIRS("maxmemory", "3mb"), "[keyspace]\nmaxmemory = 3mb\n");
	check("hidden ones too", "", PAIRS("key-load-delay", "5"), "[test]\nkey-load-delay = 5\n");
	check("with a byte order mark", "\xef\xbb\xbfthreads = 3\n", PAIRS("threads", "4"), "\xef\xbb\xbfthreads = 4\n");
	check("comments that look like settings", "; threads = 9\n#threads = 9\n", PAIRS("threads", "4"),
	      "; threads = 9\n#threads = 9\n\n[mount]\nthreads = 4\n");
}

static void test_values(void)
{
	check("sizes as people write them", "maxmemory = 1\n",
	      PAIRS("maxmemory", "2gb", "value-max", "1025", "auto-aof-rewrite-min-size", "7kb"),
	      "maxmemory = 2gb\n\n[keyspace]\nvalue-max = 1025\n\n[append-only file]\nauto-aof-rewrite-min-size = 7kb\n");
	check("a size that is said in other words", "maxmemory = 1024mb\n", PAIRS("maxmemory", "1gb"), "maxmemory = 1024mb\n");
	check("quotes that stay", "save = \"60 1\"\n", PAIRS("spin", "1"), "save = \"60 1\"\n\n[mount]\nspin = 1\n");
	check("what needs quotes", "logfile = a\n", PAIRS("logfile", " a "), "logfile = \" a \"\n");
	check("what looks quoted", "logfile = a\n", PAIRS("logfile", "\"a\""), "logfile = \"\"a\"\"\n");
	check("what would be a comment", "logfile = a\n", PAIRS("logfile", ";a"), "logfile = \";a\"\n");
	check("what would not", "logfile = a\n", PAIRS("logfile", "a;b#c =[d]: e"), "logfile = a;b#c =[d]: e\n");
	check("a relative directory", "dir = data\n", PAIRS("dir", "/nowhere/data"), "dir = data\n");
	check("auto, where it is so", "allow-other = auto\n", NO_PAIRS, "allow-other = auto\n");
}

static void refuse(const char *what, const char *text, const char *const *pairs, const char *message)
{
	struct error e = { { 0 } };
	struct bytes got = { 0 };
	struct config c;

	if (!ok(make_config(&c, "", pairs), "%s", what))
		return;
	is(config_rewrite_text(&c, text, strlen(text), base, &got, &e), -EINVAL, "is refused");
	is_text(e.text, message, "with a sentence");
	config_fini(&c);
	bytes_fini(&got);
}

static void test_refused(void)
{
	refuse("a blank and ';'", "", PAIRS("logfile", "/a ;b"), "a setting can't be written to an ini file: logfile would be read otherwise");
	refuse("a newline", "", PAIRS("logfile", "/a\nthreads = 9"),
	       "a setting can't be written to an ini file: threads would be read otherwise");
	refuse("a newline in what exists", "logfile = x\n", PAIRS("logfile", "/a\nb"),
	       "a setting can't be written to an ini file: the new text:2: this is neither \"key = value\" nor \"[section]\"");
	refuse("a file that was broken meanwhile", "threads = 3\nnosuch = 1\n", NO_PAIRS, "it can't be read:2: unknown option \"nosuch\"");
}

/* ---- random ---- */

static uint64_t seed;

static uint64_t draw(uint64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % n;
}

static void draw_value(const struct config_option *o, struct bytes *out)
{
	static const char *const texts[] = { "/a", "/a b", "x y ", "\"q\"", "a;b", "[z]", "/\xc3\xa4=:#" };
	static const char *const names[] = { "a", "a b", "n.rdb", "\"", ";" };
	static const char *const saves[] = { "", "60 1", "1 1 2 2", "900 1 300 10 60 10000" };
	size_t choices = 0;

	switch (o->type) {
	case CONFIG_BOOL:
	case CONFIG_ROOT_BOOL:
		(void)bytes_addf(out, "%s", draw(2) ? "yes" : "no");
		break;
	case CONFIG_INT:
	case CONFIG_MEMORY:
		(void)bytes_addf(out, "%lu", (unsigned long)((uint64_t)o->min + draw((uint64_t)(o->max - o->min)) % 5000000));
		break;
	case CONFIG_MEMORY_SHARE:
		(void)(draw(2) ? bytes_addf(out, "%lu%%", (unsigned long)(1 + draw(100))) : bytes_addf(out, "%lu", (unsigned long)draw(5000000)));
		break;
	case CONFIG_CHOICE:
		while (o->choices[choices].word != NULL)
			choices++;
		(void)bytes_addf(out, "%s", o->choices[draw(choices)].word);
		break;
	case CONFIG_TEXT:
		(void)bytes_addf(out, "%s", texts[draw(sizeof(texts) / sizeof(texts[0]))]);
		break;
	case CONFIG_FILENAME:
		(void)bytes_addf(out, "%s", names[draw(sizeof(names) / sizeof(names[0]))]);
		break;
	case CONFIG_SAVE:
		(void)bytes_addf(out, "%s", saves[draw(sizeof(saves) / sizeof(saves[0]))]);
		break;
	}
	(void)bytes_add(out, "", 1);
}

/* Random settings among lines that are none, each of those with its number. */
static void draw_file(struct bytes *text, struct bytes *others)
{
	static const char *const noise[] = { "", "# threads = %d", "  ; %d", "[mount]", "[log] ; %d", "[any %d]", " \t", "#%d\r" };
	bool given[CONFIG_OPTIONS_MAX] = { false };
	struct bytes value = { 0 }, line = { 0 };

	for (uint64_t n = draw(30); n > 0; n--) {
		size_t i = draw(config_table_count);

		line.len = value.len = 0;
		if (draw(2) || given[i] || strcmp(config_table[i].name, "dir") == 0) {
			(void)bytes_addf(&line, noise[draw(sizeof(noise) / sizeof(noise[0]))], (int)n);
			(void)bytes_addf(others, "%.*s\n", (int)line.len, line.len > 0 ? line.data : "");
		} else {
			given[i] = true;
			draw_value(&config_table[i], &value);
			(void)bytes_addf(&line, draw(2) ? "%s=%s" : "  %s : \"%s\"\t; said so", config_table[i].name, value.data);
		}
		(void)bytes_addf(text, "%.*s\n", (int)line.len, line.len > 0 ? line.data : "");
	}
	(void)bytes_add(text, "", 1);
	bytes_fini(&value);
	bytes_fini(&line);
}

/* Bytes of the line at P, with its newline. */
static size_t line_len(const char *p, const char *end)
{
	const char *newline = memchr(p, '\n', (size_t)(end - p));

	return (size_t)((newline != NULL ? newline + 1 : end) - p);
}

/* Every line of OTHERS stands in TEXT, in this order. */
static bool has_lines(const struct bytes *text, const struct bytes *others)
{
	const char *at = text->data, *end = text->data + text->len;
	const char *want = others->data, *want_end = others->data + others->len;

	while (want < want_end && at < end) {
		size_t len = line_len(at, end), want_len = line_len(want, want_end);

		if (len == want_len && memcmp(at, want, len) == 0)
			want += want_len;
		at += len;
	}
	return want == want_end;
}

static bool same_settings(const struct config *a, const struct config *b)
{
	bool same = true;

	for (size_t i = 0; i < config_table_count; i++) {
		struct bytes x = { 0 }, y = { 0 };

		(void)config_print_option(a, &config_table[i], &x);
		(void)config_print_option(b, &config_table[i], &y);
		same = same && x.len == y.len && (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
		bytes_fini(&x);
		bytes_fini(&y);
	}
	return same;
}

static bool try_random(void)
{
	struct bytes text = { 0 }, others = { 0 }, value = { 0 }, once = { 0 }, twice = { 0 };
	struct error e = { { 0 } };
	struct config c, again;
	bool good;

	draw_file(&text, &others);
	good = config_init(&again) == 0 && make_config(&c, text.data, NO_PAIRS);
	for (uint64_t n = draw(12); good && n > 0; n--) {
		const struct config_option *o = &config_table[draw(config_table_count)];

		if (strcmp(o->name, "dir") == 0)
			continue;
		value.len = 0;
		draw_value(o, &value);
		good = config_set(&c, o->name, value.data, &e) == 0;
	}
	good = good && config_rewrite_text(&c, text.data, strlen(text.data), base, &once, &e) == 0 &&
	       (once.len == 0 || config_read_text(&again, once.data, once.len, "once", base, &e) == 0) && same_settings(&c, &again) &&
	       (others.len == 0 || has_lines(&once, &others)) &&
	       config_rewrite_text(&c, once.len > 0 ? once.data : "", once.len, base, &twice, &e) == 0 && twice.len == once.len &&
	       (once.len == 0 || memcmp(once.data, twice.data, once.len) == 0);
	if (!good)
		diag("%s\nfile:\n%sbecame:\n%.*s", e.text, text.data, (int)once.len, once.len > 0 ? once.data : "");
	config_fini(&c);
	config_fini(&again);
	bytes_fini(&text);
	bytes_fini(&others);
	bytes_fini(&value);
	bytes_fini(&once);
	bytes_fini(&twice);
	return good;
}

static void test_random(void)
{
	enum { ROUNDS = 500 };
	const char *given = getenv("SEED");
	uint64_t first = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)getpid();
	int good = 0;

	for (; good < ROUNDS; good++) {
		seed = first + (uint64_t)good;
		if (!try_random())
			break;
	}
	is(good, ROUNDS, "random files and settings, SEED=%llu", (unsigned long long)(first + (uint64_t)good));
}

/* Whichever allocation fails: -ENOMEM with a sentence, or the right text all the same; and nothing is left. */
static void test_memory(void)
{
	static const char text[] = "# a\n[mount]\nthreads = 3 ; three\ndir = data\n[log]\nlogfile = x\n";
	const char *const *pairs = PAIRS("threads", "4", "spin", "7", "save", "60 1", "logfile", " y ", "maxmemory", "3mb");
	struct config c;
	bool right = true, failed = true;
	uint64_t live, k = 0;
	int refused = 0;

	if (!ok(make_config(&c, text, pairs), "settings"))
		return;
	live = malloc_live();
	while (failed && right) {
		struct error e = { { 0 } };
		struct bytes got = { 0 };
		int err;

		malloc_fail_at(++k);
		err = config_rewrite_text(&c, text, sizeof(text) - 1, base, &got, &e);
		failed = malloc_fail_end();
		refused += err == -ENOMEM;
		right = err == 0 ? e.text[0] == '\0' && got.len > sizeof(text) : failed && err == -ENOMEM && e.text[0] != '\0';
		bytes_fini(&got);
		right = right && malloc_live() == live;
		if (!right)
			diag("allocation %llu: %d \"%s\", %llu bytes more", (unsigned long long)k, err, e.text,
			     (unsigned long long)(malloc_live() - live));
	}
	ok(right && refused > 20, "each of %llu allocations fails once", (unsigned long long)k - 1);
	config_fini(&c);
}

/* ---- the file itself ---- */

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	ok(f != NULL && fputs(text, f) >= 0, "%s", path);
	if (f != NULL)
		fclose(f);
}

static void file_is(const char *path, const char *want)
{
	char text[256] = "";
	FILE *f = fopen(path, "re");

	if (!ok(f != NULL, "%s is there", path))
		return;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	is_text(text, want, "and says so");
}

static void test_file(void)
{
	char dir[] = "/tmp/kvfs-rewrite.XXXXXX", path[64], link[64];
	struct error e = { { 0 } };
	struct config c;
	struct stat st;

	if (!ok(mkdtemp(dir) != NULL && config_init(&c) == 0, "a directory"))
		return;
	snprintf(path, sizeof(path), "%s/a.ini", dir);
	snprintf(link, sizeof(link), "%s/link.ini", dir);
	write_file(path, "threads = 3\n");
	ok(chmod(path, 0604) == 0 && symlink("a.ini", link) == 0 && config_read_file(&c, link, &e) == 0, "a link to a file is read");
	is(config_set(&c, "threads", "4", &e), 0, "a change");
	is(config_rewrite_file(&c, &e), 0, "is written");
	is_text(e.text, "", "without a word");
	file_is(path, "threads = 4\n");
	ok(lstat(link, &st) == 0 && S_ISLNK(st.st_mode), "the link is still one");
	ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0604, "the mode is kept");
	ok(unlink(path) == 0 && unlink(link) == 0 && config_rewrite_file(&c, &e) == 0, "a file that has gone is made anew");
	file_is(link, "[mount]\nthreads = 4\n");
	ok(config_set(&c, "logfile", "a\nb", &e) == 0 && config_rewrite_file(&c, &e) < 0, "what can't be written is refused");
	file_is(link, "[mount]\nthreads = 4\n");
	ok(unlink(link) == 0 && rmdir(dir) == 0, "and nothing is left beside it");
	config_fini(&c);
}

int main(void)
{
	test_places();
	test_values();
	test_refused();
	test_random();
	test_memory();
	test_file();
	return tap_end();
}
