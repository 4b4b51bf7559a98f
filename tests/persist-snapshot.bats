#!/usr/bin/env bats
# What dump.rdb may be at a start, and what may happen while it is written: what can't be read is refused with its reason and left as it
# is, what is old loads, and a snapshot holds what was there at its moment even if everything is deleted meanwhile.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

refused() {
	local before
	before=$(sha256sum "$data/dump.rdb" 2>/dev/null)
	run kvfs_start
	[ "$status" -eq 1 ] || { echo "# mounted"; return 1; }
	[[ $output =~ $1 ]] || { echo "# said: $output"; return 1; }
	not_mounted "$mnt"
	same "$before" "$(sha256sum "$data/dump.rdb" 2>/dev/null)"
}

@test "(28) no dump.rdb is an empty keyspace; one of 0 bytes, as a power cut may leave it, is not" {
	kvfs_start appendonly=no
	[ "$(find "$mnt" -mindepth 1)" = "" ]
	kvfs_stop
	: >"$data/dump.rdb"
	refused 'dump.rdb: is empty \(0 bytes\)'
}

@test "(29) a dump.rdb that can't be read" {
	mkdir "$data/dump.rdb"
	run kvfs_start
	[ "$status" -eq 1 ]
	[[ $output == *"dump.rdb: is no regular file"* ]]
	rmdir "$data/dump.rdb"
	mkfifo "$data/dump.rdb"
	run kvfs_start
	[ "$status" -eq 1 ]
	[[ $output == *"dump.rdb: is no regular file"* ]]
	rm "$data/dump.rdb"
	ln -s /nowhere/at/all "$data/dump.rdb"
	# A name without a file is no file.
	kvfs_start
	[ "$(find "$mnt" -mindepth 1)" = "" ]
}

@test "(30) not a snapshot, cut short, a wrong checksum, a version from the future" {
	redis_start "$data"
	redis mset a 1 b 2 c 3
	redis save
	redis_stop
	mv "$data/dump.rdb" "$work/good"
	head -c 100 /dev/urandom | sed 's/^REDIS/xxxxx/' >"$data/dump.rdb"
	refused 'dump.rdb: '
	head -c -12 "$work/good" >"$data/dump.rdb"
	refused 'dump.rdb: offset [0-9]+: '
	{ head -c -8 "$work/good"; printf '\1\2\3\4\5\6\7\10'; } >"$data/dump.rdb"
	refused 'dump.rdb: .*checksum'
	sed '1s/^REDIS0010/REDIS0099/' "$work/good" >"$data/dump.rdb"
	refused 'dump.rdb: .*version'
	cp "$work/good" "$data/dump.rdb"
	kvfs_start
	[ "$(cat "$mnt/a" "$mnt/b" "$mnt/c")" = 123 ]
}

@test "(31) versions 1 to 9 load" {
	local version end
	for version in 1 2 3 4 5 6 7 8 9; do
		rm -rf "${data:?}"/*
		end=
		[ "$version" -lt 5 ] || end='\0\0\0\0\0\0\0\0'
		printf 'REDIS%04d\xfe\0\0\1k\5value\0\3num\xc0\x2a\xfd\xff\xff\xff\x7f\0\5later\1x\xff'"$end" "$version" >"$data/dump.rdb"
		kvfs_start
		[ "$(cat "$mnt/k") $(cat "$mnt/num") $(cat "$mnt/later")" = "value 42 x" ]
		[ "$(info rdb_last_load_keys_loaded)" = 3 ]
		[ "$(ctl info keyspace | tr -d '\r' | sed -n 's/^db0://p' | cut -d, -f 1,2)" = keys=3,expires=1 ]
		kvfs_stop
	done
}

@test "(32) everything is deleted while a snapshot is written: the snapshot has it all, the log has nothing" {
	kvfs_start 'save=' rdb-key-save-delay=5000
	mkdir "$mnt/d"
	for i in $(seq 100); do
		echo "value $i" >"$mnt/d/k$i"
	done
	before=$(cd "$mnt" && find . -type f -exec sha256sum {} + | sort -k 2)
	ctl bgsave
	rm -r "$mnt/d"
	[ "$(find "$mnt" -mindepth 1)" = "" ]
	wait_until 60 eval '[ "$(info rdb_bgsave_in_progress)" = 0 ]'
	[ "$(info rdb_last_bgsave_status)" = ok ]
	kvfs_stop
	mkdir "$work/other"
	cp "$data/dump.rdb" "$work/other"
	kvfs_start
	[ "$(find "$mnt" -mindepth 1)" = "" ]
	kvfs_stop
	data=$work/other
	kvfs_start
	same "$before" "$(cd "$mnt" && find . -type f -exec sha256sum {} + | sort -k 2)"
}

@test "(35) what the load counts is what there was, and what was over" {
	local now=${EPOCHREALTIME%.*}
	redis_start "$data"
	redis mset a 1 b 2 c 3
	redis set soon x pxat $((now * 1000 + 4000))
	redis set later x pxat $((now * 1000 + 3600000))
	redis save
	redis_stop
	wait_until 10 eval '[ "${EPOCHREALTIME%.*}" -gt $((now + 4)) ]'
	kvfs_start
	[ "$(info rdb_last_load_keys_loaded)" = 4 ]
	[ "$(info rdb_last_load_keys_expired)" = 1 ]
	[ ! -e "$mnt/soon" ]
	[ "$(cat "$mnt/later")" = x ]
}

@test "(40) a directory in the snapshot's place: the save fails, nothing is left behind, and without it the next one succeeds" {
	kvfs_start 'save='
	expect_warning 'Background saving failed'
	echo 1 >"$mnt/one"
	mkdir "$data/dump.rdb"
	run ctl save
	[ "$status" -eq 1 ]
	[[ $output == *"ERR"* ]]
	[ "$(info rdb_last_bgsave_status)" = err ]
	[ "$(cd "$data" && compgen -G 'temp-*' | wc -l)" = 0 ]
	[ "$(cat "$mnt/one")" = 1 ]
	rmdir "$data/dump.rdb"
	ctl save
	[ "$(info rdb_last_bgsave_status)" = ok ]
	redis-check-rdb "$data/dump.rdb" | grep -q 'RDB looks OK'
}

@test "(40) killed while it saves: the old snapshot counts, and the next start clears the temp file" {
	kvfs_start appendonly=no 'save=' rdb-key-save-delay=20000
	for i in $(seq 60); do
		echo "$i" >"$mnt/k$i"
	done
	ctl save
	echo new >"$mnt/new"
	ctl bgsave
	wait_until 30 compgen -G "$data/temp-*.rdb"
	kvfs_kill9
	compgen -G "$data/temp-*.rdb"
	kvfs_start appendonly=no
	[ "$(cd "$data" && compgen -G 'temp-*' | wc -l)" = 0 ]
	[ "$(find "$mnt" -type f | wc -l)" = 60 ]
	[ ! -e "$mnt/new" ]
}

@test "(37) always: no call returns before the disk has it" {
	kvfs_start appendfsync=always 'save='
	echo 0 >"$mnt/k"
	local pid strace_pid begun
	pid=$(kvfs_pid)
	# Each fdatasync takes half a second longer.
	strace -f -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_enter=500000 -p "$pid" 2>"$work/strace" 3>&- 4>&- &
	strace_pid=$!
	wait_until 30 grep -q attached "$work/strace"
	begun=${EPOCHREALTIME/./}
	"$KVTOOL" try pwrite "$mnt/k" 0 new >"$work/said"
	[ $((${EPOCHREALTIME/./} - begun)) -ge 500000 ]
	kill "$strace_pid"
	wait "$strace_pid" || true
	kvfs_kill9
	kvfs_start
	[ "$(cat "$mnt/k")" = new ]
}

@test "(34) while it loads there is no mount and no server, and who comes later finds all of it" {
	local i
	kvfs_start "save="
	for i in $(seq 300); do
		echo "$i" >"$mnt/k$i"
	done
	ctl save
	kvfs_stop
	kvfs_start "save=" key-load-delay=5000 &
	starting=$!
	loading() { [ -d "$data/appendonlydir" ] && pgrep -P "$starting" -x kvfs >/dev/null; }
	wait_until 20 loading
	for i in 1 2 3 4 5; do
		kill -0 "$starting" 2>/dev/null || break
		run ctl ping
		[ "$status" -eq 3 ] || [ "$output" = PONG ]
		[ -z "$(ls -A "$mnt")" ] || [ "$(find "$mnt" -type f | wc -l)" -eq 300 ]
	done
	wait "$starting"
	[ "$(find "$mnt" -type f | wc -l)" -eq 300 ]
	[ "$(ctl ping)" = PONG ]
}

# The eight bytes behind the end of an RDB: "not checked".
no_checksum='\0\0\0\0\0\0\0\0'

@test "(36) flipped bytes with the checksum taken out: loaded or refused, never a crash, a hang or memory without bound" {
	local i size at seed=${SEED:-$RANDOM}
	echo "# seed $seed"
	RANDOM=$seed
	redis_start "$data"
	for i in $(seq 30); do
		redis set "key:$i" "$(head -c 300 /dev/zero | tr '\0' "$((i % 10))")$i" px 900000000 >/dev/null
		redis set "n:$i" "$((i * 12345))" >/dev/null
	done
	redis save
	redis_stop
	size=$(stat -c %s "$data/dump.rdb")
	head -c $((size - 8)) "$data/dump.rdb" >"$work/good"
	for i in $(seq 40); do
		rm -rf "${data:?}"/*
		{
			cat "$work/good"
			printf "$no_checksum"
		} >"$data/dump.rdb"
		at=$((9 + RANDOM % (size - 17)))
		printf "\\x$(printf %02x $((RANDOM % 256)))" | dd of="$data/dump.rdb" bs=1 seek=$at conv=notrunc status=none
		status=0
		(
			# A sanitizer's shadow takes terabytes of addresses.
			grep -qa '__[at]san_init' "$RECOVERED" || ulimit -v 2000000
			timeout 60 "$RECOVERED" "$data" >/dev/null 2>"$work/said"
		) || status=$?
		[ "$status" -le 1 ] || { echo "# status $status with another byte at $at: $(cat "$work/said")"; return 1; }
		# A byte that makes a string's key one of another type that is well formed is refused as such a key.
		[ "$status" -eq 0 ] || grep -qE 'dump.rdb|is of another type' "$work/said" || { echo "# refused with another byte at $at: $(cat "$work/said")"; return 1; }
	done
}
