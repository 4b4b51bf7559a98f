#include "fs/meminfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t meminfo_available(void)
{
	static const char label[] = "MemAvailable:";
	char text[4096], *at, *end;
	unsigned long long kb;
	ssize_t n;
	int fd;

	fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strstr(text, label);
	if (!at)
		return 0;
	errno = 0;
	kb = strtoull(at + sizeof(label) - 1, &end, 10);
	if (errno || end == at + sizeof(label) - 1 || kb > UINT64_MAX / 1024)
		return 0;
	return kb * 1024;
}
