/* stats.h -- what the daemon counts about itself: the messages of the kernel, by opcode.
 *
 * The fastest message is the one never sent, so these counters are the filesystem's own measure of speed: a test holds how many of
 * which kind an overwrite, a first read or a second read costs.  INFO prints them.
 *
 * Locks: none; every counter is atomic, and only grows but for stats_reset().                                                     */
#ifndef KVFS_FS_STATS_H
#define KVFS_FS_STATS_H

#include "fs/latency.h"

#include <stdatomic.h>
#include <stdint.h>

enum { STATS_OPCODES = 64 };  /* the kernel's opcodes are below; what is not is counted as 0 */

struct stats {
	_Atomic uint64_t opcode[STATS_OPCODES];  /* a  by FUSE opcode */
	_Atomic uint64_t notified;               /* a  names the kernel was told to forget */
	_Atomic uint64_t evicted;                /* a  keys that went for others (room.h) */
	_Atomic uint64_t by_uring;               /* a  of the messages, those that came by io_uring (uring.h) */
	_Atomic uint64_t spins, spins_in_vain;   /* a  how often a reader polled for the next request, and how often none came (loop.h) */
	struct latency latency[STATS_OPCODES];   /* a  by FUSE opcode, counted when they are answered */
};

void stats_count(struct stats *s, uint32_t opcode);
uint64_t stats_get(const struct stats *s, uint32_t opcode);
/* All from 0 again; what is counted at that moment may be on either side. */
void stats_reset(struct stats *s);
/* Messages of every kind. */
uint64_t stats_total(const struct stats *s);
/* The kernel's word for an opcode in small letters ("lookup"); NULL: there is none.  Static. */
const char *stats_opcode_name(uint32_t opcode);

#endif
