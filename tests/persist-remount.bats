#!/usr/bin/env bats
# Whatever was there at the unmount is there after the mount: names, bytes, modes, owners, times.
# A tree with everything in it, compared by find and b2sum, from the log, from the snapshot alone, after a rewrite.
# BIG_VALUE=8388608: bytes of its largest value (default: 100 MiB), for slow programs.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

# build_tree DIR [BYTES-OF-THE-LARGEST]
build_tree() {
	cd "$1"
	mkdir -p a/b/c/d/e/f empty 'with space' "$(printf 'n\303\251wl\nine')" deep
	echo text >a/b/c/text
	: >a/nothing
	head -c 3000000 /dev/urandom >a/b/binary
	head -c "${2:-${BIG_VALUE:-104857600}}" /dev/urandom >hundred-mb
	printf '\0\r\n*3\r\n$3\r\nSET\r\n' >resp-like
	printf 'x' | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none
	local i path=deep
	for i in $(seq 12); do
		path+=/$(printf '%0100d' "$i")
		mkdir "$path"
	done
	echo bottom >"$path/k"
	for i in $(seq 200); do
		printf '%s' "$i" >"with space/$i"
	done
	echo 12345 >integer
	printf 12345 >integer-raw
	printf -- -0 >almost-integer
	printf 'a%.0s' {1..5000} >compressible
	ln -s ../a/b "with space/link"
	ln -s /nowhere/at/all dangling
	ln a/b/binary binary-too
	ln dangling empty/dangling-too
	ln -s "$(printf '%01000d' 7)" long-link
	chmod 600 a/b/c/text
	chmod 4755 a/b/binary
	chmod 2775 empty
	chmod 1777 deep
	chmod 000 integer
	chown 1000:1001 a/b/c/text a/b
	chown 5:6 empty
	chown -h 7:8 dangling
	touch -d '2001-02-03 04:05:06.789012345 UTC' a/b/c/text
	touch -d '1965-01-01 00:00:00.5 UTC' a/nothing
	touch -d '2100-01-01 00:00:00.000000001 UTC' integer-raw
	touch -h -d '2002-02-02 02:02:02.020202020 UTC' dangling
	touch -d '2003-03-03 03:03:03.030303030 UTC' empty a/b/c a/b a
	# What went away or changed must not come back.
	echo gone >a/gone
	rm a/gone
	echo one >moved
	mv moved a/b/moved
	echo head >grown
	echo tail >>grown
	printf XY | dd of=grown bs=1 seek=2 conv=notrunc status=none
	echo longer >cut
	truncate -s 3 cut
	cd - >/dev/null
}

@test "from the append-only log" {
	kvfs_start "save="
	build_tree "$mnt"
	before=$(manifest "$mnt")
	kvfs_remount "save="
	[ ! -e "$data/dump.rdb" ]
	same "$before" "$(manifest "$mnt")"
	kvfs_remount "save="
	same "$before" "$(manifest "$mnt")"
}

@test "from the snapshot alone, with and without a log" {
	kvfs_start
	build_tree "$mnt"
	before=$(manifest "$mnt")
	ctl save
	kvfs_stop
	rm -r "$data/appendonlydir"
	cp -r "$data" "$work/copy"
	kvfs_start appendonly=no
	same "$before" "$(manifest "$mnt")"
	kvfs_stop
	[ ! -e "$data/appendonlydir" ]
	rm -r "$data"
	mv "$work/copy" "$data"
	kvfs_start appendonly=yes
	same "$before" "$(manifest "$mnt")"
	[ -s "$data/appendonlydir/appendonly.aof.manifest" ]
	# Now the log is what counts.
	rm "$data/dump.rdb"
	echo more >"$mnt/more"
	after=$(manifest "$mnt")
	kvfs_remount
	same "$after" "$(manifest "$mnt")"
}

@test "after BGREWRITEAOF, with both kinds of base, and with changes while it runs" {
	local preamble
	for preamble in yes no; do
		rm -rf "$data"
		mkdir "$data"
		kvfs_start "save=" aof-use-rdb-preamble=$preamble
		build_tree "$mnt" 20000000
		ctl bgrewriteaof
		echo during >"$mnt/during"
		rm "$mnt/cut"
		mv "$mnt/a" "$mnt/moved-a"
		wait_until 60 eval '[ "$(info aof_rewrite_in_progress)" = 0 ]'
		[ "$(info aof_last_bgrewrite_status)" = ok ]
		echo behind >>"$mnt/during"
		before=$(manifest "$mnt")
		kvfs_remount "save=" aof-use-rdb-preamble=$preamble
		same "$before" "$(manifest "$mnt")"
		[ "$(grep -c 'type h' "$data/appendonlydir/appendonly.aof.manifest")" = 0 ]
		kvfs_stop
	done
}

@test "a snapshot shows one moment, whatever is changed while it is taken" {
	kvfs_start "save=" appendonly=no rdb-key-save-delay=500
	mkdir "$mnt/d" "$mnt/other"
	local i
	for i in $(seq 1000); do
		echo "$i" >"$mnt/d/$i"
	done
	before=$(manifest "$mnt")
	ctl bgsave
	for i in $(seq 1 7 1000); do
		echo changed >"$mnt/d/$i"
		rm "$mnt/d/$((i + 1))"
		mv "$mnt/d/$((i + 2))" "$mnt/other/$i"
		echo new >"$mnt/d/new$i"
	done
	mv "$mnt/d" "$mnt/e"
	wait_until 60 eval '[ "$(info rdb_bgsave_in_progress)" = 0 ]'
	[ "$(info rdb_last_bgsave_status)" = ok ]
	cp "$data/dump.rdb" "$work/dump.rdb"
	kvfs_stop
	cp "$work/dump.rdb" "$data/dump.rdb"
	kvfs_start appendonly=no
	same "$before" "$(manifest "$mnt")"
}

@test "fsync(2) returns when it is on disk, in every mode" {
	local mode
	for mode in always everysec no; do
		kvfs_start "appendfsync=$mode" journal-dir=
		echo "$mode" >"$mnt/k-$mode"
		"$KVTOOL" try fsync "$mnt/k-$mode" | grep -qx ok
		grep -qa "k-$mode" "$(last_incr)"
		mkdir "$mnt/d-$mode"
		"$KVTOOL" try fsync "$mnt/d-$mode" | grep -qx ok
		grep -qa "d-$mode" "$(last_incr)"
		kvfs_kill9
	done
	kvfs_start
	[ "$(cat "$mnt"/k-* | LC_ALL=C sort | tr '\n' ' ')" = "always everysec no " ]
	[ -d "$mnt/d-no" ]
}
