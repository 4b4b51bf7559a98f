/* A log is held as one history however often its manifest is replaced meanwhile.
 * By a second process that publishes one generation of files after the other, as a rewrite does, and unlinks the one before. */
#include "persist/held.h"
#include "tests/lib/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 300, NAME_CAP = 64 };

static const char manifest_name[] = "log.manifest";

static void put(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd))
		abort();
}

/* Generation G: a base and two incrs, each of which holds its number; then the manifest; then the one before goes. */
static void publish(int dir_fd, int g)
{
	static const char *const kinds[] = { "base", "incr", "last" };
	char name[NAME_CAP], text[512], number[NAME_CAP];

	snprintf(number, sizeof(number), "%d", g);
	for (int k = 0; k < 3; k++) {
		snprintf(name, sizeof(name), "%s.%d", kinds[k], g);
		put(dir_fd, name, number);
	}
	snprintf(text, sizeof(text), "file base.%d seq %d type b\nfile old.%d seq %d type h\nfile incr.%d seq %d type i\nfile last.%d seq %d type i\n",
	         g, g, g, g, g, 2 * g, g, 2 * g + 1);
	put(dir_fd, "temp", text);
	if (renameat(dir_fd, "temp", dir_fd, manifest_name))
		abort();
	for (int k = 0; k < 3; k++) {
		snprintf(name, sizeof(name), "%s.%d", kinds[k], g - 1);
		unlinkat(dir_fd, name, 0);
	}
}

/* Whether the three files of H are of one generation. */
static bool is_one(const struct held_log *h)
{
	char first[NAME_CAP] = "", text[NAME_CAP];
	bool same = h->count == 3 && h->has_base;

	for (size_t i = 0; same && i < h->count; i++) {
		ssize_t n = pread(h->file[i].fd, text, sizeof(text) - 1, 0);

		text[n > 0 ? n : 0] = '\0';
		if (i == 0)
			strcpy(first, text);
		same = n > 0 && strcmp(text, first) == 0;
	}
	return same && h->file[0].of->type == MANIFEST_BASE && h->file[1].of->seq + 1 == h->file[2].of->seq;
}

static void test_changing(int dir_fd)
{
	struct error e = { "" };
	struct held_log h;
	int err = 0, rounds = 0, whole = 0, generations = 0;
	uint64_t last = 0;
	pid_t pid;

	publish(dir_fd, 1);
	pid = fork();
	if (pid == 0) {
		for (int g = 2;; g++)
			publish(dir_fd, g);
	}
	/* On a busy machine the other process may take long to begin. */
	for (; (rounds < ROUNDS || generations < 2) && !err; rounds++) {
		err = held_log_open(dir_fd, manifest_name, &h, &e);
		if (err)
			break;
		whole += is_one(&h);
		generations += h.file[0].of->seq != last;
		last = h.file[0].of->seq;
		held_log_close(&h);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	is(err, 0, "opened each time");
	if (err)
		diag("%s", e.text);
	is(whole, rounds, "all files of one generation, history aside");
	ok(generations > 1, "and the generations changed meanwhile");
}

static void test_missing(int dir_fd)
{
	struct error e = { "" };
	struct held_log h;

	is(held_log_open(dir_fd, "none.manifest", &h, &e), -ENOENT, "no manifest");
	ok(e.text[0] == '\0' && h.count == 0, "which is no error");
	put(dir_fd, manifest_name, "file gone seq 1 type b\n");
	is(held_log_open(dir_fd, manifest_name, &h, &e), -ENODATA, "a file that is listed and is not there");
	ok(strstr(e.text, "gone is listed") != NULL, "is named");
	e.text[0] = '\0';
	put(dir_fd, manifest_name, "nonsense\n");
	is(held_log_open(dir_fd, manifest_name, &h, &e), -EINVAL, "a manifest that is none");
	ok(strstr(e.text, "log.manifest: ") != NULL, "is named");
}

int main(void)
{
	char path[] = "/tmp/kvfs-held.XXXXXX", *command;
	int fd;

	if (!mkdtemp(path))
		abort();
	fd = open(path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		abort();
	test_missing(fd);
	test_changing(fd);
	close(fd);
	if (asprintf(&command, "rm -r %s", path) < 0 || system(command) != 0)
		abort();
	free(command);
	return tap_end();
}
