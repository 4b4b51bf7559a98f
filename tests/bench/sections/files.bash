# shellcheck shell=bash disable=SC2154
# files -- KEYS keys out of the same files as redis-server: memory, saves, loads, and what a writer feels of a snapshot.

section_files() {
	files_make
	files_empty
	files_rdb redis redis-rdb --appendonly no
	files_rdb kvfs kvfs-rdb appendonly=no
	files_aof redis redis-aof-files --appendonly yes
	files_aof kvfs kvfs-aof-files appendonly=yes
	files_goals
	print_files
	echo
	print_pauses
}

# One keyspace, as a dump.rdb and as a log, both written by redis-server.
files_make() {
	redis_up filled "${redis_calm[@]}" --appendonly yes
	"$bench/fill" redis "$KEYS" "$(target redis filled)"
	redis-cli -s "$work/filled/sock" save >/dev/null
	redis_down filled
	local server
	for server in redis kvfs; do
		mkdir "$work/$server-rdb" "$work/$server-aof-files"
		cp "$work/filled/dump.rdb" "$work/$server-rdb/"
		cp -r "$work/filled/appendonlydir" "$work/$server-aof-files/"
	done
	rm -r "$work/filled"
	cat "$work"/*-rdb/dump.rdb "$work"/*-aof-files/appendonlydir/* >/dev/null
}

files_empty() {
	redis_up redis-empty "${redis_calm[@]}"
	rss_bytes "$(socket redis redis-empty)" >"$work/empty.redis"
	redis_down redis-empty
	kvfs_up kvfs-empty "${kvfs_calm[@]}" appendonly=no
	rss_bytes "$(socket kvfs kvfs-empty)" >"$work/empty.kvfs"
	kvfs_down kvfs-empty
}

# up_calm SERVER NAME OPTION...
up_calm() {
	local server=$1 name=$2
	shift 2
	case $server in
	kvfs) kvfs_up "$name" "${kvfs_calm[@]}" "$@" ;;
	redis) redis_up "$name" "${redis_calm[@]}" "$@" ;;
	esac
}

# files_load SAMPLES SERVER NAME OPTION...: starts it REPEATS times; the last one stays.
files_load() {
	local samples=$1 server=$2 name=$3 i
	shift 3
	for i in $(seq "$REPEATS"); do
		sample "$samples.$server" seconds_of up_calm "$server" "$name" "$@"
		mounts+=("$work/$name.mnt")
		[ "$i" = "$REPEATS" ] || "${server}_down" "$name"
	done
}

files_rdb() {
	local server=$1 name=$2 at
	at=$(socket "$server" "$name")
	files_load rdb "$@"
	rss_bytes "$at" >"$work/full.$server"
	for _ in $(seq "$REPEATS"); do
		sample "save.$server" seconds_of redis-cli -s "$at" save
		sample "bgsave.$server" seconds_of bgsave "$at"
	done
	"${server}_down" "$name"
}

files_aof() {
	local server=$1 name=$2
	files_load aof "$@"
	measure_pauses "$server" "$name"
	measure_high_water "$server" "$name"
	"${server}_down" "$name"
}

# measure_pauses SERVER NAME: a writer's calls while nothing, a BGSAVE, a BGREWRITEAOF runs.
measure_pauses() {
	local server=$1 name=$2 one
	sync     # what the measurements before have written is not this one's
	pause_of nothing "$server" "$name" sleep "$SECONDS_EACH"
	# shellcheck disable=SC2016  # $0 is the socket, for the inner shell
	for one in bgsave bgrewriteaof; do
		pause_of "$one" "$server" "$name" bash -c 'job "$0" "$1"' "$(socket "$server" "$name")" "$one"
	done
}
# pause_of WHAT SERVER NAME COMMAND...
pause_of() {
	local what=$1 server=$2 name=$3
	shift 3
	"$bench/pause" keys "$out/pauses.$what.$server.dat" "$KEYS" "$(target "$server" "$name")" "$@" >"$work/pause.$what.$server"
}

# measure_high_water SERVER NAME: peak memory of a BGSAVE under the writes of four, by the memory before.  A fork's pages are nobody's peak: what
# it had to copy comes on top.
measure_high_water() {
	local server=$1 name=$2 at pid before peak copied=0 writers=() _
	at=$(socket "$server" "$name")
	pid=$(server_pid "$at")
	before=$(rss_bytes "$at")
	echo 5 >"/proc/$pid/clear_refs"
	for _ in 1 2 3 4; do
		"$bench/pause" keys /dev/null "$KEYS" "$(target "$server" "$name")" sleep "$SECONDS_EACH" >/dev/null &
		writers+=($!)
	done
	sleep 0.5
	job "$at" bgsave
	peak=$(awk '/^VmHWM:/ { printf "%.0f\n", $2 * 1024 }' "/proc/$pid/status")
	[ "$server" != redis ] || copied=$(server_info "$at" rdb_last_cow_size)
	wait "${writers[@]}"
	ratio $((peak + copied)) "$before" >"$work/high.$server"
}

# bytes_a_key SERVER
bytes_a_key() {
	ratio $(($(cat "$work/full.$1") - $(cat "$work/empty.$1"))) "$KEYS"
}

files_goals() {
	goal "load from the RDB, to redis-server" "<=" 0.4 "$(ratio "$(samples rdb.kvfs)" "$(samples rdb.redis)")"
	goal "load from the AOF, to redis-server" "<=" 0.4 "$(ratio "$(samples aof.kvfs)" "$(samples aof.redis)")"
	goal "SAVE, to redis-server" "<=" 0.6 "$(ratio "$(samples save.kvfs)" "$(samples save.redis)")"
}

print_files() {
	echo "## Beside redis-server on the same files"
	echo
	echo "$KEYS keys, 16-byte names, 100-byte values (random bytes), median of $REPEATS"
	echo
	head_row "" kvfs redis-server ratio
	row "memory a key, RSS, bytes" %.1f "$(bytes_a_key kvfs)" "$(bytes_a_key redis)"
	row "SAVE, s" %.2f "$(samples save.kvfs)" "$(samples save.redis)"
	row "BGSAVE, s" %.2f "$(samples bgsave.kvfs)" "$(samples bgsave.redis)"
	row "load from the RDB, s" %.2f "$(samples rdb.kvfs)" "$(samples rdb.redis)"
	row "load from the AOF, s" %.2f "$(samples aof.kvfs)" "$(samples aof.redis)"
	row "peak memory of a BGSAVE while four write, to 1 before" %.3f "$(cat "$work/high.kvfs")" "$(cat "$work/high.redis")"
}

# pause_cells FILE: the cells of a line, ms.
pause_cells() {
	awk '{ printf " %.3f | %.3f | %.3f | %.2f |\n", $3 / 1000, $4 / 1000, $5 / 1000, $6 / 1000 }' "$1"
}
print_pauses() {
	local one server
	echo "ms that a call of one writer takes which overwrites random ones of these keys, appendonly yes, while this runs"
	echo
	head_row "" 50% 99% 99.9% longest
	for one in nothing bgsave bgrewriteaof; do
		for server in kvfs redis; do
			echo "| $server, $one |$(pause_cells "$work/pause.$one.$server")"
		done
	done
	draw pauses "how many calls of the writer took how long, while nothing, a BGSAVE and a BGREWRITEAOF runs"
}
