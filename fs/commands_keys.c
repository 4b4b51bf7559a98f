/* commands_keys.c -- commands that look at keys, time them and remove them: EXISTS, TYPE, TTL, EXPIRE and their kin, PERSIST, DEL, UNLINK.
 *
 * A change is answered when the kernel, whose caches know nothing of this socket, has been told, and when the change is as safe as one made
 * through the mount. */
#include "fs/commands_call.h"
#include "fs/notify.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { SECOND_MS = 1000 };

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_ms(void)
{
	return now_ns() / 1000000;
}

/* ---- looking ---- */

static bool find(const struct call *c, const struct resp_arg *key, struct attr *ret)
{
	return keyspace_find_key(c->ce->env->ks, key->data, key->len, now_ns(), ret) == 0;
}

int cmd_exists(const struct call *c)
{
	struct attr a;
	int64_t count = 0;

	for (size_t i = 1; i < c->argc; i++)
		count += find(c, &c->argv[i], &a);
	return resp_reply_int(c->out, count);
}

int cmd_type(const struct call *c)
{
	struct attr a;

	return resp_reply_simple(c->out, find(c, &c->argv[1], &a) ? "string" : "none");
}

/* The time of the key's end counted from FROM_MS, in UNIT_MS, rounded as Redis does; -1: it has none, -2: no such key. */
static int reply_time(const struct call *c, int64_t from_ms, int64_t unit_ms)
{
	struct attr a;
	int64_t ms;

	if (!find(c, &c->argv[1], &a))
		return resp_reply_int(c->out, -2);
	if (a.expire_at_ms == 0)
		return resp_reply_int(c->out, -1);
	ms = a.expire_at_ms > from_ms ? a.expire_at_ms - from_ms : 0;
	return resp_reply_int(c->out, ms / unit_ms + (ms % unit_ms * 2 >= unit_ms && unit_ms > 1));
}

int cmd_ttl(const struct call *c)
{
	return reply_time(c, now_ms(), SECOND_MS);
}

int cmd_pttl(const struct call *c)
{
	return reply_time(c, now_ms(), 1);
}

int cmd_expiretime(const struct call *c)
{
	return reply_time(c, 0, SECOND_MS);
}

int cmd_pexpiretime(const struct call *c)
{
	return reply_time(c, 0, 1);
}

/* ---- changing ---- */

static int reply_refused(int err, struct bytes *out)
{
	const struct call c = { .out = out };

	if (err == -ENOMEM)
		return command_error(&c, "OOM the server is out of memory");
	if (err == -EROFS)
		return command_error(&c, "MISCONF Changes are refused until what was changed before is on disk (INFO persistence and the log tell why)");
	return command_error(&c, "MISCONF Errors writing to the AOF file: %s", strerrordesc_np(-err));
}

static int reply_changed(int64_t number, int err, struct bytes *out)
{
	return err < 0 ? reply_refused(err, out) : resp_reply_int(out, number);
}

/* Nothing has changed, or nothing has to be waited for. */
static int reply_now(const struct call *c, struct pending *p, int64_t number, int err)
{
	command_unpark(c, p);
	return reply_changed(number, err, c->out);
}

/* The change of OP was made, and the kernel is to be told of PLACE by TELL (NULL: of nothing). */
static int reply_when_kept(const struct call *c, struct pending *p, int64_t number, const struct op *op,
			   int (*tell)(struct notify *n, const struct keyspace_place *place, struct notify_waiter *w),
			   const struct keyspace_place *place)
{
	const struct control_env *env = c->ce->env;

	p->number = number;
	p->persist = env->persist;
	p->seq = op->seq;
	if (tell != NULL && tell(env->notify, place, &p->told) == 1)
		return COMMAND_WAITS;
	if (persist_wait_reply(env->persist, op->seq, &p->waiter) == 1)
		return COMMAND_WAITS;
	return reply_now(c, p, number, 0);
}

/* NX, XX, GT, LT: true, or false when the error is in OUT. */
static bool parse_rules(const struct call *c, unsigned *ret, int *ret_result)
{
	static const struct { const char *word; unsigned rule; } words[] = {
		{ "NX", EXPIRE_NX }, { "XX", EXPIRE_XX }, { "GT", EXPIRE_GT }, { "LT", EXPIRE_LT },
	};
	const size_t count = sizeof(words) / sizeof(words[0]);
	unsigned rules = 0;

	for (size_t i = 3; i < c->argc; i++) {
		size_t k = 0;

		while (k < count && !resp_is(&c->argv[i], words[k].word))
			k++;
		if (k == count) {
			*ret_result = command_error(c, "ERR Unsupported option %.*s", command_shown_len(&c->argv[i]), c->argv[i].data);
			return false;
		}
		rules |= words[k].rule;
	}
	if ((rules & EXPIRE_NX) && rules != EXPIRE_NX) {
		*ret_result = command_error(c, "ERR NX and XX, GT or LT options at the same time are not compatible");
		return false;
	}
	if ((rules & EXPIRE_GT) && (rules & EXPIRE_LT)) {
		*ret_result = command_error(c, "ERR GT and LT options at the same time are not compatible");
		return false;
	}
	*ret = rules;
	return true;
}

/* The time in argv[2], counted from BASE_MS, in UNIT_MS.  Likewise. */
static bool parse_time(const struct call *c, const char *name, int64_t base_ms, int64_t unit_ms, int64_t *ret_ms, int *ret_result)
{
	int64_t t;

	if (resp_int64(&c->argv[2], &t) < 0) {
		*ret_result = command_error(c, "ERR value is not an integer or out of range");
		return false;
	}
	if (__builtin_mul_overflow(t, unit_ms, &t) || __builtin_add_overflow(t, base_ms, ret_ms)) {
		*ret_result = command_error(c, "ERR invalid expire time in '%s' command", name);
		return false;
	}
	return true;
}

static int expire(const struct call *c, const char *name, int64_t base_ms, int64_t unit_ms)
{
	struct op op = { .now_ns = now_ns() };
	struct keyspace_place place;
	struct pending *p;
	int64_t at_ms;
	unsigned rules;
	int result;

	if (!parse_rules(c, &rules, &result) || !parse_time(c, name, base_ms, unit_ms, &at_ms, &result))
		return result;
	p = command_park(c, reply_changed, 0);
	if (p == NULL)
		return -ENOMEM;
	result = keyspace_expire_key(c->ce->env->ks, &op, c->argv[1].data, c->argv[1].len, at_ms, rules, &place);
	if (result == -ENOENT || result == EXPIRE_REFUSED)
		return reply_now(c, p, 0, 0);
	if (result < 0)
		return reply_now(c, p, 0, result);
	return reply_when_kept(c, p, 1, &op, result == EXPIRE_REMOVED ? notify_gone : notify_timed, &place);
}

int cmd_expire(const struct call *c)
{
	return expire(c, "expire", now_ms(), SECOND_MS);
}

int cmd_pexpire(const struct call *c)
{
	return expire(c, "pexpire", now_ms(), 1);
}

int cmd_expireat(const struct call *c)
{
	return expire(c, "expireat", 0, SECOND_MS);
}

int cmd_pexpireat(const struct call *c)
{
	return expire(c, "pexpireat", 0, 1);
}

int cmd_persist(const struct call *c)
{
	struct op op = { .now_ns = now_ns() };
	struct pending *p = command_park(c, reply_changed, 0);
	int result;

	if (p == NULL)
		return -ENOMEM;
	result = keyspace_persist_key(c->ce->env->ks, &op, c->argv[1].data, c->argv[1].len);
	if (result == 1)
		return reply_when_kept(c, p, 1, &op, NULL, NULL);
	return reply_now(c, p, 0, result == -ENOENT ? 0 : result);
}

/* The kernel is told in the order of removing: who waits for the last one waits for all. */
int cmd_del(const struct call *c)
{
	const struct control_env *env = c->ce->env;
	struct pending *p = command_park(c, reply_changed, 0);
	struct keyspace_place place = { .parent = 0 }, last;
	struct op op, last_op = { .seq = 0 };
	int64_t count = 0;
	int err = 0;

	if (p == NULL)
		return -ENOMEM;
	for (size_t i = 1; i < c->argc && (err == 0 || err == -ENOENT); i++) {
		op = (struct op){ .now_ns = now_ns() };
		err = keyspace_remove_key(env->ks, &op, c->argv[i].data, c->argv[i].len, &place);
		if (err != 0)
			continue;
		if (count++ > 0)
			notify_gone(env->notify, &last, NULL);
		last = place;
		last_op = op;
	}
	if (err != 0 && err != -ENOENT) {
		if (count > 0)
			notify_gone(env->notify, &last, NULL);
		return reply_now(c, p, 0, err);
	}
	return count > 0 ? reply_when_kept(c, p, count, &last_op, notify_gone, &last) : reply_now(c, p, 0, 0);
}
