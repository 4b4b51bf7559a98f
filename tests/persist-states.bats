#!/usr/bin/env bats
# A disk that is full or a snapshot that fails stops changes with the right error, never reading, and ends by itself.
# A data directory on a tiny tmpfs that is filled up and freed, and a snapshot whose name is taken by a directory.

load lib/kvfs
setup() {
	kvfs_setup
	mount -t tmpfs -o size=6m tmpfs "$data"
}
teardown() {
	_kvfs_undo
	umount "$data"
	kvfs_teardown
}

errno_of() {
	strace -qq -e trace=openat,write -e status=failed "$@" 2>&1 >/dev/null | grep -oE 'E[A-Z]+' | grep -E 'ENOSPC|EROFS|EIO' | head -n 1
}

# Fills the disk, then changes until one is refused.
fill() {
	local i
	dd if=/dev/zero of="$data/filler" bs=64k status=none 2>/dev/null || true
	for i in $(seq 400); do
		head -c 20000 /dev/urandom >"$mnt/fill-$i" 2>/dev/null || return 0
	done
	return 1
}

takes_changes() {
	echo "$1" 2>/dev/null >"$mnt/change"
}

@test "a full disk: ENOSPC, reading goes on, and space is all it needs" {
	expect_warning 'the log can.t be written'
	expect_warning 'the log can be written again'
	kvfs_start appendfsync=always auto-aof-rewrite-percentage=0 'save='
	echo before >"$mnt/key"
	fill
	[ "$(info persistence_state)" = "log write failed" ]
	[ "$(info aof_last_write_status)" = err ]
	run errno_of sh -c "echo refused >'$mnt/refused'"
	[ "$output" = ENOSPC ]
	[ "$(cat "$mnt/key")" = before ]
	[ ! -e "$mnt/refused" ]
	rm "$data/filler"
	wait_until 10 takes_changes after
	[ "$(info persistence_state)" = ok ]
	[ "$(info aof_last_write_status)" = ok ]
	before=$(manifest "$mnt")
	kvfs_remount appendfsync=always auto-aof-rewrite-percentage=0 'save='
	[ "$(manifest "$mnt")" = "$before" ]
	[ "$(cat "$mnt/change")" = after ]
}

@test "a full disk, then kill -9: what was acknowledged is there" {
	expect_warning 'the log can.t be written'
	expect_warning 'the log can be written again'
	kvfs_start appendfsync=everysec auto-aof-rewrite-percentage=0 'save='
	echo before >"$mnt/key"
	fill
	last=$(ls -v "$mnt"/fill-* | tail -n 1)
	before=$(sha256sum "$mnt"/fill-* | grep -v "$last")
	kvfs_kill9
	rm "$data/filler"
	kvfs_start appendfsync=everysec auto-aof-rewrite-percentage=0 'save='
	[ "$(cat "$mnt/key")" = before ]
	[ "$(sha256sum "$mnt"/fill-* | grep -v "$last")" = "$before" ]
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
}

@test "a snapshot fails: EROFS until one succeeds" {
	expect_warning 'Background saving failed'
	kvfs_start 'save=3600 1000'
	echo before >"$mnt/key"
	mkdir "$data/dump.rdb"
	run ctl save
	[ "$status" -ne 0 ]
	[ "$(info rdb_last_bgsave_status)" = err ]
	run errno_of sh -c "echo refused >'$mnt/key'"
	[ "$output" = EROFS ]
	[ "$(cat "$mnt/key")" = before ]
	rmdir "$data/dump.rdb"
	[ "$(ctl save)" = OK ]
	echo after >"$mnt/key"
	[ "$(cat "$mnt/key")" = after ]
	redis-check-rdb "$data/dump.rdb"
}
