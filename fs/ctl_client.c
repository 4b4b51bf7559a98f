/* ctl_client.c -- see ctl_client.h. */
#include "fs/ctl_client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME "kvfs.sock"

enum {
	READ_SIZE = 16 << 10,
	REPLY_MAX = 64 << 20,    /* bytes of one reply; the server's own are a thousandth of it */
	ELEMENTS_MAX = 1 << 20,
};

/* ---- connection ---- */

/* Through the directory's descriptor a path is never too long for a sockaddr. */
static int connect_in(int fd, const char *dir, const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int dir_fd, err = 0;

	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	if (snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir_fd, name) >= (int)sizeof(a.sun_path))
		err = -ENAMETOOLONG;
	else if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		err = -errno;
	close(dir_fd);
	return err;
}

static int connect_with(struct ctl_client *c, const char *dir, const char *name, struct error *e)
{
	int err;

	*c = (struct ctl_client){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	if (c->fd < 0) {
		err = -errno;
		return error_set(e, err, "socket: %s", strerrordesc_np(-err));
	}
	err = connect_in(c->fd, dir, name);
	if (err < 0) {
		ctl_disconnect(c);
		return error_set(e, err, "no server at %s/%s: %s", dir, name, strerrordesc_np(-err));
	}
	return 0;
}

int ctl_connect_dir(struct ctl_client *c, const char *dir, struct error *e)
{
	return connect_with(c, dir, SOCKET_NAME, e);
}

int ctl_connect_mount(struct ctl_client *c, const struct ctl_mount *mount, struct error *e)
{
	int err = ctl_connect_dir(c, mount->dir, e);

	/* The socket of a daemon that was killed stays, and so does its mount. */
	if (err == -ECONNREFUSED) {
		*e = (struct error){ { 0 } };
		return error_set(e, err, "%s: the daemon has gone and left its mount: mount it again (kvfs %s %s), which clears it", mount->mountpoint,
		                 mount->dir, mount->mountpoint);
	}
	return err < 0 ? error_prepend(e, err, "%s", mount->mountpoint) : 0;
}

int ctl_connect(struct ctl_client *c, const char *path, struct error *e)
{
	char *for_dir = strdup(path), *for_name = strdup(path);
	int err;

	if (for_dir == NULL || for_name == NULL)
		err = error_set(e, -ENOMEM, "out of memory");
	else
		err = connect_with(c, dirname(for_dir), basename(for_name), e);
	free(for_dir);
	free(for_name);
	return err;
}

void ctl_disconnect(struct ctl_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	bytes_fini(&c->in);
	*c = (struct ctl_client){ .fd = -1 };
}

int ctl_daemon_pidfd(const struct ctl_client *c)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	long fd;

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	if (peer.pid <= 0)
		return -ESRCH;
	fd = syscall(SYS_pidfd_open, peer.pid, 0);
	return fd < 0 ? -errno : (int)fd;
}

/* ---- words and replies ---- */

static int send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int ctl_send(struct ctl_client *c, const struct resp_arg *argv, size_t argc)
{
	size_t size = resp_array_size(argc);
	char *text, *p;
	int err;

	for (size_t i = 0; i < argc; i++)
		size += resp_bulk_size(argv[i].len);
	text = malloc(size);
	if (text == NULL)
		return -ENOMEM;
	p = resp_write_array(text, argc);
	for (size_t i = 0; i < argc; i++)
		p = resp_write_bulk(p, argv[i].data, argv[i].len);
	err = send_all(c->fd, text, (size_t)(p - text));
	free(text);
	return err;
}

int ctl_send_words(struct ctl_client *c, const char *const *words, size_t count)
{
	struct resp_arg *argv = calloc(count, sizeof(*argv));
	int err;

	if (argv == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		argv[i] = (struct resp_arg){ .data = words[i], .len = strlen(words[i]) };
	err = ctl_send(c, argv, count);
	free(argv);
	return err;
}

static int receive_more(struct ctl_client *c)
{
	ssize_t n;
	int err;

	if (c->in.len > REPLY_MAX)
		return -EPROTO;
	err = bytes_reserve(&c->in, READ_SIZE);
	if (err < 0)
		return err;
	do {
		n = recv(c->fd, c->in.data + c->in.len, READ_SIZE, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ECONNRESET;
	c->in.len += (size_t)n;
	return 0;
}

int ctl_receive(struct ctl_client *c, struct resp_value *ret)
{
	const char *why = "";
	size_t used;

	bytes_drop_front(&c->in, c->taken);
	c->taken = 0;
	for (;;) {
		int got = c->in.len > 0 ? resp_parse_reply(c->in.data, c->in.len, ret, &used, &why) : RESP_MORE;

		if (got == RESP_OK) {
			c->taken = used;
			return 0;
		}
		if (got != RESP_MORE)
			return got;
		got = receive_more(c);
		if (got < 0)
			return got;
	}
}

/* ---- printing ---- */

static void print_scalar(const struct resp_value *v, bool *ret_error)
{
	FILE *to = v->type == '-' ? stderr : stdout;

	if (v->type == '-')
		*ret_error = true;
	if (v->type == ':')
		fprintf(to, "%" PRId64, v->integer);
	else if (v->data != NULL)
		fwrite(v->data, 1, v->len, to);
	fputc('\n', to);
}

int ctl_print_reply(struct ctl_client *c, bool *ret_error)
{
	struct resp_value v;
	int64_t left = 1;
	int err = 0;

	*ret_error = false;
	while (left > 0) {
		err = ctl_receive(c, &v);
		if (err < 0)
			return err;
		left--;
		if (v.type != '*') {
			print_scalar(&v, ret_error);
			continue;
		}
		if (v.integer > ELEMENTS_MAX || left > ELEMENTS_MAX)
			return -EPROTO;
		if (v.integer > 0)
			left += v.integer;
		else if (left == 0)
			fputc('\n', stdout);
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EIO;
}
