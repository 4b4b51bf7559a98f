#!/usr/bin/env bats
# The death of the daemon loses no acknowledged write, whatever it was doing.
# By SIGKILL under load, again and again, with a ledger outside the mount that says what must be there (tests/lib/ledger.c).
#
# ROUNDS=100 makes it thorough; SEED=N repeats a run.

load lib/kvfs
load lib/crash
setup() {
	kvfs_setup
	crash_setup 3
}
teardown() {
	crash_teardown
	kvfs_teardown
}

# $1: number of the round; the rest: options.
round() {
	local n=$1
	shift
	crash_load "$n" && kvfs_kill9 && crash_ended || return 1
	expect_warning "$mnt"
	kvfs_start "$@" && crash_check
}

rounds_with() {
	local n
	kvfs_start "$@"
	crash_begin
	for n in $(seq "$rounds"); do
		round "$n" "$@" || { echo "# round $n failed; SEED=$seed repeats it"; return 1; }
	done
	kvfs_remount "$@"
	crash_check
}

@test "appendfsync everysec, with the journal in shared memory" {
	rounds_with appendfsync=everysec "save=" rdb-key-save-delay=100
}

@test "appendfsync everysec, without a shared journal" {
	rounds_with appendfsync=everysec "save=" journal-dir= rdb-key-save-delay=100
}

@test "appendfsync always" {
	rounds_with appendfsync=always "save=" rdb-key-save-delay=100
}

@test "appendfsync no, while the log is rewritten again and again by itself" {
	rounds_with appendfsync=no "save=" auto-aof-rewrite-percentage=1 auto-aof-rewrite-min-size=1mb
}

@test "the shared journal brings back what the log had not got yet" {
	[ -d /dev/shm ] || skip "no tmpfs"
	kvfs_start "save="
	local i
	for i in $(seq 50); do
		echo "$i" >"$mnt/k$i"
	done
	kvfs_kill9
	kvfs_start "save="
	[ "$(cat "$mnt"/k* | sort -n | md5sum)" = "$(seq 50 | md5sum)" ]
	# It is used once: what is removed after the start does not come back.
	rm "$mnt"/k*
	kvfs_kill9
	kvfs_start "save="
	[ -z "$(ls -A "$mnt")" ]
}

@test "a stale journal of other data is not applied" {
	kvfs_start "save="
	echo old >"$mnt/old"
	kvfs_kill9
	rm -r "$data"
	mkdir "$data"
	kvfs_start "save="
	[ ! -e "$mnt/old" ]
}
