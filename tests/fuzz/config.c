/* config.c -- any bytes as an ini file, as -o and as values of CONFIG SET: taken or refused with a sentence, and what was taken prints as
 * something that is taken again and prints the same. */
#include "fs/config.h"
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
	glob_match((const char *)data, len, "auto-aof-rewrite-percentage", 27, true);
	glob_match((const char *)data, len / 2, (const char *)data + len / 2, len - len / 2, false);
	config_fini(&c);
	free(text);
	return 0;
}
