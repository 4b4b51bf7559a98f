/* ctl_stop.c -- see ctl_stop.h. */
#include "fs/ctl_stop.h"
#include "fs/ctl.h"

#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

/* Without a descriptor of the process the end of the connection is all there is to see. */
static void wait_for_end(struct ctl_client *c, int pidfd)
{
	struct resp_value v;

	if (pidfd >= 0) {
		wait_readable(pidfd);
		return;
	}
	while (ctl_receive(c, &v) == 0)
		;
	fprintf(stderr, "kvfs-ctl: the daemon has closed its socket; whether it has ended can't be seen from here\n");
}

/* As an ordinary user: the helper that is allowed to.  It says itself what is wrong. */
static int run_fusermount(const char *mountpoint)
{
	char program[] = "fusermount3", unmount[] = "-u", end[] = "--";
	char *path = strdup(mountpoint);
	char *argv[] = { program, unmount, end, path, NULL };
	int err, status;
	pid_t pid;

	if (path == NULL)
		return ctl_complain(CTL_REFUSED, "out of memory");
	err = posix_spawnp(&pid, program, NULL, NULL, argv, environ);
	free(path);
	if (err != 0)
		return ctl_complain(CTL_REFUSED, "fusermount3: %s", strerrordesc_np(err));
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return ctl_complain(CTL_REFUSED, "fusermount3: %s", strerrordesc_np(errno));
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? CTL_DONE : CTL_REFUSED;
}

static int unmount(const char *mountpoint)
{
	if (umount2(mountpoint, UMOUNT_NOFOLLOW) == 0)
		return CTL_DONE;
	if (errno == EPERM)
		return run_fusermount(mountpoint);
	if (errno == EBUSY)
		return ctl_complain(CTL_REFUSED, "%s is busy: a process has a file or its working directory there; nothing was changed",
				    mountpoint);
	return ctl_complain(CTL_REFUSED, "%s: %s", mountpoint, strerrordesc_np(errno));
}

/* Another mount point of the same keyspace keeps the daemon alive. */
static bool is_mounted_elsewhere(const char *dir)
{
	struct ctl_mounts m;
	struct error e = { { 0 } };
	bool found = false;

	if (ctl_mounts_read(&m, &e) < 0)
		return false;
	for (size_t i = 0; i < m.count && !found; i++) {
		found = !m.mount[i].view && strcmp(m.mount[i].dir, dir) == 0;
		if (found)
			fprintf(stderr, "kvfs-ctl: the keyspace stays mounted at %s\n", m.mount[i].mountpoint);
	}
	ctl_mounts_fini(&m);
	return found;
}

int ctl_umount(const struct ctl_mount *mount)
{
	struct ctl_client c;
	struct error e = { { 0 } };
	int pidfd = -1, result;
	bool alive = !mount->view && ctl_connect_dir(&c, mount->dir, &e) == 0;

	if (alive)
		pidfd = ctl_daemon_pidfd(&c);
	result = unmount(mount->mountpoint);
	if (result == CTL_DONE && alive && !is_mounted_elsewhere(mount->dir))
		wait_for_end(&c, pidfd);
	if (pidfd >= 0)
		close(pidfd);
	if (alive)
		ctl_disconnect(&c);
	return result;
}

int ctl_shutdown(struct ctl_client *c, const char *const *words, size_t count)
{
	int pidfd = ctl_daemon_pidfd(c), result = CTL_DONE, err;
	bool refused;

	err = ctl_send_words(c, words, count);
	if (err == 0)
		err = ctl_print_reply(c, &refused);
	if (err == 0)
		result = CTL_REFUSED;
	else if (err != -ECONNRESET && err != -EPIPE)
		result = ctl_complain(CTL_NO_SERVER, "%s", strerrordesc_np(-err));
	else
		wait_for_end(c, pidfd);
	if (pidfd >= 0)
		close(pidfd);
	return result;
}
