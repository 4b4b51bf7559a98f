#!/usr/bin/env bats
# A daemon that is asked to stop saves first, while the mount still serves, and goes on when it can't; once it is unmounted it tries as long as
# it is told to, and says what is lost and where it lies.  By signals, SHUTDOWN and umount on a data directory on a small tmpfs that is full.

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

# Until the log can't be written.
fill() {
	local i
	dd if=/dev/zero of="$data/filler" bs=64k status=none 2>/dev/null || true
	for i in $(seq 400); do
		head -c 20000 /dev/urandom >"$mnt/fill-$i" 2>/dev/null || return 0
	done
	return 1
}

start_and_fill() {
	expect_warning 'the log can.t be written'
	kvfs_start appendfsync=always auto-aof-rewrite-percentage=0 'save=' "$@"
	pid=$(kvfs_pid)
	echo before >"$mnt/key"
	fill
}

start_with_a_snapshot_that_fails() {
	expect_warning 'Background saving failed'
	kvfs_start 'save=3600 1' stop-writes-on-bgsave-error=no "$@"
	pid=$(kvfs_pid)
	echo before >"$mnt/key"
	mkdir "$data/dump.rdb"
}

said() {
	grep -q -- "$1" "$log"
}

@test "SIGTERM and a full disk: it goes on, says so, and stops when there is room" {
	expect_warning 'Errors trying to shut down'
	expect_warning 'the log can be written again'
	start_and_fill shutdown-timeout=0
	kill -TERM "$pid"
	wait_until 30 said 'Errors trying to shut down: No space left on device; the daemon goes on'
	[ "$(cat "$mnt/key")" = before ]
	[ "$(ctl ping)" = PONG ]
	rm "$data/filler"
	wait_until 30 eval '[ "$(info persistence_state)" = ok ]'
	before=$(manifest "$mnt")
	kill -TERM "$pid"
	wait_until 30 _gone "$pid"
	not_mounted "$mnt"
	said 'Stopped, everything is on disk'
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
}

@test "SIGTERM and a full disk that gets room in time: one is enough" {
	expect_warning 'trying again for 60 s'
	expect_warning 'the log can be written again'
	start_and_fill shutdown-timeout=60
	kill -TERM "$pid"
	wait_until 30 said 'What is to be saved before the stop can.t be written'
	before=$(manifest "$mnt")
	rm "$data/filler"
	wait_until 60 _gone "$pid"
	said 'Stopped, everything is on disk'
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
}

@test "shutdown and a snapshot that fails: Redis's error, status 1, and it goes on; nosave and force stop it" {
	expect_warning 'Errors trying to shut down'
	start_with_a_snapshot_that_fails
	run ctl shutdown now
	[ "$status" -eq 1 ] && [ "$output" = "ERR Errors trying to SHUTDOWN. Check logs." ]
	echo after >"$mnt/key"
	[ "$(ctl config get shutdown-timeout)" = $'shutdown-timeout\n10' ]
	ctl config set shutdown-timeout 0
	run ctl shutdown
	[ "$status" -eq 1 ]
	run ctl shutdown save nosave
	[ "$status" -eq 1 ] && [ "$output" = "ERR syntax error" ]
	run ctl shutdown nosave
	[ "$status" -eq 0 ] && [ -z "$output" ]
	_gone "$pid"
	expect_warning 'the final snapshot could not be written'
	expect_warning 'Stopped, but not everything'
	rmdir "$data/dump.rdb"
	start_with_a_snapshot_that_fails
	echo forced >"$mnt/key"
	run ctl shutdown now force
	[ "$status" -eq 0 ]
	_gone "$pid"
	said 'the final snapshot could not be written: .*; the log has everything: nothing is lost'
	rmdir "$data/dump.rdb"
	kvfs_start 'save='
	[ "$(cat "$mnt/key")" = forced ]
}

@test "shutdown abort: who asked is told, and it goes on; a second signal ends it without more ado" {
	expect_warning 'trying again for 600 s'
	expect_warning 'Errors trying to shut down: it was aborted'
	start_with_a_snapshot_that_fails shutdown-timeout=600
	run ctl shutdown abort
	[ "$status" -eq 1 ] && [ "$output" = "ERR No shutdown in progress." ]
	ctl shutdown >"$work/asked" 2>&1 3>&- &
	asked=$!
	wait_until 30 said 'trying again for 600 s'
	[ "$(ctl shutdown abort)" = OK ]
	wait "$asked" && status=0 || status=$?
	[ "$status" -eq 1 ]
	[ "$(cat "$work/asked")" = "ERR Errors trying to SHUTDOWN. Check logs." ]
	echo after >"$mnt/key"
	expect_warning 'again, stopping with what is on disk'
	expect_warning 'the final snapshot could not be written'
	expect_warning 'Stopped, but not everything'
	: >"$log"
	kill -TERM "$pid"
	wait_until 30 said 'trying again for 600 s'
	kill -INT "$pid"
	wait_until 30 _gone "$pid"
	rmdir "$data/dump.rdb"
	kvfs_start 'save='
	[ "$(cat "$mnt/key")" = after ]
}

@test "an unmount and a full disk that gets room in time: everything is saved" {
	expect_warning 'not everything could be written: No space left on device; trying again for 60 s'
	expect_warning 'the log can be written again'
	start_and_fill shutdown-timeout=60
	before=$(manifest "$mnt")
	umount "$mnt"
	wait_until 30 said 'trying again for 60 s'
	rm "$data/filler"
	wait_until 60 _gone "$pid"
	said 'Stopped, everything is on disk'
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
}

@test "an unmount and a full disk to the end: what the log lacks is in the shared journal, and the next start has it" {
	expect_warning 'nothing is lost unless the machine is restarted before'
	expect_warning 'not everything could be written'
	expect_warning 'Stopped, but not everything'
	start_and_fill shutdown-timeout=1
	before=$(manifest "$mnt")
	umount "$mnt"
	wait_until 60 _gone "$pid"
	journal=$(sed -n 's/.*bytes that it lacks are in \([^,]*\),.*/\1/p' "$log")
	[ -s "$journal" ]
	rm "$data/filler"
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
}

@test "a stop ends the jobs that run and has its own snapshot" {
	kvfs_start 'save=3600 1' rdb-key-save-delay=100000
	pid=$(kvfs_pid)
	for i in {1..50}; do echo "$i" >"$mnt/k$i"; done
	ctl bgrewriteaof
	wait_until 30 eval '[ "$(info aof_current_rewrite_time_sec)" -ge 0 ]'
	ctl config set rdb-key-save-delay 0
	ctl shutdown
	_gone "$pid"
	[ -z "$(find "$data" -name 'temp-*')" ]
	redis-check-rdb "$data/dump.rdb"
	kvfs_start 'save=3600 1' rdb-key-save-delay=100000 appendonly=no
	pid=$(kvfs_pid)
	[ "$(cat "$mnt/k50")" = 50 ]
	echo more >"$mnt/more"
	ctl bgsave
	wait_until 30 eval '[ "$(info rdb_current_bgsave_time_sec)" -ge 0 ]'
	echo behind >"$mnt/behind"
	ctl config set rdb-key-save-delay 0
	ctl shutdown
	_gone "$pid"
	kvfs_start appendonly=no
	[ "$(cat "$mnt/behind")" = behind ]
}
