#!/usr/bin/env bats
# Extended attributes are kept, for whoever may have them, and last as long as their file.
# By the same calls on a tmpfs, and by rsync, tar, cp and file capabilities; after each way to start again.

load lib/kvfs

setup() {
	kvfs_setup
	mkdir "$work/tmpfs"
	mount -t tmpfs -o mode=755 tmpfs "$work/tmpfs"
}

teardown() {
	umount "$work/tmpfs"
	kvfs_teardown
}

nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

# Everything below DIR that getfattr sees.
attributes() {
	(cd "$1" && getfattr --recursive --physical --no-dereference --dump --match=- --encoding=hex . | sed '/^# file/!b' | awk '
		BEGIN { RS = ""; FS = "\n" }
		{ n = 0; for (i = 2; i <= NF; i++) line[n++] = $i; for (i = 0; i < n; i++) for (j = i + 1; j < n; j++) if (line[j] < line[i]) { t = line[i]; line[i] = line[j]; line[j] = t }
		  for (i = 0; i < n; i++) print $1 ": " line[i] }' | LC_ALL=C sort)
}

# say CALL...: the call and what came of it.
say() { echo "$*: $("$KVTOOL" try "$@")"; }
say_nobody() { echo "nobody $*: $(nobody "$KVTOOL" try "$@")"; }

every_call() {
	local name size
	cd "$1"
	umask 022
	echo v >f
	mkdir d
	ln -s f l
	mkfifo p
	for name in user.a trusted.a security.a system.a other.a noprefix user. trusted. user; do
		for file in f d l p; do
			say setxattr $file $name 3 0
			say getxattr $file $name 100
			say_nobody setxattr $file $name 3 0
			say_nobody getxattr $file $name 100
			say_nobody removexattr $file $name
		done
	done
	say getxattr f user.a 2
	say getxattr f user.a 0
	say setxattr f user.a 1 1
	say setxattr f user.b 1 2
	say setxattr f user.b 1 1
	say setxattr f user.b 0 2
	say setxattr f user.b 1 4
	say removexattr f user.none
	say getxattr f user.none 0
	say getxattr none user.a 0
	for size in 250 251; do
		name=$(printf 'n%.0s' $(seq $size))
		say setxattr f user.$name 1 0
		say removexattr f user.$name
	done
	say setxattr f user.big 65536 0
	say setxattr f user.big 65537 0
	# Somebody else's file, and one's own; one that may not be read or written.
	install -o 65534 -g 65534 -m 600 /dev/null theirs
	install -o 65534 -g 65534 -m 400 /dev/null readable
	install -m 600 /dev/null hidden
	for name in theirs readable hidden; do
		say_nobody setxattr $name user.x 1 0
		say_nobody getxattr $name user.x 10
		say setxattr $name user.x 1 0
	done
	getfattr -d -m - f d l theirs hidden -h | LC_ALL=C sort
	nobody getfattr -d -m - f d theirs | LC_ALL=C sort
	chmod 755 f
	setcap cap_net_raw+ep f && getcap f
	echo more >>f
	getcap f
	setcap cap_net_raw+ep f
	chown 1:1 f
	getcap f
	cd /
}

@test "each call says what it says on a tmpfs, to root and to others" {
	kvfs_start "save=" "xattr=yes"
	every_call "$work/tmpfs" >"$work/want" 2>&1
	every_call "$mnt" >"$work/got" 2>&1
	[ "$(grep -c 'ok$' "$work/want")" -gt 30 ]
	grep -q 'cap_net_raw' "$work/want"
	diff "$work/want" "$work/got"
	same "$(attributes "$mnt")" "$(attributes "$work/tmpfs")"
}

@test "the time of the change moves, the others stay" {
	kvfs_start "save=" "xattr=yes"
	echo v >"$mnt/f"
	touch -d 2001-01-01 "$mnt/f"
	local before
	before=$(stat -c '%x %y %s' "$mnt/f") changed=$(stat -c %z "$mnt/f")
	setfattr -n user.a -v 1 "$mnt/f"
	[ "$(stat -c '%x %y %s' "$mnt/f")" = "$before" ]
	[ "$(stat -c %z "$mnt/f")" != "$changed" ]
	changed=$(stat -c %z "$mnt/f")
	setfattr -x user.a "$mnt/f"
	[ "$(stat -c %z "$mnt/f")" != "$changed" ]
}

build() {
	cd "$1"
	mkdir -p d/sub
	echo value >d/file
	echo value >d/other
	ln -s file d/link
	setfattr -n user.one -v "value of one" d/file
	setfattr -n user.two -v 0x000102ff0d0a00 d/file
	setfattr -n user.empty d/file
	setfattr -n user.of-a-directory -v x d/sub
	setfattr -n user.root -v r .
	setfattr -h -n trusted.of-a-link -v l d/link
	setfattr -n security.thing -v s d/other
	mkfifo d/fifo
	setfattr -n trusted.of-a-fifo -v f d/fifo
	setfattr -n user.large -v "$(head -c 40000 /dev/zero | tr '\0' L)" d/other
	setfattr -n user.gone -v g d/other
	setfattr -x user.gone d/other
	cd /
}

@test "they last: by the log, after kill -9, by a snapshot, by both bases of a rewrite; and redis-server loads all of it" {
	local preamble want
	kvfs_start "save=" "xattr=yes"
	build "$mnt"
	want=$(attributes "$mnt")
	[ "$(wc -l <<<"$want")" -eq 9 ]
	kvfs_remount "save=" "xattr=yes"
	same "$(attributes "$mnt")" "$want"
	setfattr -n user.late -v l "$mnt/d/file"
	want=$(attributes "$mnt")
	kvfs_kill9
	kvfs_start "save=" "xattr=yes"
	same "$(attributes "$mnt")" "$want"
	for preamble in yes no; do
		ctl config set aof-use-rdb-preamble $preamble
		ctl bgrewriteaof --wait
		setfattr -n user.preamble -v $preamble "$mnt/d/file"
		want=$(attributes "$mnt")
		kvfs_remount "save=" "xattr=yes"
		same "$(attributes "$mnt")" "$want"
		# Mounted without them, they stay.
		kvfs_remount "save="
		echo more >>"$mnt/d/other"
		[ "$("$KVTOOL" try getxattr "$mnt/d/file" user.one 100)" = EOPNOTSUPP ]
		kvfs_remount "save=" "xattr=yes"
		same "$(attributes "$mnt")" "$want"
	done
	ctl bgsave --wait
	kvfs_stop
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest"
	redis-check-rdb "$data/dump.rdb"
	"$KVFS_BIN/kvfs-ctl" check "$data"
	redis_start "$data" --appendonly yes
	same "$(redis --raw keys '*' | LC_ALL=C sort)" "$(printf 'd/file\nd/other')"
	redis_stop
	view "$data/dump.rdb" "xattr=yes"
	same "$(attributes "$then")" "$want"
	unview
	rm -r "$data/appendonlydir"
	redis_start "$data" --appendonly no
	[ "$(redis get d/file)" = value ]
	redis_stop
	kvfs_start "xattr=yes"
	same "$(attributes "$mnt")" "$want"
}

@test "a name that moves takes them along; a file written anew by Redis keeps them" {
	kvfs_start "save=" "xattr=yes"
	echo a >"$mnt/a"
	echo b >"$mnt/b"
	setfattr -n user.of -v a "$mnt/a"
	setfattr -n user.of -v b "$mnt/b"
	mv "$mnt/a" "$mnt/b"
	[ "$(getfattr --only-values -n user.of "$mnt/b")" = a ]
	: >"$mnt/b"
	[ "$(getfattr --only-values -n user.of "$mnt/b")" = a ]
	kvfs_stop
	redis_start "$data" --appendonly yes
	redis set b "by redis"
	redis_stop
	kvfs_start "save=" "xattr=yes"
	[ "$(cat "$mnt/b")" = "by redis" ]
	[ "$(getfattr --only-values -n user.of "$mnt/b")" = a ]
}

@test "rsync -X, tar --xattrs and cp -a take them along" {
	kvfs_start "save=" "xattr=yes"
	mkdir "$work/tmpfs/from" "$mnt/rsync" "$mnt/tar" "$mnt/cp"
	build "$work/tmpfs/from"
	local want
	want=$(attributes "$work/tmpfs/from")
	rsync -aX "$work/tmpfs/from/" "$mnt/rsync/"
	same "$(attributes "$mnt/rsync")" "$want"
	tar -C "$work/tmpfs/from" --xattrs --xattrs-include='*' -cf - . | tar -C "$mnt/tar" --xattrs --xattrs-include='*' -xf -
	same "$(attributes "$mnt/tar")" "$want"
	cp -a "$work/tmpfs/from/." "$mnt/cp"
	same "$(attributes "$mnt/cp")" "$want"
	mkdir "$work/tmpfs/back"
	rsync -aX "$mnt/rsync/" "$work/tmpfs/back/"
	same "$(attributes "$work/tmpfs/back")" "$want"
}

@test "what they take counts for maxmemory, and taking them away is always possible" {
	local n said
	kvfs_start "save=" "xattr=yes" "maxmemory=1mb"
	echo v >"$mnt/f"
	for n in $(seq 16); do
		said=$("$KVTOOL" try setxattr "$mnt/f" user.$n 60000 0)
		[ "$said" = ok ] || break
	done
	[ "$said" = ENOSPC ] && [ "$n" -gt 2 ]
	[ "$("$KVTOOL" try removexattr "$mnt/f" user.1)" = ok ]
	[ "$("$KVTOOL" try setxattr "$mnt/f" user.$n 60000 0)" = ok ]
}
