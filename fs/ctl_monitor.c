/* ctl_monitor.c -- kvfs-ctl monitor: prints each change until somebody ends it. */
#include "fs/ctl.h"
#include "fs/ctl_show.h"

#include <errno.h>
#include <stdio.h>

int ctl_show_monitor(struct ctl_client *c, const struct ctl_show *s)
{
	static const char *const words[] = { "MONITOR" };
	struct resp_value v;
	int err = ctl_send_words(c, words, 1);

	(void)s;
	while (err == 0) {
		err = ctl_receive(c, &v);
		if (err < 0)
			break;
		if (v.type == '-') {
			fflush(stdout);
			return ctl_complain(CTL_REFUSED, "%.*s", (int)v.len, v.data);
		}
		if (v.type != '+') {
			err = -EPROTO;
			break;
		}
		fwrite(v.data, 1, v.len, stdout);
		putchar('\n');
		/* Whoever reads sees a line when it is there, and many of them at once. */
		if ((c->taken == c->in.len && fflush(stdout) != 0) || ferror(stdout))
			err = -EIO;
	}
	fflush(stdout);
	return ctl_show_end(err);
}
