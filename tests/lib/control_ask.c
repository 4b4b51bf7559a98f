/* control_ask.c -- see control_ask.h. */
#include "tests/lib/control_ask.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int control = -1;

void control_open(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (!path)
		return;
	if (strlen(path) >= sizeof a.sun_path)
		errx(1, "%s: too long", path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control < 0 || connect(control, (struct sockaddr *)&a, sizeof a) < 0)
		err(1, "%s", path);
}

bool control_is_open(void)
{
	return control >= 0;
}

int control_ask(const char *command, int64_t *ret)
{
	char answer[256];
	size_t len = 0;

	if (send(control, command, strlen(command), MSG_NOSIGNAL) < 0) {
		errno = ENOTCONN;
		return -1;
	}
	while (len < sizeof answer - 1 && (!len || answer[len - 1] != '\n')) {
		ssize_t n = recv(control, answer + len, sizeof answer - 1 - len, 0);
		if (n <= 0) {
			errno = ENOTCONN;
			return -1;
		}
		len += (size_t)n;
	}
	answer[len] = '\0';
	if (answer[0] != ':') {
		warnx("%.*s: %s", (int)strcspn(command, "\r"), command, answer);
		errno = EIO;
		return -1;
	}
	*ret = strtoll(answer + 1, NULL, 10);
	return 0;
}
