#!/usr/bin/env bats
# Whoever reads a directory sees each name that stays exactly once, however slowly and whatever others do to the directory meanwhile.
# By several scanners with small buffers that also go back to where they were, against writers that make, remove, rename and move the directory.

load lib/kvfs
setup() {
	kvfs_setup
	seed=${SEED:-$RANDOM}
	echo "# SEED=$seed"
}
teardown() { kvfs_teardown; }

@test "several scanners while names come, go, change and the directory moves" {
	kvfs_start "save="
	"$KVFS_BIN/tests/lib/scanners" "$mnt" 300 "${SCANS:-60}" "$seed"
}

@test "with keys that expire around them, and after a remount" {
	kvfs_start "save="
	mkdir "$mnt/a" "$mnt/b"
	"$KVFS_BIN/tests/lib/scanners" "$mnt/a" 1000 "${SCANS:-5}" "$seed"
	kvfs_remount
	same "$(find "$mnt/a" -name 's*' | wc -l) $(find "$mnt/a" -name 'r*' | sort -u | wc -l)" "1000 1000"
	for i in $(seq 50); do
		echo "$i" >"$mnt/a/late$i"
		ctl pexpire "$mnt/a/late$i" $((i * 20)) >/dev/null
	done 3>&- &
	expiring=$!
	"$KVFS_BIN/tests/lib/scanners" "$mnt/b" 1000 "${SCANS:-5}" "$seed"
	wait "$expiring"
}

# A name costs the same number of messages, and of bytes of a reply, in a large directory as in a small one.
@test "a listing costs as many messages a name with 20,000 names as with 1,000" {
	local count before
	redis_start "$data"
	redis eval "for i = 1, 1000 do redis.call('SET', string.format('small/%06d', i), '') end
		for i = 1, 20000 do redis.call('SET', string.format('large/%06d', i), '') end" 0
	redis save
	redis_stop
	kvfs_start "save="
	readdirs() { info fuse_readdir; }
	list() { before=$(readdirs); same "$(ls -f "$mnt/$1" | wc -l)" $(($2 + 2)); count=$(($(readdirs) - before)); }
	list small 1000
	small=$count
	list large 20000
	echo "# $small and $count"
	[ "$count" -le $(((small + 1) * 20)) ]
	[ "$count" -le 210 ]
}
