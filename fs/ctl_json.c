/* ctl_json.c -- see ctl_json.h. */
#include "fs/ctl_json.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

/* ---- text ---- */

/* Bytes of the UTF-8 sequence at TEXT; 0: it is none. */
static size_t utf8_len(const unsigned char *text, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = text[0] >= 0xf0 && text[0] < 0xf8 ? 4 : text[0] >= 0xe0 && text[0] < 0xf0 ? 3 : text[0] >= 0xc0 && text[0] < 0xe0 ? 2 : 0;
	uint32_t code;

	if (text[0] < 0x80)
		return 1;
	if (n == 0 || n > len)
		return 0;
	code = text[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

void ctl_json_text(FILE *to, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;

	fputc('"', to);
	while (p < end) {
		size_t n = utf8_len(p, (size_t)(end - p));

		if (n == 0)
			fputs("\\ufffd", to);
		else if (*p == '"' || *p == '\\')
			fprintf(to, "\\%c", *p);
		else if (*p < 0x20)
			fprintf(to, "\\u%04x", *p);
		else
			fwrite(p, 1, n, to);
		p += n > 0 ? n : 1;
	}
	fputc('"', to);
}

static size_t digits(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] >= '0' && text[n] <= '9')
		n++;
	return n;
}

bool ctl_json_is_number(const char *text, size_t len)
{
	size_t n;

	if (len > 0 && text[0] == '-') {
		text++;
		len--;
	}
	n = digits(text, len);
	if (n == 0 || (n > 1 && text[0] == '0'))
		return false;
	if (n == len)
		return true;
	return text[n] == '.' && n + 1 < len && digits(text + n + 1, len - n - 1) == len - n - 1;
}

/* ---- INFO ---- */

static void value(FILE *to, const char *text, size_t len, bool as_text)
{
	if (!as_text && ctl_json_is_number(text, len))
		fwrite(text, 1, len, to);
	else
		ctl_json_text(to, text, len);
}

static bool ends_in(const char *text, size_t len, const char *end)
{
	return len >= strlen(end) && memcmp(text + len - strlen(end), end, strlen(end)) == 0;
}

/* keys=1,expires=0,... as an object. */
static void pairs(FILE *to, const char *text, size_t len)
{
	const char *end = text + len, *between = "{";

	while (text < end) {
		const char *comma = memchr(text, ',', (size_t)(end - text)), *stop = comma != NULL ? comma : end;
		const char *equals = memchr(text, '=', (size_t)(stop - text));

		if (equals != NULL) {
			fputs(between, to);
			ctl_json_text(to, text, (size_t)(equals - text));
			fputc(':', to);
			value(to, equals + 1, (size_t)(stop - equals - 1), false);
			between = ",";
		}
		text = stop + 1;
	}
	fputs(*between == '{' ? "{}" : "}", to);
}

static bool is_db(const char *name, size_t len)
{
	return len > 2 && memcmp(name, "db", 2) == 0 && digits(name + 2, len - 2) == len - 2;
}

static void field(FILE *to, const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	size_t name_len, value_len;

	if (colon == NULL)
		colon = text + len - 1;
	name_len = (size_t)(colon - text);
	value_len = len - name_len - 1;
	ctl_json_text(to, text, name_len);
	fputc(':', to);
	if (is_db(text, name_len))
		pairs(to, colon + 1, value_len);
	else
		value(to, colon + 1, value_len, ends_in(text, name_len, "_version"));
}

/* "# Server": its name in small letters. */
static void section(FILE *to, const char *text, size_t len)
{
	char name[64];
	size_t n = 0;

	for (size_t i = 2; i < len && n < sizeof(name); i++)
		name[n++] = (char)tolower((unsigned char)text[i]);
	ctl_json_text(to, name, n);
	fputs(":{", to);
}

void ctl_json_info(FILE *to, const char *info, size_t len)
{
	const char *end = info + len, *between = "";
	bool open = false;

	fputc('{', to);
	while (info < end) {
		const char *newline = memchr(info, '\n', (size_t)(end - info)), *stop = newline != NULL ? newline : end;
		size_t line_len = (size_t)(stop - info);

		if (line_len > 0 && info[line_len - 1] == '\r')
			line_len--;
		if (line_len > 2 && info[0] == '#') {
			fputs(open ? "}," : "", to);
			section(to, info, line_len);
			open = true;
			between = "";
		} else if (line_len > 0) {
			fputs(between, to);
			field(to, info, line_len);
			between = ",";
		}
		info = newline != NULL ? newline + 1 : end;
	}
	fputs(open ? "}}\n" : "}\n", to);
}
