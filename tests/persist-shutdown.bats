#!/usr/bin/env bats
# What is deleted stays deleted, a slow disk holds up nobody who did not ask for it, a stop leaves no half-made file, and nothing changes on
# the way through log and snapshot.  By a disk that strace makes slow, SIGTERM in the middle of a job, and random trees.

load lib/kvfs
setup() { kvfs_setup; }
teardown() {
	[ -z "${tracer:-}" ] || kill "$tracer" 2>/dev/null || true
	kvfs_teardown
}

# Each thread of process $1 has its tracer.
traced_by_now() {
	! grep -h '^TracerPid:' "/proc/$1"/task/*/status | grep -qE '[[:space:]]0$'
}

# trace ARG...: strace on the daemon, attached when this returns.
trace() {
	strace -f -qq -p "$(kvfs_pid)" "$@" 2>"$work/strace" 3>&- &
	tracer=$!
	wait_until 20 traced_by_now "$(kvfs_pid)"
}

@test "(37) everysec: a sync that takes long holds up nobody" {
	local i
	kvfs_start appendfsync=everysec "save="
	trace -e trace=fdatasync -e inject=fdatasync:delay_enter=600000000 -o "$work/trace"
	echo first >"$mnt/first"
	in_sync() { grep -q fdatasync "$work/trace"; }
	wait_until 60 in_sync
	for i in $(seq 100); do
		echo "$i" >"$mnt/k$i"
	done
	[ "$(cat "$mnt/k100")" = 100 ]
	kill -KILL "$tracer"
	wait "$tracer" || true
	tracer=
}

@test "(39) delete-all is logged: it stays deleted" {
	local i
	kvfs_start "save="
	mkdir -p "$mnt/a/b/c"
	for i in $(seq 50); do
		echo "$i" >"$mnt/a/b/k$i"
	done
	ctl save
	rm -r "$mnt/a"
	kvfs_kill9
	kvfs_start "save="
	[ -z "$(ls -A "$mnt")" ]
	kvfs_stop
	redis_start "$data" --appendonly yes
	[ "$(redis dbsize)" = 0 ]
	redis_stop
}

@test "(40) SIGTERM during a save, and during a rewrite: no temp file is left" {
	local i job
	for job in bgsave bgrewriteaof; do
		kvfs_start "save=" rdb-key-save-delay=20000
		for i in $(seq 100); do
			echo "$i" >"$mnt/$job$i"
		done
		ctl "$job"
		pid=$(kvfs_pid)
		kill -TERM "$pid"
		wait_until 60 _gone "$pid"
		not_mounted "$mnt"
		[ -z "$(find "$data" -name 'temp-*')" ]
	done
	kvfs_start "save="
	[ "$(find "$mnt" -type f | wc -l)" = 200 ]
}

# A random tree; RANDOM is seeded.
grow() {
	local i dir
	for i in $(seq 150); do
		dir=$mnt/d$((RANDOM % 5))/e$((RANDOM % 4))
		mkdir -p "$dir"
		case $((RANDOM % 8)) in
		0) ln -s "to $i" "$dir/link$i" ;;
		1) head -c $((RANDOM * 3)) /dev/urandom >"$dir/big$((RANDOM % 20))" ;;
		2) echo "$i" >>"$dir/log$((RANDOM % 3))" ;;
		3) printf '%s' "$RANDOM" >"$dir/number$((RANDOM % 20))" ;;
		4) chmod $((RANDOM % 8))$((RANDOM % 8))0 "$dir" ;;
		5) touch -d "@$((RANDOM * 10000)).123456789" "$dir" ;;
		6) truncate -s $((RANDOM % 5000)) "$dir/holes$((RANDOM % 5))" ;;
		*) mv "$mnt/d$((RANDOM % 5))/e$((RANDOM % 4))" "$dir/moved$i" ;;
		esac
	done 2>/dev/null || true
}

@test "(41) a random tree is the same after the log, after the snapshot, and after both kinds of base" {
	local seed=${SEED:-$RANDOM} before
	echo "# seed $seed"
	RANDOM=$seed
	kvfs_start "save="
	grow
	before=$(manifest "$mnt")
	kvfs_remount "save="
	same "$before" "$(manifest "$mnt")"
	ctl save
	kvfs_remount appendonly=no "save="
	same "$before" "$(manifest "$mnt")"
	for preamble in no yes; do
		kvfs_remount "save=" aof-use-rdb-preamble=$preamble
		ctl bgrewriteaof --wait
		kvfs_kill9
		kvfs_start "save="
		same "$before" "$(manifest "$mnt")"
	done
}
