#!/usr/bin/env bats
# A backup is a whole data directory with all that was acknowledged before it began, taken while everything goes on, and stays as it is;
# restore-to makes one of an earlier moment.  Each is loaded by kvfs and by a stock redis-server.

load lib/kvfs

setup() {
	kvfs_setup
	running=()
}

teardown() {
	[ ${#running[@]} -eq 0 ] || kill "${running[@]}" 2>/dev/null || true
	kvfs_teardown
}

build_tree() {
	mkdir -p "$mnt/user/1000" "$mnt/empty"
	echo Ada >"$mnt/user/1000/name"
	head -c 200000 /dev/urandom >"$mnt/binary"
	ln -s user/1000 "$mnt/link"
	chmod 600 "$mnt/binary"
	touch -d '2020-01-02 03:04:05.678' "$mnt/user/1000/name"
}

files() {
	(cd "$1" && find . -type f -printf '%P\0' | xargs -0 -r sha1sum | LC_ALL=C sort -k 2)
}

redis_keys() {
	redis --raw eval "local out = {}
		for i, k in ipairs(redis.call('KEYS', '*')) do
			out[i] = redis.sha1hex(redis.call('GET', k)) .. '  ' .. k
		end
		return out" 0 | LC_ALL=C sort -k 2
}

# loads DIR WANT: kvfs and redis-server, both from a copy of DIR, hold the files WANT.
loads() {
	local dir=$1 want=$2 appendonly
	rm -rf "$work/loaded"
	cp -r "$dir" "$work/loaded"
	view "$dir"
	same "$(files "$then")" "$want"
	unview
	for appendonly in ${3:-yes no}; do
		redis_start "$work/loaded" --appendonly "$appendonly"
		same "$(redis_keys)" "$want"
		redis_stop
	done
}

hashes() {
	(cd "$1" && find . -type f -printf '%P %s %m\n' -exec sha256sum {} + | LC_ALL=C sort)
}

write_on() {
	local i=0
	while :; do
		i=$((i + 1))
		echo "$i" >"$mnt/k/$i"
		echo "$i" >>"$mnt/all"
	done
}

rewrite_on() {
	while :; do
		ctl bgrewriteaof --wait >/dev/null 2>&1 || true
	done
}

@test "20 backups under writers and rewrites: each loads, holds what was acknowledged before, and never changes" {
	kvfs_start
	local linked=0
	mkdir "$mnt/k"
	echo 0 >"$mnt/k/0"
	write_on &
	running+=($!)
	rewrite_on &
	running+=($!)
	for i in $(seq 20); do
		# shellcheck disable=SC2012
		before[i]=$(ls "$mnt/k" | wc -l)
		ctl backup "$work/backup$i"
		# At once: the next rewrite removes what was linked, and then it has one link again.
		linked=$((linked + $(find "$work/backup$i" -type f -links +1 | wc -l)))
		hash[i]=$(hashes "$work/backup$i")
	done
	kill "${running[@]}"
	wait "${running[@]}" || true
	running=()
	kvfs_stop
	[ "$linked" -gt 0 ]
	for i in $(seq 20); do
		same "$(hashes "$work/backup$i")" "${hash[i]}"
		view "$work/backup$i"
		find "$then/k" -type f -printf '%f\n' | sort -n >"$work/got"
		seq 0 $(($(wc -l <"$work/got") - 1)) | cmp - "$work/got"
		[ "$(wc -l <"$work/got")" -ge $((before[i] - 1)) ]
		want=$(files "$then")
		unview
		if [ $((i % 5)) -eq 0 ]; then
			loads "$work/backup$i" "$want" yes
		fi
		same "$(hashes "$work/backup$i")" "${hash[i]}"
	done
	"$KVFS_BIN/kvfs" -o "logfile=$log" "$work/backup20" "$mnt" 3>&- 4>&-
	same "$(files "$mnt")" "$want"
	umount "$mnt"
}

@test "attributes, directories and links are in it, and a kvfs goes on with it" {
	kvfs_start save=
	build_tree
	before=$(manifest "$mnt")
	ctl save
	run ctl backup "$work/backup"
	[ "$status" -eq 0 ]
	[[ $output == "$work/backup: state of "*", batch "*", files linked: "*", copied: 1" ]]
	[ "$(stat -c %a "$work/backup")" = 700 ]
	want=$(files "$mnt")
	kvfs_stop
	loads "$work/backup" "$want"
	data=$work/backup
	kvfs_start
	same "$(manifest "$mnt")" "$before"
	echo more >"$mnt/more"
	kvfs_remount
	[ "$(cat "$mnt/more")" = more ]
	kvfs_stop
}

@test "without a log it is a snapshot made for it" {
	kvfs_start appendonly=no save=
	build_tree
	want=$(files "$mnt")
	ctl backup "$work/backup"
	echo later >"$mnt/later"
	kvfs_stop
	[ "$(ls "$work/backup")" = dump.rdb ]
	loads "$work/backup" "$want" no
}

@test "of a directory that nobody has mounted, and of a running redis-server's" {
	redis_start "$data" --appendonly yes --appendfsync always
	redis set a 1 >/dev/null
	redis set b 2 >/dev/null
	"$KVFS_BIN/kvfs-ctl" backup --from "$data" "$work/backup"
	redis set c 3 >/dev/null
	want=$(redis_keys | grep -v ' c$')
	redis_stop
	loads "$work/backup" "$want" yes
	cat "$data"/appendonlydir/*.base.rdb "$(last_incr)" >"$data/appendonly.aof"
	printf '*3\r\n$3\r\nSET' >>"$data/appendonly.aof"
	rm -r "$data/appendonlydir"
	"$KVFS_BIN/kvfs-ctl" backup --from "$data" "$work/old"
	view "$work/old"
	[ "$(ls "$then" | tr '\n' ' ')" = "a b c " ]
	unview
}

@test "a torn batch at the end is left out, damage is refused, and then there is nothing" {
	kvfs_start save=
	echo 1 >"$mnt/a"
	sync "$mnt"
	echo 2 >"$mnt/b"
	kvfs_stop
	truncate -s -5 "$(last_incr)"
	"$KVFS_BIN/kvfs-ctl" backup --from "$data" "$work/backup"
	run view "$work/backup"
	[[ $status -eq 0 && $output != *torn* ]]
	[ "$(ls "$then")" = a ]
	unview
	printf 'x' | dd of="$(last_incr)" bs=1 seek=90 conv=notrunc status=none
	run "$KVFS_BIN/kvfs-ctl" backup --from "$data" "$work/bad"
	[ "$status" -eq 1 ]
	[[ $output =~ incr.aof:\ (batch|command)\ at\ [0-9]+ ]]
	[ ! -e "$work/bad" ]
	run bash -c "ls -A '$work' | grep kvfs-"
	[ "$status" -ne 0 ]
}

@test "its place must be free, its source there; exit statuses" {
	mkdir "$work/full" "$work/free"
	echo mine >"$work/full/file"
	kvfs_start
	run ctl backup "$work/full"
	[[ $status -eq 1 && $output == *"is there already, and is not empty"* ]]
	[ "$(cat "$work/full/file")" = mine ]
	ctl backup "$work/free"
	[ -d "$work/free/appendonlydir" ]
	run ctl backup "$work/no/such/parent"
	[ "$status" -eq 1 ]
	run ctl backup
	[ "$status" -eq 2 ]
	run ctl backup a b
	[ "$status" -eq 2 ]
	run ctl restore-to nonsense "$work/x"
	[[ $status -eq 2 && $output == *'"nonsense" is no moment'* ]]
	run ctl restore-to "$work/x"
	[ "$status" -eq 2 ]
	kvfs_stop
	run ctl backup "$work/x"
	[ "$status" -eq 3 ]
	mkdir "$work/hollow"
	run "$KVFS_BIN/kvfs-ctl" backup --from "$work/hollow" "$work/x"
	[[ $status -eq 1 && $output == *"nothing to back up"* ]]
	[ ! -e "$work/x" ]
}

@test "restore-to: a data directory of an earlier moment, for kvfs and for redis-server, with and without its log" {
	kvfs_start
	build_tree
	sync "$mnt"
	moment=$(date +%s.%N)
	before=$(manifest "$mnt") want=$(files "$mnt")
	rm -r "$mnt/user"
	echo changed >"$mnt/binary"
	run ctl restore-to "$moment" "$work/restored"
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "state of "*", batch "* ]]
	[ "${lines[1]}" = "$work/restored: 2 keys" ]
	[ "$(stat -c %a "$work/restored")" = 700 ]
	# All that was acknowledged is seen, though nobody synced it.
	echo last >"$mnt/last"
	ctl restore-to now "$work/now"
	kvfs_stop
	view "$work/now"
	[ "$(cat "$then/last")" = last ]
	unview
	loads "$work/restored" "$want"
	run "$KVFS_BIN/kvfs-ctl" restore-to --from "$data/appendonlydir" 10 minutes ago "$work/early"
	[[ $status -eq 1 && $output == *"is before the earliest moment there is"* ]]
	[ ! -e "$work/early" ]
	data=$work/restored
	kvfs_start
	same "$(manifest "$mnt")" "$before"
	echo more >"$mnt/more"
	kvfs_remount
	[ "$(cat "$mnt/more")" = more ]
	kvfs_stop
}

@test "keys that are no paths go the whole way: redis-server, backup, restore-to, redis-server" {
	redis_start "$data" --appendonly yes
	redis eval 'for i, k in ipairs({ "", "/", "a", "a/b", "a//b", "/x", "x/", "..", "\0\r\n\255", string.rep("k", 700), ".%a" }) do
		redis.call("SET", k, "v" .. i) end' 0 >/dev/null
	redis set later v exat 4000000000 >/dev/null
	digest=$(redis debug digest)
	redis_stop
	"$KVFS_BIN/kvfs-ctl" backup --from "$data" "$work/backup"
	"$KVFS_BIN/kvfs-ctl" restore-to --from "$work/backup" now "$work/restored"
	for dir in backup restored; do
		redis_start "$work/$dir" --appendonly yes
		[ "$(redis dbsize)" = 12 ]
		same "$(redis debug digest)" "$digest"
		redis_stop
	done
}

@test "another database than 0 goes back to its number" {
	redis_start "$data" --appendonly yes
	redis -n 3 set a 1 >/dev/null
	redis -n 3 set b 2 >/dev/null
	redis_stop
	printf 'dir = data\ndb = 3\n' >"$work/kvfs.ini"
	"$KVFS_BIN/kvfs-ctl" restore-to --from "$work/kvfs.ini" now "$work/restored"
	redis_start "$work/restored" --appendonly yes
	[ "$(redis -n 3 get a)" = 1 ]
	[ "$(redis -n 3 dbsize)" = 2 ]
	[ "$(redis dbsize)" = 0 ]
	redis_stop
}

@test "the names of the files are those of the source, so that its settings fit" {
	kvfs_start dbfilename=snap.rdb appendfilename=log appenddirname=logs save=
	build_tree
	sync "$mnt"
	want=$(files "$mnt")
	ctl backup "$work/backup"
	ctl restore-to now "$work/restored"
	kvfs_stop
	[ -f "$work/restored/snap.rdb" ]
	for dir in backup restored; do
		view "$work/$dir" appendfilename=log appenddirname=logs dbfilename=snap.rdb
		same "$(files "$then")" "$want"
		unview
	done
}
