#!/usr/bin/env bats
# Under a service manager the daemon says what it is doing: when it is mounted, how far a long load or a long stop is, and its log lines
# come with their weight.
# By kvfs -f with a notify socket of the test's own (systemd is not needed), and systemd-analyze over the unit as it is installed.

load lib/kvfs
setup() {
	kvfs_setup
	"$KVTOOL" datagrams "$work/notify" >"$work/said" 3>&- 4>&- &
	listener=$!
	wait_until 10 test -S "$work/notify"
}
teardown() {
	kill "$listener"
	wait "$listener" || true
	kvfs_teardown
}

# serve ARG...: kvfs -f in the background, as the unit has it; its standard error goes to $work/stderr.
serve() {
	NOTIFY_SOCKET=$work/notify "$KVFS_BIN/kvfs" -f "$@" "$data" "$mnt" 2>"$work/stderr" 3>&- 4>&- &
	served=$!
	echo "$served" >>"$work/pids"
}

says() { grep -qE -- "$1" "$work/said"; }

@test "READY when it is mounted, and not before; STOPPING when it ends; nothing else for a short life" {
	serve -o "logfile=$log"
	wait_until 20 says READY
	is_mounted "$mnt"
	echo value >"$mnt/k"
	kill -TERM "$served"
	wait "$served"
	same "$(grep -v '^EXTEND' "$work/said")" "READY=1;STATUS=$data is mounted on $mnt
STATUS=Saving before the stop
STOPPING=1;STATUS=Writing what is not on disk yet"
	not_mounted "$mnt"
}

@test "a long load says how far it is, and asks for more time" {
	kvfs_start
	local i
	for i in $(seq 20); do
		: >"$mnt/k$i"
	done
	kvfs_stop
	serve -o "logfile=$log,key-load-delay=100000"
	wait_until 20 says '^EXTEND_TIMEOUT_USEC=[0-9]+;STATUS=Loading: [0-9]+%, [0-9]+ keys$'
	run says READY
	[ "$status" -eq 1 ]
	wait_until 20 says READY
}

@test "a long save at the end asks for more time as long as it gets on" {
	serve -o "logfile=$log,save=3600 1,rdb-key-save-delay=10000"
	wait_until 20 says READY
	local i
	for i in $(seq 200); do
		: >"$mnt/k$i"
	done
	kill -TERM "$served"
	more_time() { [ "$(grep -c '^EXTEND_TIMEOUT_USEC=[0-9]*$' "$work/said")" -ge 2 ]; }
	wait_until 20 more_time
	wait "$served"
	[ -s "$data/dump.rdb" ]
}

@test "a daemon that goes on after a stop that can't save says so, and is not stopping" {
	serve -o "logfile=$log,appendonly=no,save=3600 1,shutdown-timeout=0"
	wait_until 20 says READY
	echo value >"$mnt/k"
	mkdir "$data/dump.rdb"
	expect_warning .
	kill -TERM "$served"
	wait_until 20 says '^STATUS=A stop was asked for, but not everything could be saved: going on$'
	run says STOPPING
	[ "$status" -eq 1 ]
	rmdir "$data/dump.rdb"
	kill -TERM "$served"
	wait "$served"
	says STOPPING
}

@test "a start that is refused says why, and is never ready" {
	local status=0
	serve -o "dbfilename=a/b"
	wait "$served" || status=$?
	[ "$status" -eq 1 ]
	[ "$(cat "$work/stderr")" = 'kvfs: -o: dbfilename: "a/b" is no file name: it must have no '"'/'"' and not be "." or ".."' ]
	[ ! -s "$work/said" ]
}

@test "a daemon in the background tells nobody: the socket was meant for whoever started it" {
	NOTIFY_SOCKET=$work/notify kvfs_start
	kvfs_stop
	[ ! -s "$work/said" ]
}

@test "lines to the journal have their weight before them" {
	: >"$work/stderr"
	export JOURNAL_STREAM
	JOURNAL_STREAM=$(stat -c %d:%i "$work/stderr")
	serve
	wait_until 20 says READY
	kill -TERM "$served"
	wait "$served"
	grep -qx "<5>$data is mounted on $mnt" "$work/stderr"
	run grep -v '^<[4-7]>' "$work/stderr"
	[ "$output" = "" ]
}
