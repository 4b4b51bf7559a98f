#!/usr/bin/env bats
# CONFIG REWRITE makes a change last: the file says what CONFIG GET says, and is otherwise as its owner left it, wholly old or wholly new.
# By files, links, owners and options that a user may have, and by mounting again with the file; tests/unit/config_rewrite.c has the text.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

start_with() {
	kvfs_run -o "logfile=$log" "$@" "$mnt"
}

@test "comments, order and blanks stay; what was set, and what -o said, is there after a restart" {
	cat >"$work/a.ini" <<-INI
		# The keyspace of the shop.
		[data]
		dir = data

		[snapshot]
		  save = "60 1"   ; often

		# appendfsync = always: too slow
		[mount]
	INI
	start_with -o spin=7 -o "threads=3" "$work/a.ini"
	ctl config set save '3600 1' maxmemory 64mb
	[ "$(ctl config rewrite)" = OK ]
	same "$(cat "$work/a.ini")" "$(cat <<-INI
		# The keyspace of the shop.
		[data]
		dir = data

		[snapshot]
		  save = 3600 1   ; often

		# appendfsync = always: too slow
		[mount]
		threads = 3
		spin = 7

		[keyspace]
		maxmemory = 64mb

		[log]
		logfile = $log
	INI
	)"
	settings=$(ctl config get '*')
	kvfs_stop
	kvfs_run -c "$work/a.ini" "$mnt"
	same "$(ctl config get '*')" "$settings"
}

@test "every setting there is comes back, and a second rewrite changes nothing" {
	cp "$BATS_TEST_DIRNAME/../kvfs.ini" "$work/a.ini"
	start_with -c "$work/a.ini" -o start-timeout=61,value-max=3gb,journal-dir=/tmp,loglevel=verbose,appendfilename=b.aof "$data"
	ctl config set save '' appendfsync no rdbcompression no auto-aof-rewrite-percentage 7 shutdown-timeout 3 latency no
	ctl config rewrite
	settings=$(ctl config get '*')
	[ "$(diff "$BATS_TEST_DIRNAME/../kvfs.ini" "$work/a.ini" | grep -c '^>')" -eq 13 ]
	[ "$(wc -l <"$work/a.ini")" -eq "$(wc -l <"$BATS_TEST_DIRNAME/../kvfs.ini")" ]
	kvfs_stop
	kvfs_run "$work/a.ini" "$mnt"
	same "$(ctl config get '*')" "$settings"
	touch -d '2020-01-01' "$work/a.ini"
	ctl config rewrite
	[ "$(stat -c %Y "$work/a.ini")" -eq "$(date -d '2020-01-01' +%s)" ]
}

@test "the file's owner, mode and links are kept, a relative name is found again" {
	mkdir "$work/real"
	echo 'dir = ../data' >"$work/real/a.ini"
	chmod 640 "$work/real/a.ini"
	chown 12:34 "$work/real/a.ini"
	ln -s real/a.ini "$work/link.ini"
	(cd "$work" && start_with -c link.ini)
	ctl config set spin 7
	ctl config rewrite
	[ -L "$work/link.ini" ]
	[ "$(stat -c '%u:%g %a' "$work/real/a.ini")" = '12:34 640' ]
	[ "$(cat "$work/link.ini")" = $'dir = ../data\n\n[mount]\nspin = 7\n\n[log]\nlogfile = '"$log" ] ||
		same "$(cat "$work/link.ini")" $'dir = ../data\n\n[mount]\nspin = 7\n\n[log]\nlogfile = '"$log"
	[ "$(ls "$work/real")" = a.ini ]
}

@test "without a file it says what Redis says" {
	kvfs_start
	run ctl config rewrite
	[ "$status" -eq 1 ] && [ "$output" = "ERR The server is running without a config file" ]
	mkdir "$work/redis"
	redis_start "$work/redis"
	same "$(redis config rewrite)" "$output"$'\n' || same "$(redis config rewrite)" "$output"
	same "$(redis config rewrite x)" "$(redis-cli -s "$data/kvfs.sock" config rewrite x)"
	redis_stop
}

@test "what an ini file cannot say, or a file that was broken meanwhile, is refused and left alone" {
	mkdir "$work/etc" "$work/x ;y"
	echo 'threads = 3' >"$work/etc/a.ini"
	kvfs_run -c "$work/etc/a.ini" -o "logfile=$log" "$work/x ;y" "$mnt"
	run ctl config rewrite
	[ "$status" -eq 1 ]
	[ "$output" = "ERR Rewriting config file: $work/etc/a.ini: a setting can't be written to an ini file: dir would be read otherwise" ]
	[ "$(cat "$work/etc/a.ini")" = 'threads = 3' ]
	echo 'threats = 3' >"$work/etc/a.ini"
	run ctl config rewrite
	[ "$status" -eq 1 ]
	[ "$output" = "ERR Rewriting config file: $work/etc/a.ini: it can't be read:1: unknown option \"threats\"" ]
	[ "$(cat "$work/etc/a.ini")" = 'threats = 3' ]
	[ "$(ls "$work/etc")" = a.ini ]
}

@test "a file on a full disk is left whole" {
	mkdir "$work/small"
	mount -t tmpfs -o size=64k tmpfs "$work/small"
	{ echo 'dir = ../data'; for i in {1..600}; do echo "# a comment of the owner, number $i"; done; } >"$work/small/a.ini"
	start_with -c "$work/small/a.ini"
	dd if=/dev/zero of="$work/small/filler" bs=4k status=none 2>/dev/null || true
	before=$(sha256sum <"$work/small/a.ini")
	run ctl config rewrite
	after=$(sha256sum <"$work/small/a.ini")
	left=$(ls "$work/small")
	rm "$work/small/filler"
	again=$(ctl config rewrite)
	grep -q '^logfile = ' "$work/small/a.ini" && written=yes
	kvfs_stop
	umount "$work/small"
	[ "$status" -eq 1 ] && [[ "$output" = "ERR Rewriting config file: $work/small/a.ini: cannot be written: "* ]]
	[ "$after" = "$before" ] && [ "$left" = $'a.ini\nfiller' ]
	[ "$again" = OK ] && [ "$written" = yes ]
}

@test "the new file is on disk before it takes the old one's place, and its name is before the reply" {
	mkdir "$work/etc"
	echo 'dir = ../data' >"$work/etc/a.ini"
	start_with -c "$work/etc/a.ini"
	calls=$(trace_daemon fsync,rename ctl config rewrite | grep -oE "(fsync|rename)\(.*$work/etc.*")
	echo "# $calls"
	[ "$(wc -l <<<"$calls")" -eq 3 ]
	[[ "$(sed -n 1p <<<"$calls")" == "fsync("*"$work/etc/a.ini."*" = 0" ]]
	[[ "$(sed -n 2p <<<"$calls")" == "rename("*"$work/etc/a.ini."*"$work/etc/a.ini\""*" = 0" ]]
	[[ "$(sed -n 3p <<<"$calls")" == "fsync("*"$work/etc>"*" = 0" ]]
}

@test "killed at each step of a rewrite: the file is the old one or the new one" {
	local step pid tracer
	mkdir "$work/etc"
	old=$'dir = ../data\nlogfile = ../kvfs.log'
	new=$old$'\n\n[mount]\nspin = 7'
	for step in fsync:1 rename:1 fsync:2; do
		echo "$old" >"$work/etc/a.ini"
		kvfs_run -c "$work/etc/a.ini" "$mnt"
		ctl config set spin 7
		pid=$(kvfs_pid)
		strace -qq -f -e trace=fsync,rename -e "inject=${step%:*}:signal=KILL:when=${step#*:}" -o "$work/trace" -p "$pid" 3>&- 4>&- &
		tracer=$!
		wait_until 20 _is_traced "$pid"
		run ctl config rewrite
		[ "$status" -ne 0 ]
		wait "$tracer" || true
		wait_until 10 _gone "$pid"
		umount -l "$mnt"
		case $step in
		fsync:1) same "$(cat "$work/etc/a.ini")" "$old" ;;
		rename:1) [ "$(cat "$work/etc/a.ini")" = "$old" ] || same "$(cat "$work/etc/a.ini")" "$new" ;;
		fsync:2) same "$(cat "$work/etc/a.ini")" "$new" ;;
		esac
		rm -f "$work/etc/a.ini".*
	done
	kvfs_run -c "$work/etc/a.ini" "$mnt"
	[ "$(ctl config get spin)" = $'spin\n7' ]
}

@test "what only counts at a start counts at the next: key-load-delay, aof-load-corrupt-tail-max-size" {
	expect_warning 'cut'
	echo 'dir = data' >"$work/a.ini"
	start_with -c "$work/a.ini"
	for i in {1..20}; do echo v >"$mnt/k$i"; done
	ctl config set key-load-delay 50000 aof-load-corrupt-tail-max-size 1000
	ctl config rewrite
	kvfs_stop
	printf 'garbage' >>"$(last_incr)"
	run kvfs_run -c "$work/a.ini" "$mnt"
	echo "# $output"
	[ "$status" -eq 0 ]
	awk '/keys loaded in/ { found = 1; exit !($(NF - 1) >= 1.0) } END { if (!found) exit 1 }' <<<"$output"
	[ "$(ls "$mnt" | wc -l)" -eq 20 ]
}

@test "what only counts at a start counts at the next: aof-load-truncated" {
	echo 'dir = data' >"$work/a.ini"
	start_with -c "$work/a.ini"
	echo v >"$mnt/k"
	ctl config set aof-load-truncated no
	ctl config rewrite
	kvfs_kill9
	rm -f "$(sort -u "$work/journals" | head -n 1)"
	printf '*3\r\n$3\r\nSE' >>"$(last_incr)"
	run "$KVFS_BIN/kvfs" -c "$work/a.ini" "$mnt" 3>&- 4>&-
	[ "$status" -eq 1 ] && [[ "$output" = *aof-load-truncated* ]]
	not_mounted "$mnt"
}
