/* lzf_chunk.h -- large strings as one LZF string, without having them in one piece.
 *
 * A string is cut into chunks, each is compressed by itself (no reference leads out of it), and what comes of them in a row is what LZF would have
 * made of the whole, a little longer: any reader of LZF, Redis's too, takes it.  The same bytes always give the same, so that a writer may ask
 * for the length first and for the bytes later.  (liblzf's compressor does not promise that: its table starts with what the stack had.)
 *
 * Pure functions on memory. */
#ifndef KVFS_PERSIST_LZF_CHUNK_H
#define KVFS_PERSIST_LZF_CHUNK_H

#include "store/value_build.h"

enum {
	LZF_CHUNK = VALUE_CHUNK,
	LZF_CHUNK_PACKED_MAX = LZF_CHUNK + LZF_CHUNK / 32 + 2,
};

/* LEN bytes, at most LZF_CHUNK, to OUT, which has LZF_CHUNK_PACKED_MAX; COMPRESS false: as they are, in LZF's form.  Returns the length. */
size_t lzf_chunk_pack(const void *data, size_t len, bool compress, char *out);

/* The LEN bytes of an LZF string of PACKED_LEN bytes, at the end of what B has.  -EPROTO: it is none, or has another length; -ENOMEM, -EFBIG. */
int lzf_unpack(const void *packed, size_t packed_len, uint64_t len, struct value_build *b);

#endif
