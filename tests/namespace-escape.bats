#!/usr/bin/env bats
# Names that begin with ".%" stand for the keys that are no path, and only for them: each key has one file at a time, whatever is made, moved
# and removed around it, and every other name is itself.  Held against what a redis-server finds in the log.

load lib/kvfs
setup() {
	kvfs_setup
	export LC_ALL=C
}
teardown() {
	cd /
	kvfs_teardown
}

# refused WORD COMMAND...: it fails, for that reason.
refused() {
	local word=$1
	shift
	run "$@"
	[ "$status" -ne 0 ]
	grep -q "$word" <<<"$output" || { echo "$output"; return 1; }
}

# put NAME VALUE, without a truncate before: it makes a file, or fails.
put() { printf %s "$2" >"$1"; }

# move FROM TO, as the system call: mv has a tale of its own for EINVAL.
move() { "$KVTOOL" try rename "$1" "$2"; }

# holds KEY=VALUE...: what a redis-server finds in the log of the daemon that has gone, in the order of the keys; in a key \0 is a NUL.
holds() {
	redis_start "$data" --appendonly yes
	same "$(redis eval "local out = {}
		local keys = redis.call('KEYS', '*')
		table.sort(keys)
		for i, k in ipairs(keys) do out[i] = k:gsub('%z', '\\\\0') .. '=' .. redis.call('GET', k) end
		return out" 0)" "$(printf '%s\n' "$@")"
	redis_stop
}

@test "ordinary names with per cent signs are what they are" {
	kvfs_start
	cd "$mnt"
	put a%20b 1 && put x% 2 && put % 3 && put %%+ 4 && put .a% 5 && put ... 6
	cd - >/dev/null
	kvfs_stop
	holds %=3 %%+=4 ...=6 .a%=5 a%20b=1 x%=2
}

@test "a name that begins so has to be a key's, and is then that key's" {
	kvfs_start
	cd "$mnt"
	put .% empty
	put .%. dot
	put '.%a%00b' nul
	put .%.%25 itself
	mkdir .%..
	put .%../x up
	for name in .%41 .%a .%%41 '.%%2' '.%a%' '.%a%=' .%%+ '.%a%+'; do
		refused 'Invalid argument' put "$name" 1
		refused 'Invalid argument' mkdir "$name"
		refused 'Invalid argument' ln -s target "$name"
		echo 1 >plain
		same "$(move plain "$name")" EINVAL
	done
	refused 'Invalid argument' ln -s target .%%00
	rm plain
	cd - >/dev/null
	kvfs_remount
	same "$(find "$mnt" -type f -printf '%P ')" '.% .%. .%a%00b .%.%25 .%../x '
	kvfs_stop
	holds =empty .=dot .%=itself ../x=up 'a\0b=nul'
}

@test "a key and keys below it: the value stands beside the directory" {
	kvfs_start
	cd "$mnt"
	mkdir a && put a/b 1
	put .%a value
	refused 'Invalid argument' mkdir .%a%=
	refused 'File exists' mkdir .%a
	refused 'Not a directory' ls .%a/
	refused 'Invalid argument' put .%b no-directory
	put file 2
	refused 'File exists' put .%file beside-a-file
	same "$(move file .%file)" EINVAL
	mkdir .% && put .%/k 3
	put .%%= empty
	refused 'Is a directory' put .% empty
	same "$(ls -A)" "$(printf '%s\n' .% .%%= .%a a file)"
	same "$(cat .%a .%%=)" valueempty
	same "$(ctl dbsize)" 5
	cd - >/dev/null
	kvfs_stop
	holds =empty /k=3 a=value a/b=1 file=2
}

@test "the directory goes, the value keeps its name until it is moved to its plain one" {
	kvfs_start
	cd "$mnt"
	mkdir a && put .%a value && rmdir a
	same "$(cat .%a)" value
	refused 'File exists' put a other
	put other 1
	same "$(move other a)" EEXIST
	ctl bgrewriteaof --wait
	cd - >/dev/null
	kvfs_remount aof-use-rdb-preamble=no
	cd "$mnt"
	same "$(ls -A | xargs)" '.%a other'
	put .%a changed
	ctl bgrewriteaof --wait
	cd - >/dev/null
	kvfs_remount
	cd "$mnt"
	same "$(ls -A | xargs)" '.%a other'
	mkdir a && mv a b && ln -s other a
	same "$(move other a)" EEXIST
	same "$(cat .%a a)" changed1
	rm a
	mv .%a a
	same "$(cat a)" changed
	same "$(move a .%a)" EINVAL
	cd - >/dev/null
	kvfs_remount
	same "$(cat "$mnt/a")" changed
	kvfs_stop
	holds a=changed other=1
}

@test "trees with both move, change places and go like any other" {
	kvfs_start
	cd "$mnt"
	mkdir -p d/a/b && put d/.%a 1 && put d/a/.%b 2 && put d/a/b/c 3 && mkdir d/.% && put d/.%%= 4 && put d/.%/.%.. 5
	mv d e
	mkdir x && put x/y 6
	"$KVTOOL" try exchange e x
	same "$(cd x && find . -type f | LC_ALL=C sort | xargs)" './.%%= ./.%/.%.. ./.%a ./a/.%b ./a/b/c'
	cp -r x z
	rm -rf x
	same "$(ls -A | xargs)" 'e z'
	cd - >/dev/null
	kvfs_stop
	holds e/y=6 z/=4 z//..=5 z/a=1 z/a/b=2 z/a/b/c=3
	kvfs_start
	rm -rf "$mnt/z"
	same "$(ls -A "$mnt")" e
}

@test "a part of more than 255 bytes goes on in directories below" {
	local k
	k=$(printf 'k%.0s' $(seq 251))
	kvfs_start
	cd "$mnt"
	mkdir ".%$k%+"
	put ".%$k%+/.%tail5" 1
	put ".%$k%+/.%tail5%00" 2
	refused 'Invalid argument' put ".%$k%+/plain" 3
	refused 'Invalid argument' mkdir ".%$k%+/plain"
	refused 'Invalid argument' put ".%$k%+/.%ta" 3
	refused 'Invalid argument' put ".%${k}" 4
	refused 'Invalid argument' mkdir ".%${k%kkk}%+"
	same "$(move ".%$k%+" ".%${k%k}x%+")" EINVAL
	same "$(move ".%$k%+" plain)" EINVAL
	mkdir "$k"
	put ".%$k" 5
	put ".%$k%+/.%tail5" 6
	cd - >/dev/null
	kvfs_stop
	holds "$k=5" "${k}tail5=6" "${k}tail5\\0=2"
}

@test "commands name a key, or the path of its file" {
	kvfs_start
	mkdir -p "$mnt/a/.%" "$mnt/.%.."
	put "$mnt/.%a" 1
	put "$mnt/a/.%%=" 2
	put "$mnt/.%../x" 3
	put "$mnt/.%a%00b" 4
	same "$(ctl exists a a/ a// .%a "$mnt/.%../x" "$mnt/.%a" "$mnt/a/.%%=")" 5
	same "$(ctl expire a 1000)$(ctl expire "$mnt/a/.%%=" 1000)" 11
	ctl ttl "$mnt/.%a" | grep -qE '^(1000|9[0-9][0-9])$'
	ctl ttl a/ | grep -qE '^(1000|9[0-9][0-9])$'
	refused 'holds a NUL' ctl ttl "$mnt/.%a%00b"
	same "$(ctl del a "$mnt/.%../x")" 2
	same "$(find "$mnt" -type f -printf '%P ')" 'a/.%%= .%a%00b '
	same "$(printf 'EXISTS "a\\x00b"\n' | redis-cli -s "$data/kvfs.sock")" 1
	kvfs_stop
}
