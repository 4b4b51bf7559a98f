#!/usr/bin/env bats
# What a directory of a Redis's log may look like, and what becomes of it: a manifest that can't be true is refused with its reason and
# nothing is touched; one that is merely unusual loads.  Manifests are written by hand over the files of a real redis-server.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

aof=appendonlydir/appendonly.aof

# A base and two incrs of a redis-server: one=1 in the base, two=2 and three=3 in an incr each.
redis_log() {
	redis_start "$data" --appendonly yes
	redis set one 1
	redis bgrewriteaof
	wait_until 60 redis_rewritten
	redis set two 2
	redis_stop
	printf '*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$5\r\nthree\r\n$1\r\n3\r\n' >"$data/$aof.3.incr.aof"
	base=$(basename "$data"/$aof.*.base.rdb)
}

redis_rewritten() {
	[ "$(redis info persistence | tr -d '\r' | sed -n 's/^aof_rewrite_in_progress://p')" = 0 ]
}

write_manifest() {
	printf "$@" >"$data/$aof.manifest"
}

# refused REASON: the mount is refused for it, and no byte of the directory has changed.
refused() {
	local before after
	before=$(cd "$data" && find . -type f ! -name kvfs.sock -exec sha256sum {} + | sort)
	run kvfs_start
	[ "$status" -eq 1 ] || { echo "# mounted"; return 1; }
	[[ $output =~ $1 ]] || { echo "# said: $output"; return 1; }
	not_mounted "$mnt"
	after=$(cd "$data" && find . -type f ! -name kvfs.sock -exec sha256sum {} + | sort)
	same "$before" "$after"
}

# holds KEY...: these keys and no other.
holds() {
	local want
	want=$(printf '%s\n' "$@" | LC_ALL=C sort)
	same "$(cd "$mnt" && find . -type f -printf '%P\n' | LC_ALL=C sort)" "$([ $# -eq 0 ] || echo "$want")"
}

@test "(9) a file that is listed and not there is named" {
	redis_log
	write_manifest 'file %s seq 1 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\nfile appendonly.aof.7.incr.aof seq 7 type i\n' "$base"
	refused 'appendonly.aof.7.incr.aof is listed in the manifest, but it is not there'
	write_manifest 'file appendonly.aof.9.base.rdb seq 9 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n'
	refused 'appendonly.aof.9.base.rdb is listed in the manifest, but it is not there'
}

@test "(10, 11) numbers that do not rise, and two bases" {
	redis_log
	write_manifest 'file %s seq 1 type b\nfile appendonly.aof.3.incr.aof seq 3 type i\nfile appendonly.aof.2.incr.aof seq 2 type i\n' "$base"
	refused 'manifest: line 3: the sequence numbers of incr files do not rise'
	write_manifest 'file %s seq 1 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\nfile appendonly.aof.3.incr.aof seq 2 type i\n' "$base"
	refused 'manifest: line 3: the sequence numbers of incr files do not rise'
	write_manifest 'file %s seq 1 type b\nfile %s seq 2 type b\n' "$base" "$base"
	refused 'manifest: line 2: a second base'
}

@test "(12) lines that are none" {
	redis_log
	local good="file $base seq 1 type b\n"
	write_manifest "$good\nfile appendonly.aof.2.incr.aof seq 2 type i\n"
	refused 'manifest: line 2: empty line'
	write_manifest "${good}file appendonly.aof.2.incr.aof seq 2 type x\n"
	refused 'manifest: line 2: type "x" is not one of b, h, i'
	write_manifest "${good}file appendonly.aof.2.incr.aof seq 2\n"
	refused 'manifest: line 2: '
	write_manifest "${good}file appendonly.aof.2.incr.aof seq 2 type\n"
	refused 'manifest: line 2: expected "file NAME seq N type b.h.i"'
	write_manifest "${good}seq 2 type i color red\n"
	refused 'manifest: line 2: one of file, seq, type is missing'
	write_manifest "${good}file appendonly.aof.2.incr.aof seq 0 type i\n"
	refused 'manifest: line 2: "0" is no sequence number'
	write_manifest "${good}file appendonly.aof.2.incr.aof seq -4 type i\n"
	refused 'manifest: line 2: "-4" is no sequence number'
	write_manifest "${good}file ../appendonly.aof.2.incr.aof seq 2 type i\n"
	refused 'manifest: line 2: .* can.t be the name of a file here'
	write_manifest "${good}$(head -c 2000 /dev/zero | tr '\0' x)\n"
	refused 'manifest: line 2: '
	write_manifest "${good}x\n"
	refused 'manifest: line 2: '
	write_manifest "file $base seq 1 type b"
	refused 'manifest: line 1: no end of line'
}

@test "(13) an empty manifest" {
	redis_log
	write_manifest ''
	refused 'manifest: the manifest is empty'
}

@test "(14) no files, or an empty directory: an empty keyspace" {
	kvfs_start
	holds
	kvfs_stop
	rm -r "$data/appendonlydir"
	mkdir "$data/appendonlydir"
	rm -f "$data/dump.rdb"
	kvfs_start
	holds
	echo x >"$mnt/x"
	kvfs_remount
	holds x
}

@test "(15, 16) gaps in the numbers, pairs that nobody knows, comments, any order, CRLF" {
	redis_log
	write_manifest '# by hand\nfile appendonly.aof.2.incr.aof seq 2 type i\r\ntype b startoffset 0 SEQ 1 file %s\nfile appendonly.aof.3.incr.aof seq 300 type i endoffset 9\n' "$base"
	kvfs_start
	holds one two three
	[ "$(cat "$mnt/three")" = 3 ]
	echo x >"$mnt/x"
	kvfs_remount
	holds one two three x
}

@test "(17) parts of 0 bytes" {
	redis_log
	: >"$data/$aof.2.incr.aof"
	kvfs_start
	holds one
	kvfs_stop
	rm -r "${data:?}"/*
	mkdir "$data/appendonlydir"
	: >"$data/$aof.1.base.rdb"
	: >"$data/$aof.1.incr.aof"
	write_manifest 'file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n'
	kvfs_start
	holds
}

@test "(18) from the old single file: alone, when the change was interrupted, and with both present" {
	redis_log
	cat "$data/$aof.2.incr.aof" >"$work/old"
	rm -r "$data/appendonlydir"
	cp "$work/old" "$data/appendonly.aof"
	# A first start that died after it had made the directory.
	mkdir "$data/appendonlydir"
	echo "file appendonly.aof seq" >"$data/appendonlydir/temp-appendonly.aof.manifest"
	kvfs_start
	holds two
	[ ! -e "$data/appendonlydir/temp-appendonly.aof.manifest" ]
	echo new >"$mnt/new"
	kvfs_stop
	# Both are there now: the directory counts.
	cp "$work/old" "$data/appendonly.aof"
	kvfs_start
	holds two new
	kvfs_stop
	# What Redis leaves when it died between the manifest and the move of the file.
	rm -r "$data/appendonlydir"
	mkdir "$data/appendonlydir"
	mv "$data/appendonly.aof" "$data/appendonlydir/appendonly.aof"
	write_manifest 'file appendonly.aof seq 1 type b\n'
	kvfs_start
	holds two
}

@test "(19) names with spaces and quotes" {
	redis_start "$data" --appendonly yes --appendfilename 'my "log".aof' --appenddirname 'a log'
	redis set one 1
	redis_stop
	kvfs_start 'appendfilename=my "log".aof' 'appenddirname=a log'
	holds one
	echo 2 >"$mnt/two"
	kvfs_stop
	redis_start "$data" --appendonly yes --appendfilename 'my "log".aof' --appenddirname 'a log'
	[ "$(redis dbsize)" = 2 ]
	redis_stop
}

@test "(20) two daemons on one directory" {
	kvfs_start
	echo 1 >"$mnt/one"
	mkdir "$work/second"
	run kvfs_run -o "logfile=$work/second.log" "$data" "$work/second"
	[ "$status" -eq 1 ]
	[[ $output == *"it is mounted on $mnt already"* ]]
	not_mounted "$work/second"
	[ "$(cat "$mnt/one")" = 1 ]
}
