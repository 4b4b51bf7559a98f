#!/usr/bin/env bats
# kvfs-ctl check says of a data directory whether it would mount whole, and changes nothing in it.
# Sound, torn and rotten directories are made by a mount and by dd; a checksum over the directory shows that nothing was touched.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

fingerprint() {
	(cd "$data" && find . -type f -exec sha256sum {} + | sort)
}

filled() {
	kvfs_start "save="
	mkdir "$mnt/d"
	for i in $(seq 50); do
		echo "$i" >"$mnt/d/$i"
	done
	ln -s d "$mnt/link"
	ctl save
	kvfs_stop
	log=$(echo "$data"/appendonlydir/*.incr.aof)
	before=$(fingerprint)
}

@test "a sound directory is counted, its log and its snapshot" {
	filled
	run "$KVFS_BIN/kvfs-ctl" check "$data"
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "appendonlydir: ok, 50 keys, 2 directories, 1 symlinks, last batch "* ]]
	[[ ${lines[1]} == "dump.rdb: ok, 50 keys, 2 directories, 1 symlinks, last batch "* ]]
	[ "$(fingerprint)" = "$before" ]
}

@test "a torn tail is named with its place, and not cut" {
	filled
	truncate -s -5 "$log"
	before=$(fingerprint)
	run "$KVFS_BIN/kvfs-ctl" check "$data"
	[ "$status" -eq 1 ]
	[[ $output == *incr.aof*"torn"* ]]
	[[ $output == *"dump.rdb: ok, 50 keys"* ]]
	[ "$(fingerprint)" = "$before" ]
}

@test "a rotten byte is named with the offset of its batch" {
	filled
	printf 'x' | dd of="$log" bs=1 seek=700 conv=notrunc status=none
	before=$(fingerprint)
	run "$KVFS_BIN/kvfs-ctl" check "$data"
	[ "$status" -eq 1 ]
	[[ $output =~ incr.aof:\ batch\ at\ [0-9]+:\  ]]
	[[ $output != *"kvfs-ctl check"* ]]
	[ "$(fingerprint)" = "$before" ]
}

@test "a rotten snapshot beside a sound log is a fault too" {
	filled
	printf 'x' | dd of="$data/dump.rdb" bs=1 seek=400 conv=notrunc status=none
	run "$KVFS_BIN/kvfs-ctl" check "$data"
	[ "$status" -eq 1 ]
	[[ $output == *"appendonlydir: ok, 50 keys"* ]]
	[[ $output == *dump.rdb* ]]
}

@test "refused while a daemon holds the directory, and without a directory" {
	kvfs_start
	run "$KVFS_BIN/kvfs-ctl" check "$data"
	[ "$status" -eq 1 ]
	[[ $output == *"unmount it first"* ]]
	run "$KVFS_BIN/kvfs-ctl" check
	[ "$status" -eq 2 ]
	run "$KVFS_BIN/kvfs-ctl" check "$work/nowhere"
	[ "$status" -eq 1 ]
}
