#!/usr/bin/env bats
# What a call does on a tmpfs it does on the mount, and it is still there after each way to start again.
# By random calls made on both alike, as root and as others, by several processes (tests/lib/twin.c); between them unmounts, kills, snapshots and
# rewrites, and a comparison of everything below.
#
# TWIN_OPS=1000000 makes it thorough; SEED=N repeats a run.

load lib/kvfs
setup() {
	kvfs_setup
	[ "$(id -u)" = 0 ] || skip "needs root"
	twin=$KVFS_BIN/tests/lib/twin model=$work/model rounds=4
	mkdir "$model"
	mount -t tmpfs -o mode=0777 twin "$model" || skip "no tmpfs"
	seed=${SEED:-$RANDOM}
	each=$((${TWIN_OPS:-12000} / rounds))
	echo "# SEED=$seed"
}
teardown() {
	if is_mounted "${model:-/}"; then umount "$model"; fi
	kvfs_teardown
}

# From the dump alone: the log is taken away.
from_snapshot() {
	ctl bgsave --wait && kvfs_stop && rm -r "$data/appendonlydir" && kvfs_start "$@"
}

rewritten() {
	ctl bgrewriteaof --wait && kvfs_remount "$@"
}

killed() {
	expect_warning "$mnt"
	"$twin" -s "$mnt" && kvfs_kill9 && kvfs_start "$@"
}

# round NUMBER HOW OPTION...: calls on both sides, then HOW the daemon starts again; nothing is different before and after.
round() {
	local n=$1 how=$2
	shift 2
	"$twin" -r "$required" "$model" "$mnt" $((seed + n)) "$each" 3 || return 1
	"$twin" -d "$mnt" >"$work/before"
	"$how" "$@" || return 1
	"$twin" -d "$mnt" >"$work/after"
	diff "$work/before" "$work/after" | head -n 20
	cmp "$work/before" "$work/after" && "$twin" -c "$model" "$mnt"
}

# The first rounds as it is mounted unless one asks for more, the others with all there is.
random_rounds() {
	local n=0 how options=("save=")
	required=shared-map,link,fifo,fallocate,seek-hole
	kvfs_start "${options[@]}"
	chmod 777 "$mnt"
	for how in killed rewritten from_snapshot kvfs_remount; do
		if [ "$n" = 2 ]; then
			options+=(xattr=yes acl=yes suid dev)
			required+=,device,xattr,trusted,acl
			kvfs_remount "${options[@]}"
		fi
		round $((n++)) "$how" "${options[@]}" || { echo "# round $n, ended by $how; SEED=$seed repeats it"; return 1; }
	done
	[ "$(wc -l <"$work/after")" -gt 20 ]
}

@test "random calls do on the mount what they do on a tmpfs, and it lasts" {
	random_rounds
}

@test "a difference is found" {
	kvfs_start
	chmod 777 "$mnt"
	"$twin" "$model" "$mnt" "$seed" 300
	"$twin" -c "$model" "$mnt"
	echo more >"$mnt/w0/added"
	run "$twin" -c "$model" "$mnt"
	[ "$status" = 1 ]
	[[ $output == "difference: /w0: size: "* ]]
	echo more >"$model/w0/another"
	run "$twin" -c "$model" "$mnt"
	[ "$status" = 1 ]
	[ "$output" = "difference: /w0: other names" ]
	rm "$mnt/w0/added" "$model/w0/another"
	touch -d @7 "$mnt/w0" "$model/w0"
	"$twin" -c "$model" "$mnt"
	touch -d @8 "$mnt/w0"
	run "$twin" -c "$model" "$mnt"
	[ "$status" = 1 ]
	[[ $output == "difference: /w0: mtime: 7 on A, 8 on B" ]]
}
