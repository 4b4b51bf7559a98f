#!/usr/bin/env bats
# A setting that is changed while it runs takes effect, not only in CONFIG GET; what cannot be changed says so as Redis does.
# By CONFIG SET on a live mount and by looking at what the setting is for: the next dump, the log, an errno, the daemon's own calls.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

try() { "$KVTOOL" try "$@"; }

# set NAME VALUE...: is taken, and CONFIG GET says so.
set_() {
	[ "$(ctl config set "$@")" = OK ]
	while [ $# -gt 0 ]; do
		[ "$(ctl config get "$1")" = "$1"$'\n'"$2" ] || [ "$(ctl config get "$1")" = "$1" -a -z "$2" ]
		shift 2
	done
}

# refute COMMAND...: it fails.
refute() {
	if "$@"; then return 1; fi
}

rewritten() {
	[ "$(info aof_rewrites)" -gt 0 ]
}

# Name of the log's base.
base() {
	sed -n 's/^file \([^ ]*\) seq [0-9]* type b$/\1/p' "$data/appendonlydir/appendonly.aof.manifest"
}

@test "save: a rule that is set saves, none saves nothing" {
	kvfs_start save=
	echo v >"$mnt/k"
	[ ! -e "$data/dump.rdb" ]
	set_ save '1 1'
	wait_until 20 test -e "$data/dump.rdb"
	rm "$data/dump.rdb"
	set_ save ''
	echo w >"$mnt/k"
	kvfs_stop
	[ ! -e "$data/dump.rdb" ]
}

@test "rdbcompression: the next dump is small or large" {
	kvfs_start save=
	head -c 100000 /dev/zero >"$mnt/k"
	ctl save
	[ "$(stat -c %s "$data/dump.rdb")" -lt 20000 ]
	set_ rdbcompression no
	ctl save
	[ "$(stat -c %s "$data/dump.rdb")" -gt 100000 ]
}

@test "appendfsync: no syncs nothing, always syncs before each call returns" {
	kvfs_start appendfsync=no
	before=$(info aof_syncs)
	echo v >"$mnt/k"
	[ "$(info aof_syncs)" -eq "$before" ]
	set_ appendfsync always
	before=$(info aof_syncs)
	echo w >"$mnt/k"
	[ "$(info aof_syncs)" -gt "$before" ]
	[ "$(info seq_durable)" -eq "$(info seq_published)" ]
}

@test "auto-aof-rewrite-percentage and -min-size: the log is rewritten as soon as they ask for it" {
	kvfs_start save= auto-aof-rewrite-percentage=0
	for i in {1..10}; do head -c 20000 /dev/zero >"$mnt/k"; done
	set_ auto-aof-rewrite-min-size 65536
	[ "$(info aof_rewrites)" -eq 0 ]
	set_ auto-aof-rewrite-percentage 100 auto-aof-rewrite-min-size 1073741824
	echo x >"$mnt/k2"
	[ "$(info aof_rewrites)" -eq 0 ]
	set_ auto-aof-rewrite-min-size 65536
	wait_until 20 rewritten
}

@test "aof-use-rdb-preamble: the next base is in commands, or RDB again" {
	kvfs_start save=
	echo v >"$mnt/k"
	set_ aof-use-rdb-preamble no
	ctl bgrewriteaof --wait
	[[ "$(base)" == *.base.aof ]]
	[ "$(head -c 1 "$data/appendonlydir/$(base)")" = '*' ]
	set_ aof-use-rdb-preamble yes
	ctl bgrewriteaof --wait
	[[ "$(base)" == *.base.rdb ]]
	[ "$(head -c 5 "$data/appendonlydir/$(base)")" = REDIS ]
	kvfs_remount
	[ "$(cat "$mnt/k")" = v ]
}

@test "aof-timestamp-enabled: the log tells the time" {
	kvfs_start appendfsync=always
	echo v >"$mnt/k"
	refute grep -aq '^#TS:' "$(last_incr)"
	set_ aof-timestamp-enabled yes
	echo w >"$mnt/k"
	grep -aq '^#TS:[0-9]' "$(last_incr)"
}

@test "stop-writes-on-bgsave-error: no lifts EROFS at once, yes brings it back" {
	expect_warning 'Background saving failed'
	kvfs_start save='3600 1000'
	mkdir "$data/dump.rdb"
	run ctl save
	[ "$status" -eq 1 ]
	[ "$(try create "$mnt/k")" = EROFS ]
	set_ stop-writes-on-bgsave-error no
	[ "$(try create "$mnt/k")" = ok ]
	set_ stop-writes-on-bgsave-error yes
	[ "$(try create "$mnt/l")" = EROFS ]
	rmdir "$data/dump.rdb"
	[ "$(ctl save)" = OK ]
}

on_its_way() {
	local keys
	keys=$(info current_save_keys_processed)
	[ "$keys" -gt 0 ] && [ "$keys" -lt 50 ]
}

@test "rdb-key-save-delay: a save lasts" {
	kvfs_start save=
	for i in {1..50}; do echo "$i" >"$mnt/k$i"; done
	set_ rdb-key-save-delay 20000
	ctl bgsave
	wait_until 10 on_its_way
	wait_until 30 test -e "$data/dump.rdb"
}

@test "no-appendfsync-on-rewrite: always rests while a save runs, and is back with no" {
	kvfs_start save= appendfsync=always rdb-key-save-delay=200000
	for i in {1..100}; do echo "$i" >"$mnt/k$i"; done
	ctl bgsave
	set_ no-appendfsync-on-rewrite yes
	before=$(info aof_syncs)
	for i in {1..5}; do echo x >"$mnt/k1"; done
	[ "$(info aof_syncs)" -eq "$before" ]
	"$KVTOOL" try fsync "$mnt/k1"
	[ "$(info aof_syncs)" -gt "$before" ]
	set_ no-appendfsync-on-rewrite no
	before=$(info aof_syncs)
	for i in {1..5}; do echo x >"$mnt/k1"; done
	[ "$(info aof_syncs)" -ge $((before + 5)) ]
	[ "$(info rdb_bgsave_in_progress)" -eq 1 ]
	ctl bgsave cancel
}

# steps COMMAND...: how often the daemon sent part of a file on its way to the disk meanwhile.
steps() {
	trace_daemon sync_file_range "$@" | grep -c sync_file_range || true
}

@test "rdb-save-incremental-fsync and aof-rewrite-incremental-fsync: a file goes to the disk in steps, or all at its end" {
	kvfs_start save= rdbcompression=no
	for i in {1..12}; do head -c 1000000 /dev/zero >"$mnt/k$i"; done
	[ "$(steps ctl bgsave --wait)" -ge 2 ]
	[ "$(steps ctl bgrewriteaof --wait)" -ge 2 ]
	set_ rdb-save-incremental-fsync no
	[ "$(steps ctl bgsave --wait)" -eq 0 ]
	[ "$(steps ctl bgrewriteaof --wait)" -ge 2 ]
	set_ aof-rewrite-incremental-fsync no
	[ "$(steps ctl bgrewriteaof --wait)" -eq 0 ]
}

@test "maxmemory: ENOSPC for what needs more, deleting goes on" {
	expect_warning 'maxmemory is 1000, but [0-9]+ bytes are in use'
	kvfs_start
	head -c 100000 /dev/zero >"$mnt/k"
	set_ maxmemory 1000
	[ "$(info maxmemory)" -eq 1000 ]
	[ "$(try create "$mnt/l")" = ENOSPC ]
	[ "$(try pwrite "$mnt/k" 200000 x)" = ENOSPC ]
	[ "$(try unlink "$mnt/k")" = ok ]
	set_ maxmemory 0
	[ "$(try create "$mnt/l")" = ok ]
}

@test "value-max: EFBIG beyond, what is there stays" {
	kvfs_start
	head -c 2000 /dev/zero >"$mnt/k"
	set_ value-max 1000
	[ "$(try pwrite "$mnt/k" 1500 x)" = EFBIG ]
	[ "$(try pwrite "$mnt/l" 999 x)" = ok ]
	[ "$(stat -c %s "$mnt/k")" -eq 2000 ]
	set_ value-max 3000
	[ "$(try pwrite "$mnt/k" 2500 x)" = ok ]
}

@test "loglevel: less, and more again" {
	kvfs_start save=
	set_ loglevel warning
	ctl bgsave --wait
	refute grep -q 'Background saving' "$log"
	set_ loglevel notice
	ctl bgsave --wait
	grep -q 'Background saving started' "$log"
}

# reads: how often the daemon read from whatever file, /dev/fuse above all.
reads() {
	sed -n 's/^syscr: //p' "/proc/$1/io"
}

# polls PID: some hundred requests made the daemon look far oftener than so whether another one is there.
polls() {
	local before i
	before=$(reads "$1")
	for i in {1..100}; do : >"$mnt/k"; done
	[ $(($(reads "$1") - before)) -gt 5000 ]
}

@test "spin: with 0 a reader sleeps at once, else it looks again and again" {
	kvfs_start spin=0 threads=1
	pid=$(kvfs_pid)
	refute polls "$pid"
	set_ spin 10000
	wait_until 60 polls "$pid"
	set_ spin 0
	refute polls "$pid"
}

# stays_awake PID: enough requests in a row that the CPUs are worth keeping awake, and the daemon does.
stays_awake() {
	local i
	for i in {1..200}; do : >"$mnt/k$i"; done
	readlink "/proc/$1/fd/"* | grep -q '^/dev/cpu_dma_latency$'
}

@test "latency: the PM-QoS request is held or not, as it says now" {
	[ -w /dev/cpu_dma_latency ] || skip "there is no /dev/cpu_dma_latency here"
	kvfs_start latency=no
	pid=$(kvfs_pid)
	refute stays_awake "$pid"
	set_ latency yes
	wait_until 60 stays_awake "$pid"
	set_ latency no
	refute stays_awake "$pid"
}

@test "shutdown-timeout: a stop that fails says so at once, or goes on trying" {
	expect_warning 'Background saving failed|final|[Ss]hut|Stopp|trying again'
	kvfs_start save='3600 1' shutdown-timeout=600
	echo v >"$mnt/k"
	mkdir "$data/dump.rdb"
	set_ shutdown-timeout 0
	run timeout 120 "$KVFS_BIN/kvfs-ctl" -m "$mnt" shutdown
	[ "$status" -eq 1 ]
	rmdir "$data/dump.rdb"
	kvfs_stop
	[ -s "$data/dump.rdb" ]
}

@test "all or none, and nothing that a restart does not undo" {
	kvfs_start
	set_ save '60 5' appendfsync always
	run ctl config set save "" maxmemory 1kb appendfsync never
	[ "$status" -eq 1 ]
	[ "$output" = "ERR CONFIG SET failed (possibly related to argument 'appendfsync') - argument(s) must be one of the following: everysec, always, no" ]
	[ "$(ctl config get save maxmemory)" = $'save\n60 5\nmaxmemory\n0' ]
	[ "$(try create "$mnt/k")" = ok ]
	kvfs_remount
	[ "$(ctl config get save)" = $'save\n3600 1 300 100 60 10000' ]
}

@test "every word about a bad CONFIG SET is a stock redis-server's" {
	local words
	kvfs_start
	mkdir "$work/redis"
	redis_stock=yes redis_start "$work/redis"
	while IFS= read -r line; do
		eval "words=($line)"
		theirs=$(redis config set "${words[@]}" 2>&1)
		ours=$(redis-cli -s "$data/kvfs.sock" config set "${words[@]}" 2>&1)
		same "$line: $ours" "$line: $theirs"
	done <<-'SETS'
		dir /tmp
		dbfilename x.rdb
		appendfilename x
		appenddirname x
		rdbchecksum no
		logfile x
		nosuch 1
		save 3x
		save '60 1' SAVE ''
		appendfsync sometimes
		loglevel loud
		no-appendfsync-on-rewrite maybe
		stop-writes-on-bgsave-error 1
		rdbcompression on
		aof-load-truncated ''
		auto-aof-rewrite-percentage x
		auto-aof-rewrite-percentage -1
		auto-aof-rewrite-percentage 99999999999
		auto-aof-rewrite-min-size 1x
		maxmemory -1
		shutdown-timeout 1s
		shutdown-timeout 99999999999
		rdb-key-save-delay 1s
		appendfsync sometimes dir /tmp
		appendfsync sometimes nosuch 1
		dir /tmp appendfsync sometimes
		dir /tmp nosuch 1
		nosuch 1 nosuch 2
		rdbcompression yes appendfsync
		rdbcompression yes appendfsync everysec
	SETS
	redis_stop
}

@test "config resetstat: what INFO counts so far counts from 0, what a save is known by stays" {
	local field
	kvfs_start save= appendfsync=always
	for i in {1..20}; do echo "$i" >"$mnt/k$i"; done
	ctl save
	ctl config set appendfsync no
	for field in total_commands_processed total_connections_received; do
		[ "$(info $field)" -gt 2 ]
	done
	for field in total_fuse_messages fuse_mknod aof_syncs aof_writes replies_parked; do
		[ "$(info $field)" -ge 20 ] || { echo "# $field: $(info $field)"; return 1; }
	done
	[ "$(ctl config resetstat)" = OK ]
	[ "$(info total_commands_processed)" -eq 1 ]
	[ "$(info total_connections_received)" -eq 2 ]
	[ "$(info total_fuse_messages)" -lt 20 ]
	for field in total_fuse_notifications fuse_mknod aof_syncs aof_writes replies_parked expired_keys aof_delayed_fsync rejected_connections; do
		[ "$(info $field)" -eq 0 ] || { echo "# $field: $(info $field)"; return 1; }
	done
	[ "$(info rdb_saves)" -eq 1 ]
	[ "$(ctl lastsave)" -gt 0 ]
	[ "$(ctl dbsize)" -eq 20 ]
	echo v >"$mnt/k1"
	[ "$(info fuse_write)" -eq 1 ]
}

@test "config help has every subcommand" {
	kvfs_start
	same "$(ctl config help | grep -oE '^[A-Z]+' | tail -n +2)" $'GET\nSET\nREWRITE\nRESETSTAT\nHELP'
	mkdir "$work/redis"
	redis_start "$work/redis"
	same "$(redis config help | grep -oE '^[A-Z]+' | sort)" "$(ctl config help | grep -oE '^[A-Z]+' | sort)"
	redis_stop
}

@test "settings change back and forth while others write: nothing is lost, nobody is refused" {
	local i w
	kvfs_start save=
	for w in 1 2 3; do
		(
			for i in {1..300}; do echo "$w $i" >"$mnt/k$w-$((i % 20))" || exit 1; done
		) 3>&- 4>&- &
		writers[w]=$!
	done
	for i in {1..15}; do
		ctl config set appendfsync always spin 0 latency no aof-timestamp-enabled yes loglevel debug rdbcompression no value-max 1mb \
			auto-aof-rewrite-min-size 1 auto-aof-rewrite-percentage 1 save '1 1' maxmemory 1gb
		ctl config set appendfsync no spin 50 latency yes aof-timestamp-enabled no loglevel notice rdbcompression yes value-max 1gb
		ctl config set appendfsync everysec save '' maxmemory 0 auto-aof-rewrite-percentage 100 aof-use-rdb-preamble no
	done
	for w in 1 2 3; do wait "${writers[w]}"; done
	for w in 1 2 3; do
		for i in {281..300}; do [ "$(cat "$mnt/k$w-$((i % 20))")" = "$w $i" ]; done
	done
	before=$(manifest "$mnt")
	kvfs_remount
	same "$(manifest "$mnt")" "$before"
}
