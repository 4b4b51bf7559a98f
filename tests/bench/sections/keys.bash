# shellcheck shell=bash disable=SC2154
# keys -- how things grow with the number of keys (COUNTS): an operation, memory, load, save, and a writer's longest pause in a snapshot of the most.

section_keys() {
	local count targets=() most=${COUNTS##* }
	keys_empty
	for count in $COUNTS; do
		keys_redis "$count" "$most"
		keys_kvfs "$count"
		targets+=("$(target kvfs "keys-$count" "$count")")
		keys_line "$count"
	done >"$out/keys.dat"
	for count in $COUNTS; do
		log_on "$(socket kvfs "keys-$count")"   # as it is by default, and what a load left to be done is done
	done
	# All of them side by side, as in the table of operations.
	"$bench/ops" spread "$BATCH" "$ROUNDS" "${targets[@]}" >"$out/keys.ops.dat"
	keys_pauses kvfs "$most"
	for count in $COUNTS; do
		kvfs_down "keys-$count"
	done
	keys_goals "$most"
	print_keys
	print_key_pauses "$most"
}

keys_empty() {
	redis_up keys-empty-redis "${redis_calm[@]}"
	rss_bytes "$(socket redis keys-empty-redis)" >"$work/keys.empty.redis"
	redis_down keys-empty-redis
	kvfs_up keys-empty "${kvfs_calm[@]}" appendonly=no
	rss_bytes "$(socket kvfs keys-empty)" >"$work/keys.empty.kvfs"
	kvfs_down keys-empty
}

# keys_measure SERVER NAME COUNT: of one that has just been started.
keys_measure() {
	local at
	at=$(socket "$1" "$2")
	ratio $(($(rss_bytes "$at") - $(cat "$work/keys.empty.$1"))) "$3" >"$work/keys.$3.$1.bytes"
	seconds_of bgsave "$at" >"$work/keys.$3.$1.save"
}
keys_redis() {
	local count=$1 most=$2 name=keys-$1-redis
	mkdir "$work/$name" "$work/keys-$count"
	"$bench/fill" rdb "$count" "" >"$work/$name/dump.rdb"
	ln "$work/$name/dump.rdb" "$work/keys-$count/"
	seconds_of redis_up "$name" "${redis_calm[@]}" >"$work/keys.$count.redis.load"
	keys_measure redis "$name" "$count"
	[ "$count" != "$most" ] || keys_pauses redis "$most"
	redis_down "$name"
	rm -r "${work:?}/$name"
}
keys_kvfs() {
	local count=$1 name=keys-$1
	mounts+=("$work/$name.mnt")
	seconds_of kvfs_up "$name" "${kvfs_calm[@]}" appendonly=no >"$work/keys.$count.kvfs.load"
	keys_measure kvfs "$name" "$count"
}

# keys_line COUNT: <keys> <bytes a key> <the same of redis-server> <load, s> <> <save, s> <>
keys_line() {
	local what server
	printf %s "$1"
	for what in bytes load save; do
		for server in kvfs redis; do
			printf ' %s' "$(cat "$work/keys.$1.$server.$what")"
		done
	done
	echo
}

# keys_pauses SERVER COUNT
keys_pauses() {
	local server=$1 count=$2 name=keys-$2 at
	[ "$server" = kvfs ] || name+=-redis
	at=$(socket "$server" "$name")
	sync
	"$bench/pause" keys /dev/null "$count" "$(target "$server" "$name")" sleep "$SECONDS_EACH" >"$work/keys.pause.nothing.$server"
	# shellcheck disable=SC2016  # $0 is the socket, for the inner shell
	"$bench/pause" keys "$out/keys.pauses.$server.dat" "$count" "$(target "$server" "$name")" bash -c 'job "$0" bgsave' "$at" >"$work/keys.pause.bgsave.$server"
}

# keys_us COUNT OPERATION
keys_us() {
	awk -v t="$1" -v o="$2" '$1 == t && $2 == o { print $3 }' "$out/keys.ops.dat"
}
# keys_column COUNT NUMBER
keys_column() {
	awk -v t="$1" -v column="$2" '$1 == t { print $column }' "$out/keys.dat"
}

keys_goals() {
	local most=$1 base=10000 one
	[[ " $COUNTS " = *" $base "* ]] || base=${COUNTS%% *}
	for one in overwrite first_get delete; do
		goal "${one/_/ } at $(power "$most") keys, to $(power "$base")" "<=" 1.2 "$(ratio "$(keys_us "$most" "$one")" "$(keys_us "$base" "$one")")"
	done
	for one in $COUNTS; do
		[ "$one" -lt 1000000 ] && [ "$one" != "$most" ] || goal "memory a key at $(power "$one") keys, to redis-server" "<=" 1.0 "$(ratio "$(keys_column "$one" 2)" "$(keys_column "$one" 3)")"
	done
	goal "longest pause of a writer in a snapshot of $(power "$most") keys, ms" "<=" 1 "$(awk '{ print $6 / 1000 }' "$work/keys.pause.bgsave.kvfs")"
}

print_keys() {
	local one count
	echo "## How it grows with the number of keys"
	echo
	echo "16-byte names, 100-byte values (random bytes).  An operation: µs, of $BATCH keys out of all, with the log on; median of $ROUNDS rounds."
	echo
	# shellcheck disable=SC2046  # words
	head_row "" $(for count in $COUNTS; do power "$count"; done)
	for one in overwrite first_get get_again delete new; do
		printf '| %s |' "${one/_/ }"
		for count in $COUNTS; do
			cell %.1f "$(keys_us "$count" "$one")"
		done
		echo
	done
	keys_row "memory a key, RSS, bytes" %.1f 2
	keys_row "load from the RDB, s" %.2f 4
	keys_row "BGSAVE, s" %.2f 6
	draw keys "time of an operation, memory a key, load and save, by the number of keys"
}
# keys_row TEXT FORMAT COLUMN: kvfs's column of keys.dat, and the next, which is redis-server's.
keys_row() {
	local server column=$3 count
	for server in kvfs redis-server; do
		printf '| %s, %s |' "$1" "$server"
		for count in $COUNTS; do
			cell "$2" "$(keys_column "$count" "$column")"
		done
		echo
		column=$((column + 1))
	done
}

print_key_pauses() {
	local one server
	echo "ms that a call of one writer takes which overwrites random ones of $(power "$1") keys, kvfs with its log, redis-server without, while this runs"
	echo
	head_row "" 50% 99% 99.9% longest
	for one in nothing bgsave; do
		for server in kvfs redis; do
			echo "| $server, $one |$(pause_cells "$work/keys.pause.$one.$server")"
		done
	done
	draw key-pauses "how many calls of the writer took how long during a BGSAVE of all keys" "keys = '$(power "$1")'"
}
