#!/usr/bin/env bats
# The death of the daemon loses no acknowledged write, whatever it was doing.
# By SIGKILL under load, again and again, with a ledger outside the mount that says what must be there (tests/lib/ledger.c).
#
# ROUNDS=100 makes it thorough; SEED=N repeats a run.

load lib/kvfs
setup() {
	kvfs_setup
	rounds=${ROUNDS:-5}
	seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
	echo "# seed $seed, $rounds rounds"
}
teardown() {
	[ -z "${load_pid:-}" ] || kill -KILL "$load_pid" 2>/dev/null || true
	kvfs_teardown
}

has_grown() {
	[ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt "$2" ]
}

# One round: load, a kill at a moment that the seed chooses, a start, the check.
# $1: number of the round; the rest: options.
round() {
	local n=$1 i size
	shift
	"$LEDGER" load "$work/ledger" "$mnt" $((seed + n)) 2 >"$work/load" 3>&- &
	load_pid=$!
	for i in 0 1; do
		size=$(stat -c %s "$work/ledger.$i" 2>/dev/null || echo 0)
		wait_until 20 has_grown "$work/ledger.$i" $((size + 40 * ((seed + n * 7919) % 400)))
	done
	case $((n % 4)) in
	1) ctl bgsave ;;
	2) ctl bgrewriteaof ;;
	esac
	kvfs_kill9
	wait "$load_pid"
	load_pid=
	expect_warning "$mnt"
	kvfs_start "$@"
	"$LEDGER" check "$work/ledger" "$mnt" 2
}

rounds_with() {
	local n
	kvfs_start "$@"
	mkdir "$mnt/w0" "$mnt/w1"
	sync "$mnt/w0" "$mnt/w1"
	for n in $(seq "$rounds"); do
		round "$n" "$@" || { echo "# round $n failed; SEED=$seed repeats it"; return 1; }
	done
	kvfs_remount "$@"
	"$LEDGER" check "$work/ledger" "$mnt" 2
}

@test "appendfsync everysec, with the journal in shared memory" {
	rounds_with appendfsync=everysec "save=" rdb-key-save-delay=100
}

@test "appendfsync everysec, without a shared journal" {
	rounds_with appendfsync=everysec "save=" journal-dir= rdb-key-save-delay=100
}

@test "appendfsync always" {
	rounds_with appendfsync=always "save="
}

@test "appendfsync no, while the log is rewritten again and again" {
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
