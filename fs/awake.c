#include "fs/awake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { PATH_LEN = 256 };

static int open_setting(const struct awake *a, int cpu, int flags)
{
	char path[PATH_LEN];

	if ((size_t)snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/cpu%d/power/pm_qos_resume_latency_us", a->root, cpu) >= sizeof(path))
		return -ENAMETOOLONG;
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int write_setting(const struct awake *a, int cpu, const char *value)
{
	int fd = open_setting(a, cpu, O_WRONLY | O_TRUNC);

	if (fd < 0)
		return fd;
	int err = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* A line, without its end; "" when there is none. */
static void read_word(int fd, char *word, size_t size)
{
	ssize_t n = pread(fd, word, size - 1, 0);

	word[n > 0 ? n : 0] = '\0';
	word[strcspn(word, "\n")] = '\0';
}

/* The note of that CPU, locked; -EWOULDBLOCK: another daemon's. */
static int open_note(const struct awake *a, int cpu, int flags)
{
	char path[PATH_LEN];

	if ((size_t)snprintf(path, sizeof(path), "%s/run/kvfs-cpu%d", a->root, cpu) >= sizeof(path))
		return -ENAMETOOLONG;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	int err = -errno;
	close(fd);
	return err;
}

/* What stood there before us: the note of a killed daemon knows it, else it stands there now. */
static int find_before(const struct awake *a, struct awake_cpu *c)
{
	read_word(c->fd, c->before, sizeof(c->before));
	if (c->before[0])
		return 0;
	int fd = open_setting(a, c->cpu, O_RDONLY);
	if (fd < 0)
		return fd;
	read_word(fd, c->before, sizeof(c->before));
	close(fd);
	return c->before[0] ? 0 : -EIO;
}

static void clear_note(int fd)
{
	/* Where a note could be written it can be cleared. */
	if (ftruncate(fd, 0) < 0)
		return;
}

static void give_up(const struct awake *a, struct awake_cpu *c)
{
	if (c->fd < 0)
		return;
	/* The note stays while the setting is not as it was. */
	if (write_setting(a, c->cpu, c->before) == 0)
		clear_note(c->fd);
	close(c->fd);
	c->fd = -1;
}

void awake_init(struct awake *a, const char *root, int cpus)
{
	*a = (struct awake){ .root = root };
	for (int i = 0; i < AWAKE_CPUS; i++)
		a->held[i].fd = -1;
	for (int cpu = 0; cpu < cpus; cpu++) {
		struct awake_cpu left = { .cpu = cpu, .fd = open_note(a, cpu, 0) };

		if (left.fd < 0)
			continue;
		read_word(left.fd, left.before, sizeof(left.before));
		if (left.before[0])
			give_up(a, &left);
		else
			close(left.fd);
	}
}

int awake_hold(struct awake *a, int cpu)
{
	struct awake_cpu c = { .cpu = cpu };

	for (int i = 0; i < AWAKE_CPUS; i++)
		if (a->held[i].fd >= 0 && a->held[i].cpu == cpu)
			return 0;
	c.fd = open_note(a, cpu, O_CREAT);
	if (c.fd < 0)
		return c.fd == -EWOULDBLOCK ? 0 : c.fd;
	int err = find_before(a, &c);
	if (!err && pwrite(c.fd, c.before, strlen(c.before), 0) != (ssize_t)strlen(c.before))
		err = -EIO;
	if (!err)
		err = write_setting(a, cpu, "n/a");
	if (err) {
		clear_note(c.fd);
		close(c.fd);
		return err;
	}
	give_up(a, &a->held[a->next]);
	a->held[a->next] = c;
	a->next = (a->next + 1) % AWAKE_CPUS;
	return 0;
}

void awake_release(struct awake *a)
{
	for (int i = 0; i < AWAKE_CPUS; i++)
		give_up(a, &a->held[i]);
}
