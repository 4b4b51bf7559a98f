/* ctl_term.h -- what standard output is, and bars and colours for it.
 *
 * Bars and colours are for a terminal alone; NO_COLOR (https://no-color.org) and TERM=dumb take the colours away, and a locale without UTF-8
 * the block characters. */
#ifndef KVFS_FS_CTL_TERM_H
#define KVFS_FS_CTL_TERM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct ctl_term {
	bool is_terminal, colour, utf8;
	bool moves;                /* its cursor does: not TERM=dumb */
	int width, height;         /* 80 x 24 when nobody says */
};

void ctl_term_look(struct ctl_term *t);

enum ctl_colour { CTL_PLAIN, CTL_BOLD, CTL_DIM, CTL_GREEN, CTL_YELLOW, CTL_RED };
/* From here on; "" without colours. */
const char *ctl_term_colour(const struct ctl_term *t, enum ctl_colour colour);
/* SHARE (0 to 1) of WIDTH cells, and blanks up to WIDTH if PAD. */
void ctl_term_bar(FILE *to, const struct ctl_term *t, double share, int width, bool pad);
/* A cell that is filled from below: for a row of small bars. */
void ctl_term_level(FILE *to, const struct ctl_term *t, double share);

/* Numbers for people: 12us, 1.02ms, 3.5s; 950, 12.3K, 4.56M; 512B, 1.5M.  Each returns OUT. */
enum { CTL_NUMBER_MAX = 24 };
const char *ctl_show_us(double us, char out[CTL_NUMBER_MAX]);
const char *ctl_show_count(double n, char out[CTL_NUMBER_MAX]);
const char *ctl_show_bytes(double n, char out[CTL_NUMBER_MAX]);

#endif
