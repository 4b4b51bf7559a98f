/* monitor_print.c -- from a record to a line: monitor_record.h. */
#include "fs/monitor_record.h"
#include "store/keyname.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* As Redis's sdscatrepr(); returns the end. */
static char *quote_byte(char *p, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char plain[] = "\n\r\t\a\b\\\"", letters[] = "nrtab\\\"";
	const char *at = c != '\0' ? strchr(plain, c) : NULL;

	if (at != NULL) {
		*p++ = '\\';
		*p++ = letters[at - plain];
	} else if (c >= 0x20 && c < 0x7f) {
		*p++ = (char)c;
	} else {
		*p++ = '\\';
		*p++ = 'x';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	return p;
}

int monitor_quote(const char *data, size_t len, uint64_t more, struct bytes *out)
{
	char *p;

	if (bytes_reserve(out, 4 * len + 2) < 0)
		return -ENOMEM;
	p = out->data + out->len;
	*p++ = '"';
	for (size_t i = 0; i < len; i++)
		p = quote_byte(p, (unsigned char)data[i]);
	out->len = (size_t)(p - out->data);
	if (more > 0 && bytes_addf(out, "... (%" PRIu64 " more bytes)", more) < 0)
		return -ENOMEM;
	return bytes_add(out, "\"", 1);
}

static int print_arg(const struct monitor_arg *a, const char *data, struct bytes *lines)
{
	enum keyname_kind kind;
	size_t len = a->kept;
	char *key = NULL;
	int err;

	if (a->kind == MONITOR_PATH && memmem(data, len, ".%", 2) != NULL) {
		key = malloc(len);
		if (key == NULL)
			return -ENOMEM;
		if (keyname_to_key(data, len, key, &len, &kind) == 0)
			data = key;
		else
			len = a->kept;
	}
	err = monitor_quote(data, len, a->len - a->kept, lines);
	free(key);
	return err;
}

int monitor_print(const char *data, const char *source, struct bytes *lines)
{
	struct monitor_record r;
	struct monitor_arg a;
	int err;

	memcpy(&r, data, sizeof(r));
	data += sizeof(r);
	err = bytes_addf(lines, "+%" PRId64 ".%06" PRId64 " [%s]", r.at_ns / 1000000000, r.at_ns / 1000 % 1000000, source);
	for (uint32_t i = 0; i < r.args && err == 0; i++) {
		memcpy(&a, data, sizeof(a));
		data += sizeof(a);
		err = bytes_add(lines, " ", 1);
		if (err == 0)
			err = print_arg(&a, data, lines);
		data += a.kept;
	}
	return err == 0 ? bytes_add(lines, "\r\n", 2) : err;
}
