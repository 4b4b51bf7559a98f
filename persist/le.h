/* le.h -- little-endian integers and varints in byte buffers, whatever the alignment and the host.
 *
 * Writers return the end of what they wrote; the caller computed the room before.  Readers of fixed integers take bytes that are there;
 * the varint reader is told where the bytes end.                                                                                     */
#ifndef KVFS_PERSIST_LE_H
#define KVFS_PERSIST_LE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VARINT_MAX = 10 };  /* bytes of the longest */

static inline char *le_put16(char *p, uint16_t n)
{
	n = htole16(n);
	return (char *)memcpy(p, &n, sizeof(n)) + sizeof(n);
}

static inline char *le_put32(char *p, uint32_t n)
{
	n = htole32(n);
	return (char *)memcpy(p, &n, sizeof(n)) + sizeof(n);
}

static inline char *le_put64(char *p, uint64_t n)
{
	n = htole64(n);
	return (char *)memcpy(p, &n, sizeof(n)) + sizeof(n);
}

static inline uint16_t le_get16(const void *p)
{
	uint16_t n;

	memcpy(&n, p, sizeof(n));
	return le16toh(n);
}

static inline uint32_t le_get32(const void *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return le32toh(n);
}

static inline uint64_t le_get64(const void *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return le64toh(n);
}

static inline size_t varint_size(uint64_t n)
{
	size_t size = 1;

	while (n >= 0x80) {
		n >>= 7;
		size++;
	}
	return size;
}

static inline char *varint_put(char *p, uint64_t n)
{
	while (n >= 0x80) {
		*p++ = (char)(n | 0x80);
		n >>= 7;
	}
	*p++ = (char)n;
	return p;
}

/* The end of the varint at P, or NULL: it does not end before END or is no 64-bit number. */
static inline const char *varint_get(const char *p, const char *end, uint64_t *ret)
{
	uint64_t n = 0;
	unsigned shift;

	for (shift = 0; shift < 64 && p < end; shift += 7) {
		uint64_t byte = (unsigned char)*p++;

		if (shift == 63 && byte > 1)
			return NULL;
		n |= (byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret = n;
			return p;
		}
	}
	return NULL;
}

#endif
