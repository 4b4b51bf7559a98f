#!/usr/bin/env bats
# The README's first session goes as it is written.
# By typing each of its lines, in a mount namespace in which no keyspace is mounted and /mnt and /var/lib are empty, and comparing what comes.

load lib/kvfs
setup() { kvfs_setup; }
teardown() {
	kvfs_teardown
}

# How long a load took is not promised.
plain() { sed -E 's/[0-9.]+ seconds/N seconds/'; }

# What stands behind the marker, between its fences.
session() {
	awk '/^<!-- session -->$/ { here = 1 } here && /^```$/ { fences++; next } fences == 1' "$BATS_TEST_DIRNAME/../README.md"
}

# replay WORK: types the session, on a machine as it was before.
replay() {
	mount --bind "$1/mnt" /mnt && mount --bind "$1/lib" /var/lib || exit 1
	awk '/ - fuse\.kvfs / { print $5 }' /proc/self/mountinfo | xargs -r umount -l
	trap 'umount -l /mnt/kv 2>/dev/null' EXIT
	while IFS= read -r line; do
		[[ $line == '$ '* ]] || continue
		printf '%s\n' "$line"
		bash -c "${line#\$ }" 2>&1 </dev/null
	done <"$1/session"
	[ -z "$(awk '$5 == "/mnt/kv"' /proc/self/mountinfo)" ] && timeout 30 flock /var/lib/kvfs true
}

@test "the first session of the README" {
	unshare --mount --propagation private true 2>/dev/null || skip "needs a mount namespace of its own"
	mkdir "$work/lib"
	session >"$work/session"
	[ "$(grep -c '^\$ ' "$work/session")" -gt 10 ]
	PATH=$KVFS_BIN:$PATH
	export -f replay
	unshare --mount --propagation private bash -c 'replay "$1"' bash "$work" >"$work/came" 3>&- 4>&-
	same "$(plain <"$work/came")" "$(plain <"$work/session")"
}
