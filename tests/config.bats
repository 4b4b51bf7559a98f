#!/usr/bin/env bats
# Every setting is what the documents say it is, from whichever side it comes, and what cannot be meant is refused with its place.
# By starting the real daemon with good and bad settings; tests/unit/config.c holds kvfs.ini and the manual against the table.

load lib/kvfs
setup() { kvfs_setup; }
teardown() {
	kvfs_teardown
}

# refused TEXT ARG...: kvfs does not start, and says exactly that.
refused() {
	local want=$1
	shift
	run "$KVFS_BIN/kvfs" "$@" "$mnt" 3>&- 4>&-
	echo "# $output"
	[ "$status" -eq 1 ] && [ "$output" = "$want" ] && not_mounted "$mnt"
}

# Name and value of every line of an ini file.
settings() {
	sed -nE 's/^([a-z-]+) = ?(.*)$/\1\t\2/p' "$1"
}

@test "kvfs.ini as it is delivered is the defaults, and every line of it counts" {
	ini=$BATS_TEST_DIRNAME/../kvfs.ini
	[ "$(settings "$ini" | wc -l)" -ge 20 ]
	kvfs_start
	defaults=$(ctl config get '*')
	kvfs_stop
	"$KVFS_BIN/kvfs" -c "$ini" -o "dir=$data,logfile=$log" "$mnt" 3>&- 4>&-
	same "$(ctl config get '*')" "$defaults"
	while IFS=$'\t' read -r name _; do
		[ "$(ctl config get "$name" | head -n 1)" = "$name" ]
		grep -q -- " $name=" <<<"$("$KVFS_BIN/kvfs" --help)"
	done < <(settings "$ini")
	[ "$(ctl config get '*' | wc -l)" -eq $((2 * $(settings "$ini" | wc -l))) ]
}

@test "what stands in an ini file is what CONFIG GET says" {
	cat >"$work/a.ini" <<-INI
		[anything]
		dir = data
		save = "60 7"  ; a comment
		   appendfsync = always
		auto-aof-rewrite-min-size = 1mb
		value-max: 2k
	INI
	"$KVFS_BIN/kvfs" -o "logfile=$log" "$work/a.ini" "$mnt" 3>&- 4>&-
	[ "$(ctl config get dir)" = "dir"$'\n'"$data" ]
	[ "$(ctl config get save appendfsync)" = $'save\n60 7\nappendfsync\nalways' ]
	[ "$(ctl config get auto-aof-rewrite-min-size)" = $'auto-aof-rewrite-min-size\n1048576' ]
	head -c 2000 /dev/zero >"$mnt/k"
	run bash -c "echo x >>'$mnt/k'"
	[ "$status" -ne 0 ]
	[ "$(stat -c %s "$mnt/k")" -eq 2000 ]
}

@test "-o wins over the file, the last -o over those before" {
	printf 'save = 60 7\nspin = 5\nthreads = 3\n' >"$work/a.ini"
	"$KVFS_BIN/kvfs" -c "$work/a.ini" -o "spin=6,save=" -o "spin=7,logfile=$log" "$data" "$mnt" 3>&- 4>&-
	[ "$(ctl config get save)" = $'save\n' ] || [ "$(ctl config get save)" = save ]
	[ "$(ctl config get spin)" = $'spin\n7' ]
	[ "$(ctl config get threads)" = $'threads\n3' ]
}

@test "an unknown key is refused with file and line" {
	printf '[a]\n\nappendfsink = no\n' >"$work/a.ini"
	refused "kvfs: $work/a.ini:3: unknown option \"appendfsink\"" -c "$work/a.ini"
}

@test "a bad value is refused with file, line and what is allowed" {
	printf 'spin = 1\nappendfsync = sometimes\n' >"$work/a.ini"
	refused "kvfs: $work/a.ini:2: appendfsync: \"sometimes\" is not one of everysec, always, no" -c "$work/a.ini"
	refused 'kvfs: -o: threads: "0" is out of range: 1 to 64' -o threads=0 "$data"
}

@test "a key that is given twice is refused with both lines" {
	printf 'spin = 1\n[b]\nspin = 2\n' >"$work/a.ini"
	refused "kvfs: $work/a.ini:3: spin: was given before, in line 1" -c "$work/a.ini"
}

@test "a line that is too long is refused, not cut" {
	{ printf 'threads = 1\nlogfile = /'; head -c 9000 /dev/zero | tr '\0' x; echo; } >"$work/a.ini"
	refused "kvfs: $work/a.ini:2: the line is longer than 8000 bytes" -c "$work/a.ini"
}

@test "an ini file that is not there, or a directory" {
	run "$KVFS_BIN/kvfs" -c "$work/none.ini" "$mnt"
	[ "$status" -eq 1 ] && [[ "$output" = "kvfs: $work/none.ini: cannot be read: "* ]]
	refused "kvfs: $work: is a directory" -c "$work"
}

@test "the words of fstab are taken, those of the kernel take effect" {
	"$KVFS_BIN/kvfs" -o "rw,nofail,_netdev,x-systemd.automount,user=me,nosuid,noexec,logfile=$log" "$data" "$mnt" 3>&- 4>&-
	options=$(findmnt -n -o OPTIONS --mountpoint "$mnt")
	[[ ",$options," = *,nosuid,* && ",$options," = *,noexec,* ]]
	[ "$(ctl ping)" = PONG ]
}

@test "-n says whether the settings are right, and mounts nothing" {
	printf '[log]\nlogfile = %s\n' "$log" >"$work/a.ini"
	for line in "-n $work/a.ini" "-n -c $work/a.ini" "-n $work/a.ini $mnt" "-n -c $work/a.ini $mnt" "-n -o ro $data $mnt" "-n"; do
		run "$KVFS_BIN/kvfs" $line
		[ "$status" -eq 0 ] && [ "$output" = "configuration OK" ]
	done
	printf 'spin = x\n' >"$work/a.ini"
	refused "kvfs: $work/a.ini:1: spin: \"x\" is no number" -n "$work/a.ini"
	refused 'kvfs: -o: unknown option "x"' -n -o x=1
	refused "kvfs: $work/none.ini: No such file or directory (an ini file or a data directory is wanted)" -n "$work/none.ini"
	refused "kvfs: acl: ACLs are extended attributes, and xattr is no" -n -o acl
	not_mounted "$mnt"
	[ -z "$(ls "$data")" ]
}

@test "-T prints the settings that hold, as an ini file that can be given back" {
	printf '[log]\nlogfile = " a;b"\n[keyspace]\ndir = data ; here\nmaxmemory = 75%%\n' >"$work/a.ini"
	cd "$work"
	"$KVFS_BIN/kvfs" -T -o save=,spin=7,ro,noatime a.ini >all.ini
	[ "$(head -n 1 all.ini)" = "; -o ro,noatime" ]
	grep -qx "dir = $data" all.ini
	grep -qx "maxmemory = 75%" all.ini
	grep -qx "logfile = \" a;b\"" all.ini
	grep -qx "save =" all.ini
	same "$("$KVFS_BIN/kvfs" -T all.ini)" "$(tail -n +3 all.ini)"
	same "$("$KVFS_BIN/kvfs" -T | settings /dev/stdin | cut -f 1)" "$(settings "$BATS_TEST_DIRNAME/../kvfs.ini" | cut -f 1)"
	"$KVFS_BIN/kvfs" -T -o dir=data | grep -qx "dir = $data"
	refused 'kvfs: -o: threads: "0" is out of range: 1 to 64' -T -o threads=0
	refused "kvfs: a setting can't be written to an ini file: logfile would be read otherwise" -T -o "logfile=/a ;b"
}

@test "--help and --version" {
	run "$KVFS_BIN/kvfs" --help
	[ "$status" -eq 0 ] && [[ "$output" = *appendfsync=everysec\|always\|no* ]]
	[[ "$output" != *key-load-delay* ]]
	run "$KVFS_BIN/kvfs-ctl" --version
	[ "$status" -eq 0 ] && [[ "$output" =~ ^kvfs-ctl\ [0-9.]+$ ]]
}

@test "a start with limits below what is there: value-max is named, under maxmemory everything is loaded and nothing grows" {
	expect_warning 'maxmemory is 1000, but [0-9]+ bytes are in use'
	kvfs_start
	head -c 3000 /dev/zero >"$mnt/k"
	kvfs_stop
	run kvfs_start value-max=1000
	[ "$status" -eq 1 ] && [[ "$output" = *'key "k" has a value that is larger than value-max allows'* ]]
	kvfs_start maxmemory=1000
	grep -qE 'maxmemory is 1000, but [0-9]+ bytes are in use' "$log"
	[ "$(stat -c %s "$mnt/k")" -eq 3000 ]
	[ "$("$KVTOOL" try pwrite "$mnt/k" 100000 x)" = ENOSPC ]
	[ "$("$KVTOOL" try create "$mnt/l")" = ENOSPC ]
	[ "$("$KVTOOL" try unlink "$mnt/k")" = ok ]
}
