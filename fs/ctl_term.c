/* ctl_term.c -- see ctl_term.h. */
#include "fs/ctl_term.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void ctl_term_look(struct ctl_term *t)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize size;

	*t = (struct ctl_term){ .is_terminal = isatty(STDOUT_FILENO) == 1, .width = 80, .height = 24 };
	if (!t->is_terminal)
		return;
	t->moves = term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
	t->colour = t->moves && (no_colour == NULL || *no_colour == '\0');
	t->utf8 = setlocale(LC_CTYPE, "") != NULL && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
		t->width = size.ws_col;
		t->height = size.ws_row;
	}
}

const char *ctl_term_colour(const struct ctl_term *t, enum ctl_colour colour)
{
	static const char *const codes[] = {
		[CTL_PLAIN] = "\033[0m", [CTL_BOLD] = "\033[1m", [CTL_DIM] = "\033[2m",
		[CTL_GREEN] = "\033[32m", [CTL_YELLOW] = "\033[33m", [CTL_RED] = "\033[31m",
	};

	return t->colour ? codes[colour] : "";
}

/* Eighths of a cell. */
static int eighths(double share, int cells)
{
	int n = (int)(share * 8 * cells + 0.5);

	return n < 0 ? 0 : n > 8 * cells ? 8 * cells : n;
}

void ctl_term_bar(FILE *to, const struct ctl_term *t, double share, int width, bool pad)
{
	static const char *const parts[] = { "", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589" };
	int n = eighths(share, width), full = t->utf8 ? n / 8 : (n + 4) / 8;

	for (int i = 0; i < full; i++)
		fputs(t->utf8 ? "\u2588" : "#", to);
	if (t->utf8 && n % 8 > 0) {
		fputs(parts[n % 8], to);
		full++;
	}
	if (pad)
		fprintf(to, "%*s", width - full, "");
}

void ctl_term_level(FILE *to, const struct ctl_term *t, double share)
{
	static const char *const blocks[] = { " ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588" };
	static const char *const ascii[] = { " ", ".", ".", ":", ":", "+", "+", "#", "#" };
	int n = eighths(share, 1);

	if (n == 0 && share > 0)
		n = 1;
	fputs((t->utf8 ? blocks : ascii)[n], to);
}

/* Three digits that count and a unit. */
static const char *scaled(double n, double step, const char *const *units, int count, char *out)
{
	int unit = 0;

	while (n >= step && unit + 1 < count) {
		n /= step;
		unit++;
	}
	snprintf(out, CTL_NUMBER_MAX, n >= 100 || (unit == 0 && n == (double)(int64_t)n) ? "%.0f%s" : n >= 10 ? "%.1f%s" : "%.2f%s", n, units[unit]);
	return out;
}

const char *ctl_show_us(double us, char out[CTL_NUMBER_MAX])
{
	static const char *const units[] = { "us", "ms", "s" };

	return scaled(us, 1000, units, 3, out);
}

const char *ctl_show_count(double n, char out[CTL_NUMBER_MAX])
{
	static const char *const units[] = { "", "K", "M", "G", "T" };

	return scaled(n, 1000, units, 5, out);
}

const char *ctl_show_bytes(double n, char out[CTL_NUMBER_MAX])
{
	static const char *const units[] = { "B", "K", "M", "G", "T", "P" };

	return scaled(n, 1024, units, 6, out);
}
