#!/usr/bin/env bats
# A call that fails fails with the errno that a tmpfs gives.
# By some 200 calls (tests/lib/errno_table.h) on a tmpfs and on the mount, as root, as an ordinary user, and on a mount that is read-only.

load lib/kvfs
setup() {
	kvfs_setup
	[ "$(id -u)" = 0 ] || skip "needs root"
	errnos=$KVFS_BIN/tests/lib/errnos model=$work/model
	mkdir "$model"
	mount -t tmpfs twin "$model" || skip "no tmpfs"
	# Others have to get there.
	chmod 755 "$BATS_RUN_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" "$BATS_TEST_TMPDIR" "$work"
}
teardown() {
	if is_mounted "${model:-/}"; then umount "$model"; fi
	kvfs_teardown
}

made_by() {
	mkdir "$model/d" "$mnt/d"
	"$errnos" make "$model/d" "$1"
	"$errnos" make "$mnt/d" "$1"
}

@test "root" {
	kvfs_start xattr=yes suid dev
	made_by 0
	"$errnos" run "$model/d" "$mnt/d" 0
}

@test "an ordinary user" {
	kvfs_start xattr=yes suid dev
	made_by 1000
	"$errnos" run "$model/d" "$mnt/d" 1000
}

@test "read-only: remounted, and beside its writer" {
	kvfs_start xattr=yes
	made_by 0
	kvfs_stop
	mount -o remount,ro "$model"
	view "$data" xattr=yes
	"$errnos" readonly "$model/d" "$then/d"
	unview
	kvfs_start xattr=yes ro
	"$errnos" readonly "$model/d" "$mnt/d"
}

@test "a wrong errno is found" {
	kvfs_start xattr=yes suid dev
	made_by 0
	# A file where a link should be.
	rm "$mnt/d/loop"
	echo >"$mnt/d/loop"
	run "$errnos" run "$model/d" "$mnt/d" 0
	[ "$status" = 1 ]
	[[ $output == *"open a loop: ELOOP wanted, ELOOP on A, ok on B"* ]]
}
