#!/usr/bin/env bats
# What is on disk is Redis's own: a stock redis-server loads our log and our snapshot and holds exactly our keys and values.
# By redis-server, redis-cli, redis-check-aof and redis-check-rdb, none of which is ours.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

build_keys() {
	cd "$1"
	local i
	mkdir -p user/1000 user/1001 empty
	for i in $(seq 60); do
		printf 'value %d' "$i" >"user/1000/$i"
	done
	printf 12345 >int
	printf -- -7 >negative
	printf 2147483648 >big-int
	printf 007 >zeros
	: >nothing
	printf 'a%.0s' {1..4000} >compressible
	head -c 300000 /dev/urandom >binary
	printf '\0\r\n$5\r\n*1\r\n' >resp-like
	printf x | dd of=sparse bs=1 seek=100000 conv=notrunc status=none
	echo head >appended
	echo tail >>appended
	printf XY | dd of=appended bs=1 seek=2 conv=notrunc status=none
	cp binary punched
	fallocate -p -o 20000 -l 100000 punched
	fallocate -z -o 299000 -l 3000 punched
	cp binary shortened
	truncate -s 250000 shortened
	echo longer >cut
	truncate -s 3 cut
	echo 1 >renamed-from
	mv renamed-from renamed
	echo 1 >replaced
	echo 2 >replacing
	mv replacing replaced
	mkdir tree
	echo 1 >tree/1
	mkdir tree/sub
	echo 2 >tree/sub/2
	mv tree moved-tree
	echo gone >gone
	rm gone
	cp binary copy
	ln -s int link
	chmod 600 int
	printf 'name with \001 and \377' >"$(printf 'odd \001\377 name')"
	cd - >/dev/null
}

# What redis holds is what the files of DIR hold: SHA-1 of each name and of each value, the one side by Redis's own Lua.
redis_holds() {
	local dir=$1 path value
	(cd "$dir" && find . -type f -printf '%P\0') | while IFS= read -r -d '' path; do
		value=$(sha1sum <"$dir/$path")
		path=$(printf '%s' "$path" | sha1sum)
		echo "${path%% *} ${value%% *}"
	done | LC_ALL=C sort >"$work/files"
	redis eval "local all = {}
		for _, key in ipairs(redis.call('keys', '*')) do
			all[#all + 1] = redis.sha1hex(key) .. ' ' .. redis.sha1hex(redis.call('get', key))
		end
		return all" 0 | LC_ALL=C sort >"$work/keys"
	[ "$(wc -l <"$work/files")" -ge 60 ]
	diff "$work/files" "$work/keys" | head
	cmp -s "$work/files" "$work/keys"
}

@test "redis-server loads the append-only log" {
	kvfs_start "save="
	build_keys "$mnt"
	cp -r "$mnt" "$work/copy"
	kvfs_stop
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
	redis_start "$data" --appendonly yes
	redis_holds "$work/copy"
}

@test "redis-server loads the log after a rewrite, with both kinds of base" {
	local preamble
	for preamble in yes no; do
		rm -rf "$data" "$work/copy"
		mkdir "$data"
		kvfs_start "save=" aof-use-rdb-preamble=$preamble
		build_keys "$mnt"
		ctl bgrewriteaof --wait
		echo behind >>"$mnt/appended"
		rm "$mnt/zeros"
		cp -r "$mnt" "$work/copy"
		kvfs_stop
		redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
		redis_start "$data" --appendonly yes
		redis_holds "$work/copy"
		redis_stop
	done
}

@test "redis-server loads dump.rdb, with and without compression and checksum" {
	local compression checksum
	for compression in yes no; do
		for checksum in yes no; do
			rm -rf "$data" "$work/copy"
			mkdir "$data"
			kvfs_start appendonly=no rdbcompression=$compression rdbchecksum=$checksum
			build_keys "$mnt"
			cp -r "$mnt" "$work/copy"
			ctl bgsave --wait
			kvfs_stop
			redis-check-rdb "$data/dump.rdb"
			redis_start "$data" --appendonly no
			redis_holds "$work/copy"
			redis_stop
		done
	done
}

@test "redis-server loads the log as it is after kill -9" {
	kvfs_start "save=" journal-dir=
	build_keys "$mnt"
	cp -r "$mnt" "$work/copy"
	kvfs_kill9
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
	redis_start "$data" --appendonly yes
	redis_holds "$work/copy"
}

count() {
	grep -ac "^$1"$'\r$' "$(last_incr)" || true
}

@test "echo v > k is one SET in the log, rm one DEL, mv one RENAME, >> one APPEND" {
	kvfs_start "save="
	echo v >"$mnt/k"
	sync "$mnt/k"
	[ "$(count SET)" = 1 ]
	echo w >"$mnt/k"
	sync "$mnt/k"
	[ "$(count SET)" = 2 ]
	echo x >>"$mnt/k"
	sync "$mnt/k"
	[ "$(count SET) $(count APPEND)" = "2 1" ]
	mv "$mnt/k" "$mnt/l"
	rm "$mnt/l"
	kvfs_stop
	[ "$(count SET) $(count APPEND) $(count RENAME) $(count DEL)" = "2 1 1 1" ]
}

@test "reads add nothing to the log" {
	kvfs_start "save="
	echo v >"$mnt/k"
	sync "$mnt/k"
	size=$(stat -c %s "$(last_incr)")
	cat "$mnt/k"
	ls -l "$mnt"
	stat "$mnt/k" "$mnt/none" || true
	find "$mnt" -type f
	sync "$mnt/k"
	[ "$(stat -c %s "$(last_incr)")" = "$size" ]
}

@test "redis-server goes on writing our log, and we go on after it, back and forth" {
	kvfs_start "save="
	echo ours >"$mnt/ours"
	mkdir "$mnt/dir"
	chmod 640 "$mnt/ours"
	kvfs_stop
	local round
	for round in 1 2 3; do
		redis_start "$data" --appendonly yes --auto-aof-rewrite-percentage 0
		redis set "theirs/$round" "value $round"
		redis append counter x
		redis incr number
		redis shutdown nosave
		wait "$redis_pid"
		redis_pid=
		kvfs_start "save="
		[ "$(cat "$mnt/theirs/$round")" = "value $round" ]
		[ "$(stat -c %s "$mnt/counter")" = "$round" ]
		[ "$(cat "$mnt/number")" = "$round" ]
		[ "$(cat "$mnt/ours")" = ours ]
		[ "$(stat -c %a "$mnt/ours")" = 640 ]
		[ -d "$mnt/dir" ]
		echo "back $round" >"$mnt/back$round"
		kvfs_stop
	done
	redis_start "$data" --appendonly yes
	[ "$(redis get back3)" = "back 3" ]
	[ "$(redis get number)" = 3 ]
	[ "$(redis dbsize)" = 9 ]
}

@test "after a rewrite by redis-server the keys are there, with default attributes" {
	kvfs_start "save="
	mkdir -p "$mnt/user/1"
	echo Ada >"$mnt/user/1/name"
	kvfs_stop
	redis_start "$data" --appendonly yes
	redis bgrewriteaof
	wait_until 30 eval '[ "$(redis info persistence | tr -d "\r" | sed -n "s/^aof_rewrite_in_progress://p")" = 0 ]'
	redis_stop
	kvfs_start "save="
	[ "$(cat "$mnt/user/1/name")" = Ada ]
	echo Bob >"$mnt/user/1/name"
	kvfs_remount
	[ "$(cat "$mnt/user/1/name")" = Bob ]
}
