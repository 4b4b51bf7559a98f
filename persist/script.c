/* script.c -- see script.h. */
#include "persist/script.h"
#include "persist/format.h"
#include "persist/replay_verb.h"
#include "store/keyname.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

const char script_beyond[] = "-- kvfs: a write beyond what Redis can hold";

const char script_cut[] =
	"local k,n=KEYS[1],tonumber(ARGV[1]) "
	"local v=redis.call('GETRANGE',k,0,n-1) "
	"redis.pcall('SET',k,v..string.rep('\\0',n-#v),'KEEPTTL')";

const char script_zero[] =
	"local k,o,e=KEYS[1],tonumber(ARGV[1]),tonumber(ARGV[2]) "
	"local z=string.rep('\\0',e-o) "
	"if e<=536870912 then redis.pcall('SETRANGE',k,o,z) else "
	"local a=o>0 and redis.call('GETRANGE',k,0,o-1) or '' "
	"redis.pcall('SET',k,a..string.rep('\\0',o-#a)..z..redis.call('GETRANGE',k,e,-1),'KEEPTTL') end";

const char script_copy[] =
	"local k,o,p,n=KEYS[1],tonumber(ARGV[1]),tonumber(ARGV[2]),tonumber(ARGV[3]) "
	"local b=redis.call('GETRANGE',KEYS[2],p,p+n-1) b=b..string.rep('\\0',n-#b) "
	"if o+n<=536870912 then redis.pcall('SETRANGE',k,o,b) else "
	"local a=o>0 and redis.call('GETRANGE',k,0,o-1) or '' "
	"redis.pcall('SET',k,a..string.rep('\\0',o-#a)..b..redis.call('GETRANGE',k,o+n,-1),'KEEPTTL') end";

typedef int script_fn(struct replay *r, const struct resp_arg *key, const struct resp_arg *argv, struct error *e);

/* The value of KEY, or -ENOENT: it has none, and there is nothing to do. */
static int find(struct replay *r, const struct resp_arg *key, uint64_t *ret_id)
{
	return replay_is_value(r, key, ret_id) ? 0 : -ENOENT;
}

static int number(const struct resp_arg *a, uint64_t *ret, struct error *e)
{
	int64_t n;

	if (replay_int(a, &n, e))
		return -EPROTO;
	if (n < 0)
		return replay_bad(a, "is no offset", e);
	*ret = (uint64_t)n;
	return 0;
}

static int beyond(struct replay *r, const struct resp_arg *key, const struct resp_arg *argv, struct error *e)
{
	uint64_t off = 0;
	int err = number(&argv[0], &off, e);

	return err ? err : replay_write(r, key, off, argv[1].data, argv[1].len, e);
}

static int cut(struct replay *r, const struct resp_arg *key, const struct resp_arg *argv, struct error *e)
{
	uint64_t size = 0, id;
	int err = number(&argv[0], &size, e);

	if (err || find(r, key, &id) < 0)
		return err;
	err = loader_resize(&r->l, id, size);
	return err ? replay_refused(r, key, err, e) : 0;
}

static int zero(struct replay *r, const struct resp_arg *key, const struct resp_arg *argv, struct error *e)
{
	uint64_t off = 0, end = 0, id;
	int err = number(&argv[0], &off, e);

	if (!err)
		err = number(&argv[1], &end, e);
	if (!err && end <= off)
		return replay_bad(&argv[1], "is no end", e);
	if (err || find(r, key, &id) < 0)
		return err;
	err = loader_zero(&r->l, id, off, end - off);
	return err ? replay_refused(r, key, err, e) : 0;
}

static int copy(struct replay *r, const struct resp_arg *key, const struct resp_arg *argv, struct error *e)
{
	uint64_t off = 0, from_off = 0, len = 0, id, from;
	int err = number(&argv[0], &off, e);

	if (!err)
		err = number(&argv[1], &from_off, e);
	if (!err)
		err = number(&argv[2], &len, e);
	if (err || find(r, &key[0], &id) < 0 || find(r, &key[1], &from) < 0)
		return err;
	err = loader_copy_range(&r->l, from, from_off, id, off, len);
	return err ? replay_refused(r, key, err, e) : 0;
}

/* ---- RENAME_SCRIPT (format.h) ---- */

struct keys_below {
	const char *dir;            /* a path */
	size_t dir_len;
	struct bytes path;
	struct bytes keys;          /* of each a u32 length and its bytes: they are renamed when all are known, as the script does it */
};

static int note_key(void *ctx, const char *suffix, size_t len, const struct attr *a)
{
	struct keys_below *k = ctx;
	enum keyname_kind kind;
	size_t key_len;

	if (!S_ISREG(a->mode))
		return 0;
	k->path.len = 0;
	if (bytes_add(&k->path, k->dir, k->dir_len) < 0 || bytes_add(&k->path, "/", 1) < 0 || bytes_add(&k->path, suffix, len) < 0 ||
	    bytes_reserve(&k->keys, sizeof(uint32_t) + k->path.len) < 0)
		return -ENOMEM;
	char *p = k->keys.data + k->keys.len;
	int err = keyname_to_key(k->path.data, k->path.len, p + sizeof(uint32_t), &key_len, &kind);
	if (err)
		return err;
	memcpy(p, &(uint32_t){ (uint32_t)key_len }, sizeof(uint32_t));
	k->keys.len += sizeof(uint32_t) + key_len;
	return 0;
}

static int rename_noted(struct replay *r, const struct keys_below *k, const struct resp_arg *from, const struct resp_arg *to, struct error *e)
{
	struct bytes key = { 0 };
	uint32_t len;
	int err = 0;

	for (size_t at = 0; at < k->keys.len && !err; at += len) {
		memcpy(&len, k->keys.data + at, sizeof(len));
		at += sizeof(len);
		const char *old = k->keys.data + at;
		key.len = 0;
		if (bytes_add(&key, to->data, to->len) < 0 || bytes_add(&key, old + from->len, len - from->len) < 0) {
			err = error_set(e, -ENOMEM, "out of memory");
			break;
		}
		struct resp_arg argv[] = { { "RENAME", 6 }, { old, len }, { key.data, key.len } };
		err = replay_rename(r, argv, 3, e);
	}
	bytes_fini(&key);
	return err;
}

static int rename_below(struct replay *r, const struct resp_arg *none, const struct resp_arg *argv, struct error *e)
{
	const struct resp_arg *from = &argv[0];
	struct keys_below k = { 0 };
	struct bytes dir = { 0 };
	uint64_t id;

	(void)none;
	if (!from->len || from->data[from->len - 1] != '/')
		return replay_bad(from, "is no beginning of keys below a directory", e);
	if (bytes_reserve(&dir, KEYSPACE_KEY_MAX) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	int64_t len = keyname_to_path(from->data, from->len - 1, false, dir.data, KEYSPACE_KEY_MAX);
	int err = len < 0 ? -ENOENT : loader_find(&r->l, dir.data, (size_t)len, &id);
	k.dir = dir.data;
	k.dir_len = (size_t)len;
	if (!err) {
		keyspace_lock(r->l.ks);
		err = keyspace_walk_locked(r->l.ks, id, note_key, &k);
		keyspace_unlock(r->l.ks);
	}
	if (err == -ENOMEM)
		error_set(e, err, "out of memory");
	else
		err = err ? 0 : rename_noted(r, &k, from, &argv[1], e);   /* no such directory: no such keys */
	bytes_fini(&k.path);
	bytes_fini(&k.keys);
	bytes_fini(&dir);
	return err;
}

static const struct {
	const char *text;
	size_t keys, args;
	script_fn *apply;
} scripts[] = {
	{ script_beyond, 1, 2, beyond },
	{ script_cut, 1, 1, cut },
	{ script_zero, 1, 2, zero },
	{ script_copy, 2, 3, copy },
	{ RENAME_SCRIPT, 0, 2, rename_below },
};

enum { FIXED = 3 };             /* EVAL, text, number of keys */

static int find_script(const struct resp_arg *argv, size_t argc)
{
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		if (argc == FIXED + scripts[i].keys + scripts[i].args && resp_is(&argv[0], "EVAL") && argv[1].len == strlen(scripts[i].text) &&
		    memcmp(argv[1].data, scripts[i].text, argv[1].len) == 0)
			return (int)i;
	return -ENOENT;
}

bool replay_knows_script(const struct resp_arg *argv, size_t argc)
{
	return find_script(argv, argc) >= 0;
}

int replay_script(struct replay *r, const struct resp_arg *argv, size_t argc, struct error *e)
{
	int i = find_script(argv, argc);

	if (i < 0)
		return i;
	size_t keys = scripts[i].keys;
	if (argv[2].len != 1 || argv[2].data[0] != (char)('0' + keys))
		return replay_bad(&argv[2], "is not the number of its keys", e);
	return scripts[i].apply(r, &argv[FIXED], &argv[FIXED + keys], e);
}
