#!/usr/bin/env bats
# A mount comes up or says why not, and goes down cleanly by every way there is.
# By starting, stopping and killing the real daemon.

load lib/kvfs
setup() { kvfs_setup; }
teardown() {
	kvfs_teardown
}

# stopped_clean PID: the daemon goes by itself, and what was written is there again.
stopped_clean() {
	wait_until 30 _gone "$1" && not_mounted "$mnt"
	kvfs_start
	[ "$(cat "$mnt/k")" = value ]
}

@test "the mount shows as fuse.kvfs, with the data directory as its source" {
	kvfs_start
	[ "$(findmnt -n -o FSTYPE,SOURCE --mountpoint "$mnt" | tr -s ' ')" = "fuse.kvfs $data" ]
	[ -S "$data/kvfs.sock" ]
	[ "$(stat -c %a "$data/kvfs.sock")" = 600 ]
}

@test "kvfs returns when the mount works, with nothing of its terminal kept" {
	kvfs_start
	pid=$(kvfs_pid)
	for fd in 0 1 2; do
		[ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ]
	done
	[ "$(readlink "/proc/$pid/cwd")" = / ]
}

@test "kvfs-ctl umount returns when the daemon has gone" {
	kvfs_start
	echo value >"$mnt/k"
	pid=$(kvfs_pid)
	ctl umount
	_gone "$pid"
	stopped_clean "$pid"
}

@test "umount stops it" {
	kvfs_start
	echo value >"$mnt/k"
	pid=$(kvfs_pid)
	umount "$mnt"
	stopped_clean "$pid"
}

@test "fusermount3 -u stops it" {
	kvfs_start
	echo value >"$mnt/k"
	pid=$(kvfs_pid)
	fusermount3 -u "$mnt"
	stopped_clean "$pid"
}

@test "SIGTERM stops it" {
	kvfs_start
	echo value >"$mnt/k"
	pid=$(kvfs_pid)
	kill -TERM "$pid"
	stopped_clean "$pid"
}

@test "SIGINT stops it" {
	kvfs_start
	echo value >"$mnt/k"
	pid=$(kvfs_pid)
	kill -INT "$pid"
	stopped_clean "$pid"
}

@test "kvfs-ctl shutdown stops it" {
	kvfs_start
	echo value >"$mnt/k"
	pid=$(kvfs_pid)
	ctl shutdown
	stopped_clean "$pid"
}

@test "umount and at once mount again is always safe" {
	kvfs_start
	local i
	for i in $(seq 5); do
		echo "$i" >"$mnt/k$i"
		umount "$mnt"
		kvfs_start
		[ "$(cat "$mnt"/k* | wc -l)" = "$i" ]
	done
}

@test "a clean stop writes a snapshot when save rules are set and something changed" {
	kvfs_start "save=3600 1"
	echo value >"$mnt/k"
	kvfs_stop
	[ -s "$data/dump.rdb" ]
	redis-check-rdb "$data/dump.rdb"
	rm "$data/dump.rdb"
	kvfs_start "save="
	echo other >"$mnt/k"
	kvfs_stop
	[ ! -e "$data/dump.rdb" ]
}

@test "no temporary file is left by a clean stop" {
	kvfs_start
	echo value >"$mnt/k"
	ctl bgsave --wait
	ctl bgrewriteaof --wait
	kvfs_stop
	[ -z "$(find "$data" -name 'temp*')" ]
}

@test "a busy mount is not stopped by kvfs-ctl umount" {
	kvfs_start
	echo value >"$mnt/k"
	exec 5<"$mnt/k"
	run ctl umount
	[ "$status" -eq 1 ]
	exec 5<&-
	[ "$(cat "$mnt/k")" = value ]
	kvfs_stop
}

@test "a dead mount on the mount point is cleared" {
	kvfs_start
	echo value >"$mnt/k"
	pid=$(kvfs_pid)
	kill -KILL "$pid"
	wait_until 10 _gone "$pid"
	run stat "$mnt/k"
	[ "$status" -ne 0 ]
	expect_warning "$mnt"
	kvfs_start
	[ "$(cat "$mnt/k")" = value ]
	[ "$(grep -c " $mnt " /proc/self/mountinfo)" = 1 ]
}

@test "mistakes end before the mount, with a sentence" {
	run kvfs_run "$data" "$work/missing"
	[ "$status" -eq 1 ]
	[[ $output == kvfs:*missing* ]]
	: >"$work/file"
	run kvfs_run "$data" "$work/file"
	[ "$status" -eq 1 ]
	[[ $output == kvfs:*file* ]]
	run kvfs_run -o nonsense=1 "$data" "$mnt"
	[ "$status" -ne 0 ]
	[[ $output == *nonsense* ]]
	run kvfs_run "$work/no-such-data" "$mnt"
	[ "$status" -eq 1 ]
	run kvfs_run
	[ "$status" -eq 2 ]
	not_mounted "$mnt"
}

@test "one data directory has one daemon" {
	kvfs_start
	mkdir "$work/second"
	# Mounted, and not on its way out: it is not waited for.
	run kvfs_run "$data" "$work/second"
	[ "$status" -eq 1 ]
	[[ $output == *"it is mounted on $mnt already"* ]]
	not_mounted "$work/second"
	echo value >"$mnt/k"
	[ "$(cat "$mnt/k")" = value ]
	run kvfs_run -o start-timeout=0 "$data" "$mnt"
	[ "$status" -eq 1 ]
}

@test "an ini file as source: its dir is the data directory" {
	printf '[keyspace]\ndir = %s\n[log]\nlogfile = %s\n' "$data" "$log" >"$work/kvfs.ini"
	kvfs_run "$work/kvfs.ini" "$mnt"
	echo value >"$mnt/k"
	[ "$(findmnt -n -o SOURCE --mountpoint "$mnt")" = "$data" ]
	kvfs_stop
	[ -s "$data/appendonlydir/appendonly.aof.manifest" ]
}

@test "a start that is refused for damage names the command that tells more, as it is to be typed" {
	kvfs_start save=
	echo value >"$mnt/k"
	echo value >"$mnt/l"
	kvfs_stop
	printf 'XX' | dd of="$(last_incr)" bs=1 seek=40 conv=notrunc status=none
	run kvfs_start
	[ "$status" -eq 1 ]
	[[ $output == *"(kvfs-ctl check $data tells more)"* ]]
	run kvfs_run -o "dir=$work/a/b" "$mnt"
	[ "$output" = "kvfs: data directory $work/a/b: No such file or directory (mkdir -p it first)" ]
}
