#!/usr/bin/env bats
# kvfs-ctl top shows what goes on: on a terminal a screen, elsewhere or with -n lines, as vmstat's.
# By a terminal of its own (tmux) whose screen is read, and by numbers that this test makes happen.

load lib/kvfs
load lib/screen
setup() {
	kvfs_setup
	top="'$KVFS_BIN/kvfs-ctl' -m '$mnt' top"
}
teardown() {
	screen_stop
	kvfs_teardown
}

@test "the screen: keys, rates, log, snapshot, state; another size; q ends it and gives the terminal back" {
	kvfs_start save= maxmemory=100mb
	for i in {1..7}; do echo "$i" >"$mnt/k$i"; done
	ctl expire k1 1000
	screen_start 100 20 "$top -i 0.2; echo 'ended with' \$?; stty -a | grep -o -- ' -*icanon'; cat"
	wait_until 10 screen_has "^kvfs $mnt +up 0d 00:00:[0-9]+ +state ok$"
	screen_has '^keys 7, 1 with an end   dirty [1-9][0-9]*   memory [0-9.]+K of 100M \[[ ▏▎▍▌▋▊▉█]{10}\]$'
	screen_has '^log [0-9.]+[BK], [0-9.]+[BK] waiting   snapshot [0-9]+s ago$'
	wait_until 10 eval 'echo x >>"$mnt/k2"; screen_has "^changes [1-9][0-9.]*/s   messages [1-9][0-9.]*/s  look "'
	wait_until 10 eval 'echo x >>"$mnt/k2"; screen_has "^write +[1-9][0-9.]* +[0-9]+ +[0-9.]+us +[0-9]+us +[0-9.]+[um]s +█+"'
	# The busiest first.
	wait_until 10 eval 'for i in {1..50}; do echo x >>"$mnt/k2"; done; screen | grep -A1 ^operation | grep -q ^write'
	screen -e | grep -q $'\033\\[32m'
	screen_size 60 12
	wait_until 10 screen_has '^q: quit'
	[ "$(screen | grep -c .)" -le 12 ]
	! screen_has '█{2}.*█{2}.*q: quit'
	screen_keys q
	wait_until 10 screen_has '^ended with 0'
	wait_until 10 screen_has '^ icanon'
	! screen_has ^operation
}

@test "the screen shows a snapshot while it is written, and a server that goes" {
	kvfs_start save= rdb-key-save-delay=20000
	for i in {1..100}; do echo "$i" >"$mnt/k$i"; done
	screen_start 100 20 "$top -i 0.1; echo 'ended with' \$?; cat"
	wait_until 10 screen_has '^keys 100,'
	ctl bgsave
	wait_until 10 screen_has 'snapshot writing [0-9]+% \[[ ▏▎▍▌▋▊▉█]{20}\]$'
	ctl shutdown nosave
	wait_until 10 screen_has '^ended with 3'
	screen_has '^kvfs-ctl: the server went away'
}

@test "NO_COLOR, an interrupt, and a terminal whose cursor does not move" {
	kvfs_start
	screen_start 130 20 "NO_COLOR=1 $top -i 0.1; echo 'ended with' \$?; TERM=dumb $top -i 0.1 -n 2; echo 'lines with' \$?; cat"
	wait_until 10 screen_has '^operation'
	! screen -e | grep -q $'\033\\[[0-9]*m'
	screen_keys C-c
	wait_until 10 screen_has '^lines with 0'
	screen_has '^ended with 0'
	[ "$(screen | grep -c 's ago .*ok$')" = 2 ]
}

@test "-n: so many lines, the first since the start; rates are those of the interval" {
	kvfs_start save=
	for i in {1..20}; do echo "$i" >"$mnt/k$i"; done
	eval "$top -i 0.5 -n 4" >"$work/lines" 3>&- 4>&- & lines=$!
	wait_until 10 eval '[ "$(wc -l <"$work/lines")" -ge 2 ]'
	for i in {1..30}; do echo x >>"$mnt/k1"; done
	wait "$lines"
	[ "$(wc -l <"$work/lines")" = 5 ]
	[ "$(head -n 1 "$work/lines" | awk '{ print $1, $2, $4, $NF }')" = "keys memory changes state" ]
	[ "$(sed -n 2p "$work/lines" | awk '{ print $1, ($4 > 0), $NF }')" = "20 1 ok" ]
	# Thirty appends in all intervals.
	awk 'NR > 2 { sum += $4 * 0.5 } END { exit !(sum > 25 && sum < 35) }' "$work/lines"
	[ -z "$(tr -d '[:print:]\n' <"$work/lines")" ]
}

@test "--json: an object a line, which jq and sqlite read" {
	kvfs_start save=
	for i in {1..20}; do echo "$i" >"$mnt/k$i"; done
	ctl top --json -n 2 -i 0.1 >"$work/json"
	[ "$(wc -l <"$work/json")" = 2 ]
	sed -n 1p "$work/json" >"$work/first"
	sed -n 2p "$work/json" >"$work/second"
	field() { sqlite3 :memory: "SELECT json_extract(readfile('$work/$1'), '$2')"; }
	[ "$(field first '$.keys')" = 20 ]
	[ "$(field first '$.state')" = ok ]
	[ "$(field first '$.changes_per_second')" != 0.0 ]
	[ "$(field second '$.changes_per_second')" = 0.0 ]
	[ "$(field second '$.messages_per_second.write')" = 0.0 ]
	[ "$(field first '$.latency_usec.calls')" -ge 60 ]
	[ "$(field first '$.log_enabled')" = 1 ]
}

@test "wrong words are exit status 2" {
	for words in '-n 0' '-n' '-i 0' '-i x' '-i -1' '-i 1e9' '-x' 'x'; do
		run eval "$top $words"
		[ "$status" -eq 2 ] || { echo "# $words: $status"; return 1; }
	done
	run ctl top -n 1
	[ "$status" -eq 3 ]
	kvfs_start
	run eval "$top -n1 -i.01 >/dev/full"
	[ "$status" -eq 1 ]
}
