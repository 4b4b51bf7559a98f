/* monitor.c -- see monitor.h. */
#include "fs/monitor.h"
#include "fs/monitor_record.h"
#include "persist/error.h"
#include "store/observer.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*  C  constant    T  the control thread's own    M  lock  */
struct monitor {
	struct keyspace *ks;       /* C */
	char *source;              /* C  owned: what stands in brackets */
	int clients;               /* T */
	char *spare;               /* T  owned */
	pthread_mutex_t lock;
	char *buffer;              /* M  owned */
	size_t len;                /* M  bytes of whole records; more while one is written */
	size_t record;             /* M  where the one that is written, or was last, begins */
	uint32_t args;             /* M  of it */
	bool full;                 /* M  what is written finds no room */
	bool lost;                 /* M  something did not */
	uint64_t held_id;          /* M  whose SET of nothing the last record is, for the write that may follow; 0: it is none */
	int64_t held_ns;           /* M */
};

/* ---- writing a record, under S and M ---- */

/* Room for LEN bytes; NULL: none is left. */
static char *room(struct monitor *m, size_t len)
{
	char *p = m->buffer + m->len;

	if (m->full || len > MONITOR_BUFFER_MAX - m->len) {
		m->full = true;
		return NULL;
	}
	m->len += len;
	return p;
}

static char *begin_arg(struct monitor *m, enum monitor_arg_kind kind, size_t kept, uint64_t len)
{
	const struct monitor_arg a = { .kind = kind, .kept = (uint32_t)kept, .len = len };
	char *p = room(m, sizeof(a) + kept);

	if (p == NULL)
		return NULL;
	memcpy(p, &a, sizeof(a));
	m->args++;
	return p + sizeof(a);
}

static void text(struct monitor *m, const void *data, size_t len)
{
	size_t kept = len < MONITOR_ARG_MAX ? len : MONITOR_ARG_MAX;
	char *p = begin_arg(m, MONITOR_TEXT, kept, len);

	if (p != NULL && kept > 0)
		memcpy(p, data, kept);
}

static void word(struct monitor *m, const char *w)
{
	text(m, w, strlen(w));
}

static void number(struct monitor *m, int64_t n)
{
	char digits[32];

	text(m, digits, (size_t)snprintf(digits, sizeof(digits), "%" PRId64, n));
}

/* The path of ID; with NAME, which may be NULL, behind it. */
static void path(struct monitor *m, enum monitor_arg_kind kind, uint64_t id, const char *name, size_t name_len)
{
	int64_t got = keyspace_key_len_locked(m->ks, id);
	size_t len = got > 0 ? (size_t)got : 0, ignored;
	size_t slash = name != NULL && len > 0;
	char *p = begin_arg(m, kind, len + slash + name_len, len + slash + name_len);

	if (p == NULL)
		return;
	if (len > 0)
		keyspace_key_locked(m->ks, id, p, len, &ignored);
	if (slash)
		p[len] = '/';
	if (name != NULL)
		memcpy(p + len + slash, name, name_len);
}

static enum monitor_arg_kind kind_of(uint32_t mode)
{
	return S_ISREG(mode) ? MONITOR_PATH : MONITOR_TEXT;
}

/* ---- what a change is called ---- */

static void of_node(struct monitor *m, const char *verb, const struct mutation *mu)
{
	word(m, verb);
	path(m, kind_of(mu->node.mode), mu->id, NULL, 0);
}

static void of_name(struct monitor *m, const char *verb, const struct mutation *mu)
{
	word(m, verb);
	path(m, kind_of(mu->node.mode), mu->parent, mu->name, mu->name_len);
}

static void say_create(struct monitor *m, const struct mutation *mu)
{
	of_name(m, S_ISREG(mu->node.mode) ? "SET" : S_ISDIR(mu->node.mode) ? "MKDIR" : S_ISLNK(mu->node.mode) ? "SYMLINK" : "MKNOD", mu);
	if (S_ISREG(mu->node.mode))
		word(m, "");
	if (S_ISLNK(mu->node.mode))
		text(m, mu->target, mu->target_len);
}

static void say_write(struct monitor *m, const struct mutation *mu)
{
	of_node(m, mu->old_size == 0 && mu->off == 0 ? "SET" : mu->off == mu->old_size ? "APPEND" : "SETRANGE", mu);
	if (mu->off != mu->old_size)
		number(m, (int64_t)mu->off);
	text(m, mu->data, mu->len);
}

static bool is_cut_to_nothing(const struct mutation *mu)
{
	return mu->kind == MUTATION_SETATTR && (mu->change->mask & ATTR_SIZE) && mu->change->size == 0;
}

static void say_setattr(struct monitor *m, const struct mutation *mu)
{
	const struct attr_change *c = mu->change;
	char octal[16];

	if (c->mask & ATTR_SIZE) {
		of_node(m, c->size == 0 ? "SET" : "TRUNCATE", mu);
		if (c->size == 0)
			word(m, "");
		else
			number(m, (int64_t)c->size);
	} else if (c->mask & ATTR_MODE) {
		of_node(m, "CHMOD", mu);
		text(m, octal, (size_t)snprintf(octal, sizeof(octal), "%04o", mu->node.mode & 07777));
	} else if (c->mask & (ATTR_UID | ATTR_GID)) {
		of_node(m, "CHOWN", mu);
		number(m, mu->node.uid);
		number(m, mu->node.gid);
	} else {
		of_node(m, "UTIMENS", mu);
		number(m, mu->node.atime_ns);
		number(m, mu->node.mtime_ns);
	}
}

static void say_move(struct monitor *m, const struct mutation *mu)
{
	of_name(m, mu->kind == MUTATION_SWAP ? "EXCHANGE" : "RENAME", mu);
	path(m, kind_of(mu->kind == MUTATION_SWAP ? mu->other.mode : mu->node.mode), mu->new_parent, mu->new_name, mu->new_name_len);
}

static void say_expire(struct monitor *m, const struct mutation *mu)
{
	of_node(m, mu->expire_at_ms != 0 ? "PEXPIREAT" : "PERSIST", mu);
	if (mu->expire_at_ms != 0)
		number(m, mu->expire_at_ms);
}

static void say_xattr(struct monitor *m, const struct mutation *mu)
{
	of_node(m, mu->xattr->value != NULL ? "SETXATTR" : "REMOVEXATTR", mu);
	text(m, mu->xattr->name, mu->xattr->name_len);
	if (mu->xattr->value != NULL)
		text(m, mu->xattr->value, mu->xattr->len);
}

static void say_link(struct monitor *m, const struct mutation *mu)
{
	of_node(m, "LINK", mu);
	path(m, kind_of(mu->node.mode), mu->parent, mu->name, mu->name_len);
}

static void say_copy(struct monitor *m, const struct mutation *mu)
{
	word(m, "COPYRANGE");
	path(m, MONITOR_PATH, mu->from, NULL, 0);
	number(m, (int64_t)mu->from_off);
	path(m, MONITOR_PATH, mu->id, NULL, 0);
	number(m, (int64_t)mu->off);
	number(m, (int64_t)mu->len);
}

static void say_zero(struct monitor *m, const struct mutation *mu)
{
	of_node(m, "ZERO", mu);
	number(m, (int64_t)mu->off);
	number(m, (int64_t)mu->len);
}

static void say_remove(struct monitor *m, const struct mutation *mu)
{
	of_name(m, S_ISREG(mu->node.mode) ? "DEL" : S_ISDIR(mu->node.mode) ? "RMDIR" : "UNLINK", mu);
}

static void say(struct monitor *m, const struct mutation *mu)
{
	static void (*const how[])(struct monitor *m, const struct mutation *mu) = {
		[MUTATION_CREATE] = say_create, [MUTATION_WRITE] = say_write,     [MUTATION_SETATTR] = say_setattr,
		[MUTATION_REMOVE] = say_remove, [MUTATION_EXPIRED] = say_remove,  [MUTATION_RENAME] = say_move,
		[MUTATION_SWAP] = say_move,     [MUTATION_EXPIRE] = say_expire,   [MUTATION_XATTR] = say_xattr,
		[MUTATION_LINK] = say_link,     [MUTATION_COPY] = say_copy,       [MUTATION_ZERO] = say_zero,
	};

	how[mu->kind](m, mu);
}

/* Called under S. */
static void changed(void *ctx, const struct mutation *mu)
{
	struct monitor *m = ctx;
	struct monitor_record r = { .at_ns = mu->now_ns };
	char *head;

	if (!mu->has_name)
		return;
	pthread_mutex_lock(&m->lock);
	if (mu->kind == MUTATION_WRITE && mu->off == 0 && mu->old_size == 0 && m->held_id == mu->id)
		m->len = m->record;
	m->record = m->len;
	m->args = 0;
	m->full = m->lost;
	m->held_id = 0;
	head = room(m, sizeof(r));
	if (head != NULL)
		say(m, mu);
	if (head == NULL || m->full) {
		m->lost = true;
		m->len = m->record;
	} else {
		r.size = (uint32_t)(m->len - m->record);
		r.args = m->args;
		memcpy(head, &r, sizeof(r));
		if ((mu->kind == MUTATION_CREATE && S_ISREG(mu->node.mode)) || is_cut_to_nothing(mu)) {
			m->held_id = mu->id;
			m->held_ns = mu->now_ns;
		}
	}
	pthread_mutex_unlock(&m->lock);
}

/* ---- clients ---- */

struct monitor *monitor_new(struct keyspace *ks, int64_t db, const char *mountpoint)
{
	char quoted[4 * PATH_MAX + 1];
	struct monitor *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	error_quote(mountpoint, strlen(mountpoint), quoted, sizeof(quoted));
	if (asprintf(&m->source, "%" PRId64 " unix:%s", db, quoted) < 0) {
		free(m);
		return NULL;
	}
	m->ks = ks;
	pthread_mutex_init(&m->lock, NULL);
	return m;
}

void monitor_free(struct monitor *m)
{
	if (m == NULL)
		return;
	pthread_mutex_destroy(&m->lock);
	free(m->source);
	free(m);
}

static int start(struct monitor *m)
{
	const struct watcher w = { .ctx = m, .changed = changed };

	m->buffer = malloc(MONITOR_BUFFER_MAX);
	m->spare = malloc(MONITOR_BUFFER_MAX);
	if (m->buffer == NULL || m->spare == NULL) {
		free(m->buffer);
		free(m->spare);
		return -ENOMEM;
	}
	m->len = m->record = 0;
	m->held_id = 0;
	m->lost = false;
	keyspace_set_watcher(m->ks, &w);
	return 0;
}

int monitor_attach(struct monitor *m)
{
	int err = 0;

	if (m->clients == MONITOR_CLIENTS_MAX)
		return -EUSERS;
	if (m->clients == 0)
		err = start(m);
	if (err == 0)
		m->clients++;
	return err;
}

void monitor_detach(struct monitor *m)
{
	if (--m->clients > 0)
		return;
	keyspace_set_watcher(m->ks, &(struct watcher){ .changed = NULL });
	free(m->buffer);
	free(m->spare);
}

bool monitor_is_on(const struct monitor *m)
{
	return m->clients > 0;
}

int monitor_take(struct monitor *m, int64_t now_ns, struct bytes *lines, bool *ret_lost)
{
	struct monitor_record r;
	size_t len, stays = 0;
	char *taken;
	int err = 0;

	pthread_mutex_lock(&m->lock);
	/* The clock may have been set back: a create is not held for ever. */
	if (m->held_id != 0 && now_ns >= m->held_ns && now_ns - m->held_ns < MONITOR_HOLD_MS * INT64_C(1000000))
		stays = m->len - m->record;
	else
		m->held_id = 0;
	taken = m->buffer;
	len = m->len - stays;
	memcpy(m->spare, taken + len, stays);
	m->buffer = m->spare;
	m->len = stays;
	m->record = 0;
	*ret_lost = m->lost;
	m->lost = false;
	m->spare = taken;
	pthread_mutex_unlock(&m->lock);
	for (size_t at = 0; at < len && err == 0; at += r.size) {
		memcpy(&r, taken + at, sizeof(r));
		err = monitor_print(taken + at, m->source, lines);
	}
	return err;
}
