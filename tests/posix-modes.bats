#!/usr/bin/env bats
# Permission bits, owners and the directories' special bits mean what they mean on a tmpfs, for root and for others; all of it lasts.
# The same scripts of system calls on a tmpfs and on the mount, with the effective user changed on the way.

load lib/kvfs
load lib/posix
setup() { posix_setup; }
teardown() { posix_teardown; }

@test "setgid directories: what is made in them, by members and others" {
	kvfs_start
	as_tmpfs <<-'END'
		mkdir d 777
		chown d 3 77
		chmod d 2777
		umask 0
		creat d/k 644
		mkdir d/s 755
		mkfifo d/p 644
		symlink x d/l
		creat d/sg 2755
		creat d/suid 4711
		mknod d/sock s 2711 0 0
		stat d/k
		stat d/s
		stat d/p
		stat d/l
		stat d/sg
		stat d/suid
		stat d/sock
		mkdir d/s/t 700
		stat d/s/t
		as 1000 1000
		creat d/theirs 2755
		creat d/nox 2644
		mkdir d/dir 2755
		stat d/theirs
		stat d/nox
		stat d/dir
		chmod d/theirs 2755
		stat d/theirs
		chmod d/nox 6755
		stat d/nox
		as 1000 1000 77
		creat d/member 2755
		stat d/member
		chmod d/member 2711
		stat d/member
		chown d/member -1 77
		chown d/member -1 78
		chown d/member 1001 -1
		stat d/member
		as 0 0
		mkdir plain 755
		chmod plain 2755
		chmod plain 755
		stat plain
		rename plain d/plain
		stat d/plain
	END
	before=$(everything)
	kvfs_remount
	same "$before" "$(everything)"
}

@test "setuid and setgid go when others write, truncate or chown" {
	kvfs_start
	as_tmpfs <<-'END'
		umask 0
		creat k 666
		chmod k 6777
		append k root
		stat k
		chown k 0 0
		stat k
		chmod k 6777
		chown k -1 -1
		stat k
		as 1000 1000
		append k x
		stat k
		as 0 0
		chmod k 6777
		as 1000 1000
		truncate k 1
		stat k
		as 0 0
		chmod k 6777
		as 1000 1000
		open k w,trunc
		stat k
		as 0 0
		chmod k 4755
		chown k 1000 1000
		stat k
		chmod k 6750
		chown k 1000 1001
		stat k
		chmod k 2750
		as 1000 1000
		chown k -1 1000
		stat k
		as 0 0
		mkdir d 755
		chmod d 6755
		chown d 1000 1000
		stat d
		chmod k 7777
		stat k
		as 1000 1000
		hold k rw
		fwrite more
		fstat
		fchmod 4711
		fstat
		ftruncate 1
		fstat
		fchown -1 1000
		fstat
		release
	END
}

@test "sticky directories, permissions on the way, owners: EPERM and EACCES where they belong" {
	kvfs_start
	as_tmpfs <<-'END'
		umask 0
		mkdir tmp 777
		chmod tmp 1777
		mkdir closed 700
		creat closed/k 666
		mkdir list 744
		creat list/k 666
		mkdir walk 711
		creat walk/k 640
		mkdir read 755
		creat read/k 644
		creat tmp/roots 666
		as 1000 1000
		creat tmp/theirs 644
		mkdir tmp/dir 777
		as 1001 1001
		unlink tmp/theirs
		rename tmp/theirs tmp/mine
		rmdir tmp/dir
		creat tmp/mine 644
		rename tmp/mine tmp/theirs
		rename tmp/mine tmp/dir/mine
		rename tmp/dir/mine tmp/back
		unlink tmp/roots
		write tmp/roots 0 x
		read closed/k
		list closed
		stat closed/k
		list list
		read list/k
		stat list/k
		read walk/k
		list walk
		creat walk/new 644
		creat read/new 644
		mkdir read/new 755
		mkfifo read/new 644
		symlink x read/new
		mknod tmp/dev c 600 1 3
		unlink read/k
		rename read/k tmp/k
		rename tmp/back read/k
		write read/k 0 x
		truncate read/k 0
		open read/k w,trunc
		chmod read/k 777
		chown read/k 1001 -1
		chown tmp/back -1 1000
		chown tmp/back -1 1001
		chmod tmp/back 0
		read tmp/back
		access tmp/back 4
		access read/k 2
		access read/k 4
		access read 2
		as 0 0
		read tmp/back
		access tmp/back 1
		write tmp/back 0 root
		chmod tmp/back 1
		access tmp/back 1
		symlink read/k tmp/link
		chown tmp/link 1000 1000
		lchown tmp/link 1002 1002
		stat read/k
		stat tmp/link
		as 1001 1001
		lchown tmp/link 1001 -1
		stat tmp
	END
	before=$(everything)
	[ "$("$KVTOOL" try fsync "$mnt")" = ok ]
	kvfs_kill9
	kvfs_start
	same "$before" "$(everything)"
}

@test "umask, links of directories, root's directory" {
	kvfs_start
	as_tmpfs <<-'END'
		umask 027
		creat k 666
		mkdir d 777
		mkfifo p 666
		stat k
		stat d
		stat p
		umask 0
		creat all 7777
		stat all
		mkdir sticky 7777
		stat sticky
		stat d
		mkdir d/a 755
		mkdir d/b 755
		creat d/k 644
		stat d
		rename d/a sticky/a
		stat d
		stat sticky
		rmdir d/b
		stat d
		chmod . 750
		chown . 5 6
		stat .
	END
	before=$(everything)
	kvfs_remount
	same "$before" "$(everything)"
	# Setuid counts where -o suid says so.
	cp "$(command -v id)" "$mnt/whoami"
	chmod 755 "$mnt"
	chmod 4755 "$mnt/whoami"
	[ "$(setpriv --reuid 65534 --regid 65534 --clear-groups "$mnt/whoami" -u)" = 65534 ]
	kvfs_remount suid
	[ "$(setpriv --reuid 65534 --regid 65534 --clear-groups "$mnt/whoami" -u)" = 0 ]
}
