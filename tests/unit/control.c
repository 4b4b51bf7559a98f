/* Nobody on the control socket can hold up anybody else, and nobody gets in who may not.
 * By the real thread and real sockets in a scratch directory, with a persist that answers as told. */
#include "fs/control.h"
#include "fs/session.h"
#include "fs/stats.h"
#include "tests/lib/fake_persist.h"
#include "tests/lib/fake_stop.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_S = 20, NOBODY = 65534 };

struct world {
	char dir[PATH_MAX];
	struct config config;
	struct persist persist;
	struct stats stats;
	struct control_env env;
	struct control *control;
	struct stop stop;
};

static int start(struct world *w)
{
	struct error e = { .text = "" };
	int err = control_start(&w->env, &e, &w->control);

	if (err < 0)
		diag("%s", e.text);
	return err;
}

/* A connection that gives up rather than hang the test; -1. */
static int dial(const struct world *w)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", w->env.dir_fd, CONTROL_SOCKET);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* Whether exactly WANT comes next. */
static bool hears(int fd, const char *want)
{
	char got[256];
	size_t len = 0, want_len = strlen(want);

	while (len < want_len) {
		ssize_t n = recv(fd, got + len, want_len - len, 0);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (len == want_len && memcmp(got, want, len) == 0)
		return true;
	diag("heard \"%.*s\"", (int)len, got);
	return false;
}

static bool hears_end(int fd)
{
	char c;

	return recv(fd, &c, 1, 0) == 0;
}

static bool answers(const struct world *w)
{
	int fd = dial(w);
	bool yes = fd >= 0 && say(fd, "PING\r\n") && hears(fd, "+PONG\r\n");

	if (fd >= 0)
		close(fd);
	return yes;
}

static void test_socket(struct world *w)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct error e = { .text = "" };
	struct stat st;
	int file;

	ok(fstatat(w->env.dir_fd, CONTROL_SOCKET, &st, 0) == 0 && S_ISSOCK(st.st_mode), "the socket is there");
	is(st.st_mode & 07777, 0600, "for its owner alone");
	ok(faccessat(w->env.dir_fd, "kvfs.sock.new", F_OK, 0) < 0, "and nothing beside it");
	ok(answers(w), "it answers, behind a path of %zu bytes", strlen(w->dir));
	control_stop(w->control);
	ok(faccessat(w->env.dir_fd, CONTROL_SOCKET, F_OK, 0) < 0, "it goes with the server");

	file = openat(w->env.dir_fd, CONTROL_SOCKET, O_CREAT | O_WRONLY, 0600);
	close(file);
	w->control = NULL;
	is(control_start(&w->env, &e, &w->control), -EEXIST, "a file of that name is not overwritten");
	unlinkat(w->env.dir_fd, CONTROL_SOCKET, 0);

	file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", w->env.dir_fd, CONTROL_SOCKET);
	ok(bind(file, (struct sockaddr *)&a, sizeof(a)) == 0, "a dead server's socket");
	close(file);
	ok(start(w) == 0 && answers(w), "is replaced");
}

/* The mode keeps strangers out; should it be changed, the kernel is asked who is there. */
static void test_strangers(const struct world *w)
{
	int status = -1;
	pid_t child;

	if (geteuid() != 0) {
		ok(true, "# SKIP needs root to become somebody else");
		return;
	}
	fchmodat(w->env.dir_fd, CONTROL_SOCKET, 0666, 0);
	child = fork();
	if (child == 0) {
		int fd;

		if (setuid(NOBODY) < 0)
			_exit(9);
		fd = dial(w);
		_exit(fd >= 0 && hears(fd, "-NOPERM") ? 0 : 1);
	}
	ok(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
	   "a stranger is turned away");
	fchmodat(w->env.dir_fd, CONTROL_SOCKET, 0600, 0);
}

static void test_silent_clients(const struct world *w)
{
	int fds[CONTROL_CLIENTS_MAX], extra, good = 0;

	for (int i = 0; i < CONTROL_CLIENTS_MAX - 1; i++) {
		fds[i] = dial(w);
		good += say(fds[i], i % 2 == 0 ? "*2\r\n$4\r\nEC" : "PI");
	}
	is(good, CONTROL_CLIENTS_MAX - 1, "clients that stop in the middle of a command");
	ok(answers(w), "do not keep another from its answer");
	fds[CONTROL_CLIENTS_MAX - 1] = dial(w);
	ok(say(fds[CONTROL_CLIENTS_MAX - 1], "PING\r\n") && hears(fds[CONTROL_CLIENTS_MAX - 1], "+PONG\r\n"), "the last place");
	extra = dial(w);
	ok(hears(extra, "-ERR max number of clients reached\r\n") && hears_end(extra), "one more is told so");
	close(extra);
	ok(say(fds[1], "NG\r\n") && hears(fds[1], "+PONG\r\n"), "who goes on is answered");
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(fds[i]);
}

/* Sends without reading until the server reads no more; then others are served, and nothing is lost. */
static void test_no_reader(const struct world *w)
{
	static const char ask[] = "CONFIG GET *\r\n";
	int fd = dial(w);
	size_t asked = 0, partial = 0, replies = 0, end = 0;
	char buf[65536];
	static const char mark[] = "loglevel";

	for (;;) {
		ssize_t n = send(fd, ask + partial, sizeof(ask) - 1 - partial, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && !answers(w))
			break;
		if (n < 0) {
			if (asked == end)
				break;  /* a whole answer to another, and still no room */
			end = asked;
			continue;
		}
		partial = (partial + (size_t)n) % (sizeof(ask) - 1);
		asked += partial == 0;
	}
	ok(asked > 100, "%zu commands without reading a reply fill every buffer", asked);
	ok(answers(w), "and hold up nobody");
	shutdown(fd, SHUT_WR);
	/* "loglevel" stands once in each reply. */
	for (size_t matched = 0;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++) {
			matched = buf[i] == mark[matched] ? matched + 1 : buf[i] == mark[0];
			if (matched == sizeof(mark) - 1) {
				replies++;
				matched = 0;
			}
		}
	}
	is((int64_t)replies, (int64_t)asked, "each is answered when it reads at last, also after it closed its way to us");
	close(fd);
}

static void test_save(struct world *w)
{
	int fd = dial(w), gone = dial(w);

	w->persist.save = 1;
	w->persist.waiter = NULL;
	ok(say(fd, "SAVE\r\nECHO x\r\n") && answers(w) && w->persist.waiter != NULL, "others are served during a SAVE");
	w->persist.waiter->done(w->persist.waiter, 0);
	ok(hears(fd, "+OK\r\n$1\r\nx\r\n"), "its reply comes when it has ended, before the next command's");

	w->persist.waiter = NULL;
	ok(say(gone, "SAVE\r\n") && answers(w) && w->persist.waiter != NULL, "a client that asks for one");
	close(gone);
	ok(answers(w), "may go");
	w->persist.waiter->done(w->persist.waiter, -EIO);
	ok(answers(w), "before it ends");

	w->persist.waiter = NULL;
	ok(say(fd, "SAVE\r\n") && answers(w) && w->persist.waiter != NULL, "one is under way");
	control_stop(w->control);
	ok(hears_end(fd), "when the server stops");
	w->persist.waiter->done(w->persist.waiter, 0);
	close(fd);
	ok(start(w) == 0 && answers(w), "and it may end afterwards");
}

static void test_shutdown(struct world *w)
{
	int fd = dial(w);

	ok(say(fd, "SHUTDOWN\r\nPING\r\n") && answers(w), "SHUTDOWN");
	is(w->stop.requests, 1, "asks for the stop");
	control_stop(w->control);
	ok(hears_end(fd), "its client is told by the end of the connection, and nothing else");
	w->stop.last.waiter->done(w->stop.last.waiter, 0);
	close(fd);
}

/* A directory below /tmp whose path is longer than a socket's address; its descriptor. */
static int make_long_dir(struct world *w)
{
	static const char part[] = "/a-directory-with-a-rather-long-name";

	snprintf(w->dir, sizeof(w->dir), "/tmp/kvfs-control.XXXXXX");
	if (mkdtemp(w->dir) == NULL)
		return -1;
	for (int i = 0; i < 4; i++) {
		strcat(w->dir, part);
		if (mkdir(w->dir, 0755) < 0)
			return -1;
	}
	return open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_long_dir(struct world *w)
{
	for (int i = 0; i < 5; i++) {
		rmdir(w->dir);
		*strrchr(w->dir, '/') = '\0';
	}
}

int main(void)
{
	struct keyspace_options o = { .value_max = 1 << 20, .root_mode = 0755 };
	static struct world w;

	w.env = (struct control_env){ .config = &w.config, .persist = &w.persist, .stats = &w.stats, .mountpoint = "/mnt/kv",
				      .stop = &w.stop };
	w.env.dir_fd = make_long_dir(&w);
	if (!ok(w.env.dir_fd >= 0 && config_init(&w.config) == 0 && keyspace_new(&o, &w.env.ks) == 0 && start(&w) == 0, "it starts"))
		return tap_end();
	test_socket(&w);
	test_strangers(&w);
	test_silent_clients(&w);
	test_no_reader(&w);
	test_save(&w);
	test_shutdown(&w);
	config_fini(&w.config);
	keyspace_free(w.env.ks);
	close(w.env.dir_fd);
	remove_long_dir(&w);
	ok(strcmp(w.dir, "/tmp") == 0 && access("/tmp", F_OK) == 0, "nothing is left behind");
	return tap_end();
}
