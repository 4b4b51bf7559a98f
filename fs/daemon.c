#include "fs/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_FREE_FD = STDERR_FILENO + 1 };

/* The pipe's message: this byte, then the report. */
static const char ready_mark = '+';

/* 0, 1 and 2 are open, or a file of ours would become somebody's standard output. */
static int hold_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
	} while (fd < FIRST_FREE_FD);
	close(fd);
	return 0;
}

int daemon_fork(struct daemon *d)
{
	int fd[2], err;

	d->child = 0;
	d->pipe_fd = -1;
	err = hold_standard_files();
	if (err < 0)
		return err;
	close_range(FIRST_FREE_FD, ~0U, 0);
	if (pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	d->child = fork();
	if (d->child < 0) {
		err = -errno;
		close(fd[0]);
		close(fd[1]);
		return err;
	}
	d->pipe_fd = d->child == 0 ? fd[1] : fd[0];
	close(d->child == 0 ? fd[0] : fd[1]);
	return 0;
}

static int leave_terminal(void)
{
	int fd, err = 0;

	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	fflush(NULL);
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		err = -errno;
	close(fd);
	setsid();
	return err;
}

int daemon_ready(struct daemon *d, const char *report)
{
	char *message;
	const char *at;
	size_t len;
	int err;

	if (chdir("/") < 0)
		return -errno;
	if (d->pipe_fd < 0)
		return 0;
	if (asprintf(&message, "%c%s", ready_mark, report) < 0)
		return -ENOMEM;
	err = leave_terminal();
	if (err < 0) {
		free(message);
		return err;
	}
	at = message;
	len = strlen(message);
	/* A parent that was killed meanwhile is no reason to stop: the mount works. */
	while (len > 0) {
		ssize_t n = write(d->pipe_fd, at, len);

		if (n < 0)
			break;
		at += n;
		len -= (size_t)n;
	}
	free(message);
	close(d->pipe_fd);
	d->pipe_fd = -1;
	return 0;
}

static int child_status(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	if (WIFEXITED(status))
		return WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
	fprintf(stderr, "kvfs: the daemon was ended by signal %d (%s) while it started\n", WTERMSIG(status),
	        strsignal(WTERMSIG(status)));
	return 1;
}

int daemon_await(struct daemon *d)
{
	bool ready = false;
	char buf[4096];
	ssize_t n;

	for (;;) {
		const char *text = buf;

		n = read(d->pipe_fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (!ready && *text == ready_mark) {
			ready = true;
			text++;
			n--;
		}
		fwrite(text, 1, (size_t)n, stdout);
	}
	close(d->pipe_fd);
	fflush(stdout);
	return ready ? 0 : child_status(d->child);
}
