#!/usr/bin/env bats
# kvfs-ctl, redis-cli and the daemon agree with each other and with Redis on words, errors and exit status; what says that it waits waits.
# By the real programs on a real mount, with redis-cli and redis-server as the measure; tests/unit/control.c has the clients that misbehave.

load lib/kvfs
setup() { kvfs_setup; }
teardown() {
	kvfs_teardown
}

# both WORD...: kvfs-ctl says what redis-cli says (which puts an empty line behind an error).
both() {
	local ours theirs
	ours=$(ctl "$@" 2>&1) || true
	theirs=$(redis-cli -s "$data/kvfs.sock" "$@" 2>&1)
	same "$ours" "$theirs"
}

alive_bgsave() {
	[ "$(info rdb_bgsave_in_progress)" = 1 ]
}

@test "redis-cli and kvfs-ctl print the same" {
	kvfs_start
	echo v >"$mnt/k"
	mkdir "$mnt/d"
	both ping
	both ping "a b"
	both echo $'two\nlines'
	both dbsize
	both config get 'a*'
	both config get nosuch
	both lastsave
	both info keyspace
	both select 1
	both nosuch a b
	both config set appendfilename x
	[ "$(ctl dbsize)" = 1 ]
}

@test "words and errors are those of a redis-server" {
	local words
	kvfs_start
	mkdir "$work/redis"
	redis_start "$work/redis"
	while read -r -a words; do
		theirs=$(redis "${words[@]}" 2>&1)
		ours=$(redis-cli -s "$data/kvfs.sock" "${words[@]}" 2>&1)
		same "${words[*]}: $ours" "${words[*]}: $theirs"
	done <<-COMMANDS
		ping
		ping x y
		echo
		echo x
		nosuch
		nosuch a b c
		select 0
		select 99
		select x
		select
		lastsave x
		bgsave x
		bgsave schedule x
		shutdown x
		config
		config get
		config nosuch
		config get nosuch
		config get appendfsync
		config set appendfsync
		config set appendfsync x
		config set save 3x
		config set save 0
		config set nosuch x
		config set appendfilename x
		config set appendfsync always appendfsync no
		config set appendfsync always appendfilename x
		config get appendfsync
		client nosuch
		info nosuch
	COMMANDS
	same "$(redis config get save)" "save"
	redis_stop
}

@test "a redis-cli with its hints, or with commands from a pipe, gets on with it" {
	kvfs_start
	same "$(printf 'ping\ncommand docs\ndbsize\nquit\n' | redis-cli -s "$data/kvfs.sock")" $'PONG\n\n0'
	printf 'PING\r\nECHO x\r\n' | redis-cli -s "$data/kvfs.sock" --pipe | grep -q 'replies: 2'
}

@test "exit status: 0 done, 1 no, 2 usage, 3 no server" {
	run "$KVFS_BIN/kvfs-ctl" -m "$mnt" ping
	[ "$status" -eq 3 ] && [ "$output" = "kvfs-ctl: $mnt: no kvfs is mounted there" ]
	run "$KVFS_BIN/kvfs-ctl" -s "$work/none.sock" ping
	[ "$status" -eq 3 ]
	kvfs_start
	run ctl ping
	[ "$status" -eq 0 ] && [ "$output" = PONG ]
	run ctl nosuch
	[ "$status" -eq 1 ]
	[ -z "$(ctl nosuch 2>/dev/null)" ]
	run "$KVFS_BIN/kvfs-ctl"
	[ "$status" -eq 2 ]
	run "$KVFS_BIN/kvfs-ctl" -x ping
	[ "$status" -eq 2 ]
	run "$KVFS_BIN/kvfs-ctl" -m "$mnt" -s "$data/kvfs.sock" ping
	[ "$status" -eq 2 ]
	run ctl ping --wait
	[ "$status" -eq 2 ]
	run "$KVFS_BIN/kvfs-ctl" -s "$data/kvfs.sock" ping
	[ "$status" -eq 0 ] && [ "$output" = PONG ]
	run bash -c "'$KVFS_BIN/kvfs-ctl' -m '$mnt' info >/dev/full"
	[ "$status" -eq 1 ]
}

@test "kvfs-ctl finds the only mount by itself, and asks which of two" {
	awk '/ - fuse.kvfs / { print $5 }' /proc/self/mountinfo | xargs -r -n 1 umount -l
	run "$KVFS_BIN/kvfs-ctl" ping
	[ "$status" -eq 3 ] && [ "$output" = "kvfs-ctl: no kvfs is mounted" ]
	odd="$work/a b\\c"
	mkdir "$odd" "$odd/data" "$odd/mnt"
	"$KVFS_BIN/kvfs" -o "logfile=$log" "$odd/data" "$odd/mnt" 3>&- 4>&-
	[ "$("$KVFS_BIN/kvfs-ctl" ping)" = PONG ]
	(cd "$odd" && [ "$("$KVFS_BIN/kvfs-ctl" -m mnt ping)" = PONG ])
	kvfs_start
	run "$KVFS_BIN/kvfs-ctl" ping
	[ "$status" -eq 2 ] && [[ "$output" = *"pick one:"*"-m $mnt"* ]]
	[ "$(ctl ping)" = PONG ]
	"$KVFS_BIN/kvfs-ctl" -m "$odd/mnt" umount
	[ "$("$KVFS_BIN/kvfs-ctl" ping)" = PONG ]
}

@test "bgsave starts, refuses a second, and --wait returns when the file is there" {
	kvfs_start rdb-key-save-delay=20000 save=
	for i in {1..50}; do echo "$i" >"$mnt/k$i"; done
	[ "$(ctl bgsave)" = "Background saving started" ]
	run ctl bgsave
	[ "$status" -eq 1 ] && [ "$output" = "ERR Background save already in progress" ]
	run ctl save
	[ "$status" -eq 1 ] && [ "$output" = "ERR Background save already in progress" ]
	[ "$(ctl ping)" = PONG ]
	wait_until 30 _bgsave_over
	rm "$data/dump.rdb"
	[ "$(ctl bgsave --wait)" = "Background saving started" ]
	[ -s "$data/dump.rdb" ]
	[ "$(info rdb_bgsave_in_progress)" = 0 ]
	redis-check-rdb "$data/dump.rdb" | grep -q 'RDB looks OK'
}

_bgsave_over() {
	[ "$(info rdb_bgsave_in_progress)" = 0 ]
}

@test "save returns when the file is there, and the mount and others go on meanwhile" {
	kvfs_start rdb-key-save-delay=20000 save=
	for i in {1..50}; do echo "$i" >"$mnt/k$i"; done
	ctl save >"$work/reply" 2>&1 3>&- &
	saving=$!
	wait_until 10 alive_bgsave
	[ "$(ctl ping)" = PONG ]
	echo new >"$mnt/k1"
	[ ! -e "$data/dump.rdb" ]
	wait "$saving"
	[ "$(cat "$work/reply")" = OK ]
	[ -s "$data/dump.rdb" ]
}

@test "a save that fails says so: exit status 1" {
	expect_warning 'dump.rdb|[Ss]av|snapshot'
	kvfs_start save= stop-writes-on-bgsave-error=no
	mkdir "$data/dump.rdb"
	echo v >"$mnt/k"
	run ctl bgsave --wait
	[ "$status" -eq 1 ] && [[ "$output" = *"the snapshot could not be written"* ]]
	run ctl save
	[ "$status" -eq 1 ] && [[ "$output" = "ERR Save failed: "* ]]
	[ "$(info rdb_last_bgsave_status)" = err ]
	rmdir "$data/dump.rdb"
	[ "$(ctl save)" = OK ]
	[ "$(info rdb_last_bgsave_status)" = ok ]
}

@test "bgrewriteaof --wait returns when the new log is in place" {
	kvfs_start save=
	for i in {1..100}; do echo "$i" >"$mnt/k"; done
	before=$(cat "$data/appendonlydir/appendonly.aof.manifest")
	[ "$(ctl bgrewriteaof --wait)" = "Background append only file rewriting started" ]
	[ "$(cat "$data/appendonlydir/appendonly.aof.manifest")" != "$before" ]
	[ "$(info aof_rewrite_in_progress)" = 0 ]
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest" | grep -qi 'all AOF files and manifest are valid'
	kvfs_remount
	[ "$(cat "$mnt/k")" = 100 ]
}

@test "bgsave during a rewrite is refused as in Redis, or scheduled" {
	kvfs_start rdb-key-save-delay=20000 save=
	for i in {1..100}; do echo "$i" >"$mnt/k$i"; done
	[ "$(ctl bgrewriteaof)" = "Background append only file rewriting started" ]
	run ctl bgrewriteaof
	[ "$status" -eq 1 ] && [ "$output" = "ERR Background append only file rewriting already in progress" ]
	run ctl bgsave
	[ "$status" -eq 1 ]
	[ "$output" = "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible." ]
	[ "$(ctl bgsave schedule --wait)" = "Background saving scheduled" ]
	[ -s "$data/dump.rdb" ]
}

@test "bgrewriteaof during a bgsave is scheduled, and --wait waits for both" {
	kvfs_start rdb-key-save-delay=20000 save=
	for i in {1..50}; do echo "$i" >"$mnt/k$i"; done
	before=$(cat "$data/appendonlydir/appendonly.aof.manifest")
	ctl bgsave
	[ "$(ctl bgrewriteaof --wait)" = "Background append only file rewriting scheduled" ]
	[ "$(cat "$data/appendonlydir/appendonly.aof.manifest")" != "$before" ]
}

@test "INFO counts keys, memory and saves truly" {
	kvfs_start save=
	mkdir "$mnt/d"
	for i in {1..10}; do head -c 100000 /dev/zero >"$mnt/d/k$i"; done
	[ "$(info db0)" = keys=10,expires=0,avg_ttl=0 ]
	[ "$(info kvfs_directories)" = 2 ]
	[ "$(info used_memory_dataset)" -ge 1000000 ]
	[ "$(info used_memory)" -ge "$(info used_memory_dataset)" ]
	[ "$(info rdb_changes_since_last_save)" -ge 10 ]
	saves=$(info rdb_saves)
	started=$(date +%s)
	ctl save
	[ "$(info rdb_saves)" -eq $((saves + 1)) ]
	[ "$(info rdb_changes_since_last_save)" -eq 0 ]
	[ "$(ctl lastsave)" -ge "$started" ]
	rm "$mnt"/d/*
	[ "$(ctl dbsize)" = 0 ]
	[ "$(info used_memory_dataset)" -lt 1000 ]
	[ "$(info process_id)" -gt 1 ]
	kill -0 "$(info process_id)"
}

@test "umount of a busy mount changes nothing and says so" {
	kvfs_start
	echo v >"$mnt/k"
	(cd "$mnt" && run ctl umount && [ "$status" -eq 1 ] && [[ "$output" = "kvfs-ctl: $mnt is busy"* ]])
	is_mounted "$mnt"
	[ "$(cat "$mnt/k")" = v ]
}

@test "umount waits for the last snapshot" {
	kvfs_start rdb-key-save-delay=10000 save="3600 1"
	for i in {1..100}; do echo "$i" >"$mnt/k$i"; done
	pid=$(info process_id)
	ctl umount
	_gone "$pid"
	[ -s "$data/dump.rdb" ]
	not_mounted "$mnt"
	[ ! -e "$data/kvfs.sock" ]
}

@test "umount takes a dead daemon's mount away" {
	kvfs_start
	pid=$(info process_id)
	kill -KILL "$pid"
	wait_until 10 _gone "$pid"
	run ctl ping
	[ "$status" -eq 3 ]
	[ "$output" = "kvfs-ctl: $mnt: the daemon has gone and left its mount: mount it again (kvfs $data $mnt), which clears it" ]
	run ctl backup "$work/copy"
	[ "$status" -eq 3 ]
	[[ $output == "kvfs-ctl: $mnt: the daemon has gone"* ]]
	ctl umount
	not_mounted "$mnt"
}

@test "shutdown ends the daemon, also when the mount is in use; nosave leaves no snapshot" {
	kvfs_start save="3600 1"
	echo v >"$mnt/k"
	pid=$(info process_id)
	(cd "$mnt" && ctl shutdown nosave)
	_gone "$pid"
	[ ! -e "$data/dump.rdb" ]
	not_mounted "$mnt"
	kvfs_start
	[ "$(cat "$mnt/k")" = v ]
	ctl shutdown save
	[ -s "$data/dump.rdb" ]
}

@test "bgsave cancel: no file, no failure, and who waits for it is told" {
	local words="ERR Background saving is currently not in progress or scheduled"
	kvfs_start rdb-key-save-delay=100000 save=
	for i in {1..100}; do echo "$i" >"$mnt/k$i"; done
	run ctl bgsave cancel
	[ "$status" -eq 1 ] && [ "$output" = "$words" ]
	[ "$(ctl bgsave)" = "Background saving started" ]
	wait_until 30 eval '[ "$(info rdb_current_bgsave_time_sec)" -ge 0 ]'
	[ "$(ctl bgsave cancel)" = "Background saving cancelled" ]
	wait_until 30 _bgsave_over
	[ "$(info rdb_last_bgsave_status)" = ok ]
	[ "$(info rdb_saves)" = 0 ]
	[ -z "$(find "$data" -maxdepth 1 -name '*.rdb')" ]
	[ "$(ctl bgrewriteaof)" = "Background append only file rewriting started" ]
	wait_until 30 eval '[ "$(info aof_current_rewrite_time_sec)" -ge 0 ]'
	[ "$(ctl bgsave schedule)" = "Background saving scheduled" ]
	[ "$(ctl bgsave cancel)" = "Scheduled background saving cancelled" ]
	[ "$(info rdb_bgsave_scheduled)" = 0 ]
	run ctl bgsave cancel --wait
	[ "$status" -eq 2 ]
	ctl config set rdb-key-save-delay 0
}
