# kvfs.bash -- mounts, daemons and redis-servers for a test, each undone again, also when the test failed.
#
#	load lib/kvfs
#	setup() { kvfs_setup; }
#	teardown() { kvfs_teardown; }
#
#	kvfs_start [KEY=VALUE...]      mounts $data on $mnt; returns when it works; later calls mount the same data again
#	kvfs_stop                      kvfs-ctl umount; fails when the daemon is not gone afterwards
#	kvfs_remount [KEY=VALUE...]    both
#	kvfs_kill9                     SIGKILL, waits for the death, clears the dead mount away
#	kvfs_run ARG...                the program with other arguments; what it starts is undone too
#	note_daemons                   notes the daemons on the data directories in $work that something else started, to be undone too
#	kvfs_pid                       of the daemon
#	view SOURCE [KEY=VALUE...]     mounts SOURCE read-only on $then; its log is $view_log
#	unview                         unmounts it and waits until its daemon has gone
#	ctl ARG...                     kvfs-ctl on this mount
#	info FIELD                     one field of INFO
#	trace_daemon CALLS COMMAND...  what COMMAND makes the daemon ask of the kernel, as strace -e trace=CALLS prints it
#	redis_start DIR [ARG...]       redis-server on a Unix socket; returns when it has loaded; with redis_stock=yes it has the
#	                               settings it comes with, else nothing is saved and everything may be set
#	redis ARG...                   redis-cli to it
#	redis_stop                     SHUTDOWN NOSAVE
#	wait_until SECONDS COMMAND...  polls COMMAND until it succeeds
#	manifest DIR                   type, mode, owner, size, mtime, target and a BLAKE2 hash of everything below DIR
#	expect_warning REGEX           a warning in the daemon's log that is no fault; every other one fails the test
#
# The programs under test are those in $KVFS_BIN (default: build/).

KVFS_BIN=${KVFS_BIN:-$BATS_TEST_DIRNAME/../build}
KVTOOL=$KVFS_BIN/tests/lib/kvtool
LEDGER=$KVFS_BIN/tests/lib/ledger
RECOVERED=$KVFS_BIN/tests/lib/recovered
PATH=$KVFS_BIN/tools:$PATH
expected_warnings=()

# bats notes the stack before each command, to know a failure's place: that costs up to a millisecond a command, and was most of what these tests
# did.  Here the stack is taken when a command fails.  (A timeout is reported without its place.)
_note_failures_only() {
	declare -F bats_capture_stack_trace bats_error_trap >/dev/null || return 0
	trap - DEBUG
	trap '_note_failure $?' ERR
}

_note_failure() {
	bats_capture_stack_trace
	BATS_DEBUG_LAST_STACK_TRACE_IS_VALID=1
	(exit "$1") || bats_error_trap
}

kvfs_setup() {
	local program
	_note_failures_only
	work=
	for program in kvfs kvfs-ctl tests/lib/kvtool; do
		[ -x "$KVFS_BIN/$program" ] || { echo "# $KVFS_BIN/$program is missing: make test" >&2; return 1; }
	done
	work=$(mktemp -d "${BATS_TEST_TMPDIR:?}/kv.XXXXXX") || return 1
	data=$work/data mnt=$work/mnt log=$work/kvfs.log redis_socket=$work/redis.sock then=$work/then view_log=$work/view.log
	mkdir "$data" "$mnt" "$then"
	: >"$log"
	: >"$view_log"
	: >"$work/pids"
	: >"$work/journals"
	export ASAN_OPTIONS="log_path=$work/sanitizer:detect_leaks=1:exitcode=99"
	export UBSAN_OPTIONS="log_path=$work/sanitizer:print_stacktrace=1"
	export TSAN_OPTIONS="log_path=$work/sanitizer:halt_on_error=0:exitcode=99"
	umask 022
}

# Whether there is a directory of this test's own.  Nothing is unmounted, signalled or removed without one.
_kvfs_has_work() {
	[[ ${work:-} == /*/kv.?????? ]] && [ -d "$work" ] && [ -f "$work/pids" ]
}

kvfs_teardown() {
	local status=0
	_kvfs_has_work || return 0
	_kvfs_undo
	if [ -n "$(_unexpected_warnings)" ]; then
		echo "# unexpected warnings in the daemon's log:"
		_unexpected_warnings | sed 's/^/# /'
		status=1
	fi
	if compgen -G "$work/sanitizer*" >/dev/null; then
		cat "$work"/sanitizer* | head -n 120 | sed 's/^/# /'
		status=1
	fi
	if [ "$status" -ne 0 ] || [ "${BATS_TEST_COMPLETED:-}" != 1 ]; then
		echo "# the daemon's log ends:"
		tail -n 25 "$log" | sed 's/^/# /'
	fi
	sort -u "$work/journals" | while read -r journal; do
		rm -f "$journal"
	done
	rm -rf --one-file-system "$work"
	return $status
}

# Everything that could outlive the test, in the order that works even after the worst: the mounts of kvfs below $work, which ends
# their daemons; the daemons that this test started and that are still there; its redis-server.
_kvfs_undo() {
	local pid target
	_kvfs_has_work || return 1
	while read -r target; do
		[[ $target == "$work"/?* ]] || continue
		umount "$target" 2>/dev/null || umount -l "$target"
	done < <(awk -v top="$work/" '$0 ~ / - fuse\.kvfs(-view)? / && index($5, top) == 1 { print $5 }' /proc/self/mountinfo)
	while read -r pid; do
		_is_ours "$pid" || continue
		wait_until 30 _gone "$pid" && continue
		echo "# daemon $pid did not stop when its mount went"
		if _is_ours "$pid"; then kill -KILL "$pid"; fi
		wait_until 10 _gone "$pid" || echo "# daemon $pid survives SIGKILL"
	done <"$work/pids"
	if [ -n "${redis_pid:-}" ]; then
		kill -KILL "$redis_pid" 2>/dev/null
		wait "$redis_pid" 2>/dev/null
		redis_pid=
	fi
	return 0
}

# Whether process PID is still the daemon that was noted under this number.
_is_ours() {
	[[ $1 =~ ^[0-9]+$ ]] && ! _gone "$1" && [ "$(readlink "/proc/$1/exe")" = "$(realpath "$KVFS_BIN/kvfs")" ] &&
		tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF -- "$work/"
}

# By one look, since who is there at a first look may have gone before a second.
_gone() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	[[ ${stat##*) } == [ZX]* ]]
}

_unexpected_warnings() {
	local one lines
	lines=$(grep -hE '^[0-9]+:M .* # ' "$log" "$view_log")
	for one in "${expected_warnings[@]}"; do
		lines=$(grep -vE -- "$one" <<<"$lines")
	done
	printf '%s' "$lines"
}

expect_warning() {
	expected_warnings+=("$1")
}

wait_until() {
	local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/./}" -lt "$deadline" ] || return 1
		sleep 0.01
	done
}

is_mounted() {
	awk -v target="$1" '$5 == target { found = 1 } END { exit !found }' /proc/self/mountinfo
}

not_mounted() {
	if is_mounted "$1"; then return 1; fi
}

kvfs_start() {
	local options="logfile=$log" one
	for one; do
		options+=",${one//,/\\,}"
	done
	kvfs_run -o "$options" "$data" "$mnt"
}

# kvfs_run ARG...: the program itself; notes the pid of a daemon that comes of it, by the sockets below $work.
kvfs_run() {
	local status=0
	"$KVFS_BIN/kvfs" "$@" 3>&- 4>&- || status=$?
	note_daemons
	return $status
}

note_daemons() {
	local socket
	for socket in "$work"/*/kvfs.sock; do
		[ -S "$socket" ] || continue
		# The shared journal outlives a killed daemon.
		stat -c '/dev/shm/kvfs-%D-%i' "${socket%/*}" | awk -F- '{ printf "%s-%s-%x.journal\n", $1, $2, $3 }' >>"$work/journals"
		"$KVFS_BIN/kvfs-ctl" -s "$socket" info server 2>/dev/null | tr -d '\r' | sed -n 's/^process_id://p' >>"$work/pids"
	done
	return 0
}

view() {
	local source=$1 options="ro,logfile=$view_log" one status=0
	shift
	for one; do
		options+=",${one//,/\\,}"
	done
	"$KVFS_BIN/kvfs" -o "$options" "$source" "$then" 3>&- 4>&- || status=$?
	: >"$work/view.pid"
	for one in $(pgrep -x kvfs); do
		if _is_ours "$one" && tr '\0' '\n' <"/proc/$one/cmdline" | grep -qxF -- "$then"; then
			echo "$one" | tee "$work/view.pid" >>"$work/pids"
		fi
	done
	return $status
}

unview() {
	local pid
	pid=$(cat "$work/view.pid")
	[ -n "$pid" ] && umount "$then" && wait_until 30 _gone "$pid"
}

kvfs_pid() {
	info process_id
}

kvfs_stop() {
	local pid
	pid=$(kvfs_pid)
	[ -n "$pid" ] && ctl umount && _gone "$pid" && not_mounted "$mnt"
}

kvfs_remount() {
	kvfs_stop && kvfs_start "$@"
}

kvfs_kill9() {
	local pid
	pid=$(kvfs_pid)
	[ -n "$pid" ] && kill -KILL "$pid" && wait_until 10 _gone "$pid" && umount -l "$mnt"
}

_is_traced() {
	[ "$(awk '$1 == "TracerPid:" && $2 > 0' "/proc/$1"/task/*/status | wc -l)" -eq "$(ls "/proc/$1/task" | wc -l)" ]
}

trace_daemon() {
	local calls=$1 pid tracer
	shift
	pid=$(kvfs_pid)
	strace -qq -f -y -e "trace=$calls" -o "$work/trace" -p "$pid" 3>&- 4>&- &
	tracer=$!
	wait_until 20 _is_traced "$pid" || return 1
	"$@" >/dev/null
	kill "$tracer"
	wait "$tracer" || true
	cat "$work/trace"
}

ctl() {
	"$KVFS_BIN/kvfs-ctl" -m "$mnt" "$@" 3>&- 4>&-
}

info() {
	ctl info | tr -d '\r' | sed -n "s/^$1://p"
}

redis_start() {
	local dir=$1
	local settings=(--save "" --enable-protected-configs yes --enable-debug-command yes)
	shift
	[ -z "${redis_stock:-}" ] || settings=()
	redis-server --dir "$dir" --port 0 --unixsocket "$redis_socket" --logfile "$work/redis.log" --loglevel notice \
		"${settings[@]}" "$@" >/dev/null 2>&1 </dev/null 3>&- 4>&- &
	redis_pid=$!
	wait_until 60 _redis_answers && [ "$(redis ping)" = PONG ] || { sed 's/^/# redis: /' "$work/redis.log" | tail -n 20; return 1; }
}

_redis_answers() {
	_gone "$redis_pid" || [ "$(redis ping 2>/dev/null)" = PONG ]
}

redis() {
	redis-cli -s "$redis_socket" "$@"
}

redis_stop() {
	redis shutdown nosave >/dev/null
	wait "$redis_pid"
	redis_pid=
}

manifest() {
	(
		cd "$1" || exit 1
		find . -mindepth 1 -printf '%y %#m %U %G %T@ %p -> %l\n' | LC_ALL=C sort -k 6
		find . -type f -printf '%s %p\n' | LC_ALL=C sort
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r b2sum -l 256
	)
}

# same A B: two texts are equal; shows how they differ.
same() {
	[ "$1" = "$2" ] || { diff <(printf '%s\n' "$1") <(printf '%s\n' "$2") | head -n 20; return 1; }
}

# The last incr file of the append-only log.
last_incr() {
	local name
	name=$(sed -n 's/^file \([^ ]*\) seq [0-9]* type i$/\1/p' "$data/appendonlydir/appendonly.aof.manifest" | tail -n 1)
	[ -n "$name" ] && printf '%s\n' "$data/appendonlydir/$name"
}

