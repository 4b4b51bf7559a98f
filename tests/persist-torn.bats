#!/usr/bin/env bats
# A log that ends anywhere comes back as it was after the last whole batch: nothing of a torn one, and nothing less.
# A copy of the log is cut at every byte of its last 20 batches; each state is known from the time it was written.
# CUT_STEP=7 cuts at every seventh byte only, for slow programs.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

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
		'echo 2 >>"$mnt/big"' 'rm "$mnt/big"' '"$KVTOOL" try rename "$mnt/e" "$mnt/f"'
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

# recovers SIZE STATE: DIR cut at SIZE comes back as STATE.
recovers() {
	local copy=$work/cut
	[ -d "$copy" ] || cp -r "$data" "$copy"
	! compgen -G "$copy/appendonlydir/*.torn-*" >/dev/null || rm "$copy"/appendonlydir/*.torn-*
	head -c "$1" "$data/appendonlydir/$incr" >"$copy/appendonlydir/$incr"
	"$RECOVERED" "$copy" 2>"$work/report" >"$work/got" || { cat "$work/report"; echo "# cut at $1: refused"; return 1; }
	LC_ALL=C sort "$work/got" | cmp -s - "$work/state.$2" || {
		echo "# cut at $1: not the state after batch $2"
		LC_ALL=C sort "$work/got" | diff "$work/state.$2" -
		return 1
	}
}

prepare() {
	kvfs_start appendfsync=always "save=" journal-dir=
	echo 0 >"$mnt/k"
	head -c 5000 /dev/urandom >"$mnt/big"
	write_batches
	kvfs_kill9
	incr=$(basename "$(last_incr)")
}

@test "cut at every byte of the last 20 batches" {
	prepare
	local n size
	[ "$batches" -ge 20 ]
	for n in $(seq "$batches"); do
		for ((size = boundary[n - 1]; size < boundary[n]; size += ${CUT_STEP:-1})); do
			recovers "$size" $((n - 1))
		done
	done
	recovers "${boundary[batches]}" "$batches"
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
