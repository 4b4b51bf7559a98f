#!/usr/bin/env bats
# MONITOR shows each change as it happens, in Redis's form and quoting, and costs nobody anything who does not look.
# By kvfs-ctl and redis-cli beside what a redis-server shows of the same commands, by replaying what was shown, and by a reader that does not read.

load lib/kvfs
setup() {
	kvfs_setup
	# Not by ctl: the process itself is stopped and killed.
	monitor=("$KVFS_BIN/kvfs-ctl" -m "$mnt" monitor)
}
teardown() {
	[ -z "${watcher:-}" ] || kill "$watcher" 2>/dev/null || true
	kvfs_teardown
}

# watch COMMAND...: runs it in the background, its lines go to $work/seen; returns when it is attached.
watch() {
	: >"$work/seen"     # what the last one said is not this one's
	"$@" >"$work/seen" 2>"$work/seen.err" 3>&- 4>&- &
	watcher=$!
	wait_until 10 grep -q OK "$work/seen"
}

# shows REGEX: a line does.
shows() {
	wait_until 10 grep -qE -- "$1" "$work/seen"
}

unwatch() {
	kill "$watcher"
	wait "$watcher" || true
	watcher=
}

# The commands alone.
commands() {
	sed -E '/^OK$/d; s/^[0-9]+\.[0-9]{6} \[[^]]*\] //' "$work/seen"
}

@test "each kind of change is a line, a create with its write is one" {
	kvfs_start xattr=yes
	watch "${monitor[@]}"
	echo Ada >"$mnt/k"
	echo Countess >>"$mnt/k"
	printf X | dd of="$mnt/k" bs=1 seek=1 conv=notrunc status=none
	echo new >"$mnt/k"
	mkdir "$mnt/d"
	mv "$mnt/k" "$mnt/d/k"
	ln "$mnt/d/k" "$mnt/d/l"
	ln -s k "$mnt/d/s"
	mkfifo "$mnt/d/f"
	chmod 600 "$mnt/d/k"
	chown 1:2 "$mnt/d/k"
	truncate -s 2 "$mnt/d/k"
	setfattr -n user.x -v y "$mnt/d/k"
	setfattr -x user.x "$mnt/d/k"
	ctl expire d/k 1000
	ctl persist d/k
	rm "$mnt/d/l" "$mnt/d/s" "$mnt/d/f"
	ctl del d/k
	rmdir "$mnt/d"
	: >"$mnt/empty"
	shows '"SET" "empty" ""$'
	unwatch
	grep -qE "^1[0-9]{9}\.[0-9]{6} \[0 unix:$mnt\] \"SET\" \"k\" \"Ada\\\\n\"$" "$work/seen"
	same "$(commands | sed -E 's/("PEXPIREAT" "d.k") "1[0-9]{12}"/\1 TIME/')" "$(cat <<-'LINES'
		"SET" "k" "Ada\n"
		"APPEND" "k" "Countess\n"
		"SETRANGE" "k" "1" "X"
		"SET" "k" "new\n"
		"MKDIR" "d"
		"RENAME" "k" "d/k"
		"LINK" "d/k" "d/l"
		"SYMLINK" "d/s" "k"
		"MKNOD" "d/f"
		"CHMOD" "d/k" "0600"
		"CHOWN" "d/k" "1" "2"
		"TRUNCATE" "d/k" "2"
		"SETXATTR" "d/k" "user.x" "y"
		"REMOVEXATTR" "d/k" "user.x"
		"PEXPIREAT" "d/k" TIME
		"PERSIST" "d/k"
		"DEL" "d/l"
		"UNLINK" "d/s"
		"UNLINK" "d/f"
		"DEL" "d/k"
		"RMDIR" "d"
		"SET" "empty" ""
	LINES
	)"
}

@test "quoting is Redis's, for every byte" {
	local key=$'a "b"\\ \t\x01\xff' bytes
	mkdir "$work/redis"
	redis_start "$work/redis"
	kvfs_start
	bytes=$work/bytes
	LC_ALL=C awk 'BEGIN { for (i = 1; i < 256; i++) printf "%c", i }' >"$bytes"
	watch redis-cli -s "$redis_socket" monitor
	redis -x set "$key" <"$bytes" >/dev/null
	shows '"set"'
	unwatch
	commands | sed 's/^"set"/"SET"/' >"$work/theirs"
	watch redis-cli -s "$data/kvfs.sock" monitor
	cat "$bytes" >"$mnt/$key"
	shows '"SET"'
	unwatch
	same "$(commands)" "$(cat "$work/theirs")"
	redis_stop
}

@test "what was shown, done again in a redis-server, makes the same keys and values" {
	mkdir "$work/redis"
	redis_start "$work/redis"
	kvfs_start
	watch "${monitor[@]}"
	mkdir "$mnt/d"
	for i in {1..28}; do
		echo "value $i" >"$mnt/d/k$i"
		echo "more \"$i\"" >>"$mnt/d/k$((i / 2 + 1))"
		[ $((i % 7)) -ne 0 ] || mv "$mnt/d/k$i" "$mnt/d/moved$i"
		[ $((i % 5)) -ne 0 ] || rm -f "$mnt/d/k$((i - 3))"
	done
	: >"$mnt/end"
	shows '"end"'
	unwatch
	commands | grep -v MKDIR | redis-cli -s "$redis_socket" >/dev/null
	same "$(redis keys 'd/*' | sort)" "$(cd "$mnt" && find d -type f | sort)"
	same "$(cd "$mnt" && printf 'get %s\n' d/* | redis-cli -s "$redis_socket")" "$(cd "$mnt" && for key in d/*; do cat "$key"; echo; done)"
	redis_stop
}

@test "a long value is shown by its beginning" {
	kvfs_start
	watch "${monitor[@]}"
	head -c 100000 /dev/zero | tr '\0' x >"$work/long"
	cp "$work/long" "$mnt/long"
	shows '"long" "x{1024}\.\.\. \([0-9]+ more bytes\)"'
	unwatch
}

dropped() {
	[ "$(info client_output_buffer_limit_disconnections)" = 1 ]
}

@test "a monitor that does not read holds up no writer, is dropped at its bound and told so; the memory comes back" {
	local before grown
	kvfs_start save= appendonly=no
	echo warm >"$mnt/k"
	"${monitor[@]}" >/dev/null 3>&- 4>&- & other=$!
	# kvfs-ctl stopped while it is attached: it does not read any more.
	watch "${monitor[@]}"
	kill -STOP "$watcher"
	before=$(info used_memory_rss)
	wait_until 30 eval 'fill; dropped'
	grown=$(($(info used_memory_rss) - before))
	# What a sanitizer keeps of what was freed is not counted.
	grep -qa -e __asan_init -e __tsan_init "$KVFS_BIN/kvfs" || [ "$grown" -lt $((64 << 20)) ] || { echo "# grown by $grown"; return 1; }
	# The other one reads and stays.
	kill -0 "$other"
	kill "$other"
	kill -CONT "$watcher"
	wait_until 10 _gone "$watcher"
	status=0; wait "$watcher" || status=$?
	watcher=
	[ "$status" -eq 1 ]
	grep -q 'output buffer limit' "$work/seen.err"
	[ "$(ctl ping)" = PONG ]
}

# Two thousand changes of a KiB, three in a line.
fill() {
	dd if=/dev/urandom of="$mnt/k" bs=1k count=2000 conv=notrunc oflag=append status=none
}

@test "nobody looks: no more system calls, and none of the writers' with a monitor either" {
	kvfs_start save=
	echo warm >"$mnt/k"
	writes() { for i in 1 2 3 4 5 6 7 8 9; do echo "$i" >"$mnt/k"; done; }
	calls() { trace_daemon 'write,sendto,sendmsg' writes | grep -c 'eventfd' || true; }
	[ "$(calls)" = 0 ]
	watch "${monitor[@]}"
	[ "$(calls)" = 0 ]
	shows '"SET" "k" "9'
	unwatch
}

@test "eight monitors, no more" {
	kvfs_start
	watching=()
	for i in {1..8}; do
		"${monitor[@]}" >"$work/seen$i" 2>&1 3>&- 4>&- & watching+=($!)
		wait_until 10 grep -q OK "$work/seen$i"
	done
	run ctl monitor
	[ "$status" -eq 1 ] && [[ "$output" = *"max number of monitors reached"* ]]
	echo v >"$mnt/k"
	for i in {1..8}; do wait_until 10 grep -q '"SET" "k"' "$work/seen$i"; done
	kill "${watching[@]}"
	run ctl monitor x
	[ "$status" -eq 2 ]
	wait_until 10 eval '[ "$(timeout 1 "$KVFS_BIN/kvfs-ctl" -m "$mnt" monitor | head -n 1)" = OK ]'
}
