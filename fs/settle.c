/* settle.c -- see settle.h. */
#include "fs/settle.h"
#include "fs/mount.h"
#include "fs/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000 };

/* In the child: the exit status is an errno. */
static void sync_mount(const char *point)
{
	int fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	_exit(fd < 0 || fsync(fd) < 0 ? errno & 0xff : 0);
}

static int sync_in_child(const char *point)
{
	struct pollfd p = { .events = POLLIN };
	pid_t pid = fork();
	int status = 0, ready;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		sync_mount(point);
	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	do
		ready = p.fd < 0 ? 0 : poll(&p, 1, PATIENCE_MS);
	while (ready < 0 && errno == EINTR);
	if (p.fd >= 0)
		close(p.fd);
	if (ready <= 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status))
		return -ETIMEDOUT;
	return -WEXITSTATUS(status);
}

static int settle_one(void *ctx, const struct mountinfo *m)
{
	const char *source = ctx;
	size_t len = strlen(m->source);

	if (strcmp(m->type, MOUNT_TYPE) != 0 || strncmp(source, m->source, len) != 0 || (source[len] != '/' && source[len] != '\0'))
		return 0;
	return sync_in_child(m->point);
}

int settle(const char *source)
{
	return mountinfo_each(settle_one, (void *)source);
}
