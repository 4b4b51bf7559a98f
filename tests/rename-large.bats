#!/usr/bin/env bats
# The rename of a directory is one change however much is below it, of the same few bytes in the log: all of it has moved or nothing, here and
# in a redis-server that loads the log.  By redis-server itself, which is told the same renames key by key, and by cut logs and SIGKILL.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

# What a directory must hold to be moved by a script, and some more.
many=1100

# fill DIR...: keys DIR/0 to DIR/$many into the running redis; the bytes of DIR as Lua has them between quotes.
fill() {
	local dir
	for dir; do
		redis eval "for i = 0, $many do redis.call('SET', '$dir/' .. i, '$dir ' .. i) end" 0 >/dev/null
	done
}

# moved FROM TO...: what a rename means, without patterns.
moved() {
	while [ $# -gt 0 ]; do
		redis eval "local from, to = '$1/', '$2/'
			for _, key in ipairs(redis.call('KEYS', '*')) do
				if key:sub(1, #from) == from then redis.call('RENAME', key, to .. key:sub(#from + 1)) end
			end" 0 >/dev/null
		shift 2
	done
}

digest() {
	redis debug digest
	redis dbsize
}

scripts() {
	sync "$mnt"
	grep -ac '^EVAL' "$(last_incr)" || true
}

# The keys that the log holds, and those of a base that kvfs writes of what it has: one digest.
same_for_redis() {
	local want=$1
	ctl bgsave --wait
	kvfs_stop
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest" >/dev/null
	"$KVFS_BIN/kvfs-ctl" check "$data" >/dev/null
	redis_start "$data" --appendonly yes "${@:2}"
	same "$(digest)" "$want"
	redis_stop
	redis_start "$data" --appendonly no
	same "$(digest)" "$want"
	redis_stop
}

@test "a directory with any bytes in its name, and nothing beside it" {
	local names=('a*b' 'a?' 'a[bc]' 'a[^x]' 'a\\b' 'q"\n\r' '\173\172 100%%' '-^]' '\0z') i
	redis_start "$data"
	fill "${names[@]}"
	redis eval "for _, k in ipairs({'axb/1', 'a*bc/1', 'ab/1', 'ac/2', 'ay/1', 'a/b/1', 'a*b', 'a?/x/y', 'a?/', 'a?//', 'a?/a\0b', 'a?/../x',
		'a?/' .. ('k'):rep(700), 'a?/s/t', 'a?/s', 'A?/1', 'x'}) do redis.call('SET', k, 'v' .. k, 'PX', 4000000000000) end" 0
	redis save
	for ((i = 0; i < ${#names[@]}; i++)); do
		moved "${names[i]}" "to[*]/$i"
	done
	want=$(digest)
	redis_stop

	kvfs_start "save="
	mkdir "$mnt/to[*]"
	i=0
	for name in 'a*b' 'a?' 'a[bc]' 'a[^x]' 'a\b' $'q"\n\r' $'\255\254 100%%' '-^]' '.%%00z'; do
		mv -T -- "$mnt/$name" "$mnt/to[*]/$((i++))"
	done
	same "$(scripts)" "${#names[@]}"
	same_for_redis "$want"
	# Once more, from the log.
	rm "$data/dump.rdb"
	kvfs_start "save="
	same_for_redis "$want"
}

@test "an exchange of two, and of one with a file" {
	redis_start "$data"
	fill one two/sub three
	redis mset two/x 1 file 2 one/s/t 3 one/s 4
	redis save
	moved one parked two one parked two
	redis rename file parked
	moved three file
	redis rename parked three
	want=$(digest)
	redis_stop
	kvfs_start "save="
	"$KVTOOL" try exchange "$mnt/one" "$mnt/two"
	"$KVTOOL" try exchange "$mnt/three" "$mnt/file"
	same "$(scripts)" 5
	same_for_redis "$want" --busy-reply-threshold 1
}

@test "the log grows by the same whatever moves, and a small directory moves key by key" {
	local size before
	redis_start "$data"
	fill big
	redis eval "for i = 1, 20000 do redis.call('SET', 'bag/' .. i % 7 .. '/' .. i, i) end" 0
	redis mset few/1 1 few/2 2
	redis save
	redis_stop
	kvfs_start "save="
	grown() { before=$(stat -c %s "$(last_incr)"); "$@"; sync "$mnt"; size=$(($(stat -c %s "$(last_incr)") - before)); }
	grown mv "$mnt/big" "$mnt/gib"
	[ "$size" -lt 600 ]
	first=$size
	grown mv "$mnt/bag" "$mnt/gab"
	same "$size" "$first"
	same "$(scripts)" 2
	grown mv "$mnt/few" "$mnt/wef"
	same "$(scripts) $(grep -ac '^RENAME' "$(last_incr)")" "2 2"
}

@test "cut short anywhere in its batch the log has the old name, whole, and everything" {
	local before end at
	redis_start "$data"
	fill big
	redis save
	redis_stop
	kvfs_start "save="
	sync "$mnt"
	echo x >"$mnt/first"
	sync "$mnt/first"
	before=$(stat -c %s "$(last_incr)")
	mv "$mnt/big" "$mnt/gib"
	kvfs_stop
	rm -f "$data/dump.rdb"
	end=$(stat -c %s "$(last_incr)")
	for at in $((before + 100)) $((end - 60)) $((end - 1)) "$end"; do
		rm -rf "$work/cut" && cp -r "$data" "$work/cut"
		truncate -s "$at" "$work/cut/appendonlydir/$(basename "$(last_incr)")"
		view "$work/cut"
		if [ "$at" -lt "$end" ]; then
			same "$(ls "$then")" $'big\nfirst'
		else
			same "$(ls "$then")" $'first\ngib'
		fi
		same "$(ls "$then"/*/ | wc -l)" $((many + 1))
		unview
	done
}

@test "a redis that cut the seal off and went on has moved it all, and so do we" {
	local end want
	redis_start "$data"
	fill 'a?b'
	redis eval "for _, k in ipairs({'a?b/', 'a?b/s/t', 'a?b/s', 'a?b/../x', 'axb/1', 'a?b', 'a?b/' .. ('k'):rep(600)}) do redis.call('SET', k, k) end" 0
	redis save
	redis_stop
	kvfs_start "save="
	mv "$mnt/a?b" "$mnt/c d"
	kvfs_stop
	rm -f "$data/dump.rdb"
	end=$(stat -c %s "$(last_incr)")
	truncate -s $((end - 20)) "$(last_incr)"
	redis_start "$data" --appendonly yes --auto-aof-rewrite-percentage 0
	redis set theirs 1
	want=$(digest)
	redis_stop
	kvfs_start "save="
	same "$(ls "$mnt/c d" | wc -l)" $((many + 2))
	[ ! -e "$mnt/a?b/1" ]
	same "$(cat "$mnt/theirs")" 1
	same_for_redis "$want"
}

@test "killed while it moves to and fro, again and again: all under one name" {
	local round name
	redis_start "$data"
	fill big
	redis save
	redis_stop
	: >"$work/moved"
	for round in $(seq "${ROUNDS:-3}"); do
		kvfs_start "save=" appendfsync=no
		[ "$(find "$mnt" -mindepth 1 -maxdepth 1 | wc -l)" -eq 1 ]
		name=$(ls "$mnt")
		same "$(find "$mnt/$name" -type f | wc -l)" $((many + 1))
		(
			while mv "$mnt/$name" "$mnt/$name.x" && mv "$mnt/$name.x" "$mnt/$name"; do echo >>"$work/moved"; done
		) 2>/dev/null 3>&- &
		wait_until 20 eval "[ \$(wc -l <\"$work/moved\") -ge $((round * 5 + RANDOM % 20)) ]"
		kvfs_kill9
		wait $! || true
		: >"$work/moved"
	done
}
