#!/usr/bin/env bats
# The log is switched on and off while the mount is used, and nothing is lost by it: on means that everything is in the log, off leaves a
# log that is whole, a death in between leaves the files of before, and a snapshot newer than the log is the one that is loaded.
# By CONFIG SET on the real daemon, SIGKILL, and a stock redis-server that reads what it left.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

some_keys() {
	local i
	for i in $(seq "${1:-200}"); do
		echo "value $i" >"$mnt/k$i"
	done
}

is_on() {
	[ "$(info aof_enabled)" = 1 ]
}

is_off() {
	[ "$(info aof_enabled)" = 0 ] && [ "$(info aof_rewrite_in_progress)" = 0 ]
}

@test "on: INFO says so when the base is on disk, and then kill -9 costs nothing" {
	kvfs_start appendonly=no 'save=' rdb-key-save-delay=2000
	some_keys
	[ ! -e "$data/appendonlydir" ]
	[ "$(ctl config get appendonly)" = $'appendonly\nno' ]
	ctl config set appendonly yes
	[ "$(ctl config get appendonly)" = $'appendonly\nyes' ]
	# Changes go on while the base is written.
	echo during >"$mnt/during"
	wait_until 60 is_on
	[ "$(info persistence_state)" = ok ]
	grep -q 'type b' "$data/appendonlydir/appendonly.aof.manifest"
	echo after >"$mnt/after"
	before=$(manifest "$mnt")
	kvfs_kill9
	kvfs_start
	same "$before" "$(manifest "$mnt")"
	kvfs_stop
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
	redis_start "$data" --appendonly yes
	[ "$(redis dbsize)" = 202 ]
	[ "$(redis get after)" = after ]
	redis_stop
}

@test "on, and killed before the base is there: the files are those of before" {
	kvfs_start 'save='
	echo old >"$mnt/old"
	before=$(manifest "$mnt")
	kvfs_stop
	files=$(manifest "$data/appendonlydir")
	kvfs_start appendonly=no 'save=' rdb-key-save-delay=100000
	[ ! -e "$mnt/old" ]
	some_keys 100
	ctl config set appendonly yes
	wait_until 30 eval '[ "$(info aof_current_rewrite_time_sec)" -ge 0 ]'
	[ "$(info persistence_state)" = "log starting" ]
	[ "$(info aof_enabled)" = 0 ] && [ "$(info aof_rewrite_in_progress)" = 1 ]
	"$KVTOOL" try fsync "$mnt/k1" | grep -qx ok
	kvfs_kill9
	# Those of the new log that were on their way to it, which never came to be.
	expect_warning "a journal of [0-9]+ bytes from another keyspace was found for this directory: ignored"
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
	kvfs_stop
	# But for the number in the name of the last file nothing was touched.
	same "$(grep base <<<"$files")" "$(manifest "$data/appendonlydir" | grep base)"
}

@test "off: the log is whole, a rewrite that runs is ended, and a redis-server reads it" {
	kvfs_start 'save=' rdb-key-save-delay=100000 appendfsync=no
	some_keys 50
	ctl bgrewriteaof
	wait_until 30 eval '[ "$(info aof_current_rewrite_time_sec)" -ge 0 ]'
	echo last >"$mnt/last"
	ctl config set appendonly no
	wait_until 30 is_off
	[ "$(info aof_last_bgrewrite_status)" = ok ]
	[ -z "$(ls "$data/appendonlydir" | grep temp)" ]
	run ctl bgrewriteaof
	[ "$status" -eq 1 ]
	echo lost >"$mnt/lost"
	kvfs_kill9
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
	redis_start "$data" --appendonly yes
	[ "$(redis get last)" = last ]
	[ "$(redis dbsize)" = 51 ]
	redis_stop
}

@test "off, then a snapshot, then kill -9: a start with appendonly yes has what the snapshot has" {
	kvfs_start 'save='
	echo one >"$mnt/one"
	ctl config set appendonly no
	wait_until 30 is_off
	echo two >"$mnt/two"
	rm "$mnt/one"
	ctl save
	before=$(manifest "$mnt")
	echo lost >"$mnt/lost"
	kvfs_kill9
	run kvfs_start 'save='
	[ "$status" -eq 0 ]
	[[ "$output" == *"dump.rdb was loaded, and the log begins anew: it is newer than the log"* ]]
	same "$before" "$(manifest "$mnt")"
	echo three >"$mnt/three"
	before=$(manifest "$mnt")
	kvfs_kill9
	# From here on the log is what counts again.
	rm "$data/dump.rdb"
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
}

@test "off and on again: a full base first" {
	kvfs_start 'save='
	echo one >"$mnt/one"
	ctl config set appendonly no
	wait_until 30 is_off
	echo two >"$mnt/two"
	ctl config set appendonly yes
	wait_until 30 is_on
	[ "$(ls "$data"/appendonlydir/*.base.rdb | wc -l)" = 1 ]
	[ "$(ls "$data"/appendonlydir/*.incr.aof | wc -l)" = 1 ]
	before=$(manifest "$mnt")
	kvfs_kill9
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
}

@test "on fails: changes are taken, INFO and the log say so, and BGREWRITEAOF tries again" {
	expect_warning 'log can.t be opened'
	expect_warning 'rewriting failed'
	kvfs_start appendonly=no 'save='
	echo one >"$mnt/one"
	echo "in the way" >"$data/appendonlydir"
	ctl config set appendonly yes
	wait_until 30 eval '[ "$(info persistence_state)" = "log start failed" ]'
	[ "$(info aof_enabled)" = 0 ]
	[ "$(ctl config get appendonly)" = $'appendonly\nyes' ]
	[ "$(info aof_last_bgrewrite_status)" = err ]
	echo two >"$mnt/two"
	rm "$data/appendonlydir"
	ctl bgrewriteaof || true
	wait_until 30 is_on
	before=$(manifest "$mnt")
	kvfs_kill9
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
}
