# shellcheck shell=bash disable=SC2154,SC2034  # run sets work, bench, build, pids, mounts
# servers.bash -- daemons up and down.  NAME is a directory in $work with the data, NAME.mnt a mount point, sockets are in NAME.
# Each has a session of its own, as daemons do: the kernel shares the CPUs out between sessions (sched_autogroup_enabled), and one that is in the
# session of its client is served otherwise (measured: 4 µs less a message where both use one CPU).

# Nothing of it starts by itself in the midst of a measurement.
kvfs_calm=(save= auto-aof-rewrite-percentage=0)
redis_calm=(--save "" --auto-aof-rewrite-percentage 0)

# kvfs_up NAME OPTION=VALUE...: over its defaults.
kvfs_up() {
	local name=$1 options="logfile=$work/$1.log" one
	shift
	for one; do
		options+=",$one"
	done
	mkdir -p "$work/$name" "$work/$name.mnt"
	mounts+=("$work/$name.mnt")
	"$build/kvfs" -o "$options" "$work/$name" "$work/$name.mnt" >"$work/$name.out"
}
kvfs_down() {
	"$build/kvfs-ctl" -m "$work/$1.mnt" umount >/dev/null
}

# redis_up NAME OPTION...: over its defaults.
redis_up() {
	local name=$1
	shift
	mkdir -p "$work/$name"
	setsid redis-server --dir "$work/$name" --port 0 --unixsocket "$work/$name/sock" "$@" >"$work/$name.log" 2>&1 </dev/null &
	pids+=($!)
	wait_until 300 redis_is_up "$name"
}
redis_is_up() {
	[ "$(redis-cli -s "$work/$1/sock" ping 2>/dev/null)" = PONG ]
}
redis_down() {
	local pid
	pid=$(server_pid "$(socket redis "$1")")
	redis-cli -s "$work/$1/sock" shutdown nosave 2>/dev/null || true
	wait "$pid" || true
}

# floor_up NAME [-l]
floor_up() {
	local name=$1
	shift
	mkdir -p "$work/$name.mnt"
	setsid "$bench/floor" "$@" "$work/$name.mnt" &
	pids+=($!)
	mounts+=("$work/$name.mnt")
	wait_until 10 mountpoint -q "$work/$name.mnt"
}
floor_down() {
	umount "$work/$1.mnt"
}

# socket kvfs|redis NAME
socket() {
	case $1 in
	kvfs) echo "$work/$2/kvfs.sock" ;;
	redis) echo "$work/$2/sock" ;;
	esac
}
# target kvfs|redis NAME [NAME IN THE OUTPUT]: as the programs want it, with its process.
target() {
	local at=${3:-$1}@ pid
	pid=$(server_pid "$(socket "$1" "$2")")
	case $1 in
	kvfs) echo "fuse:$at$pid=$work/$2.mnt" ;;
	redis) echo "redis:$at$pid=$work/$2/sock" ;;
	esac
}
server_info() {
	redis-cli -s "$1" info | tr -d '\r' | sed -n "s/^$2://p"
}
server_pid() {
	server_info "$1" process_id
}
rss_bytes() {
	awk '/^VmRSS:/ { printf "%.0f\n", $2 * 1024 }' "/proc/$(server_pid "$1")/status"
}

# A background save from the word to its end, as both of them tell.
bgsave() {
	redis-cli -s "$1" bgsave >/dev/null
	wait_until 600 bgsave_is_over "$1"
	[ "$(server_info "$1" rdb_last_bgsave_status)" = ok ]
}
# job SOCKET bgsave|bgrewriteaof: the same for the measurement of pauses, where looking often would itself take the CPU from whoever is measured.
job() {
	redis-cli -s "$1" "$2" >/dev/null
	until bgsave_is_over "$1" && [ "$(server_info "$1" aof_rewrite_in_progress)" = 0 ]; do
		sleep 0.2
	done
}
bgsave_is_over() {
	[ "$(server_info "$1" rdb_bgsave_in_progress)" = 0 ]
}
export -f job bgsave_is_over server_info

# log_on SOCKET: its append-only file is switched on, and has everything.
log_on() {
	redis-cli -s "$1" config set appendonly yes >/dev/null
	wait_until 300 log_is_on "$1"
}
log_is_on() {
	[ "$(server_info "$1" aof_enabled)" = 1 ] && [ "$(server_info "$1" aof_rewrite_in_progress)" = 0 ]
}
