/* engine_rig.h -- a persist engine on directories of its own, driven by one client that waits for each reply.
 *
 *      rig_init()  rig_open()  rig_put() ... rig_close()  rig_open() ...  rig_fini()
 *
 * Paths are keys; parents must exist.  Times of operations go up by a millisecond each.  Aborts where a test can't go on.           */
#ifndef KVFS_TESTS_ENGINE_RIG_H
#define KVFS_TESTS_ENGINE_RIG_H

#include "persist/bytes.h"
#include "persist/persist.h"
#include "tests/lib/disk_fault.h"

/*  C constant after init   K lock  */
struct rig {
	char *top, *data, *shared;     /* C: temp directories: of all, the data directory, where the journal lives */
	struct persist_config config;  /* may be changed between close and open */
	struct persist_port port;      /* C */
	struct keyspace *ks;
	struct persist *p;
	struct op op;                  /* of the last operation */
	pthread_mutex_t lock;          /* K */
	struct bytes log;              /* K: lines of the engine */
	struct error error;            /* of rig_open() */
	struct steps *steps;           /* C, borrowed: who takes the turns of the engine's threads; NULL: they do it themselves */
};

/* F NULL: the real disk. */
void rig_init(struct rig *r, struct disk_fault *f);
void rig_fini(struct rig *r);
/* Opens and starts; 0, or an error with r->error. */
int rig_open(struct rig *r);
/* What persist_stop() says. */
int rig_close(struct rig *r, enum persist_final_save save);

/* Each waits for its reply and returns its error, or that of the operation. */
int rig_mknod(struct rig *r, const char *path);
int rig_mkdir(struct rig *r, const char *path);
int rig_symlink(struct rig *r, const char *path, const char *target);
int rig_write(struct rig *r, const char *path, uint64_t off, const void *data, size_t len);
int rig_truncate(struct rig *r, const char *path, uint64_t size);
/* AT_MS 0: none any more. */
int rig_expire(struct rig *r, const char *path, int64_t at_ms);
int rig_chmod(struct rig *r, const char *path, uint32_t mode);
/* VALUE NULL: takes it away. */
int rig_xattr(struct rig *r, const char *path, const char *name, const char *value);
int rig_remove(struct rig *r, const char *path);
int rig_link(struct rig *r, const char *path, const char *name);
int rig_rename(struct rig *r, const char *from, const char *to, unsigned flags);
/* echo TEXT > PATH */
int rig_put(struct rig *r, const char *path, const char *text);
int rig_fsync(struct rig *r, const char *path);
int rig_save(struct rig *r);
int rig_rewrite(struct rig *r);
/* Switches appendonly and waits for what comes of it: -EIO when it fails. */
int rig_switch(struct rig *r, bool on);

uint64_t rig_find(struct rig *r, const char *path);    /* 0: not there */
bool rig_holds(struct rig *r, const char *path, const char *text);
struct persist_info rig_info(struct rig *r);
/* Whether the state becomes that within ten seconds. */
bool rig_becomes(struct rig *r, const char *state);
/* Whether aof_enabled becomes ON within ten seconds. */
bool rig_logs(struct rig *r, bool on);
/* Waits until no save and no rewrite runs or is asked for. */
void rig_wait_jobs(struct rig *r);
/* Whether the engine has said something with TEXT in it. */
bool rig_said(struct rig *r, const char *text);
/* The name of the only file of appendonlydir with SUFFIX, or with the highest number; NULL: none.  To be freed. */
char *rig_log_file(struct rig *r, const char *suffix);
/* Checks the directories: no temp file, a manifest that parses and whose files are there.  NULL, or what is wrong (static). */
const char *rig_litter(struct rig *r);

#endif
