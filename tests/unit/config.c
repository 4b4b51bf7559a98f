/* Settings: every value from outside is taken as documented or refused with a sentence, and kvfs.ini and the manual say what the table
 * says.  By calls of config.h, and by reading the two files of the source tree (run from its top). */
#include "fs/config.h"
#include "fs/config_table.h"
#include "persist/bytes.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

struct value {
	const char *name;       /* wanted */
	struct bytes text;      /* found, terminated */
	int count;
};

static void keep_value(void *ctx, const char *name, const char *value)
{
	struct value *v = ctx;

	v->count++;
	if (strcasecmp(name, v->name) == 0) {
		v->text.len = 0;
		(void)bytes_add(&v->text, value, strlen(value) + 1);
	}
}

static bool value_is(const struct config *c, const char *name, const char *want)
{
	struct value v = { .name = name };
	bool same;

	config_each(c, name, keep_value, &v);
	same = v.count == 1 && v.text.len > 0 && strcmp(v.text.data, want) == 0;
	if (!same)
		diag("%s is \"%s\", want \"%s\"", name, v.text.len > 0 ? v.text.data : "(missing)", want);
	bytes_fini(&v.text);
	return same;
}

static void test_defaults(struct config *c)
{
	ok(value_is(c, "save", "3600 1 300 100 60 10000"), "save as Redis has it");
	ok(value_is(c, "appendonly", "yes"), "appendonly is on");
	ok(value_is(c, "appendfsync", "everysec"), "appendfsync everysec");
	ok(value_is(c, "auto-aof-rewrite-min-size", "67108864"), "sizes print as bytes");
	ok(value_is(c, "allow-other", geteuid() == 0 ? "yes" : "no"), "allow-other by who asks");
	ok(value_is(c, "no-appendfsync-on-rewrite", "no") && value_is(c, "aof-load-corrupt-tail-max-size", "0") &&
	   value_is(c, "rdb-save-incremental-fsync", "yes") && value_is(c, "aof-rewrite-incremental-fsync", "yes") &&
	   value_is(c, "shutdown-timeout", "10"), "what a rewrite, a load and a stop do, as Redis has it");
	ok(c->persist.save.count == 3 && c->persist.save.rule[2].changes == 10000, "three rules");
	ok(c->persist.dir == c->dir && c->persist.journal_dir == c->journal_dir, "persist borrows the strings");
	is(c->value_max, 1 << 30, "value-max 1gb");
	is(c->threads, 2, "threads");
}

static void test_values(struct config *c)
{
	static const struct {
		const char *name, *value;
		int err;
		const char *text;   /* printed after success, or the message */
	} cases[] = {
		{ "maxmemory", "1k", 0, "1000" },
		{ "maxmemory", "1kb", 0, "1024" },
		{ "maxmemory", "2M", 0, "2000000" },
		{ "maxmemory", "2Mb", 0, "2097152" },
		{ "maxmemory", "3g", 0, "3000000000" },
		{ "maxmemory", "7b", 0, "7" },
		{ "MaxMemory", "0", 0, "0" },
		{ "maxmemory", "-1", -EINVAL, "maxmemory: \"-1\" is no size: a number, alone or with b, k, kb, m, mb, g or gb; or 1% to 100%" },
		{ "maxmemory", "75%", 0, "75%" },
		{ "maxmemory", "100%", 0, "100%" },
		{ "maxmemory", "0%", -EINVAL, "maxmemory: \"0%\" is no size: a number, alone or with b, k, kb, m, mb, g or gb; or 1% to 100%" },
		{ "maxmemory", "101%", -EINVAL, "maxmemory: \"101%\" is no size: a number, alone or with b, k, kb, m, mb, g or gb; or 1% to 100%" },
		{ "value-max", "5%", -EINVAL, "value-max: \"5%\" is no size: a number, alone or with b, k, kb, m, mb, g or gb" },
		{ "maxmemory", "1 kb", -EINVAL, "maxmemory: \"1 kb\" is no size: a number, alone or with b, k, kb, m, mb, g or gb; or 1% to 100%" },
		{ "maxmemory", "9999999999gb", -EINVAL,
		  "maxmemory: \"9999999999gb\" is no size: a number, alone or with b, k, kb, m, mb, g or gb; or 1% to 100%" },
		{ "value-max", "0", -EINVAL, "value-max: \"0\" is out of range: 1 to 1099511627776 bytes" },
		{ "threads", "64", 0, "64" },
		{ "threads", "65", -EINVAL, "threads: \"65\" is out of range: 1 to 64" },
		{ "threads", "2x", -EINVAL, "threads: \"2x\" is no number" },
		{ "threads", "", -EINVAL, "threads: \"\" is no number" },
		{ "threads", "+2", -EINVAL, "threads: \"+2\" is no number" },
		{ "spin", "10001", -EINVAL, "spin: \"10001\" is out of range: 0 to 10000 us" },
		{ "start-timeout", "99999999999999999999", -EINVAL, "start-timeout: \"99999999999999999999\" is no number" },
		{ "appendfsync", "Always", 0, "always" },
		{ "appendfsync", "sometimes", -EINVAL, "appendfsync: \"sometimes\" is not one of everysec, always, no" },
		{ "rdbchecksum", "NO", 0, "no" },
		{ "rdbchecksum", "1", -EINVAL, "rdbchecksum: \"1\" is not yes or no" },
		{ "allow-other", "auto", 0, NULL },
		{ "allow-other", "maybe", -EINVAL, "allow-other: \"maybe\" is not one of yes, no, auto" },
		{ "dbfilename", "a/b", -EINVAL, "dbfilename: \"a/b\" is no file name: it must have no '/' and not be \".\" or \"..\"" },
		{ "dbfilename", "..", -EINVAL, "dbfilename: \"..\" is no file name: it must have no '/' and not be \".\" or \"..\"" },
		{ "dbfilename", "", -EINVAL, "dbfilename: is empty" },
		{ "dir", "", -EINVAL, "dir: is empty" },
		{ "journal-dir", "", 0, "" },
		{ "logfile", "/a b", 0, "/a b" },
		{ "loglevel", "debug", 0, "debug" },
		{ "save", "", 0, "" },
		{ "save", "  ", 0, "" },
		{ "save", "60 1", 0, "60 1" },
		{ "save", " 60\t1  5 0 ", 0, "60 1 5 0" },
		{ "save", "60", -EINVAL, "save: \"60\" is no list of \"<seconds> <changes>\" (at most 16 pairs, seconds from 1)" },
		{ "save", "0 1", -EINVAL, "save: \"0 1\" is no list of \"<seconds> <changes>\" (at most 16 pairs, seconds from 1)" },
		{ "save", "60 1x", -EINVAL, "save: \"60 1x\" is no list of \"<seconds> <changes>\" (at most 16 pairs, seconds from 1)" },
		{ "save", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", -EINVAL, NULL },
		{ "nosuch", "1", -ENOENT, "unknown option \"nosuch\"" },
		{ "key-load-delay", "5", 0, "5" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error e = { { 0 } };
		int err = config_set(c, cases[i].name, cases[i].value, &e);

		is(err, cases[i].err, "%s = \"%s\"", cases[i].name, cases[i].value);
		if (cases[i].text != NULL && err == 0)
			ok(value_is(c, cases[i].name, cases[i].text), "and is there");
		else if (cases[i].text != NULL)
			is_text(e.text, cases[i].text, "with a sentence");
	}
	ok(value_is(c, "save", "60 1 5 0"), "a refused value changes nothing");
}

static void test_running(struct config *c)
{
	static const struct {
		const char *name, *value;
		int err;
		const char *text;
	} cases[] = {
		{ "save", "5 5", 0, "" },
		{ "appendfsync", "no", 0, "" },
		{ "save", "5", -EINVAL, "Invalid save parameters" },
		{ "appendfsync", "x", -EINVAL, "argument(s) must be one of the following: everysec, always, no" },
		{ "dir", "/x", -EPERM, "can't set protected config" },
		{ "appendfilename", "x", -EPERM, "can't set immutable config" },
		{ "rdbcompression", "1", -EINVAL, "argument must be 'yes' or 'no'" },
		{ "maxmemory", "1x", -EINVAL, "argument must be a memory value" },
		{ "value-max", "0", -EINVAL, "argument must be between 1 and 1099511627776 inclusive" },
		{ "shutdown-timeout", "1s", -EINVAL, "argument couldn't be parsed into an integer" },
		{ "shutdown-timeout", "2147483648", -EINVAL, "argument must be between 0 and 2147483647 inclusive" },
		{ "loglevel", "x", -EINVAL, "argument(s) must be one of the following: debug, verbose, notice, warning" },
		{ "nosuch", "x", -ENOENT, "unknown option" },
	};
	struct error e = { { 0 } };
	struct config next;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error said = { { 0 } };

		is(config_set_running(c, cases[i].name, cases[i].value, &said), cases[i].err, "CONFIG SET %s %s", cases[i].name,
		   cases[i].value);
		is_text(said.text, cases[i].text, "in Redis's words");
	}
	ok(value_is(c, "save", "5 5") && value_is(c, "appendfsync", "no"), "both took effect");
	next = *c;
	ok(config_set_running(&next, "spin", "77", &e) == 0 && config_set_running(&next, "save", "9 9", &e) == 0, "on a copy");
	ok(value_is(c, "save", "5 5"), "changes nothing");
	config_take_running(c, &next);
	ok(value_is(c, "save", "9 9") && value_is(c, "spin", "77"), "until it is taken over");
	ok(c->dir == next.dir && c->persist.dir == c->dir, "strings stay where they are");
	for (size_t i = 0; i < config_table_count; i++) {
		if (config_table[i].type == CONFIG_TEXT || config_table[i].type == CONFIG_FILENAME)
			ok(config_table[i].change != CONFIG_RUNTIME, "%s: a string does not change under its borrowers", config_table[i].name);
	}
}

static void test_options(struct config *c)
{
	struct error e = { { 0 } };

	is(config_set_options(c, "rw,nofail,x-systemd.automount,_netdev,user=me,nosuid,logfile=/a\\,b\\\\c,rdbchecksum,,"
				 "skip_non_strings,ro,save=60 1", &e), 0, "a line of fstab");
	is_text(e.text, "", "no error");
	ok(value_is(c, "logfile", "/a,b\\c"), "an escaped comma and backslash");
	ok(value_is(c, "rdbchecksum", "yes"), "a boolean alone means yes");
	ok(value_is(c, "skip-non-strings", "yes"), "'_' stands for '-'");
	ok(value_is(c, "save", "60 1"), "a value with a blank");
	is_text(c->mount_options, "nosuid,ro", "the kernel's words are kept for it");
	ok(!c->devices && c->atime == ATIME_RELATIVE && !c->nodiratime, "without a word: no devices, relatime");
	ok(config_set_options(c, "dev,noatime,nodiratime", &e) == 0 && c->devices && c->atime == ATIME_NEVER && c->nodiratime, "words for both");
	ok(config_set_options(c, "nodev,strictatime,diratime", &e) == 0 && !c->devices && c->atime == ATIME_ALWAYS && !c->nodiratime,
	   "of contrary ones the last counts");
	ok(config_set_options(c, "relatime,device=1", &e) < 0 && c->atime == ATIME_RELATIVE && !c->devices, "a word is a whole one");
	e.text[0] = '\0';
	is(config_set_options(c, "threads", &e), -EINVAL, "a number alone");
	is_text(e.text, "-o: threads: needs a value: -o threads=...", "says so");
	e.text[0] = '\0';
	is(config_set_options(c, "threads=0", &e), -EINVAL, "a bad value");
	is_text(e.text, "-o: threads: \"0\" is out of range: 1 to 64", "says which");
	e.text[0] = '\0';
	is(config_set_options(c, "bogus=1", &e), -ENOENT, "an unknown name");
	is_text(e.text, "-o: unknown option \"bogus\"", "says so");
}

struct ini_case {
	const char *text, *message;   /* "" for none */
};

static void check_ini(struct config *c, const char *text, size_t len, const char *message)
{
	struct error e = { { 0 } };
	int err = config_read_text(c, text, len, "f.ini", "/base", &e);

	ok((err == 0) == (message[0] == '\0') && strcmp(e.text, message) == 0, "%s", message[0] != '\0' ? message : "reads");
	if (strcmp(e.text, message) != 0)
		diag("got \"%s\"", e.text);
}

static void test_ini(struct config *c)
{
	static const struct ini_case cases[] = {
		{ "", "" },
		{ "[any name]\n; comment\n# comment\n  threads = 3  \r\nsave = \"\"\n\nappendfsync: no ; why\n", "" },
		{ "\xef\xbb\xbfthreads = 4", "" },
		{ "threads = 5\n  spin = 7\n\tlatency=no", "" },
		{ "dir = data", "" },
		{ "threads = 1\nappendfsync = sometimes\n", "f.ini:2: appendfsync: \"sometimes\" is not one of everysec, always, no" },
		{ "\n\nnosuch = 1\n", "f.ini:3: unknown option \"nosuch\"" },
		{ "threads = 1\njunk\nspin = x\n", "f.ini:2: this is neither \"key = value\" nor \"[section]\"" },
		{ "spin = x\njunk\n", "f.ini:1: spin: \"x\" is no number" },
		{ "[open\n", "f.ini:1: this is neither \"key = value\" nor \"[section]\"" },
		{ "threads = 1\n[other]\nthreads = 2\n", "f.ini:3: threads: was given before, in line 1" },
		{ "= 1\n", "f.ini:1: unknown option \"\"" },
	};
	static const char nul[] = "threads = 1\nlogfile = a\0b\n";
	struct bytes line = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_ini(c, cases[i].text, strlen(cases[i].text), cases[i].message);
	ok(c->threads == 1, "the last file that gave it");
	ok(value_is(c, "spin", "7") && value_is(c, "latency", "no"), "an indented line is a line of its own");
	ok(value_is(c, "dir", "/base/data"), "a relative dir is relative to the file");
	ok(value_is(c, "save", "") && value_is(c, "appendfsync", "no"), "quotes and a comment behind a value");
	check_ini(c, nul, sizeof(nul) - 1, "f.ini:2: the line has a NUL byte");
	(void)bytes_addf(&line, "\nlogfile = %0*d", 300, 0);
	check_ini(c, line.data, line.len, "");
	ok(strlen(c->logfile) == 300, "a line beyond inih's own 200 bytes is whole");
	(void)bytes_addf(&line, "%0*d\nthreads = 9\n", CONFIG_LINE_MAX, 0);
	check_ini(c, line.data, line.len, "f.ini:2: the line is longer than 8000 bytes");
	bytes_fini(&line);
}

/* ---- the files that must say the same ---- */

static bool read_file(const char *path, struct bytes *ret)
{
	FILE *f = fopen(path, "re");
	size_t n = 0;

	if (!ok(f != NULL, "%s is there (tests run at the top of the tree)", path))
		return false;
	do {
		if (bytes_reserve(ret, 65536) < 0)
			break;
		n = fread(ret->data + ret->len, 1, 65535, f);
		ret->len += n;
	} while (n > 0);
	ret->data[ret->len] = '\0';
	fclose(f);
	return true;
}

static const char fixed_words[] = "Fixed while mounted.";

/* The comment block above an option, or its paragraph in the manual, says whether it can change. */
static void check_says_fixed(const struct config_option *o, bool says_fixed, const char *where)
{
	ok(says_fixed == (o->change != CONFIG_RUNTIME), "%s says whether %s can change while mounted", where, o->name);
}

static void test_ini_file_is_the_table(void)
{
	struct bytes text = { 0 };
	const char *section = "";
	char *line, *rest;
	bool fixed = false;
	size_t next = 0;

	if (!read_file("kvfs.ini", &text))
		return;
	for (rest = text.data; (line = strsep(&rest, "\n")) != NULL;) {
		struct bytes want = { 0 };

		fixed = line[0] != '\0' && (fixed || strstr(line, fixed_words) != NULL);
		if (line[0] == '\0' || line[0] == '#')
			continue;
		while (next < config_table_count && config_table[next].hidden)
			next++;
		if (next < config_table_count && strcmp(section, config_table[next].section) != 0) {
			section = config_table[next].section;
			(void)bytes_addf(&want, "[%s]", section);
		} else if (next < config_table_count) {
			const struct config_option *o = &config_table[next++];

			(void)bytes_addf(&want, "%s =%s%s", o->name, o->def[0] != '\0' ? " " : "", o->def);
			check_says_fixed(o, fixed, "kvfs.ini");
		}
		(void)bytes_add(&want, "", 1);
		is_text(line, want.data, "the next line of kvfs.ini is the next row of the table");
		bytes_fini(&want);
	}
	while (next < config_table_count && config_table[next].hidden)
		next++;
	is((int64_t)next, (int64_t)config_table_count, "kvfs.ini has every option");
	bytes_fini(&text);
}

/* Each option stands in the manual as ".TP", ".BR name " ( type, default )", in the order of the table. */
static void test_manual_is_the_table(void)
{
	struct bytes text = { 0 };
	char *at;

	if (!read_file("man/kvfs.ini.5", &text))
		return;
	at = text.data;
	for (size_t i = 0; i < config_table_count; i++) {
		const struct config_option *o = &config_table[i];
		struct bytes want = { 0 };
		char *found;

		(void)bytes_addf(&want, "\n.TP\n.BR %s \" (default: %s)\"\n", o->name, o->def[0] != '\0' ? o->def : "empty");
		(void)bytes_add(&want, "", 1);
		found = strstr(at, want.data);
		if (o->hidden) {
			ok(strstr(text.data, o->name) == NULL, "%s is not in the manual", o->name);
		} else if (ok(found != NULL, "%s is in the manual, with its default", o->name)) {
			const char *words = strstr(found, fixed_words), *end = strstr(found + 4, "\n.TP");

			at = found;
			check_says_fixed(o, words != NULL && (end == NULL || words < end), "the manual");
		}
		bytes_fini(&want);
	}
	bytes_fini(&text);
}

int main(void)
{
	struct config c;

	if (!ok(config_init(&c) == 0, "every default is in its bounds"))
		return tap_end();
	test_defaults(&c);
	test_values(&c);
	test_running(&c);
	test_options(&c);
	test_ini(&c);
	config_fini(&c);
	test_ini_file_is_the_table();
	test_manual_is_the_table();
	return tap_end();
}
