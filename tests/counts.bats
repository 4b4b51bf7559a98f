#!/usr/bin/env bats
# What an operation costs, in counts that a busy machine does not change: instructions, allocations, bytes, system calls, and CPU time where none
# is due.  By lib/cost.c under callgrind, strace, and what the kernel counts of each thread.  messages.bats counts the messages.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

COST=$KVFS_BIN/tests/lib/cost

not_sanitized() {
	[ "$("$COST" build)" != sanitized ] || skip "a sanitizer's own work would be counted"
}

@test "instructions, allocations, bytes of log and of memory: not more than the budget" {
	[ "$("$COST" build)" = plain ] || skip "the budget is that of a build with -O2 and no sanitizer: this one is $("$COST" build)"
	"$BATS_TEST_DIRNAME/lib/budget" "$KVFS_BIN" "$BATS_TEST_DIRNAME/data/budget.txt"
}

# Names the numbers of a trace of the daemon: of the readers their "reads" of /dev/fuse, "replies", "polls", "looks" at the memory that is
# left, "memory" they got, and each other call by its name; of all other threads "others".
sort_calls() {
	awk '
		/resumed>/ || $2 ~ /^(---|\+\+\+|restart_syscall)/ { next }
		{ line[NR] = $0; thread[NR] = $1; call[NR] = $2; sub(/\(.*/, "", call[NR]) }
		/ read\([0-9]+<\/dev\/fuse>/ { reader[$1] = 1 }
		END {
			for (i in line) {
				where = line[i]; what = call[i]
				if (!(thread[i] in reader)) n["others"]++
				else if (where ~ /<\/dev\/fuse>/ && what == "read") n["reads"]++
				else if (where ~ /<\/dev\/fuse>/ && what == "writev") n["replies"]++
				else if (what == "poll") n["polls"]++
				else if (where ~ /"\/proc\/meminfo"/) n["looks"]++
				else if (where ~ /[<"]\/(proc|sys\/fs\/cgroup)\//) continue
				else if (what ~ /^(brk|mmap|munmap|mprotect|madvise)$/) n["memory"]++
				else n[what]++
			}
			for (what in n) print what, n[what]
		}'
}

# at_most NAME COUNT BUDGET
at_most() {
	[ "$2" -le "$3" ] || { echo "# $what: $2 $1, the budget is $3"; sort "$work/calls" | sed 's/^/#   /'; return 1; }
}

# calls WHAT MESSAGES COMMAND...: COMMAND is so many messages, and the readers make no call but those that one of them needs for these.
calls() {
	local what=$1 want=$2 before begun forgotten took_ms n
	shift 2
	before=$(info total_fuse_messages) forgotten=$(forgets) begun=${EPOCHREALTIME/./}
	trace_daemon all "$@" | sort_calls >"$work/calls"
	took_ms=$(((${EPOCHREALTIME/./} - begun) / 1000))
	forgotten=$(($(forgets) - forgotten)) n=$(($(info total_fuse_messages) - before - forgotten))
	declare -A count=([reads]=0 [replies]=0 [polls]=0 [looks]=0 [memory]=0 [others]=0)
	while read -r name number; do count[$name]=$number; done <"$work/calls"
	at_most messages "$n" $((want + want / 20))
	at_most replies "${count[replies]}" "$n"
	# One finds nothing when requests that had queued up have been taken, and now and then it is looked whether some have.
	at_most "reads" "${count[reads]}" $((n + forgotten + n / 16 + 4))
	at_most "polls" "${count[polls]}" $((n + forgotten + 4))
	at_most "looks at the memory" "${count[looks]}" $((took_ms / 100 + 2))
	at_most "calls for memory" "${count[memory]}" $((n / 32 + 4))
	# The log thread's: it goes by the clock, not by operations.
	at_most "calls of other threads" "${count[others]}" $((took_ms / 10 + 40))
	unset 'count[reads]' 'count[replies]' 'count[polls]' 'count[looks]' 'count[memory]' 'count[others]'
	for name in "${!count[@]}"; do
		# The log thread is woken once, and two may meet at a lock.
		at_most "calls of $name" "${count[$name]}" $((n / 100 + 3))
	done
}

forgets() {
	ctl info fuse | tr -d '\r' | awk -F: '/forget/ { sum += $2 } END { print sum + 0 }'
}

each_of_100() {
	local i
	for i in {1..100}; do "$1" "$mnt/k$i"; done
}

value=$(printf 'v%.0s' {1..100})
put() { echo "$value" >"$1"; }
append() { echo "$value" >>"$1"; }
get() { read -r _ <"$1"; }
look_up() { [ -f "$1" ]; }
touch_size() { [ -s "$1" ]; }
delete_all() { (cd "$mnt" && rm k{1..100}); }

@test "system calls: the reads of messages, the replies, the poll between them" {
	not_sanitized
	kvfs_start spin=0 latency=no
	# What open, flush and others are answered once.
	put "$mnt/warm"; append "$mnt/warm"; get "$mnt/warm"; rm "$mnt/warm"
	each_of_100 put
	each_of_100 touch_size
	calls overwrite 200 each_of_100 put
	each_of_100 touch_size
	calls append 100 each_of_100 append
	# rm(1) asks for each name, and its directory has changed.
	calls delete 301 delete_all
	each_of_100 put
	kvfs_remount spin=0 latency=no
	put "$mnt/warm"; append "$mnt/warm"; get "$mnt/warm"; rm "$mnt/warm"
	calls stat 101 each_of_100 look_up
	# The shell asks for the size as well.
	calls get 200 each_of_100 get
}

# ns of CPU time that the daemon has had, and how often its threads were taken from a CPU.
cpu() {
	cat "/proc/$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}
switches() {
	cat "/proc/$1"/task/*/status | awk '/^(non)?voluntary_ctxt_switches:/ { sum += $2 } END { print sum }'
}

# Nothing ran for a second and a half.
rests() {
	local before
	before="$(cpu "$pid") $(switches "$pid")"
	sleep 1.5
	[ "$before" = "$(cpu "$pid") $(switches "$pid")" ]
}

@test "after a burst little CPU time is used; then no thread runs" {
	not_sanitized
	kvfs_start
	pid=$(kvfs_pid)
	for round in 1 2 3 4; do each_of_100 put; done
	before=$(cpu "$pid")
	sleep 1
	after=$(cpu "$pid")
	# To poll for the next request, let the CPUs sleep, write and sync the log.
	[ $((after - before)) -le 20000000 ] || { echo "# $((after - before)) ns of CPU time in the second after a burst, the budget is 20000000"; return 1; }
	wait_until 30 rests || { echo "# threads of an idle daemon ran: CPU ns and switches $before, a moment later $(cpu "$pid") $(switches "$pid")"; return 1; }
}

spins_again() {
	local before
	before=$(($(info total_spins) - $(info total_spins_in_vain)))
	each_of_100 append
	[ $(($(info total_spins) - $(info total_spins_in_vain))) -gt "$before" ]
}

@test "requests that come 5 ms apart are not polled for; those that follow each other are" {
	kvfs_start
	each_of_100 put
	each_of_100 touch_size
	before=$(info total_spins)
	for i in {1..60}; do
		append "$mnt/k$i"
		sleep 0.005
	done
	after=$(info total_spins)
	[ $((after - before)) -le 12 ] || { echo "# polled $((after - before)) times for 60 requests that came 5 ms apart, the budget is 12"; return 1; }
	wait_until 20 spins_again
}
