#!/usr/bin/env bats
# With a maxmemory-policy keys go instead of ENOSPC: those that the policy names, for every look at the mount, in the log and for a redis-server
# that loads it.  By filling small keyspaces with the kernel's caches warm.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

try() { "$KVTOOL" try "$@"; }

# Files PREFIX1 .. PREFIX<COUNT> of 4,000 bytes that say their own name, all of which can be written.
put() {
	local i
	for ((i = 1; i <= $2; i++)); do printf '%-4000s' "$1$i" >"$mnt/$1$i" || return 1; done
}

# What the mount shows of PREFIX.. is there, whole, and what it does not show is not; says how many there are.
count() {
	local i shown=0
	ls "$mnt" >"$work/listed"
	for ((i = 1; i <= $2; i++)); do
		if grep -qx "$1$i" "$work/listed"; then
			[ "$(cat "$mnt/$1$i")" = "$(printf '%-4000s' "$1$i")" ] || return 1
			shown=$((shown + 1))
		elif cat "$mnt/$1$i" 2>/dev/null; then
			return 1
		fi
	done
	echo "$shown"
}

# The kernel has been told of all that went.
settled() {
	[ "$(ls "$mnt" | wc -l)" -eq "$(ctl dbsize)" ]
}

not_there() {
	[ ! -e "$1" ]
}

used_fits() {
	[ "$(info used_memory_keyspace)" -le "$(info maxmemory)" ]
}

@test "allkeys-lru: new keys take the place of those not used longest; log, redis-server and a kill agree" {
	local i n
	kvfs_start maxmemory=1mb maxmemory-policy=allkeys-lru maxmemory-samples=10 save=
	put a 150
	[ "$(info evicted_keys)" = 0 ]
	cat "$mnt"/a* >/dev/null
	for ((i = 1; i <= 50; i++)); do touch "$mnt/a$i"; done
	put b 150
	wait_until 10 settled
	used_fits
	[ "$(info evicted_keys)" -ge 20 ]
	[ "$(count b 150)" -ge 145 ]
	[ "$(count a 50)" -ge 45 ]
	n=$(count a 150)
	[ "$n" -lt 140 ]
	ls "$mnt" | sort >"$work/before"
	kvfs_kill9
	kvfs_start save=
	same "$(ls "$mnt" | sort)" "$(cat "$work/before")"
	[ "$(count a 150)" = "$n" ]
	kvfs_stop
	redis_start "$data" --appendonly yes
	[ "$(redis dbsize)" -eq "$(wc -l <"$work/before")" ]
	same "$(redis keys '*' | sort)" "$(cat "$work/before")"
	redis_stop
}

@test "volatile policies touch only keys with an expiry, and then it is ENOSPC" {
	local policy i
	for policy in volatile-lru volatile-random volatile-ttl; do
		kvfs_start maxmemory=0 maxmemory-policy=$policy save= appendonly=no
		put "$policy-t" 30
		put "$policy-k" 30
		for ((i = 1; i <= 30; i++)); do ctl expire "$policy-t$i" $((1000 + i)) >/dev/null; done
		ctl config set maxmemory $(($(info used_memory_keyspace) + 10000))
		put n 20
		wait_until 10 settled
		[ "$(count "$policy-k" 30)" = 30 ]
		i=$(count "$policy-t" 30)
		[ "$i" -lt 16 ]
		# With ttl those that are left are the last ones.
		[ "$policy" != volatile-ttl ] || [ "$(count "$policy-t" $((30 - i)))" = 0 ]
		run put m 60
		[ "$status" -ne 0 ] && [[ "$output" = *"No space left"* ]]
		[ "$(count "$policy-k" 30)" = 30 ]
		kvfs_stop
	done
}

@test "allkeys-random: any; directories, symlinks, files with two names and the one that is written stay" {
	kvfs_start maxmemory=1mb maxmemory-policy=allkeys-random save=
	mkdir "$mnt/d"
	ln -s target "$mnt/link"
	printf first >"$mnt/first"
	ln "$mnt/first" "$mnt/second"
	put a 400
	head -c 500000 /dev/urandom >"$work/large"
	cp "$work/large" "$mnt/large"
	cmp "$work/large" "$mnt/large"
	used_fits
	[ "$(cat "$mnt/second")" = first ] && [ "$(readlink "$mnt/link")" = target ] && [ -d "$mnt/d" ]
	[ "$(info evicted_keys)" -gt 200 ]
	# More than there is.
	run dd if=/dev/zero of="$mnt/large" bs=100000 count=20 status=none
	[ "$status" -ne 0 ] && [[ "$output" = *"No space left"* ]]
	[ "$(cat "$mnt/second")" = first ]
}

@test "who has a key open that goes gets ESTALE, never another's bytes or an empty file; its name is free" {
	# So many samples that the oldest of some thirty keys is among them for certain: with 5 it once in a while is not.
	kvfs_start save= maxmemory-policy=allkeys-lru maxmemory-samples=64
	printf old >"$mnt/k"
	exec 7<"$mnt/k"
	[ "$(cat "$mnt/k")" = old ]
	put a 20
	ctl config set maxmemory $(($(info used_memory_keyspace) + 1000))
	put b 10
	wait_until 10 settled
	[ "$(ctl exists k)" = 0 ]
	wait_until 10 not_there "$mnt/k"
	run cat <&7
	exec 7<&-
	[ "$status" -ne 0 ] && [[ "$output" = *"Stale file handle"* ]]
	printf new >"$mnt/k"
	[ "$(cat "$mnt/k")" = new ]
}

@test "a limit below what is used: a start loads all of it, the next write makes keys go until it fits" {
	expect_warning 'maxmemory is 200000, but [0-9]+ bytes are in use: what needs more makes keys go'
	kvfs_start save=
	put a 100
	kvfs_remount maxmemory=200000 maxmemory-policy=allkeys-random save=
	[ "$(ctl dbsize)" = 100 ]
	[ "$(info evicted_keys)" = 0 ]
	put b 1
	wait_until 10 settled
	used_fits
	[ "$(info evicted_keys)" -gt 50 ]
	[ "$(count b 1)" = 1 ]
	ctl config resetstat
	[ "$(info evicted_keys)" = 0 ]
}

@test "the policy changes while it runs; lfu is refused with what there is" {
	kvfs_start save= maxmemory=1mb
	run put a 300
	[ "$status" -ne 0 ]
	[ "$(info maxmemory_policy)" = noeviction ]
	ctl config set maxmemory-policy allkeys-lru
	[ "$(info maxmemory_policy)" = allkeys-lru ]
	put b 300
	ctl config set maxmemory-policy noeviction
	run put c 300
	[ "$status" -ne 0 ]
	run ctl config set maxmemory-policy allkeys-lfu
	[ "$status" -eq 1 ]
	[[ "$output" = *"must be one of the following: volatile-lru, volatile-random, volatile-ttl, allkeys-lru, allkeys-random, noeviction" ]]
}
