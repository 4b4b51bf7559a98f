#!/usr/bin/env bats
# A file may have several names: each is the file, as on a tmpfs, and a key of Redis with the value.  By the same commands on a tmpfs and on the
# mount, whose output must be the same; by every way to start again; by redis-server, which changes one of the keys; by clients that keep links.

load lib/kvfs
setup() { kvfs_setup && model=$work/model; }
teardown() {
	if is_mounted "${model:-/none}"; then umount "$model"; fi
	kvfs_teardown
}

try() { "$KVTOOL" try "$@"; }

# What is below the current directory: type, links, which are one file, content.
look() {
	local path first
	declare -A seen
	find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort | while read -r path; do
		first=${seen[$(stat -c %i "$path")]:=$path}
		printf '%s %s =%s %s\n' "$path" "$(stat -c '%F %h' "$path")" "$first" "$(readlink "$path" || { [ ! -f "$path" ] || tr '\0' 0 <"$path"; })"
	done
}

# Everything one does with links, with what comes of it.
use_links() {
	cd "$1" || return
	mkdir d e
	echo one >a
	ln a b && ln b d/c && look
	echo two >>d/c && look
	echo short >b && look
	truncate -s 9 a && od -c d/c
	chmod 640 d/c && stat -c '%a %h' a b
	touch -d @7 b && stat -c %Y a
	rm a && look
	mv b e/b && look
	ln d/c a && rm d/c && look
	echo other >x && mv x a && look
	ln a y && try rename a y && look
	try exchange a y && try exchange a e/b && look
	try noreplace a y
	ln -s target link && ln -P link link2 && rm link && look
	mv link2 d/link3 && look
	mkfifo fifo && ln fifo d/fifo && rm fifo && ln d/fifo fifo && look
	try link d dir
	try link a y
	try link nothing z
	try link a nowhere/z
	exec 5>late && ln late later && rm late && echo 'by a descriptor' >&5 && exec 5>&- && look
	exec 5>gone && rm gone && ln -L /proc/self/fd/5 back
	exec 5>&-
	rm -r d && look
	ln y e/y && rm -r e && look
}

@test "links do what they do on a tmpfs" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	mkdir "$model"
	mount -t tmpfs links "$model" || skip "no tmpfs"
	kvfs_start "save="
	(set +e; use_links "$model") >"$work/want" 2>&1
	(set +e; use_links "$mnt") >"$work/got" 2>&1
	sed -i "s|$model||" "$work/want"
	sed -i "s|$mnt||" "$work/got"
	[ "$(wc -l <"$work/want")" -gt 80 ]
	diff "$work/want" "$work/got" | head -n 20
	cmp "$work/want" "$work/got"
}

@test "ctime moves with each name that comes or goes, and cached attributes follow" {
	local was now step
	kvfs_start
	cd "$mnt"
	echo v >kept
	echo o >other
	for step in 'ln kept a' 'ln kept b' 'rm a' 'mv b c' 'mv other c'; do
		was=$(stat -c %z kept)
		$step
		now=$(stat -c %z kept)
		[[ $now > $was ]]
	done
	[ "$(stat -c %h kept)" = 1 ]
	cd - >/dev/null
}

build() {
	cd "$mnt"
	mkdir d
	echo one >a
	ln a d/b
	ln d/b c
	ln -s target s
	ln s d/s2
	mkfifo f
	ln f d/f2
	head -c 100000 /dev/zero | tr '\0' x >large
	ln large d/large2
	echo end >>d/large2
	echo two >a2
	ln a2 gone && rm gone
	ln a2 d/second && rm a2
	cd - >/dev/null
}

# keeps HOW ARG...: HOW starts the daemon again, and nothing is different.
keeps() {
	(cd "$mnt" && look && stat -c '%n %z %y %a' ./* d/*) >"$work/before"
	"$@"
	(cd "$mnt" && look && stat -c '%n %z %y %a' ./* d/*) >"$work/after"
	diff "$work/before" "$work/after"
}

killed() { expect_warning "$mnt" && kvfs_kill9 && kvfs_start "$@"; }
rewritten() { ctl bgrewriteaof --wait && kvfs_remount "$@"; }
from_snapshot() { ctl bgsave --wait && kvfs_stop && rm -r "$data/appendonlydir" && kvfs_start "$@"; }

@test "they are there after a remount, a kill, a rewrite of either kind, and from the snapshot" {
	local options=("save=")
	kvfs_start "${options[@]}"
	build
	[ "$(stat -c %h "$mnt/a")" = 3 ]
	[ "$(stat -c %h "$mnt/s" "$mnt/f")" = 2$'\n'2 ]
	keeps killed "${options[@]}"
	keeps rewritten "${options[@]}"
	keeps kvfs_remount "${options[@]}" aof-use-rdb-preamble=no
	keeps rewritten "${options[@]}" aof-use-rdb-preamble=no
	keeps from_snapshot "${options[@]}"
	echo three >"$mnt/c"
	[ "$(cat "$mnt/a" "$mnt/d/b")" = "three"$'\n'"three" ]
	ctl backup "$work/backup"
	view "$work/backup"
	[ "$(stat -c %h "$then/a" "$then/s" "$then/large")" = 3$'\n'2$'\n'2 ]
	unview
}

held() { for key; do echo "$(redis get "$key")"; done; }

@test "redis-server has each name as a key, from the log and from the snapshot; what it changes is of one name" {
	kvfs_start "save="
	build
	echo four >"$mnt/d/b"
	ctl bgsave --wait
	kvfs_stop
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
	redis_start "$data" --appendonly no
	[ "$(redis dbsize)" = 6 ]
	[ "$(redis eval "return {redis.call('get', 'a'), redis.call('get', 'c')}" 0)" = $'four\n\nfour' ]
	redis_stop
	redis_start "$data" --appendonly yes
	[ "$(redis dbsize)" = 6 ]
	[ "$(held a d/b c)" = $'four\nfour\nfour' ]
	[ "$(redis strlen large)" = 100004 ]
	[ "$(redis strlen d/large2)" = 100004 ]
	redis append c ' and one' >/dev/null
	redis pexpireat d/large2 4000000000000 >/dev/null
	redis_stop
	kvfs_start "save="
	[ "$(cat "$mnt/a")" = four ]
	[ "$(stat -c %h "$mnt/a")" = 2 ]
	[ "$(stat -c %h "$mnt/c")" = 1 ]
	[ "$(cat "$mnt/c")" = 'four'$'\n'' and one' ]
	[ "$(stat -c %h "$mnt/large")" = 1 ]
	[ "$(ctl pexpiretime d/large2) $(ctl pexpiretime large)" = '4000000000000 -1' ]
	[ "$(info db0)" = keys=6,expires=1,avg_ttl=0 ] || info db0 | grep -q 'keys=6,expires=1'
}

gone() { [ ! -e "$mnt/a" ] && [ ! -e "$mnt/d/b" ] && [ ! -e "$mnt/c" ]; }

@test "a time to live is of all names, which go together; DEL takes one" {
	kvfs_start
	build
	ctl pexpireat d/b 4000000000000
	[ "$(ctl pexpiretime a) $(ctl pexpiretime c)" = '4000000000000 4000000000000' ]
	[ "$(ctl del c)" = 1 ]
	[ ! -e "$mnt/c" ]
	[ "$(stat -c %h "$mnt/a")" = 2 ]
	ln "$mnt/a" "$mnt/c"
	kvfs_remount
	[ "$(stat -c %h "$mnt/a" "$mnt/d/b" "$mnt/c")" = 3$'\n'3$'\n'3 ]
	ctl pexpire a 1
	wait_until 10 gone
	[ "$(ls -A "$mnt" "$mnt/d" | grep -cxE 'a|b|c')" = 0 ]
	kvfs_remount
	gone
}

@test "as many names as there may be, in one batch each" {
	kvfs_start "save="
	echo v >"$mnt/k"
	(cd "$mnt" && for i in $(seq 1023); do echo k; echo "n$i"; done | xargs -n 2 ln)
	[ "$(stat -c %h "$mnt/k")" = 1024 ]
	[ "$(try link "$mnt/k" "$mnt/more")" = EMLINK ]
	echo w >"$mnt/n77"
	kvfs_remount "save="
	[ "$(cat "$mnt/n1023")" = w ]
	(cd "$mnt" && rm k n*)
	[ "$(ctl dbsize)" = 0 ]
}

@test "cp -al, tar, rsync -H and git clone --local keep them" {
	kvfs_start
	build
	cp -al "$mnt/d" "$mnt/copied"
	[ "$(stat -c %i "$mnt/copied/b")" = "$(stat -c %i "$mnt/a")" ]
	tar -C "$mnt" -cf - a c d | tar -C "$work" -xf -
	[ "$(stat -c %i "$work/a")" = "$(stat -c %i "$work/d/b")" ]
	mkdir "$mnt/extracted"
	tar -C "$work" -cf - a c d | tar -C "$mnt/extracted" -xf -
	[ "$(stat -c %h "$mnt/extracted/a")" = 3 ]
	if command -v rsync >/dev/null; then
		rsync -aH "$mnt/extracted/" "$mnt/synced/"
		[ "$(stat -c %h "$mnt/synced/c")" = 3 ]
	fi
	if command -v git >/dev/null; then
		git init -q "$mnt/repository"
		git -C "$mnt/repository" -c user.name=t -c user.email=t@t commit -q --allow-empty -m one
		git clone -q --local "$mnt/repository" "$mnt/clone"
		git -C "$mnt/clone" fsck --strict
		[ "$(find "$mnt/clone/.git/objects" -type f -links 2 | wc -l)" -gt 0 ]
	fi
}
