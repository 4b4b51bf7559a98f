#!/usr/bin/env bats
# Access, modification and change times move when those of a tmpfs do, and can be set as there; what was set lasts.
# The same scripts of system calls on a tmpfs and on the mount: `times` says which of the three moved since it was asked last.

load lib/kvfs
load lib/posix
setup() { posix_setup; }
teardown() { posix_teardown; }

@test "each operation moves the times it should, of the node and of the directories" {
	kvfs_start
	as_tmpfs <<-'END'
		mkdir d 755
		mkdir e 755
		creat d/k 644
		mkdir d/s 755
		times d
		times e
		times d/k
		times d/s
		append d/k text
		times d/k
		times d
		write d/k 1 x
		times d/k
		chmod d/k 644
		times d/k
		chmod d/k 600
		times d/k
		chown d/k -1 -1
		times d/k
		chown d/k 5 -1
		times d/k
		truncate d/k 2
		times d/k
		open d/k w,trunc
		times d/k
		open d/k w,trunc
		times d/k
		hold d/k rw
		ftruncate 0
		times d/k
		fwrite again
		times d/k
		fchmod 640
		times d/k
		unlink d/none
		times d
		creat d/k 644
		times d
		creat d/new 644
		times d
		rename d/new d/new
		times d
		rename d/new d/old
		times d
		times d/k
		rename d/k e/k
		times d
		times e
		times e/k
		rename d/s e/s
		times d
		times e
		symlink target e/link
		times e
		times e/link
		lutime e/link 5 6
		times e/link
		lchown e/link 7 7
		times e/link
		mkfifo e/fifo 600
		times e
		times e/fifo
		chmod e/fifo 640
		times e/fifo
		mkdir e/s/below 755
		times e/s
		times e
		rmdir e/s/below
		times e/s
		unlink d/old
		times d
		creat e/over 644
		times e
		rename e/over e/k
		times e
		times e/k
		fstat
		link e/k e/hard
		times e
		times e/k
		stat e/hard
		unlink e/hard
		times e
		times e/k
	END
}

@test "utimensat: both, one, now, omit, links, directories, before 1970; who may" {
	kvfs_start
	as_tmpfs <<-'END'
		creat k 644
		symlink k link
		mkdir d 755
		utime k 1.5 2.25
		when k
		utime k omit 3.123456789
		when k
		utime k 4.999999999 omit
		when k
		utime k omit omit
		when k
		times k
		utime k omit omit
		times k
		utime k now omit
		times k
		utime k omit now
		times k
		utime k now now
		times k
		utime k -1.5 -2000000000.999999999
		when k
		utime k 4294967296.1 9000000000
		when k
		utime k 0 0
		when k
		utime k 1.1000000000 2
		utime link 7 8
		when k
		lutime link 9.000000001 10
		when link
		when k
		lutime d 11 12
		when d
		utime none 1 1
		utime k/none 1 1
		hold k r
		futime 13 14
		when k
		release
		times d
		utime d 1 1
		times d
		chmod k 666
		creat mine 600
		chown mine 65534 65534
		chmod mine 400
		as 65534 65534
		utime k now now
		utime k 1 1
		utime k now omit
		utime k omit omit
		utime mine 5 6
		when mine
		utime mine now now
		times mine
		as 0 0
		chmod k 644
		as 65534 65534
		utime k now now
		as 0 0
		when d
	END
	# One that only needs leave to write, and what was set is there afterwards.
	"$POSIXTOOL" "$mnt/1" >/dev/null <<-'END'
		utime k -1.000000001 4294967296.123456789
		lutime link -9000000000 1.1
		utime d 0 9000000000.999999999
	END
	before=$(everything)
	[ "$("$KVTOOL" try fsync "$mnt")" = ok ]
	kvfs_kill9
	kvfs_start
	same "$before" "$(everything)"
	[ "$(stat -c '%.9Y' "$mnt/1/k")" = 4294967296.123456789 ]
}

@test "a time that 64 bits of nanoseconds can't hold becomes the nearest that they can" {
	kvfs_start
	"$POSIXTOOL" "$mnt" >"$work/out" <<-'END'
		creat k 644
		utime k 9223372036.854775807 -9223372037.145224192
		when k
		utime k 9223372037.1 -9223372038.9
		when k
		utime k 1099511627776000 -1099511627776000
		when k
	END
	same "$(grep ^when "$work/out" | sort | uniq -c | tr -s ' ')" " 3 when k: 9223372036.854775807 -9223372037.145224192"
	kvfs_remount
	[ "$(echo when k | "$POSIXTOOL" "$mnt")" = "when k: 9223372036.854775807 -9223372037.145224192" ]
}

atime_script() {
	cat <<-'END'
		creat k 644
		write k 0 text
		mkdir d 755
		mkdir d/e 755
		symlink d link
		times k
		times d
		times link
		read k
		list d
		readlink link
		times k
		times d
		times link
	END
}

@test "atime: of what was changed since it was read, or not for a day; not with O_NOATIME, noatime, nodiratime" {
	kvfs_start
	as_tmpfs < <(
		atime_script
		cat <<-'END'
			append k more
			times k
			dread k
			times k
			dread k
			times k
			utime k 4000000000 5
			dread k
			when k
			utime k 1000 now
			times k
			dread k
			times k
			chmod k 600
			times k
			dread k
			times k
			append k more
			times k
			hold k r,noatime
			fread 10
			release
			times k
			chmod k 666
			as 65534 65534
			hold k r,noatime
			as 0 0
			list d
			creat d/new 600
			times d
			list d
			times d
		END
	)
	[ "$("$KVTOOL" try fsync "$mnt/1/d/new")" = ok ]
	written=$(stat -c %s "$(last_incr)")
	before=$(stat -c %.9X "$mnt/1/k")
	echo dread k | "$POSIXTOOL" "$mnt/1"
	[ "$(stat -c %.9X "$mnt/1/k")" != "$before" ]
	[ "$(stat -c %s "$(last_incr)")" -eq "$written" ]
	ctl save
	before=$(cd "$mnt/1" && stat -c '%n %.9X' k d link)
	kvfs_stop
	rm -r "$data/appendonlydir"
	kvfs_start appendonly=no
	same "$before" "$(cd "$mnt/1" && stat -c '%n %.9X' k d link)"
	kvfs_remount appendonly=no noatime
	mkdir "$mnt/no" "$mnt/nodir"
	[ "$(atime_script | "$POSIXTOOL" "$mnt/no" | grep -c 'atime= mtime= ctime=')" = 3 ]
	kvfs_remount appendonly=no nodiratime
	run "$POSIXTOOL" "$mnt/nodir" < <(atime_script)
	[ "$(grep -c 'atime+ mtime= ctime=' <<<"$output")" = 2 ] && [[ $output == *"times d: atime= "* ]]
	kvfs_remount appendonly=no strictatime
	run "$POSIXTOOL" "$mnt/1" <<-'END'
		chmod k 644
		utime k now now
		times k
		dread k
		times k
	END
	[[ $output == *"times k: atime+ mtime= ctime="* ]]
}
