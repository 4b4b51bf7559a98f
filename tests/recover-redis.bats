#!/usr/bin/env bats
# What a redis-server wrote can be mounted: each key is a file with the same bytes and the same expiry, and what can't be a file is
# refused by name.  A real redis-server writes and, after the mount, reads again; Lua in it makes the list that the mount is held against.
# KEYS=10000: a tenth of them in the largest, for slow programs.

load lib/kvfs

setup() {
	kvfs_setup
}

teardown() {
	kvfs_teardown
}

# commands N: inline commands that leave N string keys, by every way in which one comes to be, and then is changed.
commands() {
	awk -v n="$1" '
	function key(i) { return "d" i % 97 "/e" i % 7 "/key:" i }
	BEGIN {
		for (i = 0; i < 50; i++)
			pattern = pattern "kvfs,redis;"
		for (i = 0; i < n; i++) {
			k = key(i)
			way = i % 12
			if (way == 0) print "SET", k, i
			else if (way == 1) print "SET", k, -i * 1000003
			else if (way == 2) print "SET", k, pattern i
			else if (way == 3) print "SET", k, "\"\\x00\\xff\\n\\r " i "\"", "PX", 900000000 + i
			else if (way == 4) { print "APPEND", k, "one"; print "APPEND", k, pattern }
			else if (way == 5) print "SETRANGE", k, i % 300, "x" i
			else if (way == 6) { print "INCRBY", k, i; print "DECR", k }
			else if (way == 7) { print "SET tmp/" i, i; print "RENAME tmp/" i, k }
			else if (way == 8) { print "MULTI"; print "SET", k, "a"; print "APPEND", k, i; print "EXEC" }
			else if (way == 9) print "SETEX", k, 900000, i
			else if (way == 10) { print "SET", k, 1.5; print "INCRBYFLOAT", k, i }
			else { print "BITFIELD", k, "SET", "u16", "#1", i % 65536, "INCRBY", "i5", 3, i % 100; print "SETBIT", k, i % 500, 1 }
		}
		for (i = 0; i < n; i += 9) {
			k = key(i)
			way = i / 9 % 8
			if (way == 0) print "GETSET", k, "new" i
			else if (way == 1) print "EXPIRE", k, 800000
			else if (way == 2) print "PERSIST", k
			else if (way == 3) { print "DEL", k; print "SET", k, "again" }
			else if (way == 4) print "COPY", key(i + 1), k, "REPLACE"
			else if (way == 5) print "SET", k, "kept", "KEEPTTL"
			else if (way == 6) print "GETEX", k, "EX", 700000
			else { print "MSET", k, "m", "more/" i, "n"; print "UNLINK", "more/" i }
		}
	}' | sed 's/$/\r/'
}

feed() {
	commands "$1" | redis --pipe >/dev/null
}

# with_times: SHA-1, time of its expiry and name of each key that redis holds.  listing: without the times, as files has it.
with_times() {
	redis --raw eval "local out = {}
		for i, k in ipairs(redis.call('KEYS', '*')) do
			out[i] = redis.sha1hex(redis.call('GET', k)) .. ' ' .. redis.call('PEXPIRETIME', k) .. ' ' .. k
		end
		return out" 0 | LC_ALL=C sort
}

listing() {
	sed 's/ -\?[0-9]* /  /' | LC_ALL=C sort -k 2
}

files() {
	(cd "$mnt" && find . -type f -printf '%P\0' | xargs -0 -r sha1sum | LC_ALL=C sort -k 2)
}

# mounts_equal N [OPTION...]: the mount shows what redis had, and a redis that takes the directory over has it too, expiries included.
mounts_equal() {
	local n=$1 before after had
	shift
	had=$(with_times)
	before=$(listing <<<"$had")
	[ "$(wc -l <<<"$before")" -eq "$n" ]
	redis_stop
	kvfs_start "$@"
	after=$(files)
	same "$after" "$before"
	ctl bgrewriteaof
	wait_until 60 rewritten
	kvfs_stop
	redis_start "$data" --appendonly yes
	same "$(with_times)" "$had"
	redis_stop
}

rewritten() {
	[ "$(info aof_rewrite_in_progress)" = 0 ] && [ "$(info aof_rewrite_scheduled)" = 0 ]
}

@test "an append-only directory of 100,000 keys" {
	redis_start "$data" --appendonly yes
	feed "${KEYS:-100000}"
	mounts_equal "${KEYS:-100000}"
}

@test "a dump.rdb of 100,000 keys" {
	redis_start "$data"
	feed "${KEYS:-100000}"
	redis save
	mounts_equal "${KEYS:-100000}"
}

@test "a log that was rewritten while it grew, with both kinds of base" {
	local preamble
	for preamble in yes no; do
		rm -rf "${data:?}"/*
		redis_start "$data" --appendonly yes --aof-use-rdb-preamble "$preamble" --aof-timestamp-enabled yes
		feed 3000
		redis bgrewriteaof
		feed 3000
		wait_until 60 redis_rewritten
		feed 3000
		mounts_equal 3000
	done
}

redis_rewritten() {
	redis info persistence | tr -d '\r' | grep -q '^aof_rewrite_in_progress:0'
}

@test "the single appendonly.aof of older servers" {
	redis_start "$data" --appendonly yes
	feed 2000
	redis config set appendonly no
	cat "$data"/appendonlydir/*.incr.aof >"$work/old"
	rm -r "$data/appendonlydir"
	mv "$work/old" "$data/appendonly.aof"
	mounts_equal 2000
}

@test "a tail that the redis-server left torn is cut, with a copy and a line that says so" {
	redis_start "$data" --appendonly yes
	feed 500
	redis_stop
	truncate -s -3 "$(last_incr)"
	run kvfs_start
	[ "$status" -eq 0 ]
	[ "$(find "$mnt" -type f | wc -l)" -ge 498 ]
	ls "$data"/appendonlydir/*.torn-*
	[ "$(stat -c %s "$(ls "$data"/appendonlydir/*.torn-*)")" -lt 100 ]
	expect_warning torn
}

@test "in turns: we write, redis writes, we write, redis reads" {
	kvfs_start
	mkdir "$mnt/d" && echo ours >"$mnt/d/a" && chmod 600 "$mnt/d/a"
	kvfs_stop
	redis_start "$data" --appendonly yes
	redis append d/a theirs
	redis set d/b new
	redis_stop
	kvfs_start
	same "$(cat "$mnt/d/a")" $'ours\ntheirs'
	same "$(cat "$mnt/d/b")" new
	same "$(stat -c %a "$mnt/d/a")" 600
	echo again >>"$mnt/d/b"
	kvfs_stop
	redis_start "$data" --appendonly yes
	same "$(redis get d/b)" newagain
	redis_stop
}

@test "keys of another type are refused by name, or left out and counted" {
	redis_start "$data"
	redis rpush queue a b
	redis hset user f v
	redis set name value
	redis save
	redis_stop
	run kvfs_start
	[ "$status" -ne 0 ]
	grep -q '2 keys' <<<"$output"
	grep -q '"queue" is of another type (list)' <<<"$output"
	grep -q '"user" is of another type (hash)' <<<"$output"
	not_mounted "$mnt"
	run kvfs_start skip-non-strings=yes
	[ "$status" -eq 0 ]
	same "$(ls "$mnt")" name
	same "$(cat "$mnt/name")" value
}

@test "a key whose path would be too long is refused by name" {
	redis_start "$data" --appendonly yes
	redis mset a/../b 1 /top 2 end/ 3 c 4 c/d 5 good 6
	head -c 66000 /dev/zero | tr '\0' k | redis -x set value
	redis eval 'redis.call("SET", "long" .. redis.call("GET", "value"), 1)' 0
	redis_stop
	run kvfs_start
	[ "$status" -ne 0 ]
	grep -q '1 key can' <<<"$output"
	grep -q '"longkkk.* is too long: its path would have more than 65535 bytes' <<<"$output"
	not_mounted "$mnt"
}

@test "a script in the log, and keys in another database, stop the mount with a sentence" {
	redis_start "$data"
	redis -n 3 set a 1
	redis save
	redis_stop
	run kvfs_start
	[ "$status" -ne 0 ]
	grep -q 'database 3' <<<"$output"
	rm "$data/dump.rdb"
	printf '*3\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n0\r\n' >"$data/appendonly.aof"
	run kvfs_start
	[ "$status" -ne 0 ]
	grep -q 'command at 0: "EVAL"' <<<"$output"
}

@test "a group without its end is dropped whole, and a command cut in it too; what is written then stands where it was" {
	local group tail
	redis_start "$data" --appendonly yes
	redis set before 1
	redis_stop
	cp "$(last_incr)" "$work/whole"
	group=$(printf '*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$2\r\nin\r\n$1\r\n2\r\n*2\r\n$3\r\nDEL\r\n$6\r\nbefore\r\n' | base64 -w 0)
	for tail in '' '*1\r\n$4\r\nEX'; do
		{
			cat "$work/whole"
			base64 -d <<<"$group"
			# shellcheck disable=SC2059  # a format without conversions
			printf "$tail"
		} >"$(last_incr)"
		expect_warning torn
		kvfs_start
		same "$(ls "$mnt")" before
		echo after >"$mnt/after"
		kvfs_kill9
		kvfs_start
		same "$(ls "$mnt")" $'after\nbefore'
		rm "$mnt/after"
		kvfs_stop
		rm "$data/dump.rdb"
		cp "$work/whole" "$(last_incr)"
	done
}
