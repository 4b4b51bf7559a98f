/* encode.h -- from a mutation to a batch in the journal (format.h), and what is held back to be merged.
 *
 * `echo v > k` reaches the store as a create or a cut to nothing, then a write at 0.  Outside `appendfsync always` the first half is held
 * back and merged with the write into one SET.  It is logged by itself when HOLD_NS have passed, by encode_flush() (fsync, the cut of a
 * snapshot), and before any other change of that node or of a directory's name.
 *
 * Locks: everything with S held, but for encode_take_data().                                                                         */
#ifndef KVFS_PERSIST_ENCODE_H
#define KVFS_PERSIST_ENCODE_H

#include "persist/bytes.h"
#include "persist/journal.h"
#include "store/observer.h"

enum {
	HELD_MAX = 64,
	HOLD_NS = 100 * 1000 * 1000,
	ENCODE_DIGITS = 3,
};

struct held {
	uint64_t id, parent;
	bool created;               /* else cut to nothing */
	int64_t since_ns;           /* time of the first operation held back */
};

/* Where something is, and its key: commands say keys, records say paths. */
struct encode_place {
	struct bytes path;
	struct bytes room;          /* of the key, where that is another one */
	const char *key;            /* in one of these */
	size_t key_len;
	bool escaped;               /* the path is not the key (keyname.h) */
	bool beside;                /* it is the second name of a value */
};

/* A batch in the journal that has its place, but not yet its data. */
struct batch_late {
	char *start;                /* of what the seal covers */
	char *data;
	char *crc;                  /* of the seal: the last there is but CRLF */
};

/*  C constant   S keyspace lock   O whoever has the number of the open batch  */
struct encoder {
	struct keyspace *ks;        /* C */
	struct journal *journal;    /* C */
	uint64_t lineage;           /* C */
	uint64_t db;                /* C of Redis's databases */
	uint64_t seq;               /* S: of the last batch */
	bool hold;                  /* S: policy allows holding back */
	bool timestamps;            /* S: aof-timestamp-enabled */
	int64_t last_timestamp_s;   /* S */
	int held_count;             /* S */
	struct held held[HELD_MAX]; /* S: in the order of time */
	struct encode_place place, other, source;  /* S: reused from batch to batch, as */
	struct batch_late late[JOURNAL_OPEN_MAX];  /* O */
	struct bytes number;               /* S */
	char digits[ENCODE_DIGITS][24];    /* S */
};

void encode_init(struct encoder *e, struct keyspace *ks, struct journal *j, uint64_t lineage, uint64_t last_seq);
void encode_fini(struct encoder *e);

/* Encodes M, or holds it back (m->seq stays 0).  Sets m->seq, and m->number where it leaves the data to encode_take_data(), which is called
 * without S.  0 or -ENOMEM. */
int encode_mutation(struct encoder *e, struct mutation *m);
void encode_take_data(struct encoder *e, unsigned number, const void *data, size_t len);
/* Logs what is held back for node ID (0: for all).  0 or -ENOMEM. */
int encode_flush(struct encoder *e, uint64_t id);
/* Logs what has been held back since before NOW_NS - HOLD_NS.  *RET_NEXT_NS: when to come again; INT64_MAX: nothing is held. */
int encode_flush_old(struct encoder *e, int64_t now_ns, int64_t *ret_next_ns);
/* The OPEN batch. */
int encode_open(struct encoder *e, int64_t now_ns);

#endif
