# crash.bash -- load with a ledger (ledger.c), and snapshots and rewrites under way all the time, for tests in which the daemon dies.
#
#	crash_setup                    after kvfs_setup: seed, rounds (ROUNDS, SEED), three writers; says them
#	crash_teardown                 before kvfs_teardown
#	crash_begin                    a directory for each writer, on disk
#	crash_load N [failing]         starts the load of round N; returns at a moment that the seed chooses
#	crash_ended                    waits for the load, which the death of the daemon ends
#	crash_check [synced]           the mount is what the ledger says

crash_setup() {
	rounds=${ROUNDS:-$1} writers=3 load_pid='' saver_pid=''
	seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
	export LEDGER_SOCKET=$data/kvfs.sock
	echo "# seed $seed, $rounds rounds"
}

crash_teardown() {
	local pid
	for pid in ${load_pid:-} ${saver_pid:-}; do
		kill -KILL "$pid" 2>/dev/null || true
	done
}

crash_begin() {
	local i
	for i in $(seq 0 $((writers - 1))); do
		mkdir "$mnt/w$i"
	done
	sync "$mnt"
}

# Snapshots and rewrites into both kinds of base one after the other, for as long as there is a daemon.
_crash_keep_saving() {
	while ctl ping; do
		case $((RANDOM % 4)) in
		0) ctl config set aof-use-rdb-preamble yes ;;
		1) ctl config set aof-use-rdb-preamble no ;;
		2) ctl bgsave --wait ;;
		*) ctl bgrewriteaof --wait ;;
		esac
	done >/dev/null 2>&1
}

_crash_has_grown() {
	[ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt "$2" ]
}

crash_load() {
	local n=$1 i size
	"$LEDGER" load "$work/ledger" "$mnt" $((seed + n)) "$writers" ${2:+"$2"} >"$work/load" 3>&- &
	load_pid=$!
	_crash_keep_saving 3>&- &
	saver_pid=$!
	for i in $(seq 0 $((writers - 1))); do
		size=$(stat -c %s "$work/ledger.$i" 2>/dev/null || echo 0)
		wait_until 60 _crash_has_grown "$work/ledger.$i" $((size + 40 * ((seed + n * 7919) % 400))) || return 1
	done
}

crash_ended() {
	wait "$load_pid" || return 1
	wait "$saver_pid" || true     # with whatever its last command said
	load_pid='' saver_pid=''
}

crash_check() {
	"$LEDGER" check "$work/ledger" "$mnt" "$writers" ${1:+"$1"}
}
