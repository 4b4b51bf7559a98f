#!/usr/bin/env bats
# What kvfs-ctl tells machines is well-formed and true: metrics as Prometheus reads them, info and latency as JSON.
# By a strict reader of the format (and promtool where it is), by sqlite3's JSON, and by the daemon's own counters.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

well_formed() {
	awk -f "$BATS_TEST_DIRNAME/lib/exposition.awk" "$1"
}

# value NAME: of a metric without labels, or with them as they stand.
value() {
	ctl metrics | awk -v name="$1" '$1 == name { print $2 }'
}

# json PATH: of the JSON on standard input.
json() {
	cat >"$work/in"
	sqlite3 :memory: "SELECT json_extract(readfile('$work/in'), '$1')"
}

@test "metrics are well-formed: fresh, after some work, without a log" {
	kvfs_start
	ctl metrics >"$work/fresh"
	well_formed "$work/fresh"
	echo v >"$mnt/k"
	rm "$mnt/k"
	ctl save
	ctl metrics >"$work/used"
	well_formed "$work/used"
	kvfs_remount appendonly=no
	ctl metrics >"$work/no-log"
	well_formed "$work/no-log"
	# The same names throughout.
	same "$(grep '^# TYPE' "$work/fresh")" "$(grep '^# TYPE' "$work/used")"
	same "$(grep '^# TYPE' "$work/fresh")" "$(grep '^# TYPE' "$work/no-log")"
	! command -v promtool >/dev/null || promtool check metrics <"$work/used"
}

@test "the reader of the format finds what is wrong" {
	local good=$'# HELP a_total x\n# TYPE a_total counter\na_total{k="v"} 1\n'
	printf '%s' "$good" >"$work/m"
	well_formed "$work/m"
	while IFS= read -r bad; do
		printf '%s' "$good" | sed -e "$bad" >"$work/m"
		run well_formed "$work/m"
		[ "$status" -eq 1 ] || { echo "# not found: $bad"; return 1; }
	done <<-'BAD'
		/HELP/d
		/TYPE/d
		s/ counter/ gauge/
		s/_total/_count/
		s/ 1$/ x/
		s/ 1$/ -1/
		s/ 1$/ 1 2 3/
		s/"v"/v/
		s/"v"/"a"b"/
		$p
		/TYPE/p
		s/a_total/a_ms_total/
		s/^#.*//
	BAD
}

# A request is counted a moment after its reply was sent: all of them are.
timed_all() {
	[ "$(ctl latency --json | json '$.write.calls')" = "$(info fuse_write)" ]
}

@test "metrics say what is there: keys, messages, the log, a histogram of each operation" {
	kvfs_start save=
	for i in {1..20}; do echo "$i" >"$mnt/k$i"; done
	ctl expire k1 1000
	wait_until 5 timed_all
	[ "$(value kvfs_keys)" = 20 ]
	[ "$(value kvfs_keys_expiring)" = 1 ]
	[ "$(value kvfs_changes_unsaved)" -ge 20 ]
	[ "$(value kvfs_log_enabled)" = 1 ]
	[ "$(value 'kvfs_persistence_state{state="ok"}')" = 1 ]
	[ "$(value 'kvfs_fuse_messages_total{operation="write"}')" = 20 ]
	[ "$(value 'kvfs_request_duration_seconds_count{operation="write"}')" = 20 ]
	[ "$(value 'kvfs_request_duration_seconds_bucket{operation="write",le="+Inf"}')" = 20 ]
	[ "$(value kvfs_snapshots_total)" = 0 ]
	ctl save
	[ "$(value kvfs_snapshots_total)" = 1 ]
	[ "$(value kvfs_changes_unsaved)" = 0 ]
	ctl config resetstat
	[ "$(value 'kvfs_fuse_messages_total{operation="write"}')" = 0 ]
	[ -z "$(value 'kvfs_request_duration_seconds_count{operation="write"}')" ]
}

@test "latency counts each request once, also a reply that waits for the disk, and with its wait" {
	local pid
	kvfs_start appendfsync=always save=
	echo v >"$mnt/k"
	ctl config resetstat
	pid=$(kvfs_pid)
	strace -qq -f -e trace=fdatasync -e inject=fdatasync:delay_enter=50000 -o "$work/trace" -p "$pid" 3>&- 4>&- &
	tracer=$!
	wait_until 20 _is_traced "$pid"
	for i in 1 2 3 4; do echo "$i" >>"$mnt/k"; done
	kill "$tracer"
	wait "$tracer" || true
	wait_until 5 timed_all
	ctl latency --json >"$work/json"
	[ "$(json '$.write.calls' <"$work/json")" = 4 ]
	[ "$(json '$.write.usec' <"$work/json")" -ge 200000 ]
	# Nothing below 2^15 us, so the first that has some is above.
	[ -z "$(json '$.write.histogram_usec."32768"' <"$work/json")" ]
	ctl latency | awk '$1 == "write" && $2 == 4 { found = 1 } END { exit !found }'
	ctl latency write | grep -qE '^write: 4 calls, mean [0-9.]+ms$'
	ctl latency write | awk '/<=/ { sum += $3 } END { exit sum != 4 }'
	run ctl latency nosuch
	[ "$status" -eq 2 ]
}

@test "LATENCY HISTOGRAM has the form of Redis's" {
	mkdir "$work/redis"
	redis_start "$work/redis"
	kvfs_start
	echo v >"$mnt/k"
	redis set k v >/dev/null
	wait_until 5 timed_all
	# Numbers and names of operations away; our sum stands behind.
	shape() { sed -E 's/\(integer\) [0-9]+/N/; s/"(set|mknod)"/OP/' | head -n 6; }
	same "$(redis --no-raw latency histogram set | shape)" "$(redis-cli --no-raw -s "$data/kvfs.sock" latency histogram mknod | shape)"
	same "$(redis-cli --no-raw -s "$data/kvfs.sock" latency histogram nosuch)" "$(redis --no-raw latency histogram nosuch)"
	same "$(redis-cli -s "$data/kvfs.sock" latency nosuch 2>&1)" "$(redis latency nosuch 2>&1)"
	redis_stop
}

@test "info --json holds what INFO says, by section" {
	kvfs_start save="60 100"
	echo v >"$mnt/k"
	ctl info --json >"$work/json"
	[ "$(json '$.keyspace.db0.keys' <"$work/json")" = 1 ]
	[ "$(json '$.server.redis_version' <"$work/json")" = 7.0.15 ]
	[ "$(json '$.server.mountpoint' <"$work/json")" = "$mnt" ]
	[ "$(json '$.persistence.rdb_last_bgsave_status' <"$work/json")" = ok ]
	# Each field once, with its value.
	same "$(sqlite3 :memory: "SELECT f.key || ':' || f.value FROM json_each(readfile('$work/json')) s, json_each(s.value) f" | grep -c :)" \
		"$(ctl info | grep -c :)"
	same "$(ctl info fuse --json | json '$.fuse.fuse_write')" 1
	[ "$(ctl info nosuch --json)" = "{}" ]
	ctl --version | grep -qF "$(json '$.server.kvfs_version' <"$work/json")"
}

@test "wrong words are exit status 2, no server is 3, a full disk 1" {
	run ctl metrics
	[ "$status" -eq 3 ]
	run ctl metrics x
	[ "$status" -eq 2 ]
	run ctl latency --jason
	[ "$status" -eq 2 ]
	run ctl info -x --json
	[ "$status" -eq 2 ]
	kvfs_start
	for words in metrics latency 'info --json'; do
		run bash -c "'$KVFS_BIN/kvfs-ctl' -m '$mnt' $words >/dev/full"
		[ "$status" -eq 1 ]
	done
}

@test "bars and colours are for a terminal alone, and NO_COLOR takes the colours away" {
	kvfs_start
	echo v >"$mnt/k"
	[ -z "$(ctl latency write | tr -d '[:print:]\n')" ]
	tty() { LC_ALL=C.UTF-8 TERM=xterm script -qec "$* '$KVFS_BIN/kvfs-ctl' -m '$mnt' latency write" /dev/null </dev/null; }
	tty | grep -q $'\033\\[32m█'
	tty env NO_COLOR=1 | grep -q '█'
	! tty env NO_COLOR=1 | grep -q $'\033'
	! tty env LC_ALL=C | grep -q '█'
	tty env LC_ALL=C | grep -q '##'
}
