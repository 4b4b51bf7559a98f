#!/usr/bin/env bats
# The bytes of a file behave as on tmpfs: holes cost nothing and are found, space is reserved, given back and refused, and all of it is
# still there after a remount, a kill, and in a redis-server.  By fallocate(1), xfs_io(8) and a plain file that gets the same changes.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

blocks() { stat -c %b "$1"; }
used() { df --output=used -B1 "$mnt" | tail -n 1; }
errno_of() { grep -oE 'No space left on device|File too large|Operation not supported|No such device or address|Is a directory' <<<"$1"; }

# The same change of $mnt/f and of the plain file $work/f, where a range of zeros is written.
zero() {
	local off=$1 len=$2 size
	shift 2
	fallocate "$@" -o "$off" -l "$len" "$mnt/f"
	size=$(stat -c %s "$work/f")
	if [[ " $* " == *' -p '* || " $* " == *' -n '* ]] && [ $((off + len)) -gt "$size" ]; then len=$((size - off)); fi
	head -c "$len" /dev/zero | dd of="$work/f" bs=64K oflag=seek_bytes seek="$off" conv=notrunc status=none
	cmp "$mnt/f" "$work/f"
}

changes() {
	head -c 1000000 /dev/urandom >"$work/f"
	cp "$work/f" "$mnt/f"
	zero 5 20 -z
	zero 100000 300000 -p
	zero 16384 16384 -p
	zero 65000 2000 -z -n
	zero 990000 200000 -z -n
	zero 990000 200000 -z
	zero 0 1 -p
	printf small >"$work/f2"
	cp "$work/f2" "$mnt/f2"
	fallocate -z -o 2 -l 6 "$mnt/f2"
	printf 'sm\0\0\0\0\0\0' >"$work/f2"
	cmp "$mnt/f2" "$work/f2"
	truncate -s 300000 "$mnt/f" "$work/f"
}

@test "punched and zeroed ranges read as zeros, give memory back, and last" {
	kvfs_start "save="
	changes
	[ "$(blocks "$mnt/f")" -lt 320 ]
	[ "$(blocks "$mnt/f")" -gt 100 ]
	kvfs_remount "save="
	cmp "$mnt/f" "$work/f"
	cmp "$mnt/f2" "$work/f2"
	zero 1000 100000 -p
	ctl bgrewriteaof --wait
	zero 150000 50000 -p
	kvfs_kill9
	kvfs_start "save="
	cmp "$mnt/f" "$work/f"
	cmp "$mnt/f2" "$work/f2"
	kvfs_stop
	"$KVFS_BIN/kvfs-ctl" check "$data"
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
	redis_start "$data" --appendonly yes
	[ "$(redis eval "return redis.sha1hex(redis.call('get', 'f'))" 0)" = "$(sha1sum <"$work/f" | cut -d ' ' -f 1)" ]
	[ "$(redis eval "return redis.sha1hex(redis.call('get', 'f2'))" 0)" = "$(sha1sum <"$work/f2" | cut -d ' ' -f 1)" ]
}

@test "a hole of a terabyte costs nothing, is found, and lasts" {
	kvfs_start value-max=1024gb "save="
	truncate -s 1024G "$mnt/big"
	[ "$(blocks "$mnt/big")" = 0 ]
	printf x | dd of="$mnt/big" bs=1 seek=700000000000 conv=notrunc status=none
	[ "$(blocks "$mnt/big")" -lt 5000 ]
	[ "$(used)" -lt 10000000 ]
	[ "$(xfs_io -r -c 'seek -d 0' "$mnt/big")" = $'Whence\tResult\nDATA\t699999993856' ]
	[ "$(xfs_io -r -c 'seek -h 699999993856' "$mnt/big")" = $'Whence\tResult\nHOLE\t700000010240' ]
	[ "$(xfs_io -r -c 'seek -d 800000000000' "$mnt/big")" = $'Whence\tResult\nDATA\tEOF' ]
	kvfs_remount value-max=1024gb "save="
	[ "$(stat -c %s "$mnt/big")" = 1099511627776 ]
	[ "$(dd if="$mnt/big" bs=1 skip=699999999999 count=3 status=none | od -An -c | tr -d ' ')" = '\0x\0' ]
	printf y | dd of="$mnt/big" bs=1 seek=1000 conv=notrunc status=none
	truncate -s 600G "$mnt/big"
	[ "$(blocks "$mnt/big")" -lt 5000 ]
	kvfs_stop
	redis_start "$data" --appendonly yes
	[ "$(redis exists big)" = 1 ]
}

@test "reserved space is memory, counted, and can be written when nothing else can" {
	kvfs_start maxmemory=16mb
	local before
	before=$(used)
	fallocate -l 8M "$mnt/reserved"
	[ "$(stat -c %s "$mnt/reserved")" = 8388608 ]
	[ "$(blocks "$mnt/reserved")" -ge 16384 ]
	: >"$mnt/kept"
	fallocate -n -l 2M "$mnt/kept"
	[ "$(stat -c %s "$mnt/kept")" = 0 ]
	[ "$(blocks "$mnt/kept")" -ge 4096 ]
	[ $(($(used) - before)) -ge 10485760 ]
	: >"$mnt/more"
	run fallocate -l 8M "$mnt/more"
	[ "$(errno_of "$output")" = 'No space left on device' ]
	[ "$(blocks "$mnt/more")" = 0 ]
	[ "$(stat -c %s "$mnt/more")" = 0 ]
	run dd if=/dev/urandom of="$mnt/filler" bs=4K count=4000 status=none
	[ "$status" -ne 0 ]
	head -c 8388608 /dev/urandom >"$work/f"
	dd if="$work/f" of="$mnt/reserved" bs=128K conv=notrunc status=none
	cmp "$work/f" "$mnt/reserved"
	head -c 2097152 "$work/f" | dd of="$mnt/kept" bs=128K conv=notrunc iflag=fullblock status=none
	cmp -n 2097152 "$work/f" "$mnt/kept"
	fallocate -p -o 0 -l 8M "$mnt/reserved"
	[ "$(blocks "$mnt/reserved")" -lt 10 ]
	echo there is room again >"$mnt/note"
}

@test "what can't be is refused with the errno that says so" {
	kvfs_start value-max=2mb
	head -c 100000 /dev/zero >"$mnt/f"
	run fallocate -c -o 0 -l 4096 "$mnt/f"
	[ "$(errno_of "$output")" = 'Operation not supported' ]
	run fallocate -i -o 0 -l 4096 "$mnt/f"
	[ "$(errno_of "$output")" = 'Operation not supported' ]
	run fallocate -o 2M -l 1 "$mnt/f"
	[ "$(errno_of "$output")" = 'File too large' ]
	run fallocate -z -o 2M -l 1 "$mnt/f"
	[ "$(errno_of "$output")" = 'File too large' ]
	[ "$(stat -c %s "$mnt/f")" = 100000 ]
	fallocate -p -o 3M -l 1M "$mnt/f"
	[ "$(stat -c %s "$mnt/f")" = 100000 ]
	run xfs_io -r -c 'seek -d 100000' "$mnt/f"
	[[ $output == *EOF* ]]
}

@test "cp keeps holes, and du tells how much is stored" {
	kvfs_start
	truncate -s 50M "$mnt/sparse"
	printf data | dd of="$mnt/sparse" bs=1 seek=20000000 conv=notrunc status=none
	[ "$(du -B1 "$mnt/sparse" | cut -f 1)" -lt 30000 ]
	cp --sparse=always "$mnt/sparse" "$work/out"
	cmp "$mnt/sparse" "$work/out"
	[ "$(du -B1 "$work/out" | cut -f 1)" -lt 100000 ]
	cp --reflink=never --sparse=always "$work/out" "$mnt/back"
	cmp "$mnt/back" "$work/out"
	[ "$(du -B1 "$mnt/back" | cut -f 1)" -lt 100000 ]
	: >"$mnt/sparse"
	[ "$(blocks "$mnt/sparse")" = 0 ]
}

copies() {
	head -c 9000000 /dev/urandom >"$work/a"
	cp "$work/a" "$mnt/a"
	cp "$mnt/a" "$mnt/b"
	cp "$work/a" "$work/b"
	: >"$mnt/c"
	xfs_io -c "copy_range -s 0 -d 0 -l 9000000 $mnt/a" "$mnt/c"
	cp "$work/a" "$work/c"
	xfs_io -c "copy_range -s 32768 -d 4194304 -l 500000 $mnt/a" "$mnt/b"
	dd if="$work/a" of="$work/b" iflag=skip_bytes,count_bytes oflag=seek_bytes skip=32768 seek=4194304 count=500000 conv=notrunc status=none
	xfs_io -c "copy_range -s 5 -d 8999000 -l 3000 $mnt/a" "$mnt/b"
	dd if="$work/a" of="$work/b" iflag=skip_bytes,count_bytes oflag=seek_bytes skip=5 seek=8999000 count=3000 conv=notrunc status=none
	xfs_io -c "copy_range -s 11 -d 3000001 -l 2500000 $mnt/a" "$mnt/b"
	dd if="$work/a" of="$work/b" iflag=skip_bytes,count_bytes oflag=seek_bytes skip=11 seek=3000001 count=2500000 conv=notrunc status=none
	printf changed | dd of="$mnt/c" bs=1 seek=100 conv=notrunc status=none
	printf changed | dd of="$work/c" bs=1 seek=100 conv=notrunc status=none
	xfs_io -c "copy_range -s 0 -d 8000000 -l 700000 $mnt/c" "$mnt/c"
	dd if="$work/c" of="$work/c" iflag=skip_bytes,count_bytes oflag=seek_bytes skip=0 seek=8000000 count=700000 conv=notrunc status=none
}

same_copies() {
	cmp "$mnt/a" "$work/a" && cmp "$mnt/b" "$work/b" && cmp "$mnt/c" "$work/c"
}

@test "copy_file_range copies any range of any file, and each is its own afterwards; all of it lasts" {
	kvfs_start "save="
	copies
	same_copies
	kvfs_kill9
	kvfs_start "save="
	same_copies
	ctl bgrewriteaof --wait
	kvfs_remount "save="
	same_copies
	run xfs_io -c "copy_range -s 0 -d 10 -l 100 $mnt/a" "$mnt/a"
	[[ $output == *'Invalid argument'* ]]
	run xfs_io -c "copy_range -s 9000000 -d 0 -l 100 $mnt/a" "$mnt/b"
	same_copies
}

@test "a redis-server has the copies too" {
	kvfs_start "save="
	copies
	ctl expire "$mnt/a" 10000
	cp "$mnt/a" "$mnt/e"
	[ "$(ctl ttl "$mnt/e")" = -1 ]
	kvfs_stop
	[ "$(stat -c %s "$(last_incr)")" -lt 10000000 ]
	[ "$(grep -ac ^COPY "$(last_incr)")" = 3 ]
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
	redis_start "$data" --appendonly yes
	local k
	for k in a b c; do
		[ "$(redis eval "return redis.sha1hex(redis.call('get', KEYS[1]))" 1 $k)" = "$(sha1sum <"$work/$k" | cut -d ' ' -f 1)" ]
	done
	[ "$(redis ttl e)" = -1 ]
	[ "$(redis strlen e)" = 9000000 ]
}

@test "cp of a large value takes no memory, whatever becomes of the source" {
	kvfs_start maxmemory=64mb
	local before
	head -c 40000000 /dev/urandom >"$mnt/large"
	before=$(used)
	cp "$mnt/large" "$mnt/copy"
	cp "$mnt/copy" "$mnt/again"
	[ $(($(used) - before)) -lt 1000000 ]
	cmp "$mnt/large" "$mnt/again"
	rm "$mnt/large" "$mnt/copy"
	[ $(($(used) - before)) -lt 1000000 ]
	printf x | dd of="$mnt/again" bs=1 seek=20000000 conv=notrunc status=none
	rm "$mnt/again"
	[ "$(used)" -lt 1000000 ]
}

sparse_files() {
	truncate -s 60M "$mnt/sparse"
	printf data | dd of="$mnt/sparse" bs=1 seek=30000000 conv=notrunc status=none
	truncate -s 500G "$mnt/big"
	printf start | dd of="$mnt/big" bs=1 conv=notrunc status=none
	printf middle | dd of="$mnt/big" bs=1 seek=300000000000 conv=notrunc status=none
	chmod 640 "$mnt/big"
	head -c 3000000 /dev/zero | tr '\0' t >"$mnt/text"
	head -c 3000000 /dev/urandom >"$mnt/random"
	sha1sum <"$mnt/sparse" >"$work/sums"
	cat "$mnt/text" "$mnt/random" | sha1sum >>"$work/sums"
	stat -c '%n %s %a %y' "$mnt"/* >>"$work/sums"
}

sparse_lasts() {
	{
		sha1sum <"$mnt/sparse"
		cat "$mnt/text" "$mnt/random" | sha1sum
		stat -c '%n %s %a %y' "$mnt"/*
	} >"$work/sums.now"
	diff "$work/sums" "$work/sums.now" || return 1
	[ "$(head -c 5 "$mnt/big")$(dd if="$mnt/big" bs=1 skip=300000000000 count=6 status=none)" = startmiddle ] &&
		[ "$(blocks "$mnt/sparse")" -lt 100 ] && [ "$(blocks "$mnt/big")" -lt 5000 ]
}

@test "a rewrite and a snapshot of holes are short, with each kind of base, and load again" {
	local preamble
	kvfs_start value-max=1024gb "save=" aof-use-rdb-preamble=yes
	sparse_files
	for preamble in no yes; do
		ctl config set aof-use-rdb-preamble $preamble
		ctl bgrewriteaof --wait
		[ "$(du -sB1 "$data/appendonlydir" | cut -f 1)" -lt 12000000 ]
		kvfs_kill9
		"$KVFS_BIN/kvfs-ctl" check "$data"
		kvfs_start value-max=1024gb "save=" aof-use-rdb-preamble=$preamble
		sparse_lasts
	done
	ctl bgsave --wait
	[ "$(stat -c %s "$data/dump.rdb")" -lt 12000000 ]
	redis-check-rdb "$data/dump.rdb"
	kvfs_stop
	rm -r "$data/appendonlydir"
	kvfs_start value-max=1024gb "save=" appendonly=no
	sparse_lasts
	kvfs_stop
	redis_start "$data" --appendonly no
	[ "$(redis eval "return redis.sha1hex(redis.call('get', 'sparse'))" 0)" = "$(head -n 1 "$work/sums" | cut -d ' ' -f 1)" ]
	[ "$(redis strlen text)" = 3000000 ]
	[ "$(redis strlen big)" = 0 ]
}
