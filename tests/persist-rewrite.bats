#!/usr/bin/env bats
# Whatever happens while the log is written anew, no change is lost and none counts twice; a rewrite that fails leaves a log that is whole.
# Many processes write while rewrites follow each other; failures come from a directory in the place of the temp file; what the daemon
# does with its files is read from strace.

load lib/kvfs
setup() { kvfs_setup; }
teardown() {
	if [ -n "${strace_pid:-}" ]; then
		kill "$strace_pid" 2>/dev/null
		wait "$strace_pid" 2>/dev/null
	fi
	kvfs_teardown
}

# append_to FILE COUNT: one byte at a time.
append_to() {
	local i
	for ((i = 0; i < $2; i++)); do
		printf x >>"$1"
	done
}

in_log() {
	ls "$data/appendonlydir"
}

@test "(22) 20 processes that append 300 times each add up to exactly 6,000, live, after a restart, and as a redis-server counts" {
	local preamble pids=() i
	for preamble in yes no; do
		kvfs_start "aof-use-rdb-preamble=$preamble" 'save='
		: >"$mnt/n"
		for i in $(seq 20); do
			append_to "$mnt/n" 300 3>&- 4>&- &
			pids+=($!)
		done
		local rewrites=0
		while kill -0 "${pids[@]}" 2>/dev/null && [ "$rewrites" -lt 50 ]; do
			ctl bgrewriteaof --wait >/dev/null
			rewrites=$((rewrites + 1))
		done
		wait "${pids[@]}"
		pids=()
		[ "$rewrites" -ge 1 ]
		[ "$(stat -c %s "$mnt/n")" -eq 6000 ]
		kvfs_kill9
		kvfs_start "aof-use-rdb-preamble=$preamble"
		[ "$(stat -c %s "$mnt/n")" -eq 6000 ]
		kvfs_stop
		redis_start "$data" --appendonly yes
		[ "$(redis strlen n)" -eq 6000 ]
		redis_stop
		rm -r "${data:?}"/*
	done
}

@test "(23) a rewrite that fails once, three times: the log stays whole, and the next that succeeds collects what was left" {
	kvfs_start 'save=' auto-aof-rewrite-percentage=0
	expect_warning 'append only file rewriting failed: Is a directory'
	local n temp
	temp=$data/appendonlydir/temp-rewriteaof-$(kvfs_pid).aof
	echo 0 >"$mnt/k0"
	mkdir "$temp"
	for n in 1 2 3; do
		run ctl bgrewriteaof --wait
		[ "$status" -eq 1 ]
		[ "$(info aof_rewrites_consecutive_failures)" = "$n" ]
		[ "$(info aof_last_bgrewrite_status)" = err ]
		echo "$n" >"$mnt/k$n"
	done
	rmdir "$temp"
	before=$(manifest "$mnt")
	kvfs_kill9
	# What the failures left is a log that Redis's own tool takes.
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest" >"$work/check"
	grep -q 'All AOF files and manifest are valid' "$work/check"
	kvfs_start 'save='
	same "$before" "$(manifest "$mnt")"
	ctl bgrewriteaof --wait
	[ "$(info aof_last_bgrewrite_status)" = ok ]
	[ "$(in_log | grep -c base)" = 1 ]
	[ "$(in_log | grep -c incr)" = 1 ]
	[ "$(in_log | grep -c temp)" = 0 ]
	kvfs_remount
	same "$before" "$(manifest "$mnt")"
}

@test "(27) the old files go after the manifest without them is durable, and numbers stay consecutive" {
	kvfs_start 'save='
	echo 1 >"$mnt/one"
	ctl bgrewriteaof --wait
	strace -f -y -o "$work/trace" -e trace=rename,renameat,renameat2,fsync,fdatasync,unlink,unlinkat -p "$(kvfs_pid)" 2>"$work/strace" 3>&- 4>&- &
	strace_pid=$!
	wait_until 30 grep -q attached "$work/strace"
	ctl bgrewriteaof --wait
	kill "$strace_pid"
	wait "$strace_pid" || true
	strace_pid=
	# Of each step the line: base in place, its directory synced, manifest in place, its directory synced, old files gone.
	local steps
	steps=$(awk '
		/rename.*base\.rdb/ { at["base"] = NR; synced = 0 }
		/rename.*temp-appendonly\.aof\.manifest/ { renamed = NR; if (at["base"] && !at["manifest"]) at["manifest"] = NR }
		/f(data)?sync\(.*appendonlydir>/ { if (at["base"] && !at["manifest"]) synced_base = NR; if (at["manifest"] && !at["durable"]) at["durable"] = NR }
		/unlink.*appendonly\.aof\.[0-9]+\.(base|incr)/ { if (!at["gone"]) at["gone"] = NR }
		END { print (at["base"] && at["base"] < synced_base && synced_base < at["manifest"] && at["manifest"] < at["durable"] && at["durable"] < at["gone"]) }
	' "$work/trace")
	[ "$steps" = 1 ] || { cat "$work/trace"; return 1; }
	local n
	for n in 1 2 3; do
		ctl bgrewriteaof --wait
	done
	grep -qE '^file appendonly\.aof\.6\.base\.rdb seq 6 type b$' "$data/appendonlydir/appendonly.aof.manifest"
	grep -qE '^file appendonly\.aof\.([0-9]+)\.incr\.aof seq \1 type i$' "$data/appendonlydir/appendonly.aof.manifest"
	[ "$(grep -c ^file "$data/appendonlydir/appendonly.aof.manifest")" = 2 ]
}

listed() {
	sed -nE 's/^file ([^ ]+) seq [0-9]+ type [bhi].*/\1/p' "$data/appendonlydir/appendonly.aof.manifest" | LC_ALL=C sort
}

# What the manifest lists is there, and nothing else.
only_listed() {
	same "$(listed)" "$(cd "$data/appendonlydir" && find . -type f ! -name '*.manifest' -printf '%P\n' | LC_ALL=C sort)"
}

changes() {
	local i
	for i in $(seq 200); do
		echo "$1 $i" >"$mnt/d$((i % 7))/k$((i % 40))"
		[ $((i % 10)) -ne 0 ] || mv "$mnt/d$((i % 7))/k$((i % 40))" "$mnt/moved-$1-$i"
		[ $((i % 11)) -ne 0 ] || rm -f "$mnt/d$((i % 5))/k$((i % 40))"
		[ $((i % 13)) -ne 0 ] || chmod 600 "$mnt"/moved-"$1"-*0
	done 2>/dev/null
}

@test "(21) under writers: after a restart everything is as it was, with both kinds of base" {
	local preamble i writer
	for preamble in yes no; do
		kvfs_start "save=" aof-use-rdb-preamble=$preamble rdb-key-save-delay=200
		mkdir -p "$mnt"/d{0,1,2,3,4,5,6}
		changes one & writer=$!
		for i in 1 2 3; do
			ctl bgrewriteaof --wait
		done
		wait "$writer"
		[ "$(info aof_rewrites)" = 3 ]
		before=$(manifest "$mnt")
		kvfs_kill9
		kvfs_start "save="
		same "$before" "$(manifest "$mnt")"
		only_listed
		kvfs_stop
		redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
	done
}

failures_are() { [ "$(info aof_rewrites_consecutive_failures)" = "$1" ]; }

@test "(24) failures one after the other are not tried on and on: the third is the last for a minute" {
	local i
	expect_warning 'rewriting failed'
	kvfs_start "save=" auto-aof-rewrite-percentage=1 auto-aof-rewrite-min-size=0
	mkdir "$data/appendonlydir/temp-rewriteaof-$(kvfs_pid).aof"
	head -c 10000 /dev/urandom >"$mnt/grows"
	wait_until 60 failures_are 3
	for i in $(seq 20); do
		head -c 10000 /dev/urandom >>"$mnt/grows"
		sync "$mnt/grows"
	done
	failures_are 3
	[ "$(listed | grep -c incr)" -eq 4 ]
	rmdir "$data"/appendonlydir/temp-rewriteaof-*.aof
}
