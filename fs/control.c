/* control.c -- the control socket's thread: accept, read, write.  What the bytes mean is session.c's and commands.c's. */
#include "fs/control.h"
#include "fs/monitor.h"
#include "fs/pending.h"
#include "fs/session.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NEW_SOCKET "kvfs.sock.new"  /* becomes kvfs.sock when it listens */

enum { READ_SIZE = 16 << 10, LISTEN_BACKLOG = 16 };

/* C  constant after start    T  the control thread's own    a  atomic */
struct client {
	int fd;                          /* T */
	struct session session;          /* T */
	struct pending *pending;         /* T  the reply it waits for */
	int64_t active_ns;               /* T  of the last byte from it */
};

struct control {
	const struct control_env *env;   /* C  borrowed: the copy below */
	struct control_env env_copy;     /* C */
	struct command_env command_env;  /* C */
	struct command_counters counters;  /* T */
	struct pending_place *place;     /* C  held */
	struct monitor *monitor;         /* C  owned */
	int listen_fd;                   /* C */
	pthread_t thread;                /* C */
	_Atomic bool stop;               /* a */
	struct client *clients[CONTROL_CLIENTS_MAX];  /* T  the first counters.clients of them */
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* ---- replies that come later ---- */

static struct pending *park(void *ctx, void *client, pending_reply_fn *reply, int64_t number)
{
	struct control *c = ctx;
	struct client *cl = client;

	cl->pending = pending_new(c->place, cl, reply, number);
	return cl->pending;
}

static void unpark(void *ctx, struct pending *p)
{
	struct client *cl = p->client;

	(void)ctx;
	cl->pending = NULL;
	pending_free(p);
}

static void client_close(struct control *c, struct client *cl)
{
	uint64_t i = 0;

	while (c->clients[i] != cl)
		i++;
	c->clients[i] = c->clients[--c->counters.clients];
	if (cl->pending != NULL)
		cl->pending->client = NULL;
	close(cl->fd);
	session_fini(&cl->session);
	free(cl);
}

static void answer_ended(struct control *c)
{
	struct pending *p, *ended = pending_take(c->place);

	while ((p = ended) != NULL) {
		struct client *cl = p->client;

		ended = p->next;
		if (cl != NULL) {
			cl->pending = NULL;
			if (session_resume(&cl->session, &c->command_env, cl, p) < 0)
				client_close(c, cl);
		}
		pending_free(p);
	}
}

/* ---- clients ---- */

/* Sends what it can.  False: the client is to be closed. */
static bool client_send(struct control *c, struct client *cl)
{
	const char *data;
	size_t len;

	while ((len = session_pending(&cl->session, &data)) > 0) {
		ssize_t n = send(cl->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (session_sent(&cl->session, &c->command_env, cl, (size_t)n) < 0)
			return false;
	}
	return !cl->session.closing;
}

/* Reads once.  False: the client is to be closed.  The end is read when all that came before was run (else there is no room), so that
 * nothing but sending is left to do. */
static bool client_receive(struct control *c, struct client *cl)
{
	char buf[READ_SIZE];
	size_t room = session_room(&cl->session);
	ssize_t n;

	n = recv(cl->fd, buf, room < sizeof(buf) ? room : sizeof(buf), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0) {
		cl->session.closing = true;
		return true;
	}
	cl->active_ns = now_ns();
	return session_take(&cl->session, &c->command_env, cl, buf, (size_t)n) == 0;
}

/* A peer that closed both ways can't read replies, but what it sent before is run.  One that closed only its way to us ("printf | socat")
 * gets all its replies. */
static void client_serve(struct control *c, struct client *cl, short events)
{
	bool gone = (events & (POLLHUP | POLLERR)) != 0;
	bool stays = true;

	if ((events & (POLLIN | POLLHUP)) != 0 && session_room(&cl->session) > 0) {
		do {
			stays = client_receive(c, cl);
		} while (gone && stays && session_room(&cl->session) > 0);
	}
	if (!stays || !client_send(c, cl) || gone)
		client_close(c, cl);
}

/* What a peer is told that cannot be served; whether it reads that is its own affair. */
static void turn_away(struct control *c, int fd, const char *reply)
{
	c->counters.rejected++;
	if (send(fd, reply, strlen(reply), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		assert(errno != EBADF);
	close(fd);
}

static bool peer_may_talk(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

/* Closes the client that was silent longest, if that was long. */
static void make_room(struct control *c)
{
	struct client *oldest = NULL;

	for (uint64_t i = 0; i < c->counters.clients; i++) {
		struct client *cl = c->clients[i];

		if (cl->pending == NULL && cl->session.monitor == NULL && (oldest == NULL || cl->active_ns < oldest->active_ns))
			oldest = cl;
	}
	if (oldest != NULL && now_ns() - oldest->active_ns > (int64_t)CONTROL_IDLE_MAX_S * 1000000000)
		client_close(c, oldest);
}

static void accept_client(struct control *c)
{
	struct client *cl;
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	c->counters.connections++;
	if (!peer_may_talk(fd)) {
		turn_away(c, fd, "-NOPERM only root and the user that mounted may use this socket\r\n");
		return;
	}
	if (c->counters.clients == CONTROL_CLIENTS_MAX)
		make_room(c);
	cl = c->counters.clients < CONTROL_CLIENTS_MAX ? calloc(1, sizeof(*cl)) : NULL;
	if (cl == NULL) {
		turn_away(c, fd, "-ERR max number of clients reached\r\n");
		return;
	}
	cl->fd = fd;
	cl->active_ns = now_ns();
	c->clients[c->counters.clients++] = cl;
}

/* Who is monitoring gets what has happened; from the last, since one that is closed gives its place to the last. */
static void feed_monitors(struct control *c)
{
	struct bytes lines = { 0 };
	bool lost = false;

	if (!monitor_is_on(c->monitor))
		return;
	if (monitor_take(c->monitor, clock_ns(CLOCK_REALTIME), &lines, &lost) < 0)
		lost = true;
	for (uint64_t i = c->counters.clients; i-- > 0 && (lines.len > 0 || lost);) {
		struct client *cl = c->clients[i];

		if (cl->session.monitor == NULL)
			continue;
		if (session_feed(&cl->session, &c->command_env, &lines, lost) < 0 || !client_send(c, cl))
			client_close(c, cl);
	}
	bytes_fini(&lines);
}

/* ---- the thread ---- */

static short wanted_events(const struct client *cl)
{
	const char *data;
	short events = 0;

	if (session_room(&cl->session) > 0)
		events |= POLLIN;
	if (session_pending(&cl->session, &data) > 0)
		events |= POLLOUT;
	return events;
}

static void serve_once(struct control *c)
{
	struct pollfd fds[2 + CONTROL_CLIENTS_MAX];
	struct client *polled[CONTROL_CLIENTS_MAX];
	uint64_t count = c->counters.clients;

	fds[0] = (struct pollfd){ .fd = pending_wake_fd(c->place), .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = c->listen_fd, .events = POLLIN };
	for (uint64_t i = 0; i < count; i++) {
		polled[i] = c->clients[i];
		fds[2 + i] = (struct pollfd){ .fd = polled[i]->fd, .events = wanted_events(polled[i]) };
	}
	if (poll(fds, 2 + count, monitor_is_on(c->monitor) ? MONITOR_TICK_MS : -1) < 0)
		return;
	/* Clients first: the other two may close some of them. */
	for (uint64_t i = 0; i < count; i++) {
		if (fds[2 + i].revents != 0)
			client_serve(c, polled[i], fds[2 + i].revents);
	}
	if (fds[0].revents != 0)
		answer_ended(c);
	if (fds[1].revents != 0)
		accept_client(c);
	feed_monitors(c);
}

static void *control_thread(void *arg)
{
	struct control *c = arg;

	while (!c->stop)
		serve_once(c);
	while (c->counters.clients > 0)
		client_close(c, c->clients[0]);
	return NULL;
}

/* ---- life ---- */

/* The socket's own path may be too long for a sockaddr; through the directory's descriptor it never is. */
static void socket_address(struct sockaddr_un *a, int dir_fd, const char *name)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
}

/* Binds beside and renames, so that there is no moment without a working socket behind the name, and none with another mode. */
static int listen_in(int dir_fd, int fd)
{
	struct sockaddr_un a;
	struct stat st;

	if (fstatat(dir_fd, CONTROL_SOCKET, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (unlinkat(dir_fd, NEW_SOCKET, 0) < 0 && errno != ENOENT)
		return -errno;
	socket_address(&a, dir_fd, NEW_SOCKET);
	/* The mode of the descriptor becomes the mode of the name. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	if (fchmodat(dir_fd, NEW_SOCKET, 0600, 0) < 0 || listen(fd, LISTEN_BACKLOG) < 0 ||
	    renameat(dir_fd, NEW_SOCKET, dir_fd, CONTROL_SOCKET) < 0) {
		int err = -errno;

		unlinkat(dir_fd, NEW_SOCKET, 0);
		return err;
	}
	return 0;
}

static int start_thread(struct control *c)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&c->thread, NULL, control_thread, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

int control_start(const struct control_env *env, struct error *e, struct control **ret)
{
	struct control *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL)
		return error_set(e, -ENOMEM, "control socket: out of memory");
	c->env_copy = *env;
	c->env = &c->env_copy;
	c->command_env = (struct command_env){ .env = c->env, .counters = &c->counters, .park = park, .unpark = unpark, .park_ctx = c };
	c->counters.start_ns = now_ns();
	c->monitor = monitor_new(env->ks, env->config->persist.db, env->mountpoint);
	c->command_env.monitor = c->monitor;
	err = c->monitor != NULL ? pending_place_new(&c->place) : -ENOMEM;
	if (err < 0)
		goto err_free;
	c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->listen_fd < 0) {
		err = -errno;
		goto err_place;
	}
	err = listen_in(env->dir_fd, c->listen_fd);
	if (err < 0)
		goto err_close;
	err = start_thread(c);
	if (err < 0)
		goto err_unlink;
	*ret = c;
	return 0;

err_unlink:
	unlinkat(env->dir_fd, CONTROL_SOCKET, 0);
err_close:
	close(c->listen_fd);
err_place:
	pending_place_unref(c->place);
err_free:
	monitor_free(c->monitor);
	free(c);
	return error_set(e, err, "control socket %s: %s", CONTROL_SOCKET, strerrordesc_np(-err));
}

void control_stop(struct control *c)
{
	if (c == NULL)
		return;
	c->stop = true;
	pending_wake(c->place);
	pthread_join(c->thread, NULL);
	unlinkat(c->env->dir_fd, CONTROL_SOCKET, 0);
	close(c->listen_fd);
	pending_place_unref(c->place);
	monitor_free(c->monitor);
	free(c);
}
