#!/usr/bin/env bats
# kvfs-ctl check says of a file or directory what counts, what is torn, rotten or missing and where, and changes nothing; with --fix what is
# left is made usable again, by kvfs and by redis-server, and the originals stay.
# Sound, torn and rotten files are made by a mount, by redis-server and by dd; checksums show what was touched.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

fingerprint() {
	(cd "$data" && find . -type f -exec sha256sum {} + | sort)
}

filled() {
	kvfs_start "save=" "$@"
	mkdir "$mnt/d"
	for i in $(seq 50); do
		echo "$i" >"$mnt/d/$i"
	done
	ln -s d "$mnt/link"
	ctl save
	kvfs_stop
	incr=$data/appendonlydir/appendonly.aof.1.incr.aof
	manifest=$data/appendonlydir/appendonly.aof.manifest
	before=$(fingerprint)
}

# check [--fix] PATH: the status goes to $status, what it says to $output.
check() {
	run "$KVFS_BIN/kvfs-ctl" check "$@"
}

# rot FILE OFFSET [MASK]: another byte there.
rot() {
	local old
	old=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf "\\x$(printf %02x $((old ^ ${3:-0x5a})))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# offset FILE TEXT: where TEXT stands first.
offset() {
	grep -abo -m 1 -F -- "$2" "$1" | head -n 1 | cut -d: -f1
}

untouched() {
	[ "$(fingerprint)" = "$before" ]
}

# What kvfs mounts, and what redis-server loads, after a repair that left KEYS keys.
loads() {
	check "$data"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	redis_start "$data" --appendonly yes
	[ "$(redis dbsize)" = "$1" ]
	redis_stop
	kvfs_start "save="
	[ "$(info keys_total)" = "$1" ] || [ "$(find "$mnt" -type f | wc -l)" = "$1" ]
	echo goes-on >"$mnt/after"
	kvfs_remount "save="
	[ "$(cat "$mnt/after")" = goes-on ]
	kvfs_stop
}

# Two files of one log: the second begins where a second start opened the first.
split_log() {
	kvfs_start "save="
	echo later >"$mnt/later"
	kvfs_stop
	local at
	at=$(($(grep -abo -F SELECT "$incr" | tail -n 1 | cut -d: -f1) - 8))
	tail -c +$((at + 1)) "$incr" >"${incr/.1./.2.}"
	truncate -s "$at" "$incr"
	sed -i '1d; $a file appendonly.aof.2.incr.aof seq 2 type i' "$manifest"
	before=$(fingerprint)
}

@test "a sound directory is counted, its log and its snapshot" {
	filled
	check "$data"
	[ "$status" -eq 0 ]
	[[ $output == *"appendonlydir/appendonly.aof.manifest: manifest of kvfs: 1 base, 1 incr, 0 history; its checksum is right"* ]]
	[[ $output == *"appendonly.aof.1.incr.aof: log of kvfs: "*" batches, up to number "*" commands"* ]]
	[[ $output == *"dump.rdb: RDB version 9 of kvfs: 50 keys, 2 directories, 1 symlinks, up to batch "*"; its checksum is right"* ]]
	[ "${lines[-1]}" = clean ]
	untouched
}

@test "a path is a data directory, the directory of a log, its manifest, one of its files, or an RDB file" {
	filled
	cd "$data"
	check appendonlydir
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "appendonly.aof.manifest: manifest of kvfs"* ]]
	check appendonlydir/appendonly.aof.manifest
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 4 ]
	check appendonlydir/appendonly.aof.1.incr.aof
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "appendonlydir/appendonly.aof.1.incr.aof: log of kvfs"* ]]
	check dump.rdb
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "dump.rdb: RDB version 9 of kvfs: 50 keys"* ]]
	untouched
}

@test "files of a stock redis-server are counted too, and its torn log is found" {
	redis_start "$data" --appendonly yes --aof-use-rdb-preamble no
	redis mset a 1 b 2 c 3
	redis rpush list x
	redis save
	redis_stop
	check "$data"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ $output == *"manifest of Redis: 1 base, 1 incr"* ]]
	[[ $output == *"incr.aof: log: 3 commands"* ]]
	[[ $output == *"dump.rdb: RDB version 10 of Redis: 4 keys, 1 of the keys no strings; its checksum is right"* ]]
	truncate -s -3 "$(last_incr)"
	rm "$data/appendonlydir/appendonly.aof.manifest"
	check --fix "$data"
	[ "$status" -eq 1 ]
	[[ $output == *"appendonly.aof.manifest: the files tell what it must say"* ]]
	check "$data"
	[ "$status" -eq 0 ]
	redis_start "$data" --appendonly yes
	[ "$(redis dbsize)" = 3 ]
	redis_stop
}

@test "a torn tail is named with its place, and not cut" {
	filled
	truncate -s -5 "$incr"
	before=$(fingerprint)
	check "$data"
	[ "$status" -eq 4 ]
	[[ $output =~ incr.aof:\ torn\ at\ [0-9]+:\ its\ last\ [0-9]+\ bytes ]]
	[[ $output == *"dump.rdb: "*"50 keys"* ]]
	untouched
}

@test "a rotten byte is named with the offset of its batch and its key, and what is whole behind it is counted" {
	filled
	rot "$incr" $(($(offset "$incr" 'd/7') + 12))
	before=$(fingerprint)
	check "$data"
	[ "$status" -eq 4 ]
	[[ $output =~ incr.aof:\ damaged:\ batch\ at\ [0-9]+:\ checksum\ does\ not\ match\;\ it\ begins\ with\ SET\ \"d/7\" ]]
	[[ $output =~ incr.aof:\ 4[0-9]\ later\ batches\ \([0-9]+\ to\ [0-9]+\)\ are\ whole\ but\ can\'t\ count ]]
	[[ $output =~ incr.aof:\ what\ counts\ are\ its\ first\ [0-9]+\ of\ $(stat -c %s "$incr")\ bytes ]]
	[[ $output != *"tells more"* ]]
	untouched
}

@test "a rotten snapshot beside a sound log is a fault too: a wrong checksum is told from a broken structure" {
	filled "rdbcompression=no"
	rot "$data/dump.rdb" $(($(offset "$data/dump.rdb" 'd/25') + 5))
	before=$(fingerprint)
	check "$data"
	[ "$status" -eq 4 ]
	[[ $output == *"dump.rdb: damaged: the checksum at "*" does not match, but all of its 50 keys can be read"* ]]
	untouched
	rot "$data/dump.rdb" $(($(offset "$data/dump.rdb" 'd/30') - 1))
	check "$data/dump.rdb"
	[ "$status" -eq 4 ]
	[[ $output =~ dump.rdb:\ damaged:\ offset\ [0-9]+:\  ]]
	[[ $output =~ the\ first\ [0-9]+\ keys\ can\ be\ read,\ up\ to\ [0-9]+\ of ]]
}

@test "what is missing is named: a file of the manifest, the manifest, batches between two files" {
	filled
	split_log
	check "$data"
	[ "$status" -eq 0 ]
	mv "$incr" "$work/"
	check "$data"
	[ "$status" -eq 4 ]
	[[ $output == *"appendonly.aof.1.incr.aof: damaged: it is listed in the manifest, but it is not there"* ]]
	[[ $output == *"appendonly.aof.2.incr.aof: its 2 batches ("*") are whole but can't count"* ]]
	sed -i '/1.incr/d' "$manifest"
	check "$data"
	[ "$status" -eq 4 ]
	[[ $output =~ 2.incr.aof:\ damaged:\ batch\ at\ 0:\ it\ is\ number\ [0-9]+\ where\ number\ 1\ should\ follow ]]
	rm "$manifest"
	check "$data"
	[ "$status" -eq 4 ]
	[[ $output == *"appendonly.aof.manifest: damaged: it is not there"*"can't be made anew: "* ]]
}

@test "--fix cuts a rotten log behind its last whole batch, and keeps the original" {
	filled
	rot "$incr" $(($(offset "$incr" 'd/7') + 12))
	local rotten
	rotten=$(sha256sum <"$incr")
	check --fix "$data"
	[ "$status" -eq 1 ]
	[[ $output == *"fixed; as it was it is kept as appendonly.aof.1.incr.aof.before-fix"* ]]
	[ "$(sha256sum <"$incr.before-fix")" = "$rotten" ]
	cmp -n "$(stat -c %s "$incr")" "$incr" "$incr.before-fix"
	[[ $output == *"dump.rdb: it is newer (batch "*") than what counts of the log (batch 8)"* ]]
	rm "$data/dump.rdb"
	loads 6
	# A second repair does not touch what the first has kept.
	truncate -s -1 "$incr"
	check --fix "$data"
	[ "$status" -eq 1 ]
	[ -e "$incr.before-fix.2" ]
	[ "$(sha256sum <"$incr.before-fix")" = "$rotten" ]
}

@test "--fix puts a single wrong bit right, where a checksum tells which: nothing is lost" {
	filled "rdbcompression=no"
	local dump at
	dump=$(sha256sum <"$data/dump.rdb")
	at=$(($(offset "$data/dump.rdb" 'd/25') + 5))
	rot "$data/dump.rdb" "$at" 4
	at=$(($(offset "$incr" 'd/7') + 12))
	rot "$incr" "$at" 32
	before=$(fingerprint)
	check "$data"
	[ "$status" -eq 4 ]
	[[ $output == *"incr.aof: what is damaged begins with SET \"d/7\""* ]]
	[[ $output == *"incr.aof: damaged: batch at "*": checksum does not match; it is one wrong bit in byte $at, and what it was is known"* ]]
	[[ $output == *"dump.rdb: damaged: "*"; it is one wrong bit in byte "* ]]
	untouched
	check --fix "$data"
	[ "$status" -eq 1 ]
	[ "$(sha256sum <"$data/dump.rdb")" = "$dump" ]
	loads 50
}

@test "--fix puts aside the files behind a cut that can't count any more, and they leave the manifest" {
	filled
	split_log
	rot "$incr" $(($(offset "$incr" 'd/7') + 12))
	check --fix "$data"
	[ "$status" -eq 1 ]
	[ ! -e "${incr/.1./.2.}" ]
	[ -e "${incr/.1./.2.}.before-fix" ]
	[ -e "$manifest.before-fix" ]
	[ "$(grep -c 2.incr "$manifest")" = 0 ]
	rm "$data/dump.rdb"
	loads 6
}

@test "--fix keeps a file that goes on where the torn one before it is cut" {
	filled
	split_log
	printf '*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$5\r\nto' >>"$incr"
	check "$data"
	[ "$status" -eq 4 ]
	[[ $output == *"torn at "*"more files follow, so a start refuses it"* ]]
	check --fix "$data"
	[ "$status" -eq 1 ]
	[ -e "${incr/.1./.2.}" ]
	loads 51
}

@test "--fix ends a broken RDB behind its last whole key; one whose checksum alone is wrong keeps all keys" {
	filled "rdbcompression=no"
	rm -r "$data/appendonlydir"
	cp "$data/dump.rdb" "$work/good.rdb"
	truncate -s -500 "$data/dump.rdb"
	check --fix "$data/dump.rdb"
	[ "$status" -eq 1 ]
	local keys
	keys=$(sed -n 's/.*the first \([0-9]*\) keys can be read.*/\1/p' <<<"$output")
	[ "$keys" -gt 20 ]
	[ "$keys" -lt 50 ]
	check "$data"
	[ "$status" -eq 0 ]
	[[ $output == *"dump.rdb: RDB version 9 of kvfs: $keys keys"* ]]
	redis-check-rdb "$data/dump.rdb" | grep -q "looks OK"
	kvfs_start "save=" appendonly=no
	[ "$(find "$mnt" -type f | wc -l)" = "$keys" ]
	kvfs_stop
	cp "$work/good.rdb" "$data/dump.rdb"
	rot "$data/dump.rdb" $(($(offset "$data/dump.rdb" 'd/25') + 5))
	check --fix "$data/dump.rdb"
	[ "$status" -eq 1 ]
	[[ $output == *"a name, a value or an attribute is wrong"* ]]
	redis-check-rdb "$data/dump.rdb" | grep -q "looks OK"
	kvfs_start "save=" appendonly=no
	[ "$(find "$mnt" -type f | wc -l)" = 50 ]
	kvfs_stop
}

@test "--fix: behind a broken base nothing of the log counts, and the original of everything stays" {
	filled
	kvfs_start "save="
	ctl bgrewriteaof --wait
	echo later >"$mnt/later"
	kvfs_stop
	local base second
	base=$(echo "$data"/appendonlydir/*.base.rdb)
	second=$(last_incr)
	truncate -s -300 "$base"
	check --fix "$data"
	[ "$status" -eq 1 ]
	[ -e "$base.before-fix" ]
	[ ! -e "$second" ]
	[ -e "$second.before-fix" ]
	loads "$(sed -n 's/.*the first \([0-9]*\) keys can be read.*/\1/p' <<<"$output")"
}

@test "--fix: a manifest with one wrong bit is put right, one that is gone is made anew from the files" {
	filled
	split_log
	kvfs_start "save="
	ctl bgrewriteaof --wait
	echo later >>"$mnt/later"
	kvfs_stop
	sed -i 's/type i/type h/' "$manifest"
	run kvfs_start
	[ "$status" -eq 1 ]
	[[ $output == *"appendonly.aof.manifest: line 1: the checksum does not match"* ]]
	check --fix "$data"
	[ "$status" -eq 1 ]
	[[ $output == *"one bit of byte "*" is wrong; what it said is known"* ]]
	loads 51
	rm "$manifest"
	check --fix "$data"
	[ "$status" -eq 1 ]
	[[ $output == *"the files tell what it must say"* ]]
	loads 52
}

@test "--fix leaves alone what it can't repair: a missing base, an ambiguous log, a command that only Redis knows" {
	filled
	mv "$data/appendonlydir/appendonly.aof.1.base.rdb" "$work/base"
	before=$(fingerprint)
	check --fix "$data"
	[ "$status" -eq 4 ]
	[[ $output == *"put it back from a backup"* ]]
	untouched
	rm "$manifest"
	before=$(fingerprint)
	check --fix "$data"
	[ "$status" -eq 4 ]
	[[ $output == *"can't be made anew: the files do not tell"* ]]
	untouched
	rm -r "$data/appendonlydir"
	printf '*1\r\n$3\r\nNEW\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n' >"$data/appendonly.aof"
	before=$(fingerprint)
	check --fix "$data"
	[ "$status" -eq 4 ]
	[[ $output == *"can't be mounted: command at 0: \"NEW\""* ]]
	untouched
}

@test "one file of a log is not repaired behind the back of the others" {
	filled
	truncate -s -5 "$incr"
	before=$(fingerprint)
	check --fix "$incr"
	[ "$status" -eq 16 ]
	[[ $output == *"part of the log of appendonly.aof.manifest"* ]]
	untouched
	cp "$incr" "$work/alone.aof"
	check --fix "$work/alone.aof"
	[ "$status" -eq 1 ]
	check "$work/alone.aof"
	[ "$status" -eq 0 ]
}

@test "refused while a daemon holds the directory, but a snapshot can be read; what can't be looked at, and wrong usage" {
	kvfs_start
	echo v >"$mnt/k"
	ctl save
	for path in "$data" "$data/appendonlydir" "$data"/appendonlydir/*.incr.aof "$data"/appendonlydir/*.manifest; do
		check "$path"
		[ "$status" -eq 8 ]
		[[ $output == *"unmount it first"* ]]
	done
	check --fix "$data/dump.rdb"
	[ "$status" -eq 8 ]
	check "$data/dump.rdb"
	[ "$status" -eq 0 ]
	kvfs_stop
	check "$work/nowhere"
	[ "$status" -eq 8 ]
	rm "$data/dump.rdb"
	mkdir "$data/dump.rdb"
	check "$data"
	[ "$status" -eq 8 ]
	[[ $output == *"dump.rdb: is no regular file"* ]]
	for usage in "" "--fix" "--repair x" "a b"; do
		# shellcheck disable=SC2086
		check $usage
		[ "$status" -eq 16 ]
		[[ $output == *"kvfs-ctl check [--fix] PATH"* ]]
	done
}

@test "any bytes: each file of the fuzzers' corpora is looked at and repaired without a crash" {
	local file copy=$work/one
	for file in "$BATS_TEST_DIRNAME"/fuzz/corpus/*/*; do
		cp "$file" "$copy"
		check "$copy"
		[[ $status == 0 || $status == 4 ]] || { echo "$file: $status: $output"; false; }
		check --fix "$copy"
		[[ $status == [0145] ]] || { echo "$file: --fix: $status: $output"; false; }
		if [ "$status" = 1 ]; then
			check "$copy"
			[ "$status" = 0 ] || { echo "$file: after --fix: $status: $output"; false; }
		fi
	done
}

@test "--fix on a full disk changes nothing and says so; without hard links, and killed at each of its steps, the original is never lost" {
	filled
	truncate -s -5 "$incr"
	mkdir "$work/small"
	mount -t tmpfs -o size=32k tmpfs "$work/small"
	cp -r "$data/." "$work/small"
	head -c 64k /dev/zero >"$work/small/filler" || true
	local small=$work/small/appendonlydir
	check --fix "$work/small"
	[ "$status" -eq 12 ]
	[[ $output == *"can't be written: No space left"* ]]
	cmp "$small/${incr##*/}" "$incr"
	[ "$(ls "$small")" = "$(ls "$data/appendonlydir")" ]
	umount "$work/small"

	local torn call copy=$work/copy
	torn=$(sha256sum <"$incr")
	for call in linkat:error=EPERM linkat:signal=KILL fdatasync:signal=KILL fsync:signal=KILL:when=1 \
		renameat:signal=KILL fsync:signal=KILL:when=2; do  # leaks are not looked for below ptrace
		rm -rf "$copy"
		cp -r "$data" "$copy"
		ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 run strace -qq -o "$work/trace" -e inject="$call" "$KVFS_BIN/kvfs-ctl" check --fix "$copy"
		[[ $call != *EPERM ]] || [ "$status" -eq 1 ]
		sha256sum <"$copy/appendonlydir/${incr##*/}.before-fix" | grep -qF "$torn" ||
			sha256sum <"$copy/appendonlydir/${incr##*/}" | grep -qF "$torn"
		"$KVFS_BIN/kvfs-ctl" check --fix "$copy" >/dev/null || true
		check "$copy"
		[ "$status" -eq 0 ] || { echo "$call: $output"; false; }
		run compgen -G "$copy/appendonlydir/*.fixing"
		[ -z "$output" ]
	done
}
