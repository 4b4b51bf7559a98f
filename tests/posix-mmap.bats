#!/usr/bin/env bats
# Mappings, copies under them, offsets beyond 2 GiB and locks work as on tmpfs.  By one program on both, whose words are compared.

load lib/kvfs
setup() { kvfs_setup; }
teardown() {
	if [ -n "${there:-}" ]; then rm -r "$there"; fi
	kvfs_teardown
}

@test "mappings, copies, holes, large offsets and locks are what they are on tmpfs" {
	kvfs_start value-max=4gb
	there=$(mktemp -d /dev/shm/kvfs-values.XXXXXX)
	"$KVFS_BIN/tests/lib/valuetool" "$there" >"$work/there"
	"$KVFS_BIN/tests/lib/valuetool" "$mnt" >"$work/here"
	diff "$work/there" "$work/here"
	[ "$(wc -l <"$work/here")" -ge 27 ]
}

@test "what a mapping has written lasts" {
	kvfs_start value-max=4gb "save="
	"$KVFS_BIN/tests/lib/valuetool" "$mnt"
	sha1sum "$mnt"/{map,from,to,holes} >"$work/sums"
	kvfs_kill9
	kvfs_start value-max=4gb "save="
	sha1sum -c "$work/sums"
	[ "$(dd if="$mnt/map" bs=1 skip=4096 count=2 status=none)" = sw ]
}
