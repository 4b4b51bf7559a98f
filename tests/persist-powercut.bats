#!/usr/bin/env bats
# When the power goes, what was promised is on disk: in `always` each change that was acknowledged, else each one before the last fsync(2).
# A real daemon under load, its data directory on an XFS in a loop image that is shut down under it (XFS_IOC_GOINGDOWN, which loses what was
# not synced, names too), then SIGKILL, unmount, mount, start; the shared journal goes as a tmpfs does.  The ledger says what must be there.
#
# ROUNDS=100 makes it thorough; SEED=N repeats a run.  Needs root, a loop device and xfsprogs; without them it is skipped.

load lib/kvfs
load lib/crash
setup() {
	kvfs_setup
	crash_setup 3
	disk_new || skip "no XFS on a loop device here"
}
teardown() {
	crash_teardown
	_kvfs_undo
	! is_mounted "$data" || wait_until 10 umount -q "$data"
	kvfs_teardown
}

disk_new() {
	command -v mkfs.xfs xfs_io >/dev/null || return 1
	truncate -s 320m "$work/disk" && mkfs.xfs -q "$work/disk" && disk_mount
}

disk_mount() {
	mount -o loop "$work/disk" "$data" 2>/dev/null
}

# $1: "-f" writes XFS's own log first (names are there, bytes that were not synced are not), "" loses both.
cut_power() {
	local pid i
	pid=$(kvfs_pid)
	# A call that comes back while XFS goes down may come back wrongly: what is on record by now is what was promised.
	for i in $(seq 0 $((writers - 1))); do
		[ ! -e "$work/ledger.$i" ] || stat -c %s "$work/ledger.$i" >"$work/ledger.$i.cut"
	done
	# shellcheck disable=SC2086  # nothing, or one word
	xfs_io -x -c "shutdown $1" "$data"
	kill -KILL "$pid"
	wait_until 30 _gone "$pid"
	umount -l "$mnt"
	sort -u "$work/journals" | xargs -r rm -f
	wait_until 10 umount -q "$data" && disk_mount
}

# $1: number of the round, $2: "synced" or "", the rest: options.
round() {
	local n=$1 promise=$2 flush=
	shift 2
	[ $((n % 2)) -eq 0 ] || flush=-f
	crash_load "$n" failing && cut_power "$flush" && crash_ended || return 1
	expect_warning '.'
	kvfs_start "$@" && crash_check "$promise"
}

rounds_with() {
	local n promise=$1
	shift
	kvfs_start "$@"
	crash_begin
	for n in $(seq "$rounds"); do
		round "$n" "$promise" "$@" || { echo "# round $n failed; SEED=$seed repeats it"; return 1; }
	done
	kvfs_stop
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
}

@test "appendfsync always: nothing acknowledged is missing" {
	rounds_with "" appendfsync=always "save=" rdb-key-save-delay=100
}

@test "appendfsync everysec: nothing before an fsync(2) is missing, and what follows is there in order up to some moment" {
	rounds_with synced appendfsync=everysec "save=" rdb-key-save-delay=100
}

@test "appendfsync no, without a shared journal: likewise" {
	rounds_with synced appendfsync=no "save=" journal-dir= rdb-key-save-delay=100
}

@test "what was not synced is lost here: so the cases above can fail" {
	local n
	kvfs_start appendfsync=no "save=" auto-aof-rewrite-percentage=0
	echo synced >"$mnt/synced"
	sync "$mnt/synced"
	for n in $(seq 500); do
		echo "$n" >"$mnt/k$n"
	done
	cut_power ""
	expect_warning '.'
	kvfs_start appendfsync=no "save="
	[ "$(cat "$mnt/synced")" = synced ]
	[ ! -e "$mnt/k500" ]
}
