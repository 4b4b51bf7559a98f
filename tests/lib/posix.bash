# posix.bash -- the mount does what a tmpfs does: the same script of system calls (lib/posixtool.c) on both, and what came of each call.
#
#	load lib/kvfs
#	load lib/posix
#	setup() { posix_setup; }
#	teardown() { posix_teardown; }
#
#	as_tmpfs          runs the script on standard input on a fresh directory of the tmpfs and in the mount's root, in the same
#	                  directory of both; fails with the calls that differ.  What the mount said is in $said.
#	everything        type, mode, links, owner, size, device, mtime and target of all there is on the mount

POSIXTOOL=$KVFS_BIN/tests/lib/posixtool

posix_setup() {
	[ "$(id -u)" = 0 ] || skip "needs root"
	kvfs_setup
	chmod 755 "$BATS_RUN_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" "$BATS_TEST_TMPDIR" "$work"
	mkdir "$work/tmpfs"
	mount -t tmpfs -o mode=755 none "$work/tmpfs"
	posix_scripts=0
}

posix_teardown() {
	umount "$work/tmpfs" 2>/dev/null || true
	kvfs_teardown
}

as_tmpfs() {
	local one=$((posix_scripts += 1))
	cat >"$work/script"
	mkdir "$work/tmpfs/$one" "$mnt/$one"
	"$POSIXTOOL" "$work/tmpfs/$one" <"$work/script" >"$work/want" || return 1
	"$POSIXTOOL" "$mnt/$one" <"$work/script" >"$work/got" || return 1
	said=$(cat "$work/got")
	cmp -s "$work/want" "$work/got" || {
		echo "# < tmpfs, > the mount:"
		diff "$work/want" "$work/got" | sed 's/^/# /'
		return 1
	}
}

everything() {
	(cd "$mnt" && find . -exec stat -c '%A %h %U:%G %s %t,%T %.9Y %N' {} + | LC_ALL=C sort)
}
