#!/usr/bin/env bats
# A data set can be looked at as it is, or as it was at a moment, while whoever writes it goes on, and looking changes nothing.
# Views are held against the live mount, against copies of the tree made at the time, and against redis-server and redis-check-aof.

load lib/kvfs

setup() {
	kvfs_setup
	running=()
}

teardown() {
	[ ${#running[@]} -eq 0 ] || kill "${running[@]}" 2>/dev/null || true
	if mountpoint -q "$work/ro"; then umount "$work/ro"; fi
	kvfs_teardown
}

build_tree() {
	mkdir -p "$mnt/user/1000" "$mnt/empty"
	echo Ada >"$mnt/user/1000/name"
	head -c 200000 /dev/urandom >"$mnt/binary"
	ln -s user/1000 "$mnt/link"
	chmod 600 "$mnt/binary"
	touch -d '2020-01-02 03:04:05.678' "$mnt/user/1000/name"
	: >"$mnt/nothing"
}

# What can be seen of a directory without reading its files.
listing() {
	find "$1" -printf '%p %y %i %n %m %s %T@ %C@ %l\n' | LC_ALL=C sort
}

# What a redis-server on DIR [ARG...] holds: SHA-1 and name of each key.
redis_keys() {
	redis --raw eval "local out = {}
		for i, k in ipairs(redis.call('KEYS', '*')) do
			out[i] = redis.sha1hex(redis.call('GET', k)) .. '  ' .. k
		end
		return out" 0 | LC_ALL=C sort -k 2
}

files() {
	(cd "$1" && find . -type f -printf '%P\0' | xargs -0 -r sha1sum | LC_ALL=C sort -k 2)
}

# ---- as it is ----

@test "diff -r finds no difference between the mount and a view beside it, and a value is copied back" {
	kvfs_start
	build_tree
	echo last >"$mnt/last"
	view "$data"
	diff -r "$mnt" "$then"
	same "$(manifest "$then")" "$(manifest "$mnt")"
	[ "$(findmnt -n -o SOURCE --mountpoint "$then")" = "$data" ]
	rm "$mnt/user/1000/name"
	cp -p "$then/user/1000/name" "$mnt/user/1000/name"
	[ "$(cat "$mnt/user/1000/name")" = Ada ]
	unview
	kvfs_stop
}

@test "nothing can be changed in it, also when it is mounted again as rw" {
	kvfs_start
	build_tree
	kvfs_stop
	view "$data"
	run bash -c "echo x >'$then/nothing'"
	[[ $status -ne 0 && $output == *"Read-only file system"* ]]
	mount -i -o remount,rw "$then"
	run bash -c "echo x >'$then/nothing'"
	[[ $status -ne 0 && $output == *"Read-only file system"* ]]
	run rm "$then/binary"
	[ "$status" -ne 0 ]
	run mkdir "$then/new"
	[ "$status" -ne 0 ]
	[ ! -s "$then/nothing" ]
	[ -f "$then/binary" ]
}

@test "looking leaves no trace: no file comes, goes or changes, and no lock is taken" {
	kvfs_start
	build_tree
	ctl save
	kvfs_stop
	rm -f "$data/kvfs.sock"
	before=$(listing "$data")
	view "$data" logfile=own.log
	sync "$then"
	same "$(listing "$data")" "$before"
	flock -n -x "$data" true
	kvfs_start                       # nobody holds the directory
	echo more >"$mnt/more"
	[ ! -e "$then/more" ]
	unview
	kvfs_stop
	mkdir "$work/ro"
	mount --bind "$data" "$work/ro"
	mount -o remount,bind,ro "$work/ro"
	view "$work/ro"
	[ "$(cat "$then/more")" = more ]
	unview
}

all_stopped() {
	! grep -hq '^State:[[:space:]]*[^T[:space:]]' /proc/"$1"/task/*/status
}

@test "a daemon that hangs holds up nobody who only looks, who is told" {
	kvfs_start
	echo 1 >"$mnt/a"
	sync "$mnt"
	pid=$(kvfs_pid)
	kill -STOP "$pid"
	wait_until 10 all_stopped "$pid"       # each thread stops when it next comes out of the kernel
	run view "$data"
	kill -CONT "$pid"
	[ "$status" -eq 0 ]
	[[ $output == *"could not write what is not in its log yet"* ]]
	[ "$(cat "$then/a")" = 1 ]
	expect_warning "could not write what is not in its log yet"
	unview
	kvfs_stop
}

is_hanging() {
	grep -q 'fdatasync(' "$work/trace"
}

@test "nor does one whose disk hangs, and that has taken the question: only the answer ends who asked" {
	local tracer asker
	kvfs_start
	echo 1 >"$mnt/a"
	sync "$mnt"
	pid=$(kvfs_pid)
	strace -qq -f -e trace=fdatasync -e inject=fdatasync:delay_enter=600000000 -o "$work/trace" -p "$pid" 3>&- 4>&- &
	tracer=$!
	wait_until 20 _is_traced "$pid"
	echo 2 >"$mnt/b"
	sync "$mnt" 3>&- 4>&- &
	asker=$!
	wait_until 20 is_hanging
	run view "$data"
	kill -0 "$asker"                       # the disk hangs still
	kill "$tracer"
	wait "$tracer" || true
	wait "$asker"
	[ "$status" -eq 0 ]
	[[ $output == *"could not write what is not in its log yet"* ]]
	[ "$(cat "$then/a")" = 1 ]
	expect_warning "could not write what is not in its log yet"
	unview
	kvfs_stop
}

@test "every kind of file is a source: dump, base, manifest, log directory, single logs, an ini file" {
	kvfs_start save=
	build_tree
	ctl save
	ctl bgrewriteaof --wait
	echo later >"$mnt/later"
	sync "$mnt"
	without=$(files "$mnt" | grep -v later)
	kvfs_stop
	for source in "$data" "$data/appendonlydir" "$data/appendonlydir/appendonly.aof.manifest"; do
		view "$source"
		same "$(files "$then" | grep -v later)" "$without"
		[ "$(cat "$then/later")" = later ]
		[ "$(findmnt -n -o SOURCE --mountpoint "$then")" = "$source" ]
		unview
	done
	for source in "$data/dump.rdb" "$data"/appendonlydir/*.base.rdb; do
		view "$source"
		same "$(files "$then")" "$without"
		unview
	done
	cat "$data"/appendonlydir/*.base.rdb "$(last_incr)" >"$work/single.aof"
	view "$work/single.aof"
	[ "$(cat "$then/later")" = later ]
	unview
	printf 'dir = data\nappendonly = no\n' >"$work/kvfs.ini"
	view "$work/kvfs.ini"
	same "$(files "$then")" "$without"
	[ "$(findmnt -n -o SOURCE --mountpoint "$then")" = "$data" ]
	unview
}

@test "what is no source is said in a sentence" {
	mkdir "$work/hollow"
	run view "$work/hollow"
	[[ $status -eq 1 && $output == *"$work/hollow: there is nothing to view: no appendonlydir, no dump.rdb and no manifest"* ]]
	: >"$work/empty.aof"
	run view "$work/empty.aof"
	[[ $status -eq 1 && $output == *"empty.aof: is empty"* ]]
	run view "$work/nowhere"
	[[ $status -eq 1 && $output == *"nowhere"* ]]
	printf 'REDIS0009 and then nonsense' >"$work/bad.rdb"
	run view "$work/bad.rdb"
	[[ $status -eq 1 && $output == *"bad.rdb: "* ]]
	touch "$work/hollow/a.manifest" "$work/hollow/b.manifest"
	run view "$work/hollow"
	[[ $status -eq 1 && $output == *"two manifests"* ]]
}

# Writes k/1, k/2, ... each with its number in it.
write_on() {
	local i=0
	while :; do
		i=$((i + 1))
		echo "$i" >"$mnt/k/$i"
	done
}

rewrite_on() {
	while :; do
		ctl bgrewriteaof --wait >/dev/null 2>&1 || true
	done
}

@test "while writers and rewrites go on, each view is one moment: all up to some change, and what was synced before" {
	kvfs_start
	mkdir "$mnt/k"
	write_on &
	running+=($!)
	rewrite_on &
	running+=($!)
	for round in $(seq 12); do
		# shellcheck disable=SC2012
		before=$(ls "$mnt/k" | wc -l)
		sync "$mnt"
		view "$data"
		count=$(find "$then/k" -type f | wc -l)
		[ "$count" -ge "$before" ]
		for i in 1 "$before"; do
			[ "$i" -eq 0 ] || [ "$(cat "$then/k/$i")" = "$i" ]
		done
		seq "$count" | sort >"$work/want"
		(cd "$then/k" && printf '%s\n' *) | sort >"$work/got"
		cmp "$work/want" "$work/got"
		unview
	done
	kill "${running[@]}"
	wait "${running[@]}" || true
	running=()
	kvfs_stop
}

@test "beside a running redis-server, while it rewrites" {
	# In everysec it answers before it writes while a sync is under way.
	redis_start "$data" --appendonly yes --appendfsync always
	for i in $(seq 300); do
		echo "SET dir$((i % 7))/key$i value$i"
	done | redis >/dev/null
	(while :; do redis bgrewriteaof; sleep 0.02; done) >/dev/null 2>&1 3>&- 4>&- &
	running+=($!)
	for round in $(seq 8); do
		redis set round "$round" >/dev/null
		view "$data"
		same "$(files "$then" | sed 's/^[0-9a-f]* /x/')" "$(redis_keys | sed 's/^[0-9a-f]* /x/')"
		same "$(files "$then" | grep -v round)" "$(redis_keys | grep -v round)"
		[ "$(cat "$then/round")" = "$round" ]
		unview
	done
	kill "${running[@]}"
	running=()
	wait_until 30 redis_rewritten
	redis_stop
}

redis_rewritten() {
	redis info persistence | tr -d '\r' | grep -q '^aof_rewrite_in_progress:0'
}

@test "a torn end is where it ends, said unless somebody is writing there" {
	kvfs_start save=
	echo 1 >"$mnt/a"
	sync "$mnt"
	echo 2 >"$mnt/b"
	kvfs_stop
	truncate -s -5 "$(last_incr)"
	before=$(listing "$data")
	run view "$data"
	[ "$status" -eq 0 ]
	[[ $output == *"its last "*" bytes, from "*" on, are torn and not shown"* ]]
	[ "$(cat "$then/a")" = 1 ]
	[ ! -e "$then/b" ]
	unview
	same "$(listing "$data")" "$before"
	exec 8<"$data"
	flock -n -x 8
	run view "$data" 8<&-
	exec 8<&-
	[ "$status" -eq 0 ]
	[[ $output != *torn* ]]
	[ "$(cat "$then/a")" = 1 ]
	unview
}

@test "damage is refused with file and offset" {
	kvfs_start
	echo 1 >"$mnt/a"
	sync "$mnt"
	echo 2 >"$mnt/b"
	kvfs_stop
	printf 'x' | dd of="$(last_incr)" bs=1 seek=90 conv=notrunc status=none
	run view "$data"
	[ "$status" -eq 1 ]
	[[ $output =~ incr.aof:\ (batch|command)\ at\ [0-9]+ ]]
}

@test "its clock stands still: a key that was there stays, one that was over is not shown" {
	redis_start "$data" --appendonly yes --appendfsync always
	redis debug set-active-expire 0 >/dev/null
	redis set over 1 px 1 >/dev/null
	sleep_until_later
	redis set there 1 px 2000 >/dev/null
	run view "$data"
	[[ $status -eq 0 && $output == *"kvfs: 1 keys loaded"* ]]
	wait_until 20 redis_misses there
	[ "$(cat "$then/there")" = 1 ]
	[ ! -e "$then/over" ]
	[ "$(ls "$then")" = there ]
	unview
	redis_stop
}

# A millisecond and the clock of the filesystem pass.
sleep_until_later() {
	local start=${EPOCHREALTIME/./}
	wait_until 10 eval '[ "${EPOCHREALTIME/./}" -gt $((start + 50000)) ]'
}

redis_misses() {
	[ "$(redis exists "$1")" = 0 ]
}

@test "kvfs-ctl tells a view from a keyspace, and ends it without ending the other" {
	kvfs_start
	echo 1 >"$mnt/a"
	sync "$mnt"
	view "$data"
	run "$KVFS_BIN/kvfs-ctl" -m "$then" info
	[[ $status -eq 3 && $output == *"is a read-only view, which has no control socket"* ]]
	[ "$(ctl ping)" = PONG ]
	# Without -m a view can't be meant; on a machine with other keyspaces these are named.
	run "$KVFS_BIN/kvfs-ctl" ping
	[[ $output == PONG || ($output == *"-m $mnt"* && $output != *"$then"*) ]]
	"$KVFS_BIN/kvfs-ctl" -m "$then" umount
	not_mounted "$then"
	[ "$(ctl ping)" = PONG ]
	view "$data"
	kvfs_stop
	[ "$(cat "$then/a")" = 1 ]
	kill -TERM "$(cat "$work/view.pid")"
	wait_until 30 not_mounted "$then"
}

@test "a snapshot that is newer than the log is what is shown, as a start would load it" {
	kvfs_start save=
	echo 1 >"$mnt/a"
	sync "$mnt"
	moment=$(date +%s.%N)
	ctl config set appendonly no
	wait_until 30 log_is_off
	echo 2 >"$mnt/b"
	ctl save
	kvfs_stop
	run view "$data"
	[[ $status -eq 0 && $output == *"dump.rdb is shown: it is newer than the log in appendonlydir, which lacks its last changes"* ]]
	[ "$(ls "$then" | tr '\n' ' ')" = "a b " ]
	unview
	run view "$data" "until=$moment"
	[[ $status -eq 0 && $output == *"dump.rdb was written later and has changes that the log in appendonlydir lacks"* ]]
	[ "$(ls "$then")" = a ]
	unview
	kvfs_start save=
	[ "$(ls "$mnt" | tr '\n' ' ')" = "a b " ]
}

@test "a snapshot of a daemon that had no log is shown when it goes on where the log ends, and named when it does not" {
	kvfs_start
	echo 1 >"$mnt/a"
	kvfs_stop
	cp "$data/dump.rdb" "$work/before.rdb"
	kvfs_start appendonly=no
	expect_warning "appendonly is no"
	echo 2 >"$mnt/b"
	kvfs_stop
	run view "$data"
	[[ $status -eq 0 && $output == *"dump.rdb is shown: it is newer than the log in appendonlydir, which lacks its last changes"* ]]
	[ "$(ls "$then" | tr '\n' ' ')" = "a b " ]
	unview
	mv "$data/dump.rdb" "$work/fork.rdb"
	cp "$work/before.rdb" "$data/dump.rdb"
	kvfs_start save=
	echo 3 >"$mnt/c"
	kvfs_stop
	cp "$work/fork.rdb" "$data/dump.rdb"
	run view "$data"
	[[ $status -eq 0 && $output == *"dump.rdb is not shown: it has changes that the log in appendonlydir lacks, and lacks others"* ]]
	[ "$(ls "$then" | tr '\n' ' ')" = "a c " ]
	unview
}

log_is_off() {
	[ "$(info aof_enabled)" = 0 ]
}

@test "the last file may be cut by its writer while it is read" {
	redis_start "$data" --appendonly yes --aof-use-rdb-preamble no
	for i in $(seq 400); do
		echo "SET key$i $(printf "%0500d" "$i")"
	done | redis >/dev/null
	redis_stop
	log_file=$(last_incr)
	view "$data" key-load-delay=3000 >"$work/out" 2>&1 &
	viewer=$!
	wait_until 20 is_open_by_view "$log_file"
	truncate -s 100 "$log_file"
	wait "$viewer"
	unview
}

is_open_by_view() {
	local pid
	for pid in $(pgrep -x kvfs); do
		if _is_ours "$pid" && [ -n "$(find "/proc/$pid/fd" -lname "$1" 2>/dev/null)" ]; then return 0; fi
	done
	return 1
}

# ---- as it was ----

# One change of each kind, by number.
step() {
	case $1 in
	1) build_tree ;;
	2) echo Countess >>"$mnt/user/1000/name" && chmod 640 "$mnt/binary" ;;
	3) mv "$mnt/user/1000" "$mnt/user/ada" && rmdir "$mnt/empty" ;;
	4) echo new >"$mnt/nothing" && truncate -s 1000 "$mnt/binary" && rm "$mnt/link" ;;
	5) mkdir "$mnt/late" && cp "$mnt/binary" "$mnt/late/copy" && mv "$mnt/nothing" "$mnt/late/something" ;;
	6) rm -r "$mnt/user" ;;
	esac
}

@test "until: the tree is what it was at each of several moments, through a restart" {
	kvfs_start auto-aof-rewrite-percentage=0
	for i in 1 2 3 4 5 6; do
		step "$i"
		sync "$mnt"
		moment[i]=$(date +%s.%N)
		tree[i]=$(manifest "$mnt")
		[ "$i" -ne 3 ] || kvfs_remount auto-aof-rewrite-percentage=0
	done
	[ "${tree[6]}" != "${tree[5]}" ]
	for i in 6 4 1 3 5 2; do
		view "$data" "until=${moment[i]}"
		same "$(manifest "$then")" "${tree[i]}"
		unview
	done
	kvfs_stop
}

@test "until: the report names the moment reached, and that text is a moment again" {
	kvfs_start
	echo 1 >"$mnt/a"
	sync "$mnt"
	run view "$data" "until=now"
	[ "$status" -eq 0 ]
	[[ $output =~ state\ of\ ([0-9]{4}-[0-9]{2}-[0-9]{2}\ [0-9:]{8}\.[0-9]{3}),\ batch\ ([0-9]+) ]]
	reached=${BASH_REMATCH[1]} batch=${BASH_REMATCH[2]}
	unview
	wait_until 10 second_is_over "$reached"
	echo 2 >"$mnt/b"
	sync "$mnt"
	run view "$data" "until=${reached%.*}.999"
	[[ $output == *"state of $reached, batch $batch"* ]]
	[ "$(ls "$then")" = a ]
	unview
	kvfs_stop
}

second_is_over() {
	[ "$(date +%s)" -gt "$(date -d "$1" +%s)" ]
}

@test "until: before the base there is nothing, and the earliest moment is said, with both kinds of base" {
	for preamble in yes no; do
		rm -rf "${data:?}"/*
		kvfs_start "aof-use-rdb-preamble=$preamble"
		echo 1 >"$mnt/a"
		sync "$mnt"
		before=$(date +%s.%N)
		ctl bgrewriteaof --wait
		echo 2 >"$mnt/b"
		sync "$mnt"
		kvfs_stop
		run view "$data" "until=$before"
		[ "$status" -eq 1 ]
		[[ $output =~ is\ before\ the\ earliest\ moment\ there\ is,\ ([-0-9]+\ [0-9:.]+) ]]
		view "$data" "until=${BASH_REMATCH[1]}"
		[ "$(cat "$then/a")" = 1 ]
		[ ! -e "$then/b" ]
		unview
		run view "$data" "until=2020-01-01"
		[[ $status -eq 1 && $output == *"earliest moment"* ]]
	done
}

@test "until: in what redis-server wrote, #TS: decides as for redis-check-aof --truncate-to-timestamp" {
	redis_start "$data" --appendonly yes --aof-timestamp-enabled yes
	for i in 1 2 3; do
		redis set "key$i" "$i" >/dev/null
		redis append all "$i" >/dev/null
		second[i]=$(date +%s)
		wait_until 10 second_is_over "@${second[i]}"
	done
	redis bgrewriteaof >/dev/null
	wait_until 30 redis_rewritten
	for i in 4 5 6; do
		printf 'SET key%s %s\nMULTI\nAPPEND all %s\nDEL key%s\nEXEC\n' "$i" "$i" "$i" $((i - 3)) | redis >/dev/null
		second[i]=$(date +%s)
		wait_until 10 second_is_over "@${second[i]}"
	done
	redis_stop
	for i in 6 4 5; do
		view "$data" "until=${second[i]}"
		seen=$(files "$then")
		unview
		rm -rf "$work/cut"
		cp -r "$data" "$work/cut"
		redis-check-aof --truncate-to-timestamp "${second[i]}" "$work/cut/appendonlydir/appendonly.aof.manifest" >/dev/null
		redis_start "$work/cut" --appendonly yes
		same "$seen" "$(redis_keys)"
		redis_stop
	done
	run view "$data" "until=${second[1]}"
	[[ $status -eq 1 && $output == *"is before the earliest moment there is"* ]]
}

@test "until: a log without times is refused, and what is no moment too" {
	redis_start "$data" --appendonly yes
	moment=$(date +%s.%N)
	sleep_until_later
	redis set key value >/dev/null
	redis_stop
	view "$data" "until=now"         # all of it is of before now
	[ "$(cat "$then/key")" = value ]
	unview
	run view "$data" "until=$moment"
	[[ $status -eq 1 && $output =~ incr.aof:\ what\ was\ written\ from\ [0-9]+\ on\ has\ no\ time ]]
	run view "$data" "until=yesterday evening"
	[[ $status -eq 1 && $output == *'until: "yesterday evening" is no moment'* ]]
	view "$data"
	[ "$(cat "$then/key")" = value ]
	unview
}

@test "until alone makes it a view, also of a dump, which is of the moment it was begun" {
	kvfs_start
	echo 1 >"$mnt/a"
	ctl save
	kvfs_run -o "until=now,logfile=$view_log" "$data/dump.rdb" "$then"
	[ "$(findmnt -n -o FSTYPE --mountpoint "$then")" = fuse.kvfs-view ]
	[ "$(cat "$then/a")" = 1 ]
	umount "$then"
	run view "$data/dump.rdb" "until=10 minutes ago"
	[[ $status -eq 1 && $output == *"dump.rdb: "*"is before the earliest moment there is"* ]]
	kvfs_stop
}
