#!/usr/bin/env bats
# An ordinary user has a keyspace of his own, which nobody else enters unless he and /etc/fuse.conf say so, and ends it as root ends his.
# As another user than root, with fusermount3, in a mount namespace in which /dev/fuse is open to everybody and the files of /etc are the test's.

load lib/kvfs
setup() {
	[ -n "${KVFS_TEST_NAMESPACE:-}" ] || skip "needs a mount namespace of its own: make test makes one"
	kvfs_setup
	open_fuse || skip "a device node can't be made or opened here"
	# Where the user may go and call it, whatever the source tree's directory allows.
	local dir=$work
	while [[ $dir == "$BATS_RUN_TMPDIR"* ]]; do
		chmod o+x "$dir"
		dir=${dir%/*}
	done
	mkdir "$work/bin"
	cp "$KVFS_BIN/kvfs" "$KVFS_BIN/kvfs-ctl" "$work/bin"
	KVFS_BIN=$work/bin
	chown 65534:65534 "$data" "$mnt" "$log"
}
teardown() {
	kvfs_teardown
	umount /dev/fuse /etc/fuse.conf /etc/fstab 2>/dev/null || true
}

# The machine's own may be root's alone.
open_fuse() {
	mknod "$work/fuse" c 10 229 && chmod 666 "$work/fuse" && mount --bind "$work/fuse" /dev/fuse && : <>/dev/fuse
}

# as_user COMMAND...
as_user() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@" 3>&- 4>&-
}

# user_mounts [KEY=VALUE...]
user_mounts() {
	local options="logfile=$log" one status=0
	for one; do
		options+=",$one"
	done
	as_user "$KVFS_BIN/kvfs" -o "$options" "$data" "$mnt" || status=$?
	note_daemons
	return $status
}

@test "a mount of a user's own: it is his, nobody else can enter, he ends it" {
	user_mounts
	as_user sh -c "echo value >'$mnt/k'"
	[ "$(as_user stat -c %u:%g "$mnt/k")" = 65534:65534 ]
	run stat "$mnt/k"
	[ "$status" -ne 0 ]
	[[ ,$(findmnt -n -o OPTIONS --mountpoint "$mnt"), == *,nosuid,nodev,*user_id=65534* ]]
	[ "$(as_user "$KVFS_BIN/kvfs-ctl" -m "$mnt" dbsize)" = 1 ]
	pid=$(kvfs_pid)
	as_user "$KVFS_BIN/kvfs-ctl" -m "$mnt" umount
	_gone "$pid"
	not_mounted "$mnt"
}

@test "fusermount3 -u and SIGTERM end it, and a killed one is cleared by the next start" {
	local how
	for how in "fusermount3 -u $mnt" "kill -TERM" "kill -KILL"; do
		user_mounts
		as_user sh -c "echo '$how' >'$mnt/k'"
		pid=$(kvfs_pid)
		[[ $how != kill* ]] || how+=" $pid"
		as_user $how
		wait_until 30 _gone "$pid"
	done
	expect_warning "cleared a dead mount"
	user_mounts
	[ "$(as_user cat "$mnt/k")" = "kill -KILL" ]
}

@test "allow_other of a user's is for fuse.conf to allow; then others enter, and the modes decide" {
	: >"$work/fuse.conf"
	mount --bind "$work/fuse.conf" /etc/fuse.conf
	run user_mounts allow_other
	[ "$status" -eq 1 ]
	[[ $output == *user_allow_other*/etc/fuse.conf* ]]
	not_mounted "$mnt"
	echo user_allow_other >"$work/fuse.conf"
	user_mounts allow_other
	as_user sh -c "echo value >'$mnt/k'; echo value >'$mnt/private'; chmod 600 '$mnt/private'"
	[ "$(setpriv --reuid 65533 --regid 65533 --clear-groups cat "$mnt/k")" = value ]
	run setpriv --reuid 65533 --regid 65533 --clear-groups cat "$mnt/private"
	[ "$status" -ne 0 ]
}

@test "two users have two keyspaces, and root sees with kvfs-ctl which there are" {
	user_mounts
	mkdir "$work/data2" "$work/mnt2"
	chown 1:1 "$work/data2" "$work/mnt2"
	setpriv --reuid 1 --regid 1 --clear-groups "$KVFS_BIN/kvfs" "$work/data2" "$work/mnt2" 3>&- 4>&-
	note_daemons
	run "$KVFS_BIN/kvfs-ctl" ping
	[ "$status" -eq 2 ]
	[[ $output == *"pick one:"*"-m $mnt"*"-m $work/mnt2"* ]]
	[ "$("$KVFS_BIN/kvfs-ctl" -m "$work/mnt2" ping)" = PONG ]
	run as_user "$KVFS_BIN/kvfs-ctl" -m "$work/mnt2" ping
	[ "$status" -eq 3 ]
	[[ $output == "kvfs-ctl: $work/mnt2: "*ermission* ]]
}

@test "a line with user in fstab lets him mount it, by both types, and nobody else unmount it" {
	local type sbin
	sbin=$(realpath /sbin)
	mkdir "$work/sbin"
	ln -s "$KVFS_BIN/kvfs" "$work/sbin/mount.kvfs"
	ln -s "$KVFS_BIN/kvfs" "$work/sbin/kvfs"
	mount -t overlay overlay -o "lowerdir=$work/sbin:$sbin" "$sbin"
	: >"$work/fstab"
	mount --bind "$work/fstab" /etc/fstab
	for type in kvfs fuse.kvfs; do
		echo "$data $mnt $type noauto,user,logfile=$log 0 0" >"$work/fstab"
		as_user mount "$mnt"
		note_daemons
		as_user sh -c "echo value >'$mnt/k'"
		run setpriv --reuid 65533 --regid 65533 --clear-groups umount "$mnt"
		[ "$status" -ne 0 ]
		pid=$(kvfs_pid)
		as_user umount "$mnt"
		wait_until 30 _gone "$pid"
	done
	umount "$sbin"
}

@test "what a user may not is said in a sentence" {
	run as_user "$KVFS_BIN/kvfs" "$mnt"
	[ "$status" -eq 1 ]
	[ "$output" = "kvfs: data directory /var/lib/kvfs: Permission denied" ]
	chown 0:0 "$mnt"
	run user_mounts
	[ "$status" -eq 1 ]
	[[ $output == *"kvfs: $mnt: could not be mounted"* ]]
	chown 65534:65534 "$mnt"
	user_mounts
}
