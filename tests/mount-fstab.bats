#!/usr/bin/env bats
# mount(8) and umount(8) do with a keyspace what they do with any filesystem, from the command line and from fstab, by either type.
# By calling them with an fstab of the test's own, in a mount namespace in which mount.kvfs is installed.

load lib/kvfs
sbin=$(realpath /sbin)

setup_file() {
	[ -n "${KVFS_TEST_NAMESPACE:-}" ] || return 0
	mkdir "$BATS_FILE_TMPDIR/sbin"
	# mount(8) looks for its helpers nowhere else, and mount.fuse3 for kvfs in the standard PATH.
	local name
	for name in mount.kvfs mount.fuse.kvfs kvfs; do
		ln -s "$(realpath "$KVFS_BIN/kvfs")" "$BATS_FILE_TMPDIR/sbin/$name"
	done
	mount -t overlay overlay -o "lowerdir=$BATS_FILE_TMPDIR/sbin:$sbin" "$sbin"
}
teardown_file() {
	[ -z "${KVFS_TEST_NAMESPACE:-}" ] || umount "$sbin"
}
setup() {
	[ -n "${KVFS_TEST_NAMESPACE:-}" ] || skip "needs a mount namespace of its own: make test makes one"
	kvfs_setup
	printf '[keyspace]\ndir = data\n[log]\nlogfile = %s\n' "$log" >"$work/kv.ini"
}
teardown() {
	kvfs_teardown
}

# line SOURCE TYPE OPTIONS [MOUNTPOINT]: one more line of the fstab.
line() {
	printf '%s %s %s %s 0 0\n' "$1" "${4:-$mnt}" "$2" "$3" >>"$work/fstab"
}

mounts() {
	local status=0
	mount -T "$work/fstab" "$@" 3>&- 4>&- || status=$?
	note_daemons
	return $status
}

# unmounts [MOUNTPOINT]: by umount(8); returns when the daemon has gone.
unmounts() {
	local pid
	pid=$(kvfs_pid)
	umount "${1:-$mnt}"
	wait_until 30 _gone "$pid"
}

has_options() {
	local options one
	options=,$(findmnt -n -o OPTIONS --mountpoint "$mnt"),
	for one; do
		[[ $options == *,$one,* ]] || { echo "# no $one in $options"; return 1; }
	done
}

@test "a line with whatever fstab(5) and systemd know is mounted, and unmounted, by both types" {
	local type
	for type in kvfs fuse.kvfs; do
		: >"$work/fstab"
		line "$work/kv.ini" $type "defaults,nofail,_netdev,auto,async,comment=a,x-systemd.automount,x-systemd.requires-mounts-for=/var,X-a=b,nodev,nosuid,noexec,noatime"
		mounts "$mnt"
		has_options nosuid nodev noexec noatime
		[ "$(findmnt -n -o FSTYPE,SOURCE --mountpoint "$mnt" | tr -s ' ')" = "fuse.kvfs $data" ]
		echo value >"$mnt/k-$type"
		unmounts
	done
	kvfs_start
	[ "$(cd "$mnt" && echo *)" = "k-fuse.kvfs k-kvfs" ]
}

@test "nosuid and nodev hold by both types; mount.fuse3, where it is called in our helper's place, asks for dev and suid" {
	local type
	for type in kvfs fuse.kvfs; do
		: >"$work/fstab"
		line "$data" $type "defaults,logfile=$log"
		mounts "$mnt"
		has_options nosuid nodev
		unmounts
	done
	mount.fuse3 "kvfs#$data" "$mnt" -o "logfile=$log" 3>&- 4>&-
	note_daemons
	run has_options nosuid
	[ "$status" -eq 1 ]
	unmounts
}

@test "settings stand in the options of the line, and win over the ini file" {
	line "$work/kv.ini" fuse.kvfs "maxmemory=2gb,appendfsync=always,save=60\\0401"
	mounts "$mnt"
	[ "$(ctl config get maxmemory appendfsync save | xargs)" = "maxmemory 2147483648 appendfsync always save 60 1" ]
}

@test "ro is a view" {
	kvfs_start
	echo value >"$mnt/k"
	kvfs_stop
	line "$data" kvfs "ro,nofail"
	mounts "$mnt"
	[ "$(findmnt -n -o FSTYPE --mountpoint "$mnt")" = fuse.kvfs-view ]
	has_options ro
	[ "$(cat "$mnt/k")" = value ]
	[ "$("$KVTOOL" try create "$mnt/l")" = EROFS ]
	umount "$mnt"
}

@test "mount -a mounts what is not mounted yet, and leaves noauto and what is mounted alone" {
	mkdir "$work/data2" "$work/mnt2" "$work/data3" "$work/mnt3"
	line "$data" kvfs "logfile=$log"
	line "$work/data2" fuse.kvfs "nofail,logfile=$log" "$work/mnt2"
	line "$work/data3" kvfs "noauto" "$work/mnt3"
	mounts -a
	is_mounted "$mnt"
	is_mounted "$work/mnt2"
	not_mounted "$work/mnt3"
	mounts -a
	# With two of them kvfs-ctl wants to know which.
	run "$KVFS_BIN/kvfs-ctl" dbsize
	[ "$status" -eq 2 ]
	[[ $output == "kvfs-ctl: several keyspaces are mounted, pick one:"*"  -m $mnt"*"  -m $work/mnt2"* ]]
	"$KVFS_BIN/kvfs-ctl" -m "$work/mnt2" umount
	not_mounted "$work/mnt2"
	is_mounted "$mnt"
}

@test "what is mounted there already is no error: mount -a can't tell, for the line names an ini file and the mount its data directory" {
	line "$work/kv.ini" fuse.kvfs defaults
	mounts -a
	echo value >"$mnt/k"
	run mounts -a
	[ "$status" -eq 0 ]
	[ "$output" = "kvfs: $data is mounted on $mnt already" ]
	run mounts -t kvfs "$work/kv.ini" "$mnt"
	[ "$status" -eq 0 ]
	[ "$(findmnt -n -o SOURCE --mountpoint "$mnt" | wc -l)" -eq 1 ]
	[ "$(cat "$mnt/k")" = value ]
	# Another place, or another keyspace, is.
	mkdir "$work/mnt2" "$work/data2"
	run mounts -t kvfs "$work/kv.ini" "$work/mnt2"
	[ "$status" -eq 32 ]
	run mounts -t kvfs "$work/data2" "$mnt"
	[ "$status" -eq 32 ]
}

@test "SOURCE and mount point may be relative, by both types" {
	local type source
	cd "$work"
	for type in kvfs fuse.kvfs; do
		for source in kv.ini ./data; do
			mount -t $type -o "logfile=$log" $source mnt 3>&- 4>&-
			note_daemons
			[ "$(findmnt -n -o SOURCE --mountpoint "$mnt")" = "$data" ]
			unmounts mnt
		done
	done
}

@test "what can't be mounted ends mount(8) with its own exit status and one sentence" {
	line "$data" kvfs "nonsense=1"
	run mounts "$mnt"
	[ "$status" -eq 32 ]
	[ "$output" = 'kvfs: -o: unknown option "nonsense"' ]
	: >"$work/fstab"
	line "$work/none.ini" kvfs "nofail"
	run mounts "$mnt"
	[ "$status" -eq 32 ]
	[ "$output" = "kvfs: $work/none.ini: No such file or directory (an ini file or a data directory is wanted)" ]
	: >"$work/fstab"
	line "$data" fuse.kvfs "allow_root"
	run mounts "$mnt"
	[ "$status" -ne 0 ]
	[[ $output == "kvfs: -o: allow_root: "*allow_other* ]]
	not_mounted "$mnt"
}

@test "the kernel can take writing away and give it back; mount -o remount says how" {
	line "$data" kvfs "logfile=$log"
	mounts "$mnt"
	run mount -o remount,ro "$mnt"
	[ "$status" -ne 0 ]
	[[ $output == *"mount -i -o remount,ro"* ]]
	mount -i -o remount,ro "$mnt"
	[ "$("$KVTOOL" try create "$mnt/k")" = EROFS ]
	mount -i -o remount,rw "$mnt"
	[ "$("$KVTOOL" try create "$mnt/k")" = ok ]
}

@test "a dead mount is cleared by the next mount" {
	line "$work/kv.ini" fuse.kvfs "nofail"
	mounts "$mnt"
	echo value >"$mnt/k"
	pid=$(kvfs_pid)
	kill -KILL "$pid"
	wait_until 10 _gone "$pid"
	expect_warning "cleared a dead mount"
	mounts "$mnt"
	[ "$(cat "$mnt/k")" = value ]
}
