#!/usr/bin/env bats
# A keyspace that is full says ENOSPC to what would make it grow, lets everything else happen, and df says what is so; and no daemon takes what
# the machine has not.  By filling small ones, with a memory that the test itself says how much is left of, and inside a control group.

load lib/kvfs
setup() { kvfs_setup; }
teardown() {
	[ -z "${group:-}" ] || _kvfs_undo    # the group can go when its last process has
	leave_group
	kvfs_teardown
}

try() { "$KVTOOL" try "$@"; }

# What df says of the mount in bytes: size, used, avail.
df_() { df -B1 --output="$1" "$mnt" | tail -n 1 | tr -d ' '; }
dfi() { df --output="$1" "$mnt" | tail -n 1 | tr -d ' '; }

# Files of 100,000 bytes until there is no room; says how many there are.
fill() {
	local i=0
	while head -c 100000 /dev/zero | tr '\0' x >"$mnt/fill$i"; do i=$((i + 1)); done 2>/dev/null
	rm "$mnt/fill$i" 2>/dev/null || true
	echo "$i"
}

@test "full: ENOSPC for what grows; removing, moving, cutting, overwriting, attributes and times go on" {
	kvfs_start maxmemory=4mb save=
	mkdir "$mnt/d"
	head -c 50000 /dev/zero >"$mnt/k"
	[ "$(fill)" -gt 20 ]
	local n=1
	while [ "$(try create "$mnt/d/$n")" = ok ]; do n=$((n + 1)); done
	[ "$(try create "$mnt/new")" = ENOSPC ]
	[ "$(try mkdir "$mnt/newdir")" = ENOSPC ]
	run ln -s target "$mnt/link"
	[ "$status" -ne 0 ]
	[ "$(try pwrite "$mnt/k" 900000 x)" = ENOSPC ]
	run cp /etc/services "$mnt/d/1"
	[ "$status" -ne 0 ] && [[ "$output" = *"No space left"* ]]
	ctl bgsave --wait
	# Beside a snapshot they need copies; all of them go on.
	ctl config set rdb-key-save-delay 20000
	ctl bgsave
	[ "$(info rdb_bgsave_in_progress)" = 1 ]
	dd if=/dev/zero of="$mnt/k" bs=50000 count=1 conv=notrunc status=none
	chmod 600 "$mnt/k"
	touch "$mnt/k"
	mv "$mnt/fill0" "$mnt/d/a name that needs more memory than the one before, since it is longer"
	[ "$(ctl expire k 1000)" = 1 ]
	truncate -s 49000 "$mnt/k"
	truncate -s 70000 "$mnt/fill1"
	truncate -s 10 "$mnt/k"
	rm "$mnt/d/1"
	rm -r "$mnt/d"
	ctl config set rdb-key-save-delay 0
	[ "$(try create "$mnt/new")" = ok ]
	writes() { head -c 100000 /dev/zero >"$mnt/new"; } 2>/dev/null
	wait_until 10 writes
}

@test "df and df -i are true: empty, full, and empty again" {
	kvfs_start maxmemory=8mb save=
	[ "$(df_ size)" -eq 8388608 ]
	local used=$(df_ used) free=$(dfi iavail) count
	[ $(($(df_ avail) + used)) -eq 8388608 ]
	[ "$(stat -f -c '%s %S' "$mnt")" = "4096 4096" ]
	count=$(fill)
	[ "$(df_ avail)" -lt 110000 ]
	[ "$(df_ size)" -eq 8388608 ]
	[ $(($(df_ used) - used)) -ge $((count * 100000)) ]
	[ "$(dfi iused)" -eq $((count + 1)) ]
	[ "$(dfi iavail)" -lt 900 ]
	rm "$mnt"/fill*
	# The kernel forgets them a moment later.
	given_back() { [ $(($(df_ used) - used)) -lt "$1" ]; }
	wait_until 5 given_back 20000
	[ $((free - $(dfi iavail))) -lt 200 ]
	# Keys without values too.
	(cd "$mnt" && seq 3000 | xargs touch)
	[ $(($(df_ used) - used)) -gt 250000 ]
	(cd "$mnt" && seq 3000 | xargs rm)
	wait_until 5 given_back 200000
}

@test "each key that df -i says is possible is possible, and hardly one more" {
	kvfs_start maxmemory=1mb save=
	local said made
	said=$(dfi iavail)
	made=$(cd "$mnt" && seq 20000 | xargs touch 2>/dev/null; ls -f "$mnt" | wc -l)
	[ "$made" -gt $((said * 85 / 100)) ]
	[ "$made" -lt $((said * 110 / 100)) ]
	[ "$(dfi iavail)" -lt 10 ]
}

@test "a limit below what is used: df is full, nothing grows, a remount loads all of it" {
	expect_warning 'maxmemory is 1000000, but [0-9]+ bytes are in use'
	kvfs_start save=
	head -c 3000000 /dev/urandom >"$mnt/k"
	ctl config set maxmemory 1000000
	[ "$(df_ avail)" -eq 0 ]
	[ "$(df_ used)" -ge 3000000 ]
	[ "$(df_ size)" -eq "$(df_ used)" ]
	[ "$(try create "$mnt/l")" = ENOSPC ]
	before=$(sha256sum <"$mnt/k")
	kvfs_remount maxmemory=1000000 save=
	[ "$(sha256sum <"$mnt/k")" = "$before" ]
	[ "$(try create "$mnt/l")" = ENOSPC ]
	[ "$(try truncate "$mnt/k" 500000)" = ok ]
	[ "$(try create "$mnt/l")" = ok ]
	[ "$(grep -c 'maxmemory is 1000000' "$log")" -eq 2 ]
}

# ---- what the machine has ----

# A machine with TOTAL and AVAILABLE MiB of memory, for memory-root.
machine() {
	mkdir -p "$work/fake/proc"
	printf 'MemTotal: %d kB\nMemAvailable: %d kB\n' $(($1 << 10)) $(($2 << 10)) >"$work/fake/proc/meminfo.new"
	mv "$work/fake/proc/meminfo.new" "$work/fake/proc/meminfo"
}

@test "a percentage is of what the machine has, and stays a percentage" {
	machine 1000 800
	printf 'maxmemory = 10%%\n' >"$work/a.ini"
	kvfs_run -c "$work/a.ini" -o "logfile=$log,memory-root=$work/fake,save=" "$data" "$mnt"
	[ "$(ctl config get maxmemory | tail -n 1)" = 10% ]
	[ "$(info maxmemory)" -eq 104857600 ]
	[ "$(df_ size)" -eq 104857600 ]
	ctl config set maxmemory 25%
	[ "$(info maxmemory)" -eq 262144000 ]
	ctl config rewrite
	grep -qx 'maxmemory = 25%' "$work/a.ini"
	[ "$(ctl config set maxmemory 0%)" != OK ] || false
	[ "$(info maxmemory_human)" = 250.00M ]
}

@test "without a limit df shows what the machine has left, less the margin; with one what is both" {
	machine 1600 1000
	kvfs_start memory-root="$work/fake" save=
	[ "$(info total_system_memory)" -eq 1677721600 ]
	[ "$(info memory_margin)" -eq 104857600 ]
	[ "$(df_ avail)" -eq $((900 << 20)) ]
	[ "$(df_ size)" -eq $(($(df_ used) + (900 << 20))) ]
	machine 1600 500
	[ "$(df_ avail)" -eq $((400 << 20)) ]
	ctl config set maxmemory 1gb
	[ "$(df_ size)" -eq $((1 << 30)) ]
	[ "$(df_ avail)" -eq $((400 << 20)) ]
	ctl config set maxmemory 1mb
	[ "$(df_ avail)" -lt 1048576 ]
}

@test "when the machine runs out of memory writers get ENOSPC, the log says so once, and it is over when there is some" {
	expect_warning 'Memory is short'
	machine 1600 1000
	kvfs_start memory-root="$work/fake" save=
	head -c 1000000 /dev/urandom >"$mnt/k"
	[ "$(info memory_short)" = 0 ]
	machine 1600 99
	local n=0
	made() { n=$((n + 1)); [ "$(try create "$mnt/l$n")" = "$1" ]; }
	wait_until 5 made ENOSPC
	[ "$(info memory_short)" = 1 ]
	[ "$(try pwrite "$mnt/k" 3000000 more)" = ENOSPC ]
	[ "$(df_ avail)" -eq 0 ]
	[ "$(try pwrite "$mnt/k" 0 y)" = ok ]
	mv "$mnt/k" "$mnt/m"
	[ "$(try truncate "$mnt/m" 500000)" = ok ]
	# What was given back may be taken again.
	[ "$(try pwrite "$mnt/m" 500000 again)" = ok ]
	[ "$(grep -c 'Memory is short: 103809024 of 1677721600 bytes are left, and 104857600 are not touched' "$log")" -eq 1 ]
	machine 1600 1000
	wait_until 5 made ok
	[ "$(grep -c 'There is memory again' "$log")" -eq 1 ]
	[ "$(info memory_short_count)" = 1 ]
}

@test "with next to nothing left a value is not copied for a snapshot; removing goes on" {
	expect_warning 'Memory is short'
	machine 1600 1000
	kvfs_start memory-root="$work/fake" save= rdb-key-save-delay=200000
	for n in 1 2 3 4 5; do head -c 1000000 /dev/urandom >"$mnt/k$n"; done
	ctl bgsave
	machine 1600 20
	refused() { [ "$(try pwrite "$mnt/k5" 0 y)" = ENOSPC ]; }
	wait_until 5 refused
	[ "$(info rdb_bgsave_in_progress)" = 1 ]
	[ "$(try unlink "$mnt/k4")" = ok ]
	[ "$(try truncate "$mnt/k3" 1000)" = ok ]
	ctl config set rdb-key-save-delay 0
	over() { [ "$(info rdb_bgsave_in_progress)" = 0 ]; }
	wait_until 10 over
	[ "$(try pwrite "$mnt/k5" 0 y)" = ok ]
}

# ---- a real one ----

# A control group with MIB of memory for the daemon that is started next, if there may be one here.
enter_group() {
	local top
	group=
	mkdir -p "$work/cg"
	if mount -t cgroup2 none "$work/cg" 2>/dev/null && grep -qw memory "$work/cg/cgroup.controllers"; then
		limit=memory.max
	else
		umount "$work/cg" 2>/dev/null
		mount -t cgroup -o memory none "$work/cg" 2>/dev/null || return 1
		limit=memory.limit_in_bytes
	fi
	top=$work/cg/kvfs-test-$$-$BATS_TEST_NUMBER
	mkdir "$top" || return 1
	group=$top
	[ -e "$top/$limit" ] && echo $(($1 << 20)) >"$top/$limit"
}

leave_group() {
	[ -z "${group:-}" ] || rmdir "$group"
	if [ -n "${work:-}" ] && is_mounted "$work/cg"; then umount "$work/cg"; fi
}

oom_kills() {
	awk '$1 == "oom_kill" { print $2 }' "$group"/memory.oom_control "$group"/memory.events 2>/dev/null | tail -n 1
}

@test "in a control group of 64 MiB the daemon fills up to ENOSPC, lives, and goes on after rm" {
	expect_warning 'Memory is short'
	# What a sanitizer keeps of what was freed is not the daemon's to give back.
	if grep -qa __asan_init "$KVFS_BIN/kvfs" || grep -qa __tsan_init "$KVFS_BIN/kvfs"; then skip "sanitized"; fi
	enter_group 64 || skip "no control group of memory can be made here"
	# The program, and with it the daemon, is in the group; the writers are not.
	(echo "$BASHPID" >"$group/cgroup.procs" && kvfs_start save=)
	[ "$(info memory_total)" -eq $((64 << 20)) ]
	[ "$(info memory_margin)" -eq $((8 << 20)) ]
	local first
	# What is on its way to the disk is in the way for a moment: it is full when it is so three times in a row.
	local full=0
	first=0
	while [ "$full" -lt 3 ]; do
		if head -c 100000 /dev/zero 2>/dev/null | tr '\0' x 2>/dev/null >"$mnt/fill$first"; then
			full=0 first=$((first + 1))
		else
			full=$((full + 1))
			sync "$mnt"
		fi
	done
	echo "# $first files of 100,000 bytes"
	[ "$first" -gt 200 ]
	[ "$first" -lt 640 ]
	(cd "$mnt" && seq 3000 | xargs touch 2>/dev/null) || true
	for n in 1 2 3 4 5 6 7 8; do head -c 100000 /dev/zero | dd of="$mnt/fill$n" conv=notrunc status=none; done
	ctl bgsave --wait
	rm -r "$mnt"/*
	again() { [ "$(fill)" -gt $((first / 3)) ]; }
	wait_until 10 again
	[ "$(oom_kills)" = 0 ]
	kvfs_stop
}
