/* resp.c -- any bytes through the RESP parsers; what was parsed is written again and must parse to the same. */
#include "persist/resp.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_round_trip(const struct resp_command *c, const struct resp_limits *limits)
{
	struct resp_command again = {0};
	const char *why = NULL;
	size_t size = resp_array_size(c->argc), used = 0, i;
	char *text, *p;

	for (i = 0; i < c->argc; i++)
		size += resp_bulk_size(c->argv[i].len);
	text = malloc(size);
	check(text != NULL);
	p = resp_write_array(text, c->argc);
	for (i = 0; i < c->argc; i++)
		p = resp_write_bulk(p, c->argv[i].data, c->argv[i].len);
	check((size_t)(p - text) == size);
	check(resp_parse(text, size, limits, false, &again, &used, &why) == RESP_OK);
	check(used == size && again.argc == c->argc);
	for (i = 0; i < c->argc; i++)
		check(again.argv[i].len == c->argv[i].len && memcmp(again.argv[i].data, c->argv[i].data, c->argv[i].len) == 0);
	check(resp_parse(text, size - 1, limits, false, &again, &used, &why) == RESP_MORE);
	resp_command_fini(&again);
	free(text);
}

static void parse_all(const char *data, size_t len, bool inline_ok)
{
	static const struct resp_limits limits = {.args_max = 1000, .arg_max = 100000};
	struct resp_command c = {0};
	const char *why = NULL;
	int64_t number;
	size_t used, i;

	while (len > 0) {
		int r = resp_parse(data, len, &limits, inline_ok, &c, &used, &why);

		if (r != RESP_OK) {
			check(r == RESP_MORE || why != NULL);
			break;
		}
		check(used > 0 && used <= len && c.argc <= limits.args_max);
		for (i = 0; i < c.argc; i++) {
			check(c.argv[i].len <= limits.arg_max);
			resp_is(&c.argv[i], "SET");
			resp_int64(&c.argv[i], &number);
		}
		check_round_trip(&c, &limits);
		data += used;
		len -= used;
	}
	resp_command_fini(&c);
}

static void parse_replies(const char *data, size_t len)
{
	struct resp_value v;
	const char *why = NULL;
	size_t used;

	while (len > 0 && resp_parse_reply(data, len, &v, &used, &why) == RESP_OK) {
		check(used > 0 && used <= len && (!v.data || v.len <= used));
		data += used;
		len -= used;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	parse_all((const char *)data, len, false);
	parse_all((const char *)data, len, true);
	parse_replies((const char *)data, len);
	return 0;
}
