#!/usr/bin/env bats
# Requests come by io_uring where that is asked for and possible, and by /dev/fuse everywhere else; nobody sees a difference.
# By mounts with `io-uring = yes`: on a libfuse and a kernel that can, its counts in INFO; elsewhere the line in the log that says why not.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

by_uring() {
	info total_fuse_messages_by_io_uring
}
needs_uring() {
	kvfs_start io-uring=yes
	[ "$(by_uring)" -gt 0 ] || skip "no io_uring: $(grep -o 'io-uring: .*' "$log")"
}

@test "without it nothing comes that way" {
	kvfs_start io-uring=no
	echo v >"$mnt/k"
	[ "$(by_uring)" = 0 ]
	! grep io-uring "$log"
}

@test "with it the keyspace is served, one way or the other, and the log says which" {
	kvfs_start io-uring=yes
	echo v >"$mnt/k"
	[ "$(cat "$mnt/k")" = v ]
	mkdir "$mnt/d" && mv "$mnt/k" "$mnt/d/k" && ln -s d/k "$mnt/l" && [ "$(cat "$mnt/l")" = v ]
	if [ "$(by_uring)" = 0 ]; then
		grep 'io-uring: .*requests are read' "$log"
	else
		! grep io-uring "$log"
	fi
	kvfs_remount io-uring=yes
	[ "$(cat "$mnt/d/k")" = v ]
}

@test "every kind of message is counted as by /dev/fuse" {
	needs_uring
	local before
	before=$(by_uring)
	echo v >"$mnt/k"
	truncate -s 100000 "$mnt/k"
	head -c 300000 /dev/urandom >"$mnt/large"
	cp "$mnt/large" "$mnt/copy" && cmp "$mnt/large" "$mnt/copy"
	ls -l "$mnt" >/dev/null
	sync "$mnt/k"
	rm "$mnt/k" "$mnt/copy"
	[ "$(by_uring)" -ge $((before + 15)) ]
	[ "$(info fuse_write)" -ge 3 ]
	ctl latency histogram write | grep -q calls
}

@test "a stop while clients go on: each call succeeds or fails, and what succeeded is there" {
	needs_uring
	local i pid pids=()
	for i in 1 2 3 4; do
		(
			n=0
			cd "$mnt" || exit     # what the name of the mount point leads to afterwards is another directory
			while echo "$n" 2>/dev/null >>"w$i"; do
				echo "$n" >"$work/done.$i"
				n=$((n + 1))
			done
		) &
		pids+=($!)
	done
	wait_until 20 test -s "$work/done.1" && wait_until 20 test -s "$work/done.4"
	pid=$(kvfs_pid)
	kill -TERM "$pid"
	wait_until 30 _gone "$pid"
	wait "${pids[@]}" || true
	not_mounted "$mnt"
	kvfs_start io-uring=yes
	for i in 1 2 3 4; do
		grep -qx "$(cat "$work/done.$i")" "$mnt/w$i"
	done
}

@test "death and return" {
	needs_uring
	echo v >"$mnt/k"
	kvfs_kill9
	expect_warning "$mnt"
	kvfs_start io-uring=yes
	[ "$(cat "$mnt/k")" = v ]
}
