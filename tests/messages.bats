#!/usr/bin/env bats
# The fastest message is the one never sent: each call costs the kernel no more messages than the budget.
# By the daemon's own counters, one an opcode, before and after; counts don't depend on how busy a machine is.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

# All messages so far but those that only give back memory.
messages() {
	ctl info | tr -d '\r' | sed -nE '/^fuse_(b?forget|batch_forget|forget_multi|init|interrupt)[:=]/d; s/^fuse_([a-z_]+):([0-9]+)$/\1 \2/p' |
		awk '{ sum += $2 } END { print sum + 0 }'
}

# costs N COMMAND...: COMMAND makes N messages.
costs() {
	local want=$1 before after
	shift
	before=$(messages)
	eval "$*"
	after=$(messages)
	[ $((after - before)) -eq "$want" ] || {
		echo "# $*: $((after - before)) messages instead of $want"
		ctl info fuse | grep -v ':0'
		return 1
	}
}

# The first use of open, flush, getxattr ... is answered "not here" once: that is not the price of a call.
warm_up() {
	echo warm >"$mnt/warm"
	echo warm >"$mnt/warm"
	cat "$mnt/warm" >/dev/null
	: "$mnt"/*
	[ -e "$mnt/warm" ]
	rm "$mnt/warm"
}

# With default_permissions the kernel looks at a directory's attributes again (GETATTR) before it walks through one in which a name
# has come or gone since.  It does so for every FUSE filesystem, and that message belongs to the change before.
look_at_root() {
	[ -d "$mnt/." ]
}

@test "new key: 3, and the directory is looked at again" {
	kvfs_start
	warm_up
	look_at_root
	costs 3 'echo v >"$mnt/k"'
	costs 1 look_at_root
	costs 0 look_at_root
	costs 40 'for i in 0 1 2 3 4 5 6 7 8 9; do echo $i >"$mnt/k$i"; look_at_root; done'
}

@test "overwrite: 2" {
	kvfs_start
	warm_up
	echo v >"$mnt/k"
	look_at_root
	costs 2 'echo w >"$mnt/k"'
	costs 20 'for i in 0 1 2 3 4 5 6 7 8 9; do echo $i >"$mnt/k"; done'
}

@test "append: 1, once the kernel knows where the end is" {
	kvfs_start
	warm_up
	echo v >"$mnt/k"
	[ -s "$mnt/k" ]
	costs 1 'echo w >>"$mnt/k"'
}

@test "first get: 2; get again: 0; stat again: 0" {
	kvfs_start
	echo v >"$mnt/k"
	echo w >"$mnt/warm"
	kvfs_remount
	cat "$mnt/warm" >/dev/null
	costs 2 '"$KVTOOL" try get "$mnt/k" >/dev/null'
	costs 0 '"$KVTOOL" try get "$mnt/k" >/dev/null'
	# A read that reached the daemon makes the kernel ask once for the access time.
	costs 1 '[ -s "$mnt/k" ]'
	costs 0 '[ -s "$mnt/k" ]'
	costs 0 'for i in 0 1 2 3 4 5 6 7 8 9; do cat "$mnt/k"; [ -s "$mnt/k" ]; done >/dev/null'
}

@test "a name that is not there is asked for once" {
	kvfs_start
	warm_up
	look_at_root
	costs 1 '[ ! -e "$mnt/none" ]'
	costs 0 '[ ! -e "$mnt/none" ]'
}

@test "delete: 1" {
	kvfs_start
	warm_up
	echo v >"$mnt/k"
	look_at_root
	costs 1 '"$KVTOOL" try unlink "$mnt/k" >/dev/null'
}

# With extended attributes the kernel looks for file capabilities (GETXATTR) before each truncation and each write.
@test "xattr=yes: new key 4, overwrite 4, append 2; with ACLs its owner asks no more" {
	local acl
	for acl in no yes; do
		kvfs_start "xattr=yes" "acl=$acl"
		warm_up
		look_at_root
		costs 4 'echo v >"$mnt/k"'
		look_at_root
		costs 4 'echo w >"$mnt/k"'
		[ -s "$mnt/k" ]
		costs 2 'echo w >>"$mnt/k"'
		rm "$mnt/k"
		kvfs_stop
	done
}

@test "a big write goes in pieces of at least 128 KiB" {
	kvfs_start
	warm_up
	head -c 8388608 /dev/zero >"$work/big"
	before=$(messages)
	dd if="$work/big" of="$mnt/big" bs=8M status=none
	after=$(messages)
	[ $((after - before)) -le $((3 + 64 + 2)) ]
}
