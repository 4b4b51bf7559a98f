#!/usr/bin/env bats
# An expiry that came with a file of Redis is kept, applied and written back: the key goes when its time is over, for every look at it.
# Keys with times come from a redis-server; the kernel's caches are filled before the time is over; a redis-server reads what we wrote.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

# dump.rdb in the data directory, from a redis-server that was told COMMANDS (one a line).
from_redis() {
	mkdir -p "$data"
	redis_start "$data"
	redis >/dev/null
	redis save >/dev/null
	redis_stop
}

gone() { [ ! -e "$1" ]; }

@test "a key goes at its time, from the kernel's caches too" {
	local now=$((${EPOCHREALTIME/./} / 1000))
	from_redis <<-END
		set d/soon value pxat $((now + 2500))
		set d/later value pxat $((now + 3600000))
		set stays value
	END
	kvfs_start "save="
	[ "$(cat "$mnt/d/soon")" = value ]
	ls -l "$mnt/d" >/dev/null
	stat "$mnt/d/soon" >/dev/null
	exec 7<"$mnt/d/soon"
	wait_until 10 gone "$mnt/d/soon"
	# Not before its time, and no later than the machine could tell.
	local late=$((${EPOCHREALTIME/./} / 1000 - now - 2500))
	[ "$late" -ge 0 ]
	[ "$(ls "$mnt/d")" = later ]
	run cat "$mnt/d/soon"
	[ "$status" -ne 0 ]
	[ "$(find "$mnt" -name soon)" = "" ]
	# Whoever has it open keeps it, as after rm.
	[ "$(cat <&7)" = value ]
	exec 7<&-
	[ "$(info expired_keys)" = 1 ]
	# The name is free for a new key, without a time.
	echo new >"$mnt/d/soon"
	[ "$(cat "$mnt/d/soon")" = new ]
	sync "$mnt/d/soon"
	grep -qa -A3 '^DEL' "$data"/appendonlydir/*.incr.aof
	[ "$(cat "$mnt/stays")" = value ]
}

@test "a time that is not over is written back to the log, its base and the snapshot" {
	local at=$((${EPOCHREALTIME/./} / 1000 + 3600000))
	from_redis <<-END
		set a value pxat $at
		set b value pxat $at
		set c value pxat $at
		set e value pxat $at
	END
	kvfs_start
	echo overwritten >"$mnt/b"
	echo more >>"$mnt/c"
	mv "$mnt/e" "$mnt/moved"
	ctl bgrewriteaof --wait
	ctl bgsave --wait
	kvfs_remount
	[[ $(ctl info keyspace) == *"keys=4,expires=3"* ]]
	kvfs_stop
	cp "$data/dump.rdb" "$work/dump.rdb"
	local source
	for source in yes no; do
		redis_start "$data" --appendonly "$source"
		[ "$(redis pexpiretime a)" = "$at" ]
		[ "$(redis pexpiretime b)" = -1 ]
		[ "$(redis pexpiretime c)" = "$at" ]
		[ "$(redis pexpiretime moved)" = "$at" ]
		redis_stop
		cp "$work/dump.rdb" "$data/dump.rdb"
	done
}

@test "a thousand keys at once go, while others are read and written" {
	local now=$((${EPOCHREALTIME/./} / 1000)) i
	for i in $(seq 1000); do
		echo "set many/$i value pxat $((now + 2500))"
	done | from_redis
	kvfs_start "save="
	[ "$(ls "$mnt/many" | wc -l)" = 1000 ]
	wait_until 10 gone "$mnt/many/1000"
	echo other >"$mnt/other"
	none_left() { [ "$(info expired_keys)" = 1000 ]; }
	wait_until 10 none_left
	kvfs_remount "save="
	[ "$(ls "$mnt/many" | wc -l)" = 0 ]
	[ "$(cat "$mnt/other")" = other ]
}

@test "a time that was over before the mount: the key is not there" {
	local now=$((${EPOCHREALTIME/./} / 1000))
	from_redis <<-END
		set old value pxat $((now + 300))
		set young value
	END
	passed() { [ $((${EPOCHREALTIME/./} / 1000)) -gt $((now + 400)) ]; }
	wait_until 5 passed
	kvfs_start
	[ "$(ls "$mnt")" = young ]
}
