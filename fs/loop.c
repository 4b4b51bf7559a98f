#include "fs/loop.h"
#include "fs/qos.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	FEW_CPUS = 2,             /* up to so many a reader that works leaves no CPU for another but its clients' */
	STREAK_CALLS = 4,         /* requests in a row found waiting, each from another process than the last, at which another reader is called */
	SINGLE_AFTER = 64,        /* requests of one client in a row, after those of several, until it counts as the only one */
	PROBE_EVERY = 8,          /* requests until it is looked again whether they queue up; */
	PROBE_RARELY = 64,        /* twice as many each time that they do not, up to so many */
	SPINS_IN_VAIN = 4,        /* in a row, after which nobody polls until requests come close together */
	LONG_REQUEST = 65536,     /* bytes; before one that big is handled another reader is called, for the other clients */
	LOST_NS = 250000,         /* a CPU offered away that comes back so late is wanted by others */
	CALM_NS = 50000000,       /* and is not polled away for so long */
};

/*  C  constant after start    L  whoever holds the lead    W  lock    a  atomic    R  the reader's own  */
struct reader {
	struct loop *loop;        /* C */
	pthread_t thread;         /* C */
	struct fuse_buf buf;      /* R  memory allocated by libfuse, freed by us */
	int streak, unprobed, probe_every;  /* R */
	uint32_t served;          /* R  the process whose request was the last */
	int64_t taken_ns;         /* R  when the request in BUF was taken, or a moment before */
};

struct loop {
	struct fuse_session *se;  /* C */
	struct stats *stats;      /* C */
	struct log *log;          /* C */
	int fd;                   /* C  /dev/fuse, non-blocking; the session's */
	bool few_cpus;            /* C  nobody is called because of a queue */
	int stop_fd;              /* C  eventfd: readable means stop */
	int ended_fd;             /* C  eventfd */
	_Atomic int64_t spin_ns;  /* a */
	struct qos qos;           /* L, but for qos_enable() */
	int64_t calm_until_ns;    /* L  no polling before: the CPUs are busy */
	int in_vain;              /* L  spins in a row that no request ended */
	_Atomic int several;      /* a  requests until there is one client alone; 0: there is */
	_Atomic bool led;         /* a  somebody waits at the device */
	_Atomic bool stop;        /* a  only becomes true */
	_Atomic int asleep;       /* a  readers in nap(), less those called; written under W */
	pthread_mutex_t lock;     /* W */
	pthread_cond_t wake;
	int called;               /* W */
	int count, started;       /* C, main's */
	struct reader reader[];
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void raise_event(int fd)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full, and then it is readable anyway. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/* Everybody ends. */
static void end(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	atomic_store(&l->stop, true);
	pthread_cond_broadcast(&l->wake);
	pthread_mutex_unlock(&l->lock);
	raise_event(l->stop_fd);
	raise_event(l->ended_fd);
}

/* Bytes of a request in R->buf; -EAGAIN: none there; 0: the end. */
static int receive(struct reader *r)
{
	int n = fuse_session_receive_buf(r->loop->se, &r->buf);

	if (n == -EINTR)
		return -EAGAIN;
	if (n > 0 || n == -EAGAIN)
		return n;
	if (n < 0 && n != -ENODEV && n != -ECONNABORTED)
		log_printf(r->loop->log, LOG_LEVEL_WARNING, "/dev/fuse: %s", strerror(-n));
	return 0;
}

static void nap(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	atomic_fetch_add(&l->asleep, 1);
	while (!l->called && !atomic_load(&l->stop))
		pthread_cond_wait(&l->wake, &l->lock);
	if (l->called)
		l->called--;
	else
		atomic_fetch_sub(&l->asleep, 1);
	pthread_mutex_unlock(&l->lock);
}

static void call_another(struct loop *l)
{
	if (atomic_load_explicit(&l->asleep, memory_order_relaxed) == 0)
		return;
	pthread_mutex_lock(&l->lock);
	if (atomic_load(&l->asleep) > 0) {
		atomic_fetch_sub(&l->asleep, 1);
		l->called++;
		pthread_cond_signal(&l->wake);
	}
	pthread_mutex_unlock(&l->lock);
}

/* Holding the lead: polls the device without sleeping.  The CPU is offered away first, since whoever is
 * to send the next request may wait for this very one.  Where others work on it for long, polling would only use up the share that lets a
 * sleeper run as soon as it wakes: then it is left for a while.  As receive(). */
static int spin(struct reader *r, int64_t spin_ns)
{
	struct loop *l = r->loop;
	int64_t now = now_ns(), until = now + spin_ns, before;
	int n;

	if (now < l->calm_until_ns || l->in_vain >= SPINS_IN_VAIN)
		return -EAGAIN;
	/* Several clients keep few CPUs awake by themselves, and want the one that polls. */
	if (l->few_cpus && atomic_load_explicit(&l->several, memory_order_relaxed) > 0)
		return -EAGAIN;
	count(&l->stats->spins);
	do {
		before = now;
		sched_yield();
		n = receive(r);
		now = now_ns();
		if (now - before > LOST_NS)
			l->calm_until_ns = now + CALM_NS;
		if (n != -EAGAIN || atomic_load_explicit(&l->stop, memory_order_relaxed))
			return n;
	} while (now < until && now >= l->calm_until_ns);
	l->in_vain++;
	count(&l->stats->spins_in_vain);
	return -EAGAIN;
}

/* Holding the lead: sleeps until there is a request, or 0 at the end. */
static int block(struct reader *r)
{
	struct loop *l = r->loop;
	struct pollfd p[2] = { { .fd = l->fd, .events = POLLIN }, { .fd = l->stop_fd, .events = POLLIN } };
	int n, timeout_ms;

	for (;;) {
		timeout_ms = qos_timeout_ms(&l->qos, now_ns());
		n = timeout_ms == 0 ? 0 : poll(p, 2, timeout_ms);
		if (n == 0)
			qos_release(&l->qos);
		if (n < 0 && errno != EINTR) {
			log_printf(l->log, LOG_LEVEL_WARNING, "poll: %s", strerror(errno));
			return 0;
		}
		if (atomic_load(&l->stop))
			return 0;
		n = n > 0 ? receive(r) : -EAGAIN;
		if (n != -EAGAIN)
			return n;
	}
}

/* Of the request of SIZE bytes that was received.  The kernel never delivers less than a header. */
static struct fuse_in_header header_of(const struct reader *r, size_t size)
{
	struct fuse_in_header header = { .opcode = 0 };

	if (size >= sizeof(header))
		memcpy(&header, r->buf.mem, sizeof(header));
	return header;
}

static int lead(struct reader *r)
{
	struct loop *l = r->loop;
	int64_t spin_ns = atomic_load_explicit(&l->spin_ns, memory_order_relaxed), begun = r->taken_ns;
	int n = spin_ns > 0 ? spin(r, spin_ns) : -EAGAIN;

	if (n == -EAGAIN)
		n = block(r);
	r->taken_ns = now_ns();
	if (n > 0) {
		/* Polling would have seen this one.  Who sleeps sees it later, by about as much. */
		if (r->taken_ns - begun <= 2 * spin_ns)
			l->in_vain = 0;
		qos_note(&l->qos, (pid_t)header_of(r, (size_t)n).pid, r->taken_ns);
	}
	atomic_store_explicit(&l->led, false, memory_order_release);
	return n;
}

/* Whether the request of SIZE bytes is of the process that was served last, or none that anybody waits for.  Without a number (0) processes are
 * behind a wall, and may be many. */
static bool is_same_client(const struct reader *r, size_t size)
{
	struct fuse_in_header header = header_of(r, size);

	return header.opcode == FUSE_FORGET || header.opcode == FUSE_BATCH_FORGET || (header.pid && header.pid == r->served);
}

/* Looks, now and then, whether requests queue up while one is handled; if so, goes on looking, and calls another reader.  A client that is quick
 * to send its next request is no queue: it would only make two readers run for each one.  As receive(). */
static int probe(struct reader *r)
{
	int n;

	if (r->streak == 0 && ++r->unprobed < r->probe_every)
		return -EAGAIN;
	r->unprobed = 0;
	n = receive(r);
	if (n != -EAGAIN)
		r->probe_every = PROBE_EVERY;
	else if (r->streak == 0 && r->probe_every < PROBE_RARELY)
		r->probe_every *= 2;
	if (n == -EAGAIN) {
		r->streak = 0;
	} else if (n > 0 && is_same_client(r, (size_t)n)) {
		r->streak = 1;
	} else if (++r->streak > STREAK_CALLS) {
		r->streak = 1;
		if (!r->loop->few_cpus)
			call_another(r->loop);
	}
	return n;
}

/* The next request: as receive(), but -EAGAIN only after a nap. */
static int next_request(struct reader *r)
{
	struct loop *l = r->loop;
	int n = probe(r);

	if (n != -EAGAIN)
		return n;
	if (!atomic_exchange_explicit(&l->led, true, memory_order_acquire))
		return lead(r);
	n = receive(r);
	if (n == -EAGAIN) {
		nap(l);
		r->taken_ns = now_ns();
	}
	return n;
}

static void note_client(struct reader *r, uint32_t pid)
{
	_Atomic int *several = &r->loop->several;
	int left = atomic_load_explicit(several, memory_order_relaxed);

	if (pid != r->served)
		atomic_store_explicit(several, SINGLE_AFTER, memory_order_relaxed);
	else if (left > 0)
		atomic_store_explicit(several, left - 1, memory_order_relaxed);
	r->served = pid;
}

static void handle(struct reader *r, size_t size)
{
	struct fuse_in_header header = header_of(r, size);

	stats_count(r->loop->stats, header.opcode);
	latency_begin(header.opcode, r->taken_ns);
	if (header.opcode != FUSE_FORGET && header.opcode != FUSE_BATCH_FORGET)
		note_client(r, header.pid);
	if (size >= LONG_REQUEST && atomic_load_explicit(&r->loop->several, memory_order_relaxed) > 0)
		call_another(r->loop);
	fuse_session_process_buf(r->loop->se, &r->buf);
	r->taken_ns = now_ns();
	latency_end(r->loop->stats, r->taken_ns);
}

static void *reader_main(void *arg)
{
	struct reader *r = arg;
	int n;

	r->taken_ns = now_ns();
	while (!atomic_load_explicit(&r->loop->stop, memory_order_relaxed)) {
		n = next_request(r);
		if (n == 0)
			end(r->loop);
		else if (n > 0)
			handle(r, (size_t)n);
	}
	return NULL;
}

/* That this process may run on. */
static int cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int loop_new(struct fuse_session *se, const struct loop_options *o, struct stats *stats, struct log *log, struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l) + (size_t)o->threads * sizeof(l->reader[0]));
	int err;

	if (!l)
		return -ENOMEM;
	l->se = se;
	l->stats = stats;
	l->log = log;
	l->fd = fuse_session_fd(se);
	atomic_init(&l->spin_ns, o->spin_us * 1000);
	l->count = o->threads;
	l->few_cpus = cpus() <= FEW_CPUS;
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->wake, NULL);
	qos_init(&l->qos, o->latency, "", (int)sysconf(_SC_NPROCESSORS_CONF));
	for (int i = 0; i < l->count; i++) {
		l->reader[i].loop = l;
		l->reader[i].probe_every = PROBE_EVERY;
	}
	err = l->stop_fd < 0 || l->ended_fd < 0 ? -EMFILE : set_nonblocking(l->fd);
	if (err) {
		loop_free(l);
		return err;
	}
	*ret = l;
	return 0;
}

void loop_set(struct loop *l, int64_t spin_us, bool latency)
{
	atomic_store_explicit(&l->spin_ns, spin_us * 1000, memory_order_relaxed);
	qos_enable(&l->qos, latency);
}

int loop_start(struct loop *l)
{
	int err;

	for (; l->started < l->count; l->started++) {
		err = pthread_create(&l->reader[l->started].thread, NULL, reader_main, &l->reader[l->started]);
		if (err) {
			loop_stop(l);
			return -err;
		}
	}
	return 0;
}

int loop_ended_fd(const struct loop *l)
{
	return l->ended_fd;
}

void loop_stop(struct loop *l)
{
	end(l);
	while (l->started > 0)
		pthread_join(l->reader[--l->started].thread, NULL);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	for (int i = 0; i < l->count; i++)
		free(l->reader[i].buf.mem);
	qos_fini(&l->qos);
	if (l->stop_fd >= 0)
		close(l->stop_fd);
	if (l->ended_fd >= 0)
		close(l->ended_fd);
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
