/* ctl_show.c -- see ctl_show.h: the words of these commands, and info --json. */
#include "fs/ctl_show.h"
#include "fs/ctl.h"
#include "fs/ctl_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { INTERVAL_MS = 1000, INTERVAL_MAX_MS = 24 * 3600 * 1000 };

int ctl_show_end(int err)
{
	if (err == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		err = -EIO;
	if (err == 0)
		return CTL_DONE;
	if (err == -EIO)
		return ctl_complain(CTL_REFUSED, "standard output: cannot be written");
	return ctl_complain(CTL_NO_SERVER, "the server went away: %s", strerrordesc_np(-err));
}

static int info_as_json(struct ctl_client *c, const struct ctl_show *s)
{
	const char **words = calloc(s->word_count + 1, sizeof(*words));
	struct resp_value v;
	int err;

	if (words == NULL)
		return ctl_complain(CTL_REFUSED, "out of memory");
	words[0] = "INFO";
	memcpy(words + 1, s->words, s->word_count * sizeof(*words));
	err = ctl_send_words(c, words, s->word_count + 1);
	free(words);
	if (err == 0)
		err = ctl_receive(c, &v);
	if (err == 0 && v.type == '-')
		return ctl_complain(CTL_REFUSED, "%.*s", (int)v.len, v.data);
	if (err == 0 && (v.type != '$' || v.data == NULL))
		err = -EPROTO;
	if (err == 0)
		ctl_json_info(stdout, v.data, v.len);
	return ctl_show_end(err);
}

static const struct show_command {
	const char *name, *usage;
	int (*run)(struct ctl_client *c, const struct ctl_show *s);
	bool json, interval, words;   /* what it takes */
} show_commands[] = {
	{ "info", "info [SECTION...] [--json]", info_as_json, true, false, true },
	{ "latency", "latency [OPERATION...] [--json]", ctl_show_latency, true, false, true },
	{ "metrics", "metrics", ctl_show_metrics, false, false, false },
	{ "monitor", "monitor", ctl_show_monitor, false, false, false },
	{ "top", "top [-i SECONDS] [-n COUNT] [--json]", ctl_show_top, true, true, false },
};

static const struct show_command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(show_commands) / sizeof(show_commands[0]); i++) {
		if (strcasecmp(name, show_commands[i].name) == 0)
			return &show_commands[i];
	}
	return NULL;
}

/* Seconds, also parts of one. */
static bool parse_interval(const char *text, int64_t *ret_ms)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end != '\0' || !(s * 1000 >= 1) || s * 1000 > INTERVAL_MAX_MS)
		return false;
	*ret_ms = (int64_t)(s * 1000);
	return true;
}

static bool parse_count(const char *text, int64_t *ret)
{
	const struct resp_arg a = { .data = text, .len = strlen(text) };

	return resp_int64(&a, ret) == 0 && *ret >= 1;
}

/* Takes the option at WORDS, or none; how many words it is, 0: a wrong one. */
static size_t take_option(const struct show_command *cmd, const char *const *words, size_t left, struct ctl_show *s)
{
	const char *word = words[0];
	char letter = word[0] == '-' ? word[1] : '\0';

	if (cmd->json && strcmp(word, "--json") == 0) {
		s->json = true;
		return 1;
	}
	if (cmd->interval && (letter == 'i' || letter == 'n')) {
		const char *value = word[2] != '\0' ? word + 2 : left > 1 ? words[1] : "";

		if (letter == 'i' ? !parse_interval(value, &s->interval_ms) : !parse_count(value, &s->count))
			return 0;
		s->has_count = s->has_count || letter == 'n';
		return word[2] != '\0' ? 1 : 2;
	}
	if (!cmd->words || letter != '\0')
		return 0;
	s->words[s->word_count++] = word;
	return 1;
}

int ctl_show_parse(const char *const *words, size_t count, struct ctl_show *ret)
{
	const struct show_command *cmd = find(words[0]);
	struct ctl_show s = { .interval_ms = INTERVAL_MS };

	*ret = (struct ctl_show){ .run = NULL };
	/* What Redis calls so goes to the server as it is. */
	if (cmd == NULL || (cmd->run == ctl_show_latency && count > 1 && strcasecmp(words[1], "histogram") == 0))
		return CTL_DONE;
	s.words = calloc(count, sizeof(*s.words));
	if (s.words == NULL)
		return ctl_complain(CTL_REFUSED, "out of memory");
	for (size_t i = 1, used; i < count; i += used) {
		used = take_option(cmd, words + i, count - i, &s);
		if (used == 0) {
			ctl_show_fini(&s);
			return ctl_complain(CTL_USAGE, "usage: kvfs-ctl %s", cmd->usage);
		}
	}
	s.run = cmd->run == info_as_json && !s.json ? NULL : cmd->run;
	*ret = s;
	return CTL_DONE;
}

void ctl_show_fini(struct ctl_show *s)
{
	free(s->words);
	s->words = NULL;
}
