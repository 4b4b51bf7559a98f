/* settle.c -- see settle.h. */
#include "fs/settle.h"
#include "fs/mount.h"
#include "fs/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000, DEATH_MS = 500 };

/* In the child: the exit status is an errno.  It may be left behind, and then nobody shall wait for what it has open. */
static void sync_mount(const char *point)
{
	close_range(0, ~0U, 0);
	int fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	_exit(fd < 0 || fsync(fd) < 0 ? errno & 0xff : 0);
}

/* Whether the process behind PIDFD has ended, or does within TIMEOUT_MS. */
static bool ends(int pidfd, int timeout_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int ready;

	do
		ready = poll(&p, 1, timeout_ms);
	while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* Whether the child has ended, killed if need be.  One whose request the hanging daemon has taken dies when that is answered: it is left behind. */
static bool await(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0) {
		kill(pid, SIGKILL);
		return false;
	}
	bool ended = ends(pidfd, PATIENCE_MS);
	if (!ended) {
		kill(pid, SIGKILL);
		ended = ends(pidfd, DEATH_MS);
	}
	close(pidfd);
	return ended;
}

static int sync_in_child(const char *point)
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		sync_mount(point);
	if (!await(pid))
		return -ETIMEDOUT;
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
