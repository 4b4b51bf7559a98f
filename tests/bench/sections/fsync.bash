# shellcheck shell=bash disable=SC2154
# fsync -- what a write costs that lasts: each appendfsync, beside the same of redis-server.

section_fsync() {
	local mode count kvfs redis
	for mode in no everysec always; do
		kvfs=("appendfsync=$mode") redis=(--appendonly yes --appendfsync "$mode")
		[ "$mode" != no ] || kvfs=(appendonly=no) redis=(--appendonly no)
		kvfs_up "kvfs-$mode" "${kvfs_calm[@]}" "${kvfs[@]}"
		redis_up "redis-$mode" "${redis_calm[@]}" "${redis[@]}"
		for count in 1 2 8; do
			for _ in $(seq "$REPEATS"); do
				sample "$mode.$count.kvfs" writer_us "$count" "$(target kvfs "kvfs-$mode")"
				sample "$mode.$count.redis" writer_us "$count" "$(target redis "redis-$mode")"
			done
		done
		[ "$mode" != always ] || syncs_a_write 8 >"$work/syncs"
		kvfs_down "kvfs-$mode"
		redis_down "redis-$mode"
	done
	print_fsync
}

writer_us() {
	"$bench/clients" write "$1" $((CALLS / 4)) "$2"
}
# Of the kvfs in always: how many syncs COUNT writers at once need, a write.
syncs_a_write() {
	local before after
	before=$(server_info "$work/kvfs-always/kvfs.sock" aof_syncs)
	writer_us "$1" "$(target kvfs kvfs-always)" >/dev/null
	after=$(server_info "$work/kvfs-always/kvfs.sock" aof_syncs)
	awk -v syncs=$((after - before)) -v calls=$(($1 * (CALLS / 4))) 'BEGIN { printf "%.2f\n", syncs / calls }'
}

print_fsync() {
	local mode count word
	echo "## What a write costs that lasts"
	echo
	echo "µs a write of 100 bytes to a key (kvfs: one write(2); redis-server: one SET), by 1, 2 and 8 writers at once; median of $REPEATS"
	echo
	head_row "" kvfs redis-server ratio
	for mode in no everysec always; do
		for count in 1 2 8; do
			word="appendfsync $mode"
			[ "$mode" != no ] || word="appendonly no"
			row "$word, $count at once" %.1f "$(samples "$mode.$count.kvfs")" "$(samples "$mode.$count.redis")"
		done
	done
	echo
	echo "always, 8 writers: $(cat "$work/syncs") syncs a write.  Disk: $disk."
}
