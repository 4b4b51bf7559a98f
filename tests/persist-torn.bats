#!/usr/bin/env bats
# A log that ends anywhere comes back as it was after the last whole batch: nothing of a torn one, and nothing less.
# A copy of the log is cut at every byte of its last 20 batches; each state is known from the time it was written.
# CUT_STEP=7 cuts at every seventh byte only, for slow programs.

load lib/kvfs
setup() { kvfs_setup; }
teardown() {
	[ -z "${cut:-}" ] || rm -r "$cut"
	kvfs_teardown
}

# Makes batch after batch; after each, how long the log is and what the mount shows.
write_batches() {
	local n=0 step
	boundary=("$(stat -c %s "$(last_incr)")")
	"$KVTOOL" list "$mnt" | LC_ALL=C sort >"$work/state.0"
	local steps=(
		'echo 1 >>"$mnt/k"' 'mkdir "$mnt/d"' 'mv "$mnt/k" "$mnt/d/k"' 'chmod 600 "$mnt/d/k"' 'ln -s target "$mnt/link"'
		'truncate -s 1 "$mnt/d/k"' 'mv "$mnt/d" "$mnt/e"' 'rm "$mnt/link"' 'chown 5:6 "$mnt/e"' 'printf x >>"$mnt/e/k"'
		'touch -d @1234.000000005 "$mnt/e/k"' 'mkdir "$mnt/e/sub"' 'rmdir "$mnt/e/sub"' '"$KVTOOL" try create "$mnt/new"'
		'"$KVTOOL" try pwrite "$mnt/new" 0 some-text' '"$KVTOOL" try pwrite "$mnt/new" 4 XX' '"$KVTOOL" try exchange "$mnt/new" "$mnt/e"'
		'ln "$mnt/big" "$mnt/big2"' 'echo 2 >>"$mnt/big"' 'mv "$mnt/big2" "$mnt/big3"' 'rm "$mnt/big"' '"$KVTOOL" try rename "$mnt/e" "$mnt/f"' '"$KVTOOL" try mkfifo "$mnt/f-fifo"'
	)
	for step in "${steps[@]}"; do
		eval "$step" >/dev/null
		n=$((n + 1))
		boundary[n]=$(stat -c %s "$(last_incr)")
		[ "${boundary[n]}" -gt "${boundary[n - 1]}" ] || { echo "# no batch for: $step"; return 1; }
		"$KVTOOL" list "$mnt" | LC_ALL=C sort >"$work/state.$n"
	done
	batches=$n
}

# recovers FROM TO STATE: with the log cut to each size from FROM to before TO the copy of the data directory in $cut comes back as STATE.
recovers() {
	"$RECOVERED" "$cut/data" "appendonlydir/$incr" "$1" "$2" "${CUT_STEP:-1}" "$work/state.$3"
}

# The data directory of a daemon that was killed after the batches, $boundary, $batches, $incr and the states; made once for all cases.
prepare() {
	local made=$BATS_FILE_TMPDIR
	if [ ! -e "$made/batches" ]; then
		kvfs_start appendfsync=always "save=" journal-dir=
		echo 0 >"$mnt/k"
		head -c 5000 /dev/urandom >"$mnt/big"
		write_batches
		kvfs_kill9
		incr=$(basename "$(last_incr)")
		cp -a "$data" "$work"/state.* "$made/"
		declare -p boundary batches incr | sed 's/^declare /declare -g /' >"$made/batches"
	fi
	rm -r "$data"
	cp -a "$made/data" "$made"/state.* "$work/"
	source "$made/batches"
}

@test "cut at every byte of the last 20 batches" {
	prepare
	local n
	[ "$batches" -ge 20 ]
	# In memory: each of the thousands of starts syncs what it cuts.
	cut=$(mktemp -d -p /dev/shm kvfs-cut.XXXXXX)
	cp -r "$data" "$cut/"
	for n in $(seq "$batches"); do
		recovers "${boundary[n - 1]}" "${boundary[n]}" $((n - 1))
	done
	recovers "${boundary[batches]}" $((boundary[batches] + 1)) "$batches"
}

@test "a torn tail is cut with a copy kept and a line that says so, and the mount goes on from there" {
	prepare
	local whole=${boundary[batches - 1]} torn=$((boundary[batches] - 1))
	truncate -s "$torn" "$data/appendonlydir/$incr"
	expect_warning "torn|cut"
	run kvfs_start "save="
	[ "$status" -eq 0 ]
	[ "$(find "$data" -name "*torn-$whole" -printf '%s\n')" = $((torn - whole)) ]
	"$KVTOOL" list "$mnt" | LC_ALL=C sort | cmp - "$work/state.$((batches - 1))"
	echo more >"$mnt/more"
	before=$(manifest "$mnt")
	kvfs_remount "save="
	same "$before" "$(manifest "$mnt")"
	kvfs_stop
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
}

@test "a start that died between the copy and the cut does not keep the next one from starting" {
	prepare
	local whole=${boundary[batches - 1]}
	truncate -s $((boundary[batches] - 1)) "$data/appendonlydir/$incr"
	echo "of an earlier start" >"$data/appendonlydir/$incr.torn-$whole"
	expect_warning "torn|cut"
	kvfs_start "save="
	"$KVTOOL" list "$mnt" | LC_ALL=C sort | cmp - "$work/state.$((batches - 1))"
}

@test "with aof-load-truncated no a torn tail is refused" {
	prepare
	truncate -s $((boundary[batches] - 1)) "$data/appendonlydir/$incr"
	run kvfs_start aof-load-truncated=no
	[ "$status" -eq 1 ]
	[[ $output == *"$incr"* ]]
	not_mounted "$mnt"
	[ "$(stat -c %s "$data/appendonlydir/$incr")" = $((boundary[batches] - 1)) ]
}

@test "a flipped byte before the tail is refused, with file and offset, and nothing is changed" {
	prepare
	local n at sum
	for n in 3 9 15; do
		at=$((boundary[n - 1] + (boundary[n] - boundary[n - 1]) / 2))
		rm -rf "$work/good"
		cp -r "$data" "$work/good"
		printf '\377' | dd of="$data/appendonlydir/$incr" bs=1 seek="$at" conv=notrunc status=none
		sum=$(md5sum <"$data/appendonlydir/$incr")
		run kvfs_start
		[ "$status" -eq 1 ]
		[[ $output == *"$incr"* ]]
		[[ $output == *"${boundary[n - 1]}"* ]] || [[ $output == *"$at"* ]]
		not_mounted "$mnt"
		[ "$(md5sum <"$data/appendonlydir/$incr")" = "$sum" ]
		rm -rf "$data"
		mv "$work/good" "$data"
	done
}

@test "with aof-load-corrupt-tail-max-size a damaged last batch is cut off too, and nothing before it" {
	prepare
	local n=$batches size
	size=$((boundary[n] - boundary[n - 1]))
	cp -r "$data" "$work/good"
	printf '\377' | dd of="$data/appendonlydir/$incr" bs=1 seek=$((boundary[n] - 20)) conv=notrunc status=none
	run kvfs_start aof-load-corrupt-tail-max-size=$((size - 1))
	[ "$status" -eq 1 ]
	[[ $output == *"$incr"*"at ${boundary[n - 1]}: checksum"*"its last $size bytes: aof-load-corrupt-tail-max-size"* ]]
	expect_warning "damaged"
	kvfs_start "save=" aof-load-corrupt-tail-max-size=$size
	"$KVTOOL" list "$mnt" | LC_ALL=C sort | cmp - "$work/state.$((n - 1))"
	[ "$(find "$data" -name "*torn-${boundary[n - 1]}" -printf '%s\n')" = "$size" ]
	kvfs_kill9
	rm -r "$data"
	mv "$work/good" "$data"
	printf '\377' | dd of="$data/appendonlydir/$incr" bs=1 seek=$((boundary[n - 1] - 20)) conv=notrunc status=none
	run kvfs_start aof-load-corrupt-tail-max-size=1mb
	[ "$status" -eq 1 ]
	[[ $output == *"at ${boundary[n - 2]}: checksum"* ]]
}

@test "an empty dump.rdb does not silently mean empty" {
	: >"$data/dump.rdb"
	run kvfs_start
	[ "$status" -eq 1 ]
	[[ $output == *dump.rdb* ]]
}

@test "a dump.rdb with a wrong checksum is refused" {
	kvfs_start appendonly=no
	echo value >"$mnt/k"
	ctl save
	kvfs_stop
	size=$(stat -c %s "$data/dump.rdb")
	printf '\001' | dd of="$data/dump.rdb" bs=1 seek=$((size - 12)) conv=notrunc status=none
	run kvfs_start appendonly=no
	[ "$status" -eq 1 ]
	[[ $output == *dump.rdb* ]]
}
