#!/usr/bin/env bats
# What shell scripts take for granted holds on the mount: appends, locks, replacements and pipes of processes that know nothing of each other.
# Each case is what people do; several processes at once where that matters; what is left is there after a remount or a kill.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

@test ">> from processes beside each other loses no line" {
	kvfs_start
	local i pids=()
	for i in 1 2 3 4 5 6; do
		bash -c 'for ((n = 0; n < 200; n++)); do echo "writer '$i' line $n" >>"$1"; done' - "$mnt/log" 3>&- 4>&- &
		pids+=($!)
	done
	# And who keeps it open, also over another's truncate.
	bash -c 'exec 7>>"$1"; for ((n = 0; n < 200; n++)); do echo "open line $n" >&7; done' - "$mnt/log" 3>&- 4>&- &
	wait "${pids[@]}" $!
	[ "$(wc -l <"$mnt/log")" -eq 1400 ]
	[ "$(sort "$mnt/log" | uniq | wc -l)" -eq 1400 ]
	kvfs_kill9
	kvfs_start
	[ "$(sort "$mnt/log" | uniq | wc -l)" -eq 1400 ]
}

@test "mkdir, noclobber and ln -s are locks: one at a time has them, and nobody waits for ever" {
	kvfs_start
	echo 0 >"$mnt/count"
	cat >"$work/count" <<-'END'
		cd "$1" || exit 1
		for ((i = 0; i < 25; i++)); do
			case $2 in
			mkdir) until mkdir lock 2>/dev/null; do :; done ;;
			noclobber) until (set -C; : >lock) 2>/dev/null; do :; done ;;
			symlink) until ln -s "$$" lock 2>/dev/null; do :; done ;;
			esac
			read -r n <count
			echo $((n + 1)) >count
			rm -r lock
		done
	END
	local how total=0
	for how in mkdir noclobber symlink; do
		local pids=() i
		for i in 1 2 3; do
			bash "$work/count" "$mnt" "$how" 3>&- 4>&- &
			pids+=($!)
		done
		wait "${pids[@]}"
		total=$((total + 75))
		[ "$(cat "$mnt/count")" = "$total" ]
	done
	[ ! -e "$mnt/lock" ]
}

@test "flock(1): who has it shuts others out, also through another descriptor, and death lets go" {
	kvfs_start
	: >"$mnt/lock"
	echo 0 >"$mnt/count"
	local pids=() i
	for i in 1 2 3; do
		bash -c 'for ((i = 0; i < 20; i++)); do flock "$1/lock" bash -c "read -r n <\"$1/count\"; echo \$((n + 1)) >\"$1/count\""; done' - "$mnt" 3>&- 4>&- &
		pids+=($!)
	done
	wait "${pids[@]}"
	[ "$(cat "$mnt/count")" = 60 ]
	exec 8>"$mnt/lock"
	flock 8
	run flock -n "$mnt/lock" true
	[ "$status" -eq 1 ]
	flock -u 8
	flock -n "$mnt/lock" true
	exec 8>&-
	flock "$mnt/lock" sleep 100 3>&- 4>&- &
	local holder=$!
	is_held() { ! flock -n "$mnt/lock" true; }
	wait_until 10 is_held
	kill -KILL $(pgrep -P "$holder") "$holder"
	wait "$holder" || true
	wait_until 10 flock -n "$mnt/lock" true
}

@test "set -C refuses what is there, >| does not; here-documents, read <, exec 3<>, pipes" {
	kvfs_start
	cd "$mnt"
	echo old >k
	run bash -c 'set -C; echo new >k'
	[ "$status" -ne 0 ]
	[[ $output == *"cannot overwrite existing file"* ]]
	[ "$(cat k)" = old ]
	bash -c 'set -C; echo new >|k'
	[ "$(cat k)" = new ]
	cat >doc <<-END
		first
		second
	END
	local a b
	{ read -r a; read -r b; } <doc
	[ "$a $b" = "first second" ]
	exec 7<>doc
	read -r a <&7
	printf 'SECOND\n' >&7
	exec 7>&-
	[ "$(cat doc)" = $'first\nSECOND' ]
	seq 100000 | tee copy1 >copy2
	cmp copy1 copy2
	[ "$(sort -n -r copy1 | head -n 1)" = 100000 ]
	sort -o copy1 -r copy1
	[ "$(head -n 1 copy1)" = 99999 ]
	# A key read while it is written to itself, which truncates it first: as anywhere.
	cat copy2 >copy2 || true
	[ ! -s copy2 ]
	cd /
	kvfs_remount
	[ "$(cat "$mnt/doc")" = $'first\nSECOND' ]
	[ "$(wc -l <"$mnt/copy1")" -eq 100000 ]
}

@test "while read over a key that is replaced meanwhile: the old one is read to its end" {
	kvfs_start
	seq 3000 >"$mnt/list"
	local n=0 line
	while read -r line; do
		n=$((n + 1))
		[ "$line" = "$n" ]
		if [ "$n" -eq 10 ]; then
			echo other >"$mnt/new"
			mv "$mnt/new" "$mnt/list"
		fi
	done <"$mnt/list"
	[ "$n" -eq 3000 ]
	[ "$(cat "$mnt/list")" = other ]
	# Removed while it is open: the same.
	seq 3000 >"$mnt/list"
	exec 7<"$mnt/list"
	rm "$mnt/list"
	[ "$(wc -l <&7)" -eq 3000 ]
	exec 7<&-
}

@test "a log is renamed and reopened, as logrotate does: no line is lost, and tail -F follows" {
	kvfs_start
	: >"$mnt/log"
	tail -n +1 -F -s 0.02 "$mnt/log" >"$work/seen" 2>/dev/null 3>&- 4>&- &
	local tail=$!
	cat >"$work/service" <<-'END'
		trap 'exec 7>>"$1/mnt/log"' HUP
		exec 7>>"$1/mnt/log"
		until [ -e "$1/stop" ]; do
			echo $((++i)) >&7
		done
		echo "$i" >"$1/count"
	END
	bash "$work/service" "$work" 3>&- 4>&- &
	local service=$! i
	for i in 1 2 3; do
		wait_until 20 test -s "$mnt/log"
		mv "$mnt/log" "$mnt/log.$i"
		kill -HUP "$service"
	done
	wait_until 20 test -s "$mnt/log"
	: >"$work/stop"
	wait "$service"
	same "$(cat "$mnt"/log* | sort -n)" "$(seq "$(cat "$work/count")")"
	echo last >>"$mnt/log"
	wait_until 20 grep -qx last "$work/seen"
	kill "$tail"
	wait "$tail" || true
	# copytruncate: the writer's next line stands at the start.
	exec 7>>"$mnt/log"
	cp "$mnt/log" "$mnt/log.copy"
	truncate -s 0 "$mnt/log"
	echo behind >&7
	exec 7>&-
	[ "$(cat "$mnt/log")" = behind ]
	kvfs_remount
	[ "$(cat "$mnt/log")" = behind ]
	same "$(cat "$mnt"/log.[123] | sort -n | uniq -d)" ""
}

@test "mktemp, install, mv across mounts, find -newer, cp -u, test -nt" {
	kvfs_start
	local one two
	one=$(mktemp -p "$mnt")
	two=$(mktemp -d -p "$mnt")
	[ "$(stat -c %a "$one") $(stat -c %a "$two")" = "600 700" ]
	printf '#!/bin/sh\necho installed\n' >"$work/script"
	install -D -m 751 -o 12 -g 34 "$work/script" "$mnt/bin/script"
	[ "$(stat -c '%a %u %g' "$mnt/bin/script")" = "751 12 34" ]
	[ "$("$mnt/bin/script")" = installed ]
	mkdir "$work/tree"
	echo a >"$work/tree/a"
	ln -s a "$work/tree/l"
	touch -d '2001-02-03 04:05:06.123456789' "$work/tree/a"
	local before
	before=$(manifest "$work/tree")
	mv "$work/tree" "$mnt/tree"
	[ ! -e "$work/tree" ]
	same "$(manifest "$mnt/tree")" "$before"
	mv "$mnt/tree" "$work/tree"
	same "$(manifest "$work/tree")" "$before"
	mv "$work/tree" "$mnt/tree"
	touch -d '2020-01-01' "$mnt/mark"
	[ "$(find "$mnt/tree" "$mnt/bin" -newer "$mnt/mark" -type f)" = "$mnt/bin/script" ]
	[ "$mnt/bin/script" -nt "$mnt/mark" ]
	cp -u "$mnt/tree/a" "$mnt/bin/script"
	[ "$("$mnt/bin/script")" = installed ]
	kvfs_remount
	[ "$(stat -c '%a %u %g' "$mnt/bin/script")" = "751 12 34" ]
	same "$(manifest "$mnt/tree")" "$before"
}

@test "a program that runs can't be written, and one that is written can't be run; it may be replaced" {
	kvfs_start
	cp "$(command -v sleep)" "$mnt/program"
	"$mnt/program" 100 3>&- 4>&- &
	local running=$!
	runs() { [ "$(readlink "/proc/$running/exe")" = "$mnt/program" ]; }
	wait_until 10 runs
	run bash -c 'echo x >>"$1"' - "$mnt/program"
	[ "$status" -ne 0 ]
	[[ $output == *"Text file busy"* ]]
	cp "$(command -v sleep)" "$mnt/program.new"
	mv "$mnt/program.new" "$mnt/program"
	[ "$(readlink "/proc/$running/exe")" = "$mnt/program (deleted)" ]
	kill -0 "$running"
	kill "$running"
	wait "$running" || true
	exec 7>>"$mnt/program"
	run "$mnt/program" 0
	[ "$status" -ne 0 ]
	[[ $output == *"Text file busy"* ]]
	exec 7>&-
	"$mnt/program" 0
}
