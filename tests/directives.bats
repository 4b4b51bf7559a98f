#!/usr/bin/env bats
# Each directive and command of Redis's persistence that makes sense on one machine is here under its own name, with Redis's default, and can
# change while it runs where Redis lets it.  The list stands here; a stock redis-server beside the mount is asked the same.

load lib/kvfs
setup() {
	kvfs_setup
	mkdir "$work/redis"
}
teardown() { kvfs_teardown; }

# Those of Redis 7.0; aof-load-corrupt-tail-max-size came with 8.4 (there: 0, at run time).
directives='save stop-writes-on-bgsave-error rdbcompression rdbchecksum dbfilename dir appendonly appendfilename appenddirname appendfsync
no-appendfsync-on-rewrite auto-aof-rewrite-percentage auto-aof-rewrite-min-size aof-load-truncated aof-use-rdb-preamble aof-timestamp-enabled
rdb-save-incremental-fsync aof-rewrite-incremental-fsync shutdown-timeout rdb-key-save-delay key-load-delay maxmemory maxmemory-policy maxmemory-samples loglevel'

ours() {
	redis-cli -s "$data/kvfs.sock" "$@" 2>&1
}

@test "every directive is known, with Redis's default" {
	local name
	kvfs_start
	redis_stock=yes redis_start "$work/redis"
	for name in $directives; do
		[ "$(ours config get "$name" | head -n 1)" = "$name" ]
		case $name in
		dir | loglevel) ;; # the harness gives them
		appendonly) [ "$(ours config get appendonly redis | tail -n 1)" = yes ] ;; # our one other default
		*) same "$(ours config get "$name")" "$(redis config get "$name")" ;;
		esac
	done
	same "$(ours config get aof-load-corrupt-tail-max-size)" $'aof-load-corrupt-tail-max-size\n0'
	same "$(ours config get loglevel)" $'loglevel\nnotice'
	redis_stop
}

@test "every directive changes while it runs, or not, as in a stock redis-server" {
	local name value
	kvfs_start
	redis_stock=yes redis_start "$work/redis"
	for name in $directives; do
		[ "$name" != appendonly ] || continue
		value=$(redis config get "$name" | sed -n 2p)
		same "$name: $(ours config set "$name" "$value")" "$name: $(redis config set "$name" "$value")"
	done
	[ "$(ours config set aof-load-corrupt-tail-max-size 7)" = OK ]
	[ "$(ours config set appendonly no)" = "$(redis config set appendonly no)" ]
	redis_stop
}

@test "every directive stands in an ini file and behind -o" {
	local name value options=
	kvfs_start
	for name in $directives aof-load-corrupt-tail-max-size; do
		[ "$name" != dir ] || continue
		value=$(ours config get "$name" | sed -n 2p)
		echo "$name = $value" >>"$work/a.ini"
		options+="$name=$value,"
	done
	settings=$(ours config get '*')
	kvfs_remount
	kvfs_stop
	kvfs_run -c "$work/a.ini" -o "logfile=$log" "$data" "$mnt"
	same "$(ours config get '*')" "$settings"
	kvfs_stop
	kvfs_run -o "${options}logfile=$log" "$data" "$mnt"
	same "$(ours config get '*')" "$settings"
}

@test "every command is known, and takes what a redis-server takes" {
	local words
	kvfs_start save=
	redis_start "$work/redis" --appendonly yes
	echo v >"$mnt/k"
	redis set k v
	while read -r -a words; do
		theirs=$(redis "${words[@]}" 2>&1 | sed -n 1p)
		mine=$(ours "${words[@]}" | sed -n 1p)
		same "${words[*]}: $mine" "${words[*]}: $theirs"
		wait_until 30 nothing_runs
	done <<-COMMANDS
		save
		bgsave
		bgsave schedule
		bgrewriteaof
		config get save
		config set save 60
		config resetstat
		config rewrite
		config help x
		ttl k
		pttl k
		expire k 1000
		persist k
		persist k
		pexpire k 1000000
		expireat k 99999999999
		pexpireat k 99999999999999
		expiretime k
		pexpiretime k
		exists k
		type k
		dbsize
		del k
		shutdown now nosuch
	COMMANDS
	[ "$(ours bgsave cancel)" = "ERR Background saving is currently not in progress or scheduled" ]
	[ "$(ours lastsave)" -gt 0 ]
	[[ "$(ours info persistence)" == *rdb_last_save_time:* ]]
	redis_stop
}

nothing_runs() {
	[ "$(ours info persistence | tr -d '\r' | grep -cE '^(rdb_bgsave_in_progress|aof_rewrite_in_progress|aof_rewrite_scheduled):0$')" -eq 3 ] &&
		[ "$(redis info persistence | tr -d '\r' | grep -cE '^(rdb_bgsave_in_progress|aof_rewrite_in_progress|aof_rewrite_scheduled):0$')" -eq 3 ]
}
