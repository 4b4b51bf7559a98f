#!/usr/bin/env bats
# POSIX ACLs: who may do what, what is inherited, what chmod and setfacl do to each other; and they last.
# By the same commands on a tmpfs, as root and as ordinary users.

load lib/kvfs

setup() {
	kvfs_setup
	chmod 755 "$work" "${work%/*}" "${work%/*/*}" "${work%/*/*/*}"
	mkdir "$work/tmpfs"
	mount -t tmpfs -o mode=755 tmpfs "$work/tmpfs"
}

teardown() {
	umount "$work/tmpfs"
	kvfs_teardown
}

# as UID GID COMMAND...
as() { setpriv --reuid "$1" --regid "$2" --clear-groups "${@:3}"; }

# Each command line, what it says, and whether it succeeds.
each() {
	local line status
	while IFS= read -r line; do
		[ -n "$line" ] || continue
		echo "+ $line"
		status=0
		eval "$line" 2>&1 || status=$?
		echo "= $status"
	done
}

# Modes, owners and ACLs of everything below.
state() { (cd "$1" && find . -printf "%y %m %U %G %p\n" | LC_ALL=C sort -k 5 && find . ! -type l | LC_ALL=C sort | getfacl -n - | cat); }

everything() {
	cd "$1"
	umask 022
	each <<'LINES'
echo v >f; mkdir d; ln -s f l
setfacl -m u:1001:rw f; getfacl -n f; stat -c %a f
as 1001 1001 cat f; as 1001 1001 sh -c 'echo w >f'; as 1002 1002 sh -c 'echo w >f'; as 1002 1002 cat f
setfacl -m u:1002:- f; as 1002 1002 cat f
setfacl -m g:2001:rwx,m::r f; stat -c %a f; getfacl -n f; as 1003 2001 sh -c 'echo x >f'; as 1003 2001 cat f
chmod 600 f; getfacl -n f; as 1001 1001 cat f
chmod 666 f; getfacl -n f; as 1001 1001 cat f; as 1003 2001 sh -c 'echo x >f'
chmod 4751 f; getfacl -n f; stat -c %a f
setfacl -x g:2001 f; getfacl -n f
setfacl -b f; getfacl -n f; stat -c %a f
setfacl -m u::rwx,g::r-x,o::- f; stat -c %a f; getfattr -m - -d f
setfacl -m u:1001:r f; setfacl -k f; getfattr -m - f
setfacl -h -m u:1001:r l; getfacl -n f
setfacl -d -m u:1001:rwx f
setfacl -d -m u:1001:rwx,g:2001:rx d; getfacl -n d; stat -c %a d
(umask 077; echo v >d/file; mkdir d/sub; ln -s x d/link); getfacl -n d/file d/sub; stat -c %a d/file d/sub d/link
(umask 0; echo v >d/file2; mkdir d/sub2; mkdir -m 700 d/sub3; mkfifo d/fifo; install -m 751 /dev/null d/file3); getfacl -n d/fifo d/file2 d/sub2 d/sub3 d/file3; stat -c '%a %n' d/*
as 1001 1001 sh -c 'echo w >d/file2; echo n >d/sub2/new'; getfacl -n d/sub2; as 1003 2001 ls d/sub2
setfacl -d -m u::rwx,g::rx,o::- d/sub3; (umask 0; setfacl -d -x u:1001,g:2001,m d/sub3; echo v >d/sub3/minimal; mkdir d/sub3/dir); getfacl -n d/sub3 d/sub3/minimal d/sub3/dir; getfattr -m - d/sub3/minimal
(umask 027; echo v >plain; mkdir plaindir); stat -c %a plain plaindir
setfacl -k d; getfacl -n d; (umask 027; echo v >d/after); stat -c %a d/after; getfacl -n d/after
mkdir sg; chgrp 3001 sg; chmod 2775 sg; setfacl -d -m g:2001:rwx sg; echo v >sg/f; mkdir sg/d; getfacl -n sg/f sg/d; stat -c '%a %g' sg/f sg/d
echo v >owned; chown 1001:3001 owned; chmod 2644 owned; as 1001 1001 setfacl -m u:1002:r owned; stat -c %a owned
chmod 2644 owned; as 1001 3001 setfacl -m u:1003:r owned; stat -c %a owned
as 1002 1002 setfacl -m u:1002:rw owned; getfacl -n owned
mkdir closed; chmod 700 closed; echo v >closed/f; as 1001 1001 cat closed/f; setfacl -m u:1001:x closed; as 1001 1001 cat closed/f; as 1001 1001 ls closed
chown 1005:1005 f; getfacl -n f
setfacl -m u:1001:rw,u:1002:r,g:2001:r f; cp -a f copied; getfacl -n copied; mv f moved; getfacl -n moved
setfattr -n system.posix_acl_access -v 0x0200 moved
setfattr -n system.posix_acl_access -v 0x0200000001000700ffffffff04000700ffffffff02000700e903000010000700ffffffff20000700ffffffff moved
setfattr -n system.posix_acl_access -v 0x0200000001000700ffffffff02000700e903000004000700ffffffff20000700ffffffff moved
setfattr -n system.posix_acl_access -v 0x0200000001000f00ffffffff04000700ffffffff20000700ffffffff moved
getfacl -n moved
LINES
	cd /
}

@test "each command does what it does on a tmpfs" {
	kvfs_start "save=" "xattr=yes" "acl=yes"
	everything "$work/tmpfs" >"$work/want"
	everything "$mnt" >"$work/got"
	grep -q 'user:1001:rw-.*effective' "$work/want"
	[ "$(grep -c 'Permission denied' "$work/want")" -gt 5 ]
	diff "$work/want" "$work/got"
	same "$(state "$mnt")" "$(state "$work/tmpfs")"
}

@test "they last: by the log, after kill -9, by a snapshot, by both bases of a rewrite; redis-server loads all of it" {
	local preamble want
	kvfs_start "save=" "xattr=yes" "acl=yes"
	everything "$mnt" >"$work/said"
	want=$(state "$mnt")
	grep -q user:1001 <<<"$want"
	kvfs_kill9
	kvfs_start "save=" "xattr=yes" "acl=yes"
	same "$(state "$mnt")" "$want"
	run as 1001 1001 cat "$mnt/closed/f"
	[ "$output" = v ]
	for preamble in yes no; do
		ctl config set aof-use-rdb-preamble $preamble
		ctl bgrewriteaof --wait
		setfacl -m u:1007:r "$mnt/moved"
		chmod 770 "$mnt/copied"
		want=$(state "$mnt")
		kvfs_remount "save=" "xattr=yes" "acl=yes"
		same "$(state "$mnt")" "$want"
	done
	ctl bgsave --wait
	kvfs_stop
	redis_start "$data" --appendonly yes
	[ "$(redis get closed/f)" = v ]
	redis_stop
	rm -r "$data/appendonlydir"
	kvfs_start "xattr=yes" "acl=yes"
	same "$(state "$mnt")" "$want"
}

@test "rsync -A, tar --acls and cp -a take them along" {
	kvfs_start "save=" "xattr=yes" "acl=yes"
	mkdir "$work/tmpfs/from" "$mnt/rsync" "$mnt/tar" "$mnt/cp"
	everything "$work/tmpfs/from" >"$work/said"
	local want
	want=$(state "$work/tmpfs/from")
	rsync -aA "$work/tmpfs/from/" "$mnt/rsync/"
	same "$(state "$mnt/rsync")" "$want"
	tar -C "$work/tmpfs/from" --acls -cf - . | tar -C "$mnt/tar" --acls -xpf -
	same "$(state "$mnt/tar")" "$want"
	cp -a "$work/tmpfs/from/." "$mnt/cp"
	same "$(state "$mnt/cp")" "$want"
}

@test "without the setting there are none, and those on disk stay" {
	kvfs_start "save=" "xattr=yes" "acl=yes"
	echo v >"$mnt/f"
	setfacl -m u:1001:rw "$mnt/f"
	mkdir "$mnt/d"
	setfacl -d -m u:1001:rw "$mnt/d"
	kvfs_remount "save=" "xattr=yes"
	[ "$("$KVTOOL" try getxattr "$mnt/f" system.posix_acl_access 100)" = EOPNOTSUPP ]
	[ "$(getfattr -m - "$mnt/f")" = "" ]
	run setfacl -m u:1002:r "$mnt/f"
	[ "$status" -ne 0 ]
	(umask 027; echo v >"$mnt/d/f")
	[ "$(stat -c %a "$mnt/d/f")" = 640 ]
	kvfs_remount "save=" "xattr=yes" "acl=yes"
	[[ $(getfacl -n --absolute-names "$mnt/f") == *user:1001:rw-* ]]
	mkdir "$work/fresh"
	run "$KVFS_BIN/kvfs" -o "acl=yes,xattr=no" "$work/fresh" "$then"
	[ "$status" -ne 0 ] && [[ $output == *"acl: "* ]]
}
