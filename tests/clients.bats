#!/usr/bin/env bats
# Programs that know nothing of kvfs work on it, and what they left is whole after a remount.
# git, tar, rsync, sqlite3 (WAL mode) and cp, each checked by its own means; hard links and extended attributes come along.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

make_repository() {
	git init -q "$1"
	cd "$1"
	git config user.email test@example.org
	git config user.name test
	local i
	for i in 1 2 3; do
		mkdir -p "dir$i"
		head -c 20000 /dev/urandom >"dir$i/binary"
		echo "text $i" >text
		git add .
		git commit -q -m "commit $i"
	done
	cd - >/dev/null
}

@test "git: init, commit, clone, gc, fsck" {
	kvfs_start
	make_repository "$work/source"
	git clone -q "$work/source" "$mnt/clone"
	git clone -q "$mnt/clone" "$mnt/second"
	make_repository "$mnt/own"
	git -C "$mnt/clone" gc -q
	kvfs_remount
	local one
	for one in clone second own; do
		git -C "$mnt/$one" fsck --strict
		[ -z "$(git -C "$mnt/$one" status --porcelain)" ]
	done
	[ "$(git -C "$mnt/second" rev-parse HEAD)" = "$(git -C "$work/source" rev-parse HEAD)" ]
	[ "$(git -C "$mnt/own" rev-list --count HEAD)" = 3 ]
}

make_tree() {
	mkdir -p "$1/a/b" "$1/empty"
	head -c 2000000 /dev/urandom >"$1/a/binary"
	seq 1000 >"$1/a/b/lines"
	ln -s b/lines "$1/a/link"
	ln "$1/a/b/lines" "$1/a/hard"
	chmod 640 "$1/a/binary"
	touch -d '2001-02-03 04:05:06.789012345 UTC' "$1/a/b/lines" "$1/empty"
}

@test "tar: extracts and compares" {
	kvfs_start
	make_tree "$work/source"
	tar -C "$work" -cf "$work/source.tar" source
	tar -C "$mnt" -xpf "$work/source.tar"
	kvfs_remount
	tar -C "$mnt" --compare -f "$work/source.tar"
	tar -C "$mnt" -cf "$work/back.tar" source
	mkdir "$work/back"
	tar -C "$work/back" -xpf "$work/back.tar"
	diff -r --no-dereference "$work/source" "$work/back/source"
	[ "$mnt/source/a/hard" -ef "$mnt/source/a/b/lines" ]
	[ "$work/back/source/a/hard" -ef "$work/back/source/a/b/lines" ]
}

@test "rsync -aHX: a second run has nothing to do" {
	kvfs_start xattr=yes
	make_tree "$work/source"
	local rsync="rsync -aHX --modify-window=-1"  # compares nanoseconds
	$rsync "$work/source/" "$mnt/copy/"
	setfattr -n user.note -v kept "$mnt/copy/a/hard"
	$rsync "$mnt/copy/" "$mnt/again/"
	kvfs_remount xattr=yes
	[ "$mnt/again/a/hard" -ef "$mnt/again/a/b/lines" ]
	[ "$(getfattr --only-values --absolute-names -n user.note "$mnt/again/a/b/lines")" = kept ]
	[ -z "$($rsync --itemize-changes --delete "$mnt/copy/" "$mnt/again/")" ]
	setfattr -x user.note "$mnt/copy/a/hard"
	[ -z "$($rsync --checksum --itemize-changes --delete "$work/source/" "$mnt/copy/")" ]
	same "$(manifest "$work/source")" "$(manifest "$mnt/copy")"
	echo more >>"$work/source/a/b/lines"
	rm "$work/source/a/link"
	$rsync --delete "$work/source/" "$mnt/copy/"
	kvfs_remount
	same "$(manifest "$work/source")" "$(manifest "$mnt/copy")"
}

@test "sqlite3: transactions in WAL mode" {
	kvfs_start
	sqlite3 "$mnt/db" 'PRAGMA journal_mode=WAL; CREATE TABLE t(i INTEGER PRIMARY KEY, v TEXT);' | grep -qx wal
	{
		echo 'BEGIN;'
		for i in $(seq 500); do
			echo "INSERT INTO t VALUES($i, 'value $i');"
		done
		echo 'COMMIT;'
	} | sqlite3 "$mnt/db"
	sqlite3 "$mnt/db" 'BEGIN; DELETE FROM t WHERE i > 400; ROLLBACK;'
	[ "$(sqlite3 "$mnt/db" 'SELECT count(*), sum(i) FROM t; PRAGMA integrity_check;')" = $'500|125250\nok' ]
	kvfs_remount
	[ "$(sqlite3 "$mnt/db" 'SELECT count(*), sum(i) FROM t; PRAGMA integrity_check;')" = $'500|125250\nok' ]
}

@test "sqlite3: what was committed survives kill -9, in WAL and in rollback mode" {
	kvfs_start
	local mode i
	for mode in wal delete; do
		sqlite3 "$mnt/$mode.db" "PRAGMA journal_mode=$mode; CREATE TABLE t(i INTEGER);" >/dev/null
		for i in $(seq 20); do
			sqlite3 "$mnt/$mode.db" "INSERT INTO t VALUES($i);"
		done
	done
	kvfs_kill9
	kvfs_start
	for mode in wal delete; do
		[ "$(sqlite3 "$mnt/$mode.db" 'SELECT count(*), sum(i) FROM t; PRAGMA integrity_check;')" = $'20|210\nok' ]
	done
}

@test "cp -a and a compiler" {
	kvfs_start
	make_tree "$work/source"
	cp -a "$work/source" "$mnt/source"
	diff -r --no-dereference "$work/source" "$mnt/source"
	[ "$mnt/source/a/hard" -ef "$mnt/source/a/b/lines" ]
	cp -al "$mnt/source" "$mnt/linked"
	[ "$(stat -c %h "$mnt/linked/a/binary" "$mnt/linked/a/hard" | xargs)" = "2 4" ]
	printf '#include <stdio.h>\nint main(void)\n{\n\treturn puts("built here") < 0;\n}\n' >"$mnt/main.c"
	gcc -g -o "$mnt/main" "$mnt/main.c"
	[ "$("$mnt/main")" = "built here" ]
	kvfs_remount
	[ "$("$mnt/main")" = "built here" ]
	[ "$(stat -c %h "$mnt/linked/a/binary" "$mnt/linked/a/hard" | xargs)" = "2 4" ]
}
