#!/usr/bin/env bats
# FIFOs, sockets and devices are what they are on a tmpfs, and so are names of every length and every byte; all of it lasts.
# The same scripts of system calls on a tmpfs and on the mount; then remounts by the log, after kill -9, by a snapshot, by a rewrite.

load lib/kvfs
load lib/posix
setup() { posix_setup; }
teardown() { posix_teardown; }

nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

@test "mknod, mkfifo, bind: the nodes, their attributes and errors" {
	kvfs_start dev
	as_tmpfs <<-'END'
		mkfifo fifo 640
		mknod pipe p 4755 0 0
		mknod sock s 600 0 0
		mknod null c 666 1 3
		mknod disk b 660 259 1048575
		mknod far c 600 4095 3
		mknod plain f 644 0 0
		mknod dir d 755 0 0
		mknod none l 777 0 0
		stat fifo
		stat pipe
		stat sock
		stat null
		stat disk
		stat far
		stat plain
		mkfifo fifo 600
		mkfifo none/fifo 600
		mkfifo plain/fifo 600
		readlink fifo
		truncate fifo 0
		truncate null 3
		rmdir fifo
		list fifo
		open fifo w,nonblock
		open sock r
		open far r
		chmod fifo 4777
		chown fifo 7 8
		stat fifo
		utime null 5.5 6.7
		when null
		rename fifo null
		stat null
		rename null dir
		mkdir sub 755
		rename null sub
		rename sub null
		rename null sub/null
		list sub
		unlink sub/null
		bind server
		stat server
		bind server
		connect server
		connect pipe
		connect plain
		chmod sub 2755
		chown sub 0 9
		chmod sub 2755
		mkfifo sub/f 644
		stat sub/f
	END
}

@test "devices work with -o dev, and can't be made without it; never by others than root" {
	kvfs_start
	[ "$("$KVTOOL" try mkfifo "$mnt/fifo")" = ok ]
	run mknod "$mnt/null" c 1 3
	[ "$status" -ne 0 ] && [[ $output == *"Operation not permitted"* ]]
	[ ! -e "$mnt/null" ]
	kvfs_remount dev
	chmod 777 "$mnt"
	mknod -m 666 "$mnt/null" c 1 3
	mknod -m 666 "$mnt/zero" c 1 5
	echo gone >"$mnt/null"
	[ "$(head -c 3 "$mnt/zero" | od -An -tx1)" = " 00 00 00" ]
	run nobody mknod "$mnt/mine" c 1 3
	[ "$status" -ne 0 ]
	nobody mkfifo "$mnt/theirs"
	[ "$(stat -c '%F %u' "$mnt/theirs")" = "fifo 65534" ]
	# Made before, they stay, and the kernel opens none.
	kvfs_remount
	[ "$(stat -c '%F %t,%T' "$mnt/zero")" = "character special file 1,5" ]
	run head -c 1 "$mnt/zero"
	[ "$status" -ne 0 ]
}

@test "a FIFO carries bytes between processes, a socket serves" {
	kvfs_start
	mkfifo "$mnt/fifo"
	seq 20000 >"$mnt/fifo" 3>&- 4>&- &
	[ "$(md5sum <"$mnt/fifo")" = "$(seq 20000 | md5sum)" ]
	wait $!
	# The control socket of another keyspace, served through this one.
	mkdir "$mnt/data" "$work/other"
	kvfs_run -o "logfile=$work/other.log,journal-dir=" "$mnt/data" "$work/other"
	[ "$(redis-cli -s "$mnt/data/kvfs.sock" ping)" = PONG ]
	"$KVFS_BIN/kvfs-ctl" -m "$work/other" umount
	[ ! -e "$mnt/data/kvfs.sock" ]
}

make_nodes() {
	mkdir "$mnt/d"
	mkfifo "$mnt/d/fifo"
	mknod "$mnt/char" c 4095 1048575
	mknod -m 60 "$mnt/block" b 8 1
	"$POSIXTOOL" "$mnt" >/dev/null <<-'END'
		mknod d/sock s 4711 0 0
		chown d/sock 5 6
		lutime d/sock 1.5 -7.25
		mkfifo gone 600
		mkfifo old 600
		rename old d/moved
		creat d/new 644
		write d/new 0 x
		creat replaced 644
		rename d/moved replaced
		chmod replaced 7777
		unlink gone
		link d/sock again
	END
	mkdir "$mnt/e"
	mv "$mnt/d" "$mnt/e/d"
}

@test "all of them last: by the log, after kill -9, by both kinds of base, by a snapshot" {
	kvfs_start dev "save=" appendfsync=always
	make_nodes
	before=$(everything)
	[ "$(info kvfs_specials)" = 6 ]
	kvfs_kill9
	kvfs_start "save="
	same "$before" "$(everything)"
	[ "$(info kvfs_specials)" = 6 ]
	local preamble
	for preamble in yes no; do
		kvfs_remount "save=" aof-use-rdb-preamble=$preamble
		ctl bgrewriteaof
		wait_until 30 eval '[ "$(info aof_rewrite_in_progress)" = 0 ]'
		kvfs_remount "save="
		same "$before" "$(everything)"
	done
	ctl save
	kvfs_stop
	"$KVFS_BIN/kvfs-ctl" check "$data" >"$work/checked"
	grep -q '6 special files' "$work/checked"
	redis-check-aof "$data/appendonlydir/appendonly.aof.manifest" >/dev/null
	view "$data"
	same "$before" "$(mnt=$then everything)"
	unview
	redis_start "$data" --appendonly yes
	[ "$(redis keys '*')" = e/d/new ]
	redis_stop
	kvfs_start appendonly=no
	same "$before" "$(everything)"
}

@test "names: every byte, 255 of them; targets of 4095; ELOOP" {
	kvfs_start
	as_tmpfs < <(
		all=
		for i in $(seq 1 255); do
			[ "$i" = 47 ] || all+=$(printf '\\x%02x' "$i")
		done
		printf 'creat %s 644\nread %s\nlist .\n' "$all" "$all"
		cat <<-'END'
			creat n{255} 644
			creat n{256} 644
			stat n{255}
			stat n{256}
			mkdir m{255} 755
			mkdir m{256} 755
			mkfifo p{256} 644
			symlink t s{256}
			rename n{255} m{255}/r{255}
			rename m{255}/r{255} r{256}
			unlink r{256}
			rmdir r{256}
			open n{1100} r
			creat n{1100} 644
			link m{255}/r{255} l{256}
			symlink t{4095} long
			symlink t{4096} longer
			readlink long
			stat long
			symlink loop loop
			open loop r
			stat loop
			read loop
			symlink a b
			symlink b a
			open a/x r
			unlink a
			stat .//m{255}/./../m{255}
		END
	)
	kvfs_remount
	ls -A "$mnt/1" | LC_ALL=C sort | cmp - <(ls -A "$work/tmpfs/1" | LC_ALL=C sort)
}

@test "a path of PATH_MAX, and deeper by steps from directory to directory" {
	kvfs_start
	as_tmpfs < <(
		for i in $(seq 20); do
			printf 'mkdir d{200} 755\ncd d{200}\n'
		done
		printf 'creat deep 640\nstat deep\nwrite deep 0 bottom\nread deep\n'
	)
	as_tmpfs <<-'END'
		creat ././././././././././././././a{255} 644
		open /{4094} r,directory
		open /{4096} r,directory
	END
	before=$(cd "$mnt/1" && find . | md5sum)
	kvfs_remount
	[ "$(cd "$mnt/1" && find . | md5sum)" = "$before" ]
	[ "$(find "$mnt/1" -name deep -execdir cat {} \;)" = bottom ]
}
