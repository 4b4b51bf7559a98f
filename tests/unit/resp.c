/* resp.c -- RESP is read as tolerantly as Redis reads its own log and no more, and written strictly.
 * Method: a table of texts with what must come of each, each also cut at every byte.                 */
#include "persist/resp.h"

#include "tests/lib/tap.h"

#include <errno.h>
#include <stdlib.h>

static const struct resp_limits limits = {.args_max = 100, .arg_max = 1000};

/* Words are joined by '|'. */
static const struct {
	const char *name, *text;
	int result;
	const char *words;
} commands[] = {
	{"a command", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\na\nb\r\n", RESP_OK, "SET|k|a\nb"},
	{"an empty argument", "*2\r\n$3\r\nGET\r\n$0\r\n\r\n", RESP_OK, "GET|"},
	{"leading zeros", "*01\r\n$0004\r\nPING\r\n", RESP_OK, "PING"},
	{"bare line feeds", "*1\n$4\nPING\r\n", RESP_OK, "PING"},
	{"any two bytes behind an argument", "*2\r\n$1\r\naXY$1\r\nbXY", RESP_OK, "a|b"},
	{"no arguments", "*0\r\n", RESP_OK, ""},
	{"fewer than none", "*-1\r\n", RESP_OK, ""},
	{"another first byte", "SET k v\r\n", -EPROTO, NULL},
	{"a count that is none", "*x\r\n", -EPROTO, NULL},
	{"a count with something behind", "*1x\r\n", -EPROTO, NULL},
	{"a plus sign", "*+1\r\n", -EPROTO, NULL},
	{"an argument without a length", "*1\r\nPING\r\n", -EPROTO, NULL},
	{"a negative length", "*1\r\n$-1\r\n", -EPROTO, NULL},
	{"a length over 64 bits", "*1\r\n$99999999999999999999\r\n", -EPROTO, NULL},
	{"a length line without end", "*000000000000000000000000000000000000000000000000000000000000000000000000000001\r\n", -EPROTO, NULL},
	{"too many arguments", "*101\r\n", -EMSGSIZE, NULL},
	{"an argument that is too long", "*1\r\n$1001\r\n", -EMSGSIZE, NULL},
	{"an argument of the greatest length", "*1\r\n$1000\r\n", RESP_MORE, NULL},
};

static const struct {
	const char *name, *text;
	int result;
	const char *words;
} lines[] = {
	{"words", "set  key\tvalue \r\n", RESP_OK, "set|key|value"},
	{"an empty line", "\r\n", RESP_OK, ""},
	{"double quotes", "set \"a b\" \"\\n\\x41\\\"\\q\"\n", RESP_OK, "set|a b|\nA\"q"},
	{"single quotes", "set 'it\\'s' '\\n'\n", RESP_OK, "set|it's|\\n"},
	{"an empty word", "set \"\" ''\n", RESP_OK, "set||"},
	{"quotes inside a word", "a\"b c\"\n", RESP_OK, "ab c"},
	{"a quote that stays open", "set \"a\n", -EPROTO, NULL},
	{"something behind a quote", "set \"a\"b\n", -EPROTO, NULL},
	{"a backslash at the end", "set \"a\\\n", -EPROTO, NULL},
	{"RESP all the same", "*1\r\n$4\r\nPING\r\n", RESP_OK, "PING"},
};

static bool words_are(const struct resp_command *c, const char *words)
{
	char joined[256];
	size_t i, len = 0;

	for (i = 0; i < c->argc; i++) {
		if (len + c->argv[i].len + 2 > sizeof(joined))
			return false;
		if (i > 0)
			joined[len++] = '|';
		memcpy(joined + len, c->argv[i].data, c->argv[i].len);
		len += c->argv[i].len;
	}
	return len == strlen(words) && memcmp(joined, words, len) == 0;
}

static void test_command(const char *name, const char *text, int result, const char *words, bool inline_ok)
{
	struct resp_command c = {0};
	const char *why = NULL;
	size_t used = 0, cut, len = strlen(text);
	int r = resp_parse(text, len, &limits, inline_ok, &c, &used, &why);
	unsigned wrong = 0;

	is(r, result, "%s", name);
	if (r == RESP_OK) {
		ok(used == len && words_are(&c, words), "%s: the words", name);
		for (cut = 0; cut < len; cut++) {
			char *part = malloc(cut + 1);

			if (!part)
				exit(1);
			memcpy(part, text, cut);
			wrong += resp_parse(part, cut, &limits, inline_ok, &c, &used, &why) != RESP_MORE;
			free(part);
		}
		is(wrong, 0, "%s: cut anywhere, there is more to come", name);
	} else if (r < 0) {
		ok(why != NULL, "%s: says why (%s)", name, why ? why : "");
	}
	resp_command_fini(&c);
}

static void test_reading(void)
{
	static char long_line[70000];
	struct resp_command c = {0};
	const char *why = NULL;
	size_t i, used;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		test_command(commands[i].name, commands[i].text, commands[i].result, commands[i].words, false);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		test_command(lines[i].name, lines[i].text, lines[i].result, lines[i].words, true);
	memset(long_line, 'a', sizeof(long_line));
	is(resp_parse(long_line, 65535, &limits, true, &c, &used, &why), RESP_MORE, "a long line may still end");
	is(resp_parse(long_line, 65536, &limits, true, &c, &used, &why), -EMSGSIZE, "a longer one may not");
	resp_command_fini(&c);
}

static void test_words(void)
{
	static const struct {
		const char *text;
		bool valid;
		int64_t n;
	} numbers[] = {
		{"0", true, 0}, {"-1", true, -1}, {"9223372036854775807", true, INT64_MAX}, {"-9223372036854775808", true, INT64_MIN},
		{"9223372036854775808", false, 0}, {"-9223372036854775809", false, 0}, {"", false, 0}, {"-", false, 0}, {"+1", false, 0},
		{"01", false, 0}, {"-0", false, 0}, {" 1", false, 0}, {"1 ", false, 0}, {"1x", false, 0},
	};
	struct resp_arg a = {.data = "bgSave", .len = 6};
	size_t i;

	ok(resp_is(&a, "BGSAVE"), "case does not matter");
	ok(!resp_is(&a, "BGSAV") && !resp_is(&a, "BGSAVED") && !resp_is(&a, ""), "length does");
	a = (struct resp_arg){.data = "A\0B", .len = 3};
	ok(!resp_is(&a, "A"), "a NUL ends no word");
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		int64_t n = 0;
		int r;

		a = (struct resp_arg){.data = numbers[i].text, .len = strlen(numbers[i].text)};
		r = resp_int64(&a, &n);
		ok(numbers[i].valid ? r == 0 && n == numbers[i].n : r == -EINVAL, "number \"%s\"", numbers[i].text);
	}
}

static void test_writing(void)
{
	static const size_t sizes[] = {0, 1, 9, 10, 99, 100, 12345};
	static char data[12345];
	struct bytes out = {0};
	unsigned wrong = 0;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *buf = malloc(resp_bulk_size(sizes[i]));

		if (!buf)
			exit(1);
		wrong += resp_write_bulk(buf, data, sizes[i]) != buf + resp_bulk_size(sizes[i]);
		wrong += resp_write_array(buf, i) != buf + resp_array_size(i);
		free(buf);
	}
	is(wrong, 0, "sizes announced are sizes written");
	resp_reply_simple(&out, "OK");
	resp_reply_error(&out, "ERR two\r\nlines");
	resp_reply_int(&out, INT64_MIN);
	resp_reply_bulk(&out, "hi", 2);
	resp_reply_null(&out);
	resp_reply_array(&out, 12);
	ok(bytes_add(&out, "", 1) == 0, "room for an end");
	is_text(out.data, "+OK\r\n-ERR two  lines\r\n:-9223372036854775808\r\n$2\r\nhi\r\n$-1\r\n*12\r\n", "replies");
	bytes_fini(&out);
}

static void test_replies(void)
{
	static const char text[] = "+OK\r\n-ERR no\r\n:-5\r\n$2\r\nhi\r\n$-1\r\n*2\r\n*-1\r\n:x\r\n";
	static const char types[] = "+-:$$**";
	const char *why = NULL, *p = text;
	struct resp_value v[7] = {{0}}, bad;
	size_t used = 0, i;
	int r = 0;

	for (i = 0; i < 7; i++) {
		r = resp_parse_reply(p, strlen(p), &v[i], &used, &why);
		if (!ok(r == RESP_OK && v[i].type == types[i], "reply %zu", i))
			return;
		is(resp_parse_reply(p, used - 1, &bad, &used, &why), RESP_MORE, "reply %zu, cut", i);
		resp_parse_reply(p, strlen(p), &v[i], &used, &why);
		p += used;
	}
	is_bytes(v[0].data, v[0].len, "OK", 2, "simple");
	is_bytes(v[1].data, v[1].len, "ERR no", 6, "error");
	is(v[2].integer, -5, "integer");
	is_bytes(v[3].data, v[3].len, "hi", 2, "bulk");
	ok(v[4].data == NULL, "null");
	is(v[5].integer, 2, "array");
	is(v[6].integer, -1, "null array");
	is(resp_parse_reply(p, strlen(p), &bad, &used, &why), -EPROTO, "an integer that is none");
	is(resp_parse_reply("x", 1, &bad, &used, &why), -EPROTO, "another first byte");
}

int main(void)
{
	test_reading();
	test_words();
	test_writing();
	test_replies();
	return tap_end();
}
