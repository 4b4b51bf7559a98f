/* awake.h -- keeps single CPUs from sleeping deeply: the few that a client and its reader run on, where there are many.
 *
 *      sys/devices/system/cpu/cpuN/power/pm_qos_resume_latency_us    "n/a": it may not sleep at all; "0": as it likes
 *      run/kvfs-cpuN                                                 a note: what stood there before; locked while we hold that CPU
 *
 * The kernel does not take such a value back when a process dies.  So the note is written first: whatever a killed daemon left is put right
 * by the next one, when it starts.  Where another daemon has the lock, that CPU is kept awake already, and is its own.
 *
 * Locks: none; used by one thread at a time.                                                                                          */
#ifndef KVFS_FS_AWAKE_H
#define KVFS_FS_AWAKE_H

enum { AWAKE_CPUS = 4 };

struct awake {
	const char *root;         /* borrowed; "": the system's; a test's directory */
	struct awake_cpu {
		int cpu, fd;      /* the note, locked; FD < 0: nothing */
		char before[16];
	} held[AWAKE_CPUS];
	int next;                 /* of HELD, to be given up for another CPU */
};

/* Puts right what killed daemons left on the first CPUS CPUs. */
void awake_init(struct awake *a, const char *root, int cpus);
/* Holds that CPU, and gives up the one held longest when there are too many.  0 also when another daemon holds it; or a negative errno: it can't be held. */
int awake_hold(struct awake *a, int cpu);
/* All as they were before. */
void awake_release(struct awake *a);

#endif
