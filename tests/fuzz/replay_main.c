/* replay_main.c -- runs each file of the command line through a fuzz target, without a fuzzer: how a corpus becomes a test.
 * Directories stand for the files in them.  Fails when there was nothing to run.                                            */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int run_count;

/* 0, or a negative errno. */
static int replay_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);  /* of exactly that size, so that a sanitizer sees a step too far */
	FILE *f = fopen(path, "rb");
	int r = 0;

	if (!data || !f || fread(data, 1, size, f) != size)
		r = -EIO;
	if (r == 0)
		LLVMFuzzerTestOneInput(data, size);
	if (f)
		fclose(f);
	free(data);
	run_count++;
	if (r < 0)
		fprintf(stderr, "%s: can't be read\n", path);
	return r;
}

static int replay(const char *path)
{
	struct dirent *entry;
	struct stat st;
	char *below;
	DIR *dir;
	int r = 0;

	if (stat(path, &st) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -ENOENT;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path, (size_t)st.st_size);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&below, "%s/%s", path, entry->d_name) < 0) {
			r = -ENOMEM;
		} else {
			r = replay(below);
			free(below);
		}
	}
	closedir(dir);
	return r;
}

int main(int argc, char **argv)
{
	int i, failed = 0;

	for (i = 1; i < argc; i++) {
		if (replay(argv[i]) < 0)
			failed++;
	}
	printf("# %d replayed\n", run_count);
	return failed > 0 || run_count == 0;
}
