#!/usr/bin/env bats
# A key with an expiry goes when its time is over, for every look at it and not before; what is written to it keeps or clears the time as in
# Redis.  Times come from a redis-server's file and from kvfs-ctl; the kernel's caches are filled before they are over; a redis-server reads
# what we wrote, and is the measure for words and numbers.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

# dump.rdb in the data directory, from a redis-server that was told COMMANDS (one a line).
from_redis() {
	mkdir -p "$data"
	redis_start "$data"
	redis >/dev/null
	redis save >/dev/null
	redis_stop
}

gone() { [ ! -e "$1" ]; }

expired() { [ "$(info expired_keys)" = "$1" ]; }

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# goes_at KEY AT: looks at a key that holds "value" until it is gone.  It is there at every look that ends before AT, and at none that begins
# 10 ms after; however late this process itself is.
goes_at() {
	local key=$1 at=$2 began value
	while began=$(now_ms); value=$(cat "$mnt/$key" 2>/dev/null); do
		[ "$value" = value ]
		[ "$began" -lt $((at + 10)) ] || { echo "# $key is there $((began - at)) ms after its time"; return 1; }
	done
	[ "$(now_ms)" -ge "$at" ] || { echo "# $key went $((at - $(now_ms))) ms before its time"; return 1; }
}

@test "a key goes at its time, from the kernel's caches too" {
	local later=$(($(now_ms) + 3600000)) at
	from_redis <<-END
		set d/soon value pxat $later
		set d/later value pxat $later
		set stays value
	END
	kvfs_start "save="
	[ "$(ctl pexpiretime d/soon) $(ctl pexpiretime d/later) $(ctl pexpiretime stays)" = "$later $later -1" ]
	[ "$(cat "$mnt/d/soon")" = value ]
	ls -l "$mnt/d" >/dev/null
	stat "$mnt/d/soon" >/dev/null
	exec 7<"$mnt/d/soon"
	at=$(($(now_ms) + 1500))
	ctl pexpireat d/soon "$at"
	goes_at d/soon "$at"
	listed() { [ "$(ls "$mnt/d")" = "$1" ]; }
	wait_until 10 listed later
	[ "$(find "$mnt" -name soon)" = "" ]
	# Whoever has it open keeps it, as after rm.
	[ "$(cat <&7)" = value ]
	exec 7<&-
	wait_until 10 expired 1
	# The name is free for a new key, without a time.
	echo new >"$mnt/d/soon"
	[ "$(cat "$mnt/d/soon")" = new ]
	sync "$mnt/d/soon"
	grep -qa -A3 '^DEL' "$data"/appendonlydir/*.incr.aof
	[ "$(cat "$mnt/stays")" = value ]
}

@test "a time that is not over is written back to the log, its base and the snapshot" {
	local at=$((${EPOCHREALTIME/./} / 1000 + 3600000))
	from_redis <<-END
		set a value pxat $at
		set b value pxat $at
		set c value pxat $at
		set e value pxat $at
	END
	kvfs_start
	echo overwritten >"$mnt/b"
	echo more >>"$mnt/c"
	mv "$mnt/e" "$mnt/moved"
	ctl bgrewriteaof --wait
	ctl bgsave --wait
	kvfs_remount
	[[ $(ctl info keyspace) == *"keys=4,expires=3"* ]]
	kvfs_stop
	cp "$data/dump.rdb" "$work/dump.rdb"
	local source
	for source in yes no; do
		redis_start "$data" --appendonly "$source"
		[ "$(redis pexpiretime a)" = "$at" ]
		[ "$(redis pexpiretime b)" = -1 ]
		[ "$(redis pexpiretime c)" = "$at" ]
		[ "$(redis pexpiretime moved)" = "$at" ]
		redis_stop
		cp "$work/dump.rdb" "$data/dump.rdb"
	done
}

@test "very many keys at once: others work on, nobody is shown one that is due, and the log has a DEL for each" {
	local count=$((2 * ${KEYS:-100000})) later=$(($(now_ms) + 7200000)) at i name
	mkdir "$work/in"
	redis_start "$work/in"
	awk -v n=$count -v at=$later 'BEGIN { for (i = 0; i < n; i++) printf "SET many/%d/%d value PXAT %s\r\n", i % 100, i, at }' |
		redis-cli -s "$redis_socket" --pipe | grep -q "errors: 0"
	redis set stays value >/dev/null
	redis save >/dev/null
	redis_stop
	cp "$work/in/dump.rdb" "$data/"
	kvfs_start "save=" "auto-aof-rewrite-percentage=0"
	[ "$(info expired_keys)" = 0 ]
	# The kernel knows some of them, and more by their directory's listing.
	ls -l "$mnt/many/1" "$mnt/many/2" >/dev/null
	ls "$mnt/many/3" >/dev/null
	at=$(($(now_ms) + 3000))
	awk -v n=$count -v at=$at 'BEGIN { for (i = 0; i < n; i++) printf "PEXPIREAT many/%d/%d %s\r\n", i % 100, i, at }' |
		redis-cli -s "$data/kvfs.sock" --pipe | grep -q "errors: 0, replies: $count"
	is_time() { [ "$(now_ms)" -ge $((at + 10)) ]; }
	wait_until 10 is_time
	all_gone() { [ "$(ctl dbsize)" -le 2 ]; }
	i=0
	until all_gone; do
		i=$((i + 1))
		echo "$i" >"$mnt/other"
		[ "$(cat "$mnt/other")" = "$i" ]
		name=$((RANDOM * 32768 + RANDOM))
		name=$((name % count))
		[ ! -e "$mnt/many/$((name % 100))/$name" ]
		[ ! -e "$mnt/many/$((name / 100 % 3 + 1))/$((name / 100 % 2000 * 100 + name / 100 % 3 + 1))" ]
		[ "$i" -lt 20000 ]
	done
	[ "$(cat "$mnt/stays")" = value ]
	empty() { [ -z "$(find "$mnt/many" -type f)" ]; }
	wait_until 20 empty
	kvfs_stop
	[ "$(grep -ca '^DEL' "$(last_incr)")" -eq $count ]
	redis_start "$data" --appendonly yes
	[ "$(redis dbsize)" -le 2 ]
	[ "$(redis get stays)" = value ]
	redis_stop
}

@test "a time that was over before the mount: the key is not there" {
	local now=$((${EPOCHREALTIME/./} / 1000))
	from_redis <<-END
		set old value pxat $((now + 300))
		set young value
	END
	passed() { [ $((${EPOCHREALTIME/./} / 1000)) -gt $((now + 400)) ]; }
	wait_until 5 passed
	kvfs_start
	[ "$(ls "$mnt")" = young ]
}

# ---- commands ----

# A time far away, as Redis has it.
later_ms() { echo $((${EPOCHREALTIME/./} / 1000 + 3600000)); }

@test "commands answer as a redis-server's" {
	local words
	kvfs_start "save="
	mkdir "$mnt/d" "$work/redis"
	echo -n v >"$mnt/k"
	echo -n v >"$mnt/d/x"
	echo -n v >"$mnt/y"
	ln -s k "$mnt/link"
	redis_start "$work/redis"
	redis mset k v d/x v y v >/dev/null
	while read -r -a words; do
		theirs=$(redis "${words[@]}" 2>&1)
		ours=$(redis-cli -s "$data/kvfs.sock" "${words[@]}" 2>&1)
		same "${words[*]}: $ours" "${words[*]}: $theirs"
		ours=$(redis-cli -s "$data/kvfs.sock" pexpiretime k)
		same "then $ours" "then $(redis pexpiretime k)"
	done <<-COMMANDS
		ttl none
		pttl none
		expiretime none
		pexpiretime none
		persist none
		expire none 10
		exists none
		type none
		del none
		ttl k
		pttl k
		persist k
		type k
		exists k k none d/x
		ttl d
		exists d link
		expire d 10
		del d link
		expire d/x/y 10
		expire /k 10
		ttl d//x
		expireat k 4000000000
		expiretime k
		pexpiretime k
		expireat k 4000000001 nx
		expireat k 4000000000 gt
		expireat k 4000000001 GT
		expireat k 4000000001 lt
		expireat k 4000000000 lt xx
		expireat none 4000000000 lt
		expireat d/x 4000000000 xx
		expireat d/x 4000000000 gt
		expireat d/x 4000000000 lt
		expireat y 4000000000 nx
		pexpireat k 4000000000499
		expiretime k
		pexpireat k 4000000000500
		expiretime k
		persist k
		persist k
		expireat k 4000000000 nx xx
		expireat k 4000000000 gt lt
		expireat k 4000000000 nx gt
		expireat k 4000000000 foo
		expireat k x foo
		expire k x
		expire k 1.5
		expire k 9223372036854775807
		expire k 9223372036854775
		expire k -9223372036854775808
		pexpire k 9223372036854775807
		expire k
		expire
		pexpire
		pexpireat k
		ttl
		ttl k k
		persist
		type k k
		exists
		del
		unlink
		expire d/x -1
		exists d/x
		pexpireat y 0
		exists y
		del k k none
		dbsize
		unlink k
	COMMANDS
	redis_stop
	# What each did to the tree.
	same "$(cd "$mnt" && find . -mindepth 1 | sort)" $'./d\n./link'
	kvfs_remount
	same "$(cd "$mnt" && find . -mindepth 1 | sort)" $'./d\n./link'
}

@test "what a command takes away is gone for a kernel that knew it, and its name is free" {
	kvfs_start "save="
	mkdir "$mnt/d"
	local how
	for how in "del d/k" "unlink d/k" "expire d/k 0" "pexpireat d/k 1"; do
		echo value >"$mnt/d/k"
		[ "$(ls "$mnt/d")" = k ]
		[ "$(cat "$mnt/d/k")" = value ]
		exec 7<"$mnt/d/k"
		[ "$(ctl $how)" = 1 ]
		[ ! -e "$mnt/d/k" ]
		[ "$(ls "$mnt/d")" = "" ]
		[ "$(cat <&7)" = value ]
		exec 7<&-
	done
	# One that only the listing knew.
	echo value >"$mnt/d/k"
	kvfs_remount "save="
	[ "$(find "$mnt/d" -name k | wc -l)" = 1 ]
	[ "$(ctl del d/k)" = 1 ]
	[ "$(ls "$mnt/d")" = "" ]
	rmdir "$mnt/d"
	[ "$(info expired_keys)" = 0 ]
}

@test "a time set on a key that the kernel had for ever: it goes at its time, and not before" {
	kvfs_start "save="
	mkdir "$mnt/d"
	echo value >"$mnt/d/k"
	[ "$(cat "$mnt/d/k")" = value ]
	ls -l "$mnt/d" >/dev/null
	stat "$mnt/d/k" >/dev/null
	local at=$(($(now_ms) + 1500))
	[ "$(ctl pexpireat d/k $at)" = 1 ]
	[ "$(ctl pexpiretime d/k)" = "$at" ]
	goes_at d/k "$at"
	[ "$(ctl pttl d/k)" = -2 ]
	# Shorter than the kernel can count.
	local i
	for i in 1 2 3 4 5 6 7 8 9 10; do
		echo value >"$mnt/d/k"
		at=$(($(now_ms) + i * 5))
		ctl pexpireat d/k "$at"
		goes_at d/k "$at"
	done
	none_there() { [ "$(ls "$mnt/d")" = "" ]; }
	wait_until 10 none_there
}

# The kernel's messages of one kind so far.
asked() { info "fuse_$1"; }

@test "what the kernel keeps of a key with a time: until then, and not what it had before" {
	kvfs_start "save="
	mkdir "$mnt/d"
	echo value >"$mnt/d/k"
	[ -s "$mnt/d/k" ] && [ -s "$mnt/d/k" ]
	local lookups
	lookups=$(asked lookup)
	[ -s "$mnt/d/k" ]
	[ "$(asked lookup)" -eq "$lookups" ]
	ctl expire d/k 3600
	[ -s "$mnt/d/k" ]
	[ "$(asked lookup)" -eq $((lookups + 1)) ]
	[ -s "$mnt/d/k" ]
	[ "$(asked lookup)" -eq $((lookups + 1)) ]
	# An open file's attributes are asked for again too.
	exec 7<"$mnt/d/k"
	[ -s /dev/fd/7 ]
	ctl expire d/k 3600
	local getattrs
	getattrs=$(asked getattr)
	stat -L /dev/fd/7 >/dev/null
	[ "$(asked getattr)" -gt "$getattrs" ]
	exec 7<&-
}

@test "a time that is taken away, or made longer, in time: the key stays" {
	kvfs_start "save="
	echo value >"$mnt/kept"
	echo value >"$mnt/longer"
	echo value >"$mnt/mark"
	[ "$(ctl pexpire kept 1200)" = 1 ]
	[ "$(ctl pexpire longer 1200)" = 1 ]
	cat "$mnt/kept" "$mnt/longer" >/dev/null
	[ "$(ctl persist kept)" = 1 ]
	[ "$(ctl expire longer 1000)" = 1 ]
	[ "$(ctl pexpire mark 1300)" = 1 ]
	wait_until 10 gone "$mnt/mark"
	[ "$(cat "$mnt/kept")" = value ]
	[ "$(cat "$mnt/longer")" = value ]
	[ "$(ctl ttl kept)" = -1 ]
	[ "$(ctl ttl longer)" -gt 900 ]
}

@test "KEY may be a path: absolute, or from the working directory, when it begins with /, ./ or ../" {
	local ctl=$KVFS_BIN/kvfs-ctl
	kvfs_start "save="
	mkdir -p "$mnt/d/e"
	echo v >"$mnt/d/k"
	echo v >"$mnt/d k"
	[ "$("$ctl" expireat "$mnt/d/k" 4000000000)" = 1 ]
	[ "$(ctl expiretime "$mnt/d/k")" = 4000000000 ]
	cd "$mnt/d"
	[ "$("$ctl" expiretime ./k)" = 4000000000 ]
	[ "$(ctl expiretime k)" = -2 ]
	[ "$(ctl expiretime d/k)" = 4000000000 ]
	cd e
	[ "$("$ctl" expiretime ../k)" = 4000000000 ]
	[ "$("$ctl" exists ../k ./../../d\ k "$mnt/d/none" d/k)" = 3 ]
	[ "$("$ctl" ttl ../)" = -2 ]
	cd /
	# Through a symlink to the directory, and through a bind mount of it.
	ln -s "$mnt/d" "$work/short"
	[ "$("$ctl" expiretime "$work/short/k")" = 4000000000 ]
	mkdir "$work/bound"
	mount --bind "$mnt/d" "$work/bound"
	[ "$("$ctl" expiretime "$work/bound/k")" = 4000000000 ]
	umount "$work/bound"
	run "$ctl" ttl /etc/passwd
	[ "$status" -eq 2 ] && [[ $output == *"/etc/passwd: is in no kvfs"* ]]
	run "$ctl" ttl "$mnt/none/k"
	[ "$status" -eq 2 ] && [[ $output == *"No such file or directory"* ]]
	run "$ctl" -s "$data/kvfs.sock" ttl "$mnt/d/k"
	[ "$status" -eq 2 ]
	[ "$("$ctl" -s "$data/kvfs.sock" expiretime d/k)" = 4000000000 ]
}

# ---- what is written to a key with a time ----

# Does each thing that the table in kvfs(8) names, to keys that have a time; prints "KEY kept" or "KEY cleared", as it should be.
write_to_timed_keys() {
	local key at=4000000000
	mkdir "$mnt/w" "$mnt/w/dir"
	for key in overwritten copied-over appended middle beyond cut-to-nothing cut grown chmod chown touched renamed over-this swapped dir/below copied \
		truncated-and-closed read replaced emptied-then-timed; do
		echo "0123456789" >"$mnt/w/$key"
		[ "$(ctl expireat "w/$key" $at)" = 1 ] || return 1
	done
	for key in source plain plain-too new-version; do
		echo "plain" >"$mnt/w/$key"
	done
	(
		cd "$mnt/w" || exit 1
		echo new >overwritten && echo "overwritten cleared"
		cp plain copied-over && echo "copied-over cleared"
		echo more >>appended && echo "appended kept"
		printf xx | dd of=middle bs=1 seek=3 conv=notrunc status=none && echo "middle kept"
		printf xx | dd of=beyond bs=1 seek=30 conv=notrunc status=none && echo "beyond kept"
		truncate -s 0 cut-to-nothing && echo "cut-to-nothing cleared"
		truncate -s 4 cut && echo "cut kept"
		truncate -s 40 grown && echo "grown kept"
		chmod 600 chmod && echo "chmod kept"
		chown 1:1 chown && echo "chown kept"
		touch -d @1000000000 touched && echo "touched kept"
		mv renamed renamed-to && echo "renamed-to kept"
		mv source over-this && echo "over-this cleared"
		mv swapped plain-too && echo "plain-too kept"
		mv dir dir-to && echo "dir-to/below kept"
		cp copied copy && echo "copied kept" && echo "copy cleared"
		: >truncated-and-closed && echo "truncated-and-closed cleared"
		cat read >/dev/null && echo "read kept"
		mv new-version replaced && echo "replaced cleared"
		: >emptied-then-timed && "$KVFS_BIN/kvfs-ctl" expireat ./emptied-then-timed $at >/dev/null && echo "emptied-then-timed kept"
	)
}

# What is so: the same list, from what "$@ pexpiretime KEY" says.
timed_keys() {
	local key word
	while read -r key word; do
		case $("$@" expiretime "w/$key") in
		4000000000) echo "$key kept" ;;
		-1) echo "$key cleared" ;;
		*) echo "$key ?" ;;
		esac
	done <<<"$expected"
}

writes_keep_or_clear() {
	local expected source
	kvfs_start "save=" "appendfsync=$1"
	expected=$(write_to_timed_keys)
	[ "$(wc -l <<<"$expected")" -eq 21 ]
	same "$(timed_keys ctl)" "$expected"
	kvfs_remount "save=" "appendfsync=$1"
	same "$(timed_keys ctl)" "$expected"
	[ "$(cat "$mnt/w/appended")" = $'0123456789\nmore' ]
	kvfs_stop
	# As the commands in the log have it, read by a redis-server.
	redis_start "$data" --appendonly yes
	same "$(timed_keys redis)" "$expected"
	[ "$(redis strlen w/cut) $(redis strlen w/grown) $(redis strlen w/beyond)" = "4 40 32" ]
	redis_stop
}

@test "writes keep or clear the time as the commands of Redis they are" {
	writes_keep_or_clear everysec
}

@test "... in always, where each call is logged by itself" {
	writes_keep_or_clear always
}

@test "exchanged names: each key keeps its own time" {
	kvfs_start "save="
	echo a >"$mnt/a"
	echo b >"$mnt/b"
	ctl expireat a 4000000000
	"$KVTOOL" try exchange "$mnt/a" "$mnt/b"
	[ "$(ctl expiretime a) $(ctl expiretime b) $(cat "$mnt/b")" = "-1 4000000000 a" ]
	kvfs_remount
	[ "$(ctl expiretime a) $(ctl expiretime b) $(cat "$mnt/b")" = "-1 4000000000 a" ]
}

# ---- extended attributes ----

attr() { getfattr --only-values --absolute-names -n user.kvfs.ttl "$1" 2>&1; }

@test "user.kvfs.ttl reads and sets the seconds, where xattr says so" {
	kvfs_start "save=" "xattr=yes"
	echo value >"$mnt/k"
	mkdir "$mnt/d"
	run attr "$mnt/k"
	[ "$status" -ne 0 ] && [[ $output == *"No such attribute"* ]]
	[ "$(getfattr --absolute-names -d "$mnt/k")" = "" ]
	setfattr -n user.kvfs.ttl -v 1000 "$mnt/k"
	local left
	left=$(ctl ttl k)
	[ "$left" -le 1000 ] && [ "$left" -gt 900 ]
	# Rounded up: what was set, until a second has passed.
	ctl pexpire k 7200001
	left=$(attr "$mnt/k")
	[ "$left" -le 7201 ] && [ "$left" -gt 7100 ]
	getfattr --absolute-names -d "$mnt/k" | grep -q '^user.kvfs.ttl="7[12]'
	setfattr -n user.kvfs.ttl -v 4000000 "$mnt/k"
	local at
	at=$(ctl pexpiretime k)
	cp -a "$mnt/k" "$mnt/copy"
	[ "$(ctl ttl copy)" -gt 3900000 ]
	setfattr -x user.kvfs.ttl "$mnt/copy"
	[ "$(ctl ttl copy)" = -1 ]
	run setfattr -x user.kvfs.ttl "$mnt/copy"
	[ "$status" -ne 0 ] && [[ $output == *"No such attribute"* ]]
	# What is refused changes nothing.
	for left in 0 -1 1.5 x "" 99999999999999999 9999999999999999; do
		run setfattr -n user.kvfs.ttl -v "$left" "$mnt/k"
		[ "$status" -ne 0 ] && [[ $output == *"Invalid argument"* ]]
	done
	setfattr -n user.other -v x "$mnt/k"
	[ "$(getfattr --absolute-names -d "$mnt/k" | grep -c '^user')" = 2 ]
	run setfattr -n user.kvfs.ttl -v 10 "$mnt/d"
	[ "$status" -ne 0 ]
	[ "$(ctl pexpiretime k)" = "$at" ]
	[ "$(ctl exists d)" = 0 ]
	kvfs_remount "save=" "xattr=yes"
	[ "$(ctl pexpiretime k)" = "$at" ]
	[ "$(attr "$mnt/k")" -gt 3900000 ]
	# And the end comes.
	[ "$(cat "$mnt/k")" = value ]
	setfattr -n user.kvfs.ttl -v 1 "$mnt/k"
	wait_until 20 gone "$mnt/k"
	[ "$(ctl pttl k)" = -2 ]
}

@test "without xattr the kernel asks once, and a write costs no question" {
	kvfs_start "save="
	echo value >"$mnt/k"
	run setfattr -n user.kvfs.ttl -v 10 "$mnt/k"
	[ "$status" -ne 0 ] && [[ $output == *"not supported"* ]]
	run attr "$mnt/k"
	[ "$status" -ne 0 ]
	[ "$(ctl ttl k)" = -1 ]
	local i asked
	asked=$(info fuse_getxattr)
	for i in 1 2 3 4 5; do echo more >>"$mnt/k"; done
	[ "$(info fuse_getxattr)" = "$asked" ]
	kvfs_remount "save=" "xattr=yes"
	asked=$(info fuse_getxattr)
	for i in 1 2 3 4 5; do echo more >>"$mnt/k"; done
	[ "$(info fuse_getxattr)" -eq $((asked + 5)) ]
}

# setxattr(2) holds the file, unlink(2) its directory and then the file; what tells the kernel of the new end wants the directory.
@test "setting the attribute of a file that comes and goes: nobody waits for anybody for ever" {
	kvfs_start "save=" "xattr=yes" "appendfsync=no"
	timeout -s KILL 100 "$KVTOOL" ttl "$mnt/k" 3000
	[ "$(ls "$mnt")" = "" ]
	echo value >"$mnt/k"
	[ "$(cat "$mnt/k")" = value ]
}

@test "commands and files on the same names at once: what is left is what lasts" {
	local i pids=()
	kvfs_start "save=" "appendfsync=always"
	cd "$mnt"
	{ set +e; for i in {1..60}; do echo v >k; rm -f k; done; } 2>/dev/null &
	pids+=($!)
	{ set +e; for i in {1..60}; do ctl pexpire ./k 1; ctl expire ./j 1000; done; } >/dev/null 2>&1 &
	pids+=($!)
	{ set +e; for i in {1..60}; do ctl del ./k ./j; done; } >/dev/null 2>&1 &
	pids+=($!)
	{ set +e; for i in {1..60}; do echo x >>k; mv k j; ls -l; done; } >/dev/null 2>&1 &
	pids+=($!)
	cd /
	for i in "${pids[@]}"; do
		wait_until 120 _gone "$i"
		wait "$i" || true
	done
	local before
	before=$(ls -l "$mnt")
	kvfs_remount
	same "$(ls -l "$mnt")" "$before"
}

# ---- what lasts ----

@test "a snapshot has each key's time as it was when the snapshot began" {
	local at=$(($(now_ms) + 7200000)) i
	kvfs_start "save=" "rdb-key-save-delay=250000"
	for i in $(seq 12); do
		echo "value $i" >"$mnt/k$i"
		ctl pexpireat "k$i" "$at" >/dev/null
	done
	echo plain >"$mnt/plain"
	ctl bgsave
	for i in 1 2 3; do
		ctl pexpire "k$i" 1 >/dev/null
		ctl persist "k$((i + 3))" >/dev/null
		ctl del "k$((i + 6))" >/dev/null
		echo other >"$mnt/k$((i + 9))"
	done
	ctl expire plain 3600
	wait_until 10 gone "$mnt/k3"
	[ "$(info rdb_bgsave_in_progress)" = 1 ]
	not_saving() { [ "$(info rdb_bgsave_in_progress)" = 0 ]; }
	wait_until 60 not_saving
	kvfs_stop
	redis_start "$data" --appendonly no
	[ "$(redis dbsize)" = 13 ]
	for i in $(seq 12); do
		[ "$(redis pexpiretime "k$i") $(redis get "k$i")" = "$at value $i" ]
	done
	[ "$(redis ttl plain)" = -1 ]
	redis_stop
}

@test "a daemon that dies takes no time with it; what was over meanwhile is gone at the start, and its name is free" {
	local at i
	kvfs_start "save="
	echo value >"$mnt/base"
	echo value >"$mnt/log"
	echo value >"$mnt/far"
	ctl expireat far 4000000000
	at=$(($(now_ms) + 3000))
	ctl pexpireat base "$at"
	ctl bgrewriteaof --wait
	# The log goes on about a key that the base has with a time.
	echo more >>"$mnt/base"
	mv "$mnt/base" "$mnt/moved"
	ctl pexpireat log "$at"
	kvfs_kill9
	is_time() { [ "$(now_ms)" -gt "$at" ]; }
	wait_until 10 is_time
	kvfs_start "save="
	[ "$(ls "$mnt")" = far ]
	[ "$(ctl exists moved log far)" = 1 ]
	[ "$(ctl expiretime far)" = 4000000000 ]
	echo new >"$mnt/log"
	mkdir "$mnt/moved"
	none_over() { [[ $(ctl info keyspace) == *"keys=2,expires=1"* ]]; }
	wait_until 10 none_over
	kvfs_remount "save="
	[ "$(cat "$mnt/log") $(ctl ttl log)" = "new -1" ]
	kvfs_stop
	redis_start "$data" --appendonly yes
	[ "$(redis keys '*' | sort | tr '\n' ' ')" = "far log " ]
	redis_stop
}

@test "a disk that hangs keeps no key" {
	local pid
	kvfs_start "save=" "appendfsync=everysec"
	mkdir "$mnt/d"
	echo value >"$mnt/d/k"
	ls -l "$mnt/d" >/dev/null
	pid=$(kvfs_pid)
	strace -qq -f -e trace=fdatasync -e inject=fdatasync:delay_enter=60000000 -o "$work/trace" -p "$pid" 3>&- 4>&- &
	local tracer=$!
	echo more >>"$mnt/d/k"
	hangs() { [ "$(info aof_pending_bio_fsync)" = 1 ]; }
	wait_until 20 hangs
	ctl pexpire d/k 1000
	wait_until 20 gone "$mnt/d/k"
	none_there() { [ "$(ls "$mnt/d")" = "" ]; }
	wait_until 20 none_there
	wait_until 20 expired 1
	hangs
	kill "$tracer"
	wait "$tracer" || true
}
