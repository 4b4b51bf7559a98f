#!/usr/bin/env bats
# Everything in a real string data set can be mounted: what a redis-server wrote, kvfs mounted and a redis-server loads again is the same,
# key by key, value by value, time by time.  By DEBUG DIGEST, on random data sets of what is awkward: keys of any bytes, keys that are no
# path, keys below keys.
# KEYS=10000: a tenth of them in the largest, for slow programs.

load lib/kvfs
setup() {
	kvfs_setup
	seed=${SEED:-20261122}
	echo "# SEED=$seed"
}
teardown() { kvfs_teardown; }

# fill COUNT [SEED]: random keys, COUNT or a few less, into the selected database of the running redis.
fill() {
	redis -n "${db:-0}" eval '
		local seed = tonumber(ARGV[2])
		local function roll(n)
			seed = (seed * 16807) % 2147483647
			return seed % n
		end
		local function bytes(n, from)
			local out = {}
			for i = 1, n do
				local at = roll(#from) + 1
				out[i] = from:sub(at, at)
			end
			return table.concat(out)
		end
		local parts = { "", "", ".", "..", ".%", ".%a", ".%%41", "%", "a", "b", "c", "a%20b", "a\0b", "\0", "...", ".%.%25", ".%a%=", "%+" }
		local made = { "" }
		local function one() return made[roll(#made) + 1] end
		local any = {}
		for i = 0, 255 do any[i + 1] = string.char(i) end
		any = table.concat(any)
		local ways = {
			function(i) return "user/" .. i % 50 .. "/field:" .. i end,
			function() return bytes(roll(24), "ab/.%+=\0") end,
			function() return bytes(1 + roll(40), any) end,
			function()
				local key = {}
				for k = 1, 1 + roll(5) do key[k] = parts[roll(#parts) + 1] end
				return table.concat(key, "/")
			end,
			function() return bytes(200 + roll(120), "k") .. (roll(2) == 0 and "/" .. bytes(roll(3), "ab/") or "") end,
			function() return bytes(300 + roll(1700), ("xyz"):rep(30) .. (roll(2) == 0 and "%\0/" or "%%%%")) end,
			function(i) return (one()) .. (roll(2) == 0 and "/" or "/" .. i) end,
			function() local key = one() return key:match("^(.*)/") or key:sub(1, -2) end,
		}
		local values = {
			function(i) return tostring(i - 5000) end,
			function() return "" end,
			function() return bytes(roll(60), any) end,
			function(i) return ("compressible "):rep(roll(30)) .. i end,
			function() return tostring(roll(2147483647) * 1000) end,
		}
		for i = 1, tonumber(ARGV[1]) do
			local key = ways[roll(#ways) + 1](i)
			redis.call("SET", key, values[roll(#values) + 1](i))
			if roll(10) == 0 then redis.call("PEXPIREAT", key, 4000000000000 + i) end
			made[#made + 1] = key
			if roll(30) == 0 then redis.call("DEL", one()) end
			if roll(30) == 0 and redis.call("EXISTS", key) == 1 then redis.call("RENAME", key, ways[roll(#ways) + 1](i)) end
			if roll(40) == 0 then redis.call("APPEND", one(), "x") end
		end
		return redis.call("DBSIZE")' 0 "$1" "${2:-$seed}"
}

# What the running redis holds: its own digest, and one of the times.
digest() {
	redis debug digest
	redis -n "${db:-0}" eval '
		local all = {}
		for i, key in ipairs(redis.call("KEYS", "*")) do all[i] = key .. redis.call("PEXPIRETIME", key) end
		table.sort(all)
		return redis.sha1hex(table.concat(all))' 0
}

# The mount shows COUNT keys, each once, and so say DBSIZE and INFO.
shows() {
	local count=$1
	same "$(find "$mnt" -type f -printf x | wc -c)" "$count"
	same "$(find "$mnt" -print0 | sort -z | uniq -zd | wc -c)" 0
	same "$(ctl dbsize)" "$count"
}

names() {
	find "$mnt" -printf '%y %P %s\0' | LC_ALL=C sort -z | sha256sum
}

# Through kvfs, mounted again and again, and back: the redis that loads the directory has what the one before had.
round_trip() {
	local before count first
	before=$(digest)
	count=$(redis -n "${db:-0}" dbsize)
	[ "$count" -gt 1000 ]
	redis_stop
	kvfs_start "$@"
	shows "$count"
	first=$(names)
	kvfs_remount "$@"
	same "$(names)" "$first"
	ctl bgrewriteaof --wait
	kvfs_remount "$@"
	same "$(names)" "$first"
	kvfs_stop
	redis_start "$data" --appendonly yes
	same "$(digest)" "$before"
}

@test "a dump.rdb" {
	redis_start "$data"
	fill $((${KEYS:-100000} / 5))
	redis save
	round_trip
}

@test "a log with a base of each kind, by redis and by kvfs" {
	local preamble
	for preamble in yes no; do
		rm -rf "${data:?}"/*
		redis_start "$data" --appendonly yes --aof-use-rdb-preamble "$preamble"
		fill 1500
		redis bgrewriteaof
		wait_until 60 eval 'redis info persistence | grep -q "^aof_rewrite_in_progress:0"'
		fill 1500 $((seed + 1))
		round_trip aof-use-rdb-preamble="$preamble"
		redis_stop
	done
}

@test "a log that kvfs and redis write in turns" {
	kvfs_start
	mkdir -p "$mnt/a/b" "$mnt/.%%00turn"
	echo -n 1 >"$mnt/a/b/c"
	kvfs_stop
	local round before
	for round in 1 2 3; do
		redis_start "$data" --appendonly yes --auto-aof-rewrite-percentage 0
		fill 1500 $((seed + round))
		before=$(digest)
		redis_stop
		kvfs_start
		echo -n x >>"$mnt/.%%00turn/x"
		kvfs_stop
	done
	redis_start "$data" --appendonly yes
	same "$(redis eval "return redis.call('GET', '\0turn/x')" 0)" xxx
	before=$(digest)
	redis bgrewriteaof
	wait_until 60 eval 'redis info persistence | grep -q "^aof_rewrite_in_progress:0"'
	round_trip
	same "$(digest)" "$before"
}

@test "what is done to the files is done to the keys" {
	local mirror
	redis_start "$data"
	fill 2000
	printf '%s\n' 'MSET own 0 own/ 1 own// 2 own/a 3 "own/a\x00b" 4 own/.%x 5 own/t 6 own/t/b 7 own/t/b/c 8 own/../x 9' | redis
	redis save
	redis_stop
	cp -r "$data" "$work/mirror"

	kvfs_start
	cd "$mnt/own"
	echo -n zero >../.%own
	echo -n new >'.%.%25x'
	echo -n more >>'.%../x'
	echo -n both >.%t
	echo -n made >t/.%
	mkdir -p 'new/.%.'
	echo -n dot >'new/.%./k'
	mv t u
	mv .%t 'u/.%.%25t'
	mv .%a%00b u/.%a%00b
	rm '.%%='
	truncate -s 3 u/b/c
	cp u/.%b 'copy%'
	rm .%/.%
	rmdir .%
	mv a .%
	cd - >/dev/null
	kvfs_stop
	redis_start "$work/mirror"
	printf '%s\n' 'SET own zero' 'SET own/.%x new' 'APPEND own/../x more' 'SET own/t both' 'SET own/t/ made' 'SET own/new/./k dot' \
		'RENAME own/t/b own/u/b' 'RENAME own/t/b/c own/u/b/c' 'RENAME own/t/ own/u/' 'RENAME own/t own/u/.%t' \
		'RENAME "own/a\x00b" "own/u/a\x00b"' 'DEL own/' 'SET own/u/b/c "8\x00\x00"' 'SET own/copy% 7' 'DEL own//' \
		'RENAME own/a own/' | redis
	mirror=$(digest)
	redis_stop
	redis_start "$data" --appendonly yes
	same "$(digest)" "$mirror"
}

@test "another database: by a dump, by a log of each kind, and in turns" {
	db=3
	redis_start "$data"
	fill 3000
	redis save
	round_trip db=3
	fill 1500 7
	redis -n 3 swapdb 0 3
	redis -n 3 set moved 1 PX 4000000000000
	redis -n 3 move moved 0
	redis swapdb 3 0
	redis select 0
	redis flushdb
	round_trip db=3
	same "$(redis -n 3 get moved)" 1
	redis_stop
	rm -rf "${data:?}"/*
	redis_start "$data" --appendonly yes --aof-use-rdb-preamble no
	fill 3000
	round_trip db=3 aof-use-rdb-preamble=no
}

@test "keys in other databases are refused with their number, or left out" {
	redis_start "$data" --appendonly yes
	printf '%s\n' 'SELECT 3' 'MSET a 1 b 2 c 3' 'DEL c' 'SELECT 7' 'SADD s 1' 'SELECT 0' 'SET zero 0' | redis
	redis_stop
	run kvfs_start
	[ "$status" -ne 0 ]
	grep -q 'database 0 is to be mounted, and there are keys in others: 2 in database 3, 1 in database 7 (db=3 mounts that one, skip-other-dbs' <<<"$output"
	not_mounted "$mnt"
	run kvfs_start db=3
	[ "$status" -ne 0 ]
	grep -q 'in others: 1 in database 0, 1 in database 7' <<<"$output"
	kvfs_run -o "ro,db=3,logfile=$log" "$data" "$mnt"
	same "$(ls "$mnt" | xargs)" 'a b'
	umount "$mnt"
	wait_until 30 not_mounted "$mnt"
	run kvfs_start db=3 skip-other-dbs=yes
	[ "$status" -eq 0 ]
	grep -q 'keys in other databases left out: 1 in database 0, 1 in database 7' <<<"$output"
	same "$(ls "$mnt" | xargs)" 'a b'
	info db3 | grep -q '^keys=2,'
	same "$(redis-cli -s "$data/kvfs.sock" -n 3 dbsize)" 2
	echo -n 4 >"$mnt/d"
	ctl bgrewriteaof --wait
	echo -n 5 >"$mnt/e"
	kvfs_kill9
	kvfs_start db=3
	same "$(ls "$mnt" | xargs)" 'a b d e'
	kvfs_stop
	run kvfs_start
	[ "$status" -ne 0 ]
	grep -q '4 in database 3' <<<"$output"
	redis_start "$data" --appendonly yes
	same "$(redis info keyspace | tr -d '\r' | tail -n 1)" 'db3:keys=4,expires=0,avg_ttl=0'
	redis_stop
}

@test "an opening of the log that power cut short, in another database" {
	kvfs_start db=12
	echo -n 1 >"$mnt/a"
	kvfs_stop
	local open size
	open=$(printf '*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n*2\r\n$4\r\nECHO\r\n$38\r\nKVFS' | wc -c)
	rm -f "$data/dump.rdb"
	for size in "$open" 30 12; do
		rm -rf "$work/cut" && cp -r "$data" "$work/cut"
		head -c "$size" "$(last_incr)" >"$work/cut/appendonlydir/$(basename "$(last_incr)")"
		head -c 4096 /dev/zero >>"$work/cut/appendonlydir/$(basename "$(last_incr)")"
		kvfs_run -o "logfile=$log,db=12" "$work/cut" "$mnt"
		same "$(ls "$mnt")" ""
		ctl umount
	done
}

@test "keys of other types are counted type by type" {
	redis_start "$data"
	printf '%s\n' 'RPUSH l1 a' 'RPUSH l2 a' 'HSET h1 f v' 'HSET h2 f v' 'XADD st * f v' 'SADD se m' 'ZADD z 1 m' 'SET s v' | redis
	redis save
	redis_stop
	run kvfs_start
	[ "$status" -ne 0 ]
	for one in '7 keys can' '2 lists' '2 hashes' '1 stream[,)]' '1 set[,)]' '1 zset[,)]' '"h1" is of another type (hash)'; do
		grep -q "$one" <<<"$output" || { echo "$one: $output"; return 1; }
	done
	run kvfs_start skip-non-strings=yes
	[ "$status" -eq 0 ]
	grep -qE 'left out \(skip-non-strings\): .*2 (lists|hashes).* \(first: ".*"\)' <<<"$output"
	kvfs_stop
}

@test "what a dead daemon left goes to its own database" {
	kvfs_start db=3 appendfsync=no
	echo -n 1 >"$mnt/a"
	kvfs_kill9
	kvfs_start db=3
	same "$(cat "$mnt/a")" 1
	echo -n 2 >"$mnt/a"
	kvfs_kill9
	run kvfs_start db=0
	[ "$status" -ne 0 ]
	grep -qE 'db=3' <<<"$output"
	kvfs_start db=3
	same "$(cat "$mnt/a")" 2
	kvfs_stop
}
