#!/usr/bin/env bats
# A disk that is full, a snapshot that fails, a directory that vanishes stop changes with the right error, never reading, and it ends by itself.
# A data directory on a tiny tmpfs that is filled up and freed, a snapshot whose name is taken by a directory, and directories that are moved
# away and removed under the daemon.

load lib/kvfs
setup() {
	kvfs_setup
	mount -t tmpfs -o size=6m tmpfs "$data"
}
teardown() {
	_kvfs_undo
	umount "$work/data"
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

# Changes until it is noticed (within a second of changes) and healed.
change_until_said() {
	local deadline=$((SECONDS + 30))
	until grep -q -- "$1" "$log"; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		echo "$SECONDS" 2>/dev/null >"$mnt/change" || true
		sleep 0.05
	done
}

vanish() {
	expect_warning 'is not there any more'
	expect_warning 'a new base and a new log are on disk'
	kvfs_start 'save=' "appendfsync=$1"
	echo before >"$mnt/key"
	mkdir "$mnt/d"
	shift
	"$@"
	change_until_said 'a new base and a new log are on disk: changes are accepted'
	wait_until 30 takes_changes after
	[ "$(info persistence_state)" = ok ]
	before=$(manifest "$mnt")
	kvfs_kill9
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
}

@test "the log's directory is moved away: a new one with everything within seconds" {
	vanish everysec mv "$data/appendonlydir" "$data/elsewhere"
}

@test "the log's directory is removed" {
	vanish always rm -r "$data/appendonlydir"
}

@test "the log's files are removed one by one" {
	vanish everysec find "$data/appendonlydir" -type f -delete
}

@test "the data directory is moved away: EROFS, reading goes on, and it heals when it is back" {
	expect_warning 'the data directory .* is not there any more'
	expect_warning 'the log is back in its place: changes are accepted'
	expect_warning 'Background saving failed'
	data=$work/home
	mkdir "$data"
	kvfs_start 'save='
	echo before >"$mnt/key"
	mv "$data" "$work/elsewhere"
	change_until_said 'is not there any more'
	run errno_of sh -c "echo refused >'$mnt/refused'"
	[ "$output" = EROFS ]
	"$KVTOOL" try fsync "$mnt/key" | grep -qx EROFS
	[ "$(cat "$mnt/key")" = before ]
	[ "$("$KVFS_BIN/kvfs-ctl" -s "$work/elsewhere/kvfs.sock" info persistence | tr -d '\r' | sed -n 's/^persistence_state://p')" = "log vanished" ]
	run "$KVFS_BIN/kvfs-ctl" -s "$work/elsewhere/kvfs.sock" save
	[ "$output" = "ERR Save failed: No such file or directory" ]
	mv "$work/elsewhere" "$data"
	wait_until 30 takes_changes after
	[ "$(info persistence_state)" = ok ]
	before=$(manifest "$mnt")
	kvfs_kill9
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
}

@test "the data directory is removed: EROFS, reading goes on, and the stop says what is lost" {
	expect_warning 'the data directory .* is not there any more'
	expect_warning 'the log in .* vanished and could not be written anew: what it got since is lost'
	expect_warning 'Stopped, but not everything'
	data=$work/home
	mkdir "$data"
	kvfs_start 'save=' shutdown-timeout=0
	pid=$(kvfs_pid)
	echo before >"$mnt/key"
	rm -r "$data"
	change_until_said 'is not there any more'
	run errno_of sh -c "echo refused >'$mnt/refused'"
	[ "$output" = EROFS ]
	[ "$(cat "$mnt/key")" = before ]
	# Who made it again by hand has made another: it is not the one that is locked.
	mkdir "$data"
	run errno_of sh -c "echo refused >'$mnt/refused'"
	[ "$output" = EROFS ]
	umount "$mnt"
	wait_until 30 _gone "$pid"
	grep -q 'what it got since is lost' "$log"
}

@test "the shared journal is removed: replies wait for the log file, and kill -9 costs nothing" {
	local journal
	expect_warning 'the shared journal .* is not there any more: replies wait for the log file instead'
	kvfs_start 'save=' appendfsync=no
	echo before >"$mnt/key"
	journal=$(tail -n 1 "$work/journals")
	[ -s "$journal" ]
	rm "$journal"
	change_until_said 'the shared journal .* is not there any more'
	[ "$(info persistence_state)" = ok ]
	echo last >"$mnt/key"
	mkdir "$mnt/d"
	before=$(manifest "$mnt")
	kvfs_kill9
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
	[ "$(cat "$mnt/key")" = last ]
}
