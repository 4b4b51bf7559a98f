/* config.c -- any bytes as an ini file, as -o and as values of CONFIG SET: taken or refused with a sentence, and what was taken prints as
 * something that is taken again and prints the same.  CONFIG REWRITE of that file with these settings reads as these settings, and once
 * more changes nothing; or it is refused with a sentence. */
#include "fs/config.h"
#include "fs/config_rewrite.h"
#include "fs/glob.h"
#include "persist/bytes.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

struct copy {
	struct config *to;
	const char *name;
	struct bytes text;
};

static void take_again(void *ctx, const char *name, const char *value)
{
	struct copy *c = ctx;
	struct error e = { { 0 } };

	check(config_set(c->to, name, value, &e) == 0);
}

static void keep(void *ctx, const char *name, const char *value)
{
	struct copy *c = ctx;

	(void)bytes_addf(&c->text, "%s=%s\n", name, value);
}

static void check_prints_the_same(const struct config *from)
{
	struct config to;
	struct copy c = { .to = &to }, again = { .to = &to };

	check(config_init(&to) == 0);
	check(config_each(from, "*", take_again, &c) == 0);
	check(config_each(from, "*", keep, &c) == 0 && config_each(&to, "*", keep, &again) == 0);
	check(c.text.len == again.text.len && memcmp(c.text.data, again.text.data, c.text.len) == 0);
	bytes_fini(&c.text);
	bytes_fini(&again.text);
	config_fini(&to);
}

/* ERR and a sentence go together. */
static void check_sentence(int err, const struct error *e)
{
	check(err <= 0 && (err == 0) == (e->text[0] == '\0'));
}

static void check_rewrite(const struct config *c, const char *text, size_t len)
{
	struct error e = { { 0 } };
	struct bytes once = { 0 }, twice = { 0 };
	struct copy want = { .to = NULL }, got = { .to = NULL };
	struct config again;
	int err = config_rewrite_text(c, text, len, "/base", &once, &e);

	check_sentence(err, &e);
	if (err == 0) {
		const char *new_text = once.len > 0 ? once.data : "";

		check(config_init(&again) == 0 && config_read_text(&again, new_text, once.len, "new", "/base", &e) == 0);
		/* The one that may go on standing there under another name. */
		check(config_set(&again, "dir", c->dir, &e) == 0);
		check(config_each(c, "*", keep, &want) == 0 && config_each(&again, "*", keep, &got) == 0);
		check(want.text.len == got.text.len && memcmp(want.text.data, got.text.data, got.text.len) == 0);
		check(config_rewrite_text(c, new_text, once.len, "/base", &twice, &e) == 0);
		check(twice.len == once.len && (once.len == 0 || memcmp(twice.data, once.data, once.len) == 0));
		config_fini(&again);
	}
	bytes_fini(&once);
	bytes_fini(&twice);
	bytes_fini(&want.text);
	bytes_fini(&got.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct error ini = { { 0 } }, options = { { 0 } }, running = { { 0 } };
	struct config c;
	char *text = strndup((const char *)data, len);

	check(text != NULL && config_init(&c) == 0);
	check_sentence(config_read_text(&c, (const char *)data, len, "fuzz.ini", "/base", &ini), &ini);
	check_sentence(config_set_options(&c, text, &options), &options);
	check_sentence(config_set_running(&c, "save", text, &running), &running);
	check_prints_the_same(&c);
	/* TEXT ends at the first NUL byte; what stands behind it are options to an ini file before it. */
	if (strlen(text) < len) {
		char *late = strndup((const char *)data + strlen(text) + 1, len - strlen(text) - 1);

		check(late != NULL);
		(void)config_set_options(&c, late, &options);
		free(late);
	}
	check_rewrite(&c, text, strlen(text));
	glob_match((const char *)data, len, "auto-aof-rewrite-percentage", 27, true);
	glob_match((const char *)data, len / 2, (const char *)data + len / 2, len - len / 2, false);
	config_fini(&c);
	free(text);
	return 0;
}
