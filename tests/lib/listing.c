#include "tests/lib/listing.h"

#include <inttypes.h>
#include <sys/stat.h>

uint64_t listing_hash(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 0x100000001b3u;
	return hash;
}

void listing_print(FILE *to, const struct listing_node *n)
{
	char type = S_ISDIR(n->mode) ? 'd' : S_ISLNK(n->mode) ? 'l' : S_ISREG(n->mode) ? 'f' : 's';
	fprintf(to, "%c %04o %" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRId64 " %016" PRIx64 " ", type, n->mode & 07777, n->uid, n->gid,
	        S_ISREG(n->mode) ? n->size : 0, n->mtime_ns, n->hash);
	for (size_t i = 0; i < n->path_len; i++) {
		unsigned char c = (unsigned char)n->path[i];
		if (c < 33 || c > 126 || c == '\\')
			fprintf(to, "\\x%02x", c);
		else
			putc(c, to);
	}
	putc('\n', to);
}
