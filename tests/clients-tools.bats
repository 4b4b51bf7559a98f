#!/usr/bin/env bats
# Editors, watchers, copiers and a disk tester find on the mount what they find on a disk.
# Each by its own means, and again after a remount.

load lib/kvfs
setup() { kvfs_setup; }
teardown() {
	[ -z "${watching:-}" ] || kill "$watching" 2>/dev/null || true
	kvfs_teardown
}

@test "sed -i, ed, vim: a file is edited, in place or by a replacement with a backup, and keeps its mode and owner" {
	kvfs_start
	local how inode
	for how in sed ed vim; do
		printf 'hello\nworld\n' >"$mnt/$how"
		chmod 640 "$mnt/$how"
		chown 12:34 "$mnt/$how"
	done
	ln -s vim "$mnt/link"
	inode=$(stat -c %i "$mnt/ed")
	sed -i.bak 's/hello/HELLO/' "$mnt/sed"
	printf '1s/hello/HELLO/\nw\nq\n' | ed -s "$mnt/ed"
	[ "$(stat -c %i "$mnt/ed")" = "$inode" ]
	# By a new file and rename, with the old one kept; then written over in place, through a symlink.
	vim.tiny -N -u NONE -i NONE -es -c 'set backup backupskip= backupdir=. backupcopy=no' -c '%s/hello/HELLO/' -c 'wq' "$mnt/vim"
	vim.tiny -N -u NONE -i NONE -es -c 'set nobackup writebackup backupskip= backupcopy=yes' -c '%s/world/WORLD/' -c 'wq' "$mnt/link"
	for how in 1 2; do
		same "$(cat "$mnt/sed" "$mnt/ed" "$mnt/vim")" $'HELLO\nworld\nHELLO\nworld\nHELLO\nWORLD'
		same "$(cat "$mnt/sed.bak" "$mnt/vim~")" $'hello\nworld\nhello\nworld'
		same "$(stat -c '%a %u %g' "$mnt/sed" "$mnt/ed" "$mnt/vim" | uniq)" "640 12 34"
		same "$(ls -A "$mnt" | xargs)" "ed link sed sed.bak vim vim~"
		kvfs_remount
	done
}

# watch ARG...: what inotifywait sees, one "EVENTS NAME" a line in $work/events.
watch() {
	: >"$work/events"
	inotifywait -m -q --format '%e %f' "$@" >"$work/events" 2>"$work/watching" 3>&- 4>&- &
	watching=$!
	# There when it sees what is watched last: a file of the test's own.
	seen_ready() { touch "$work/ready" && grep -q . "$work/events"; }
}

saw() { grep -qx -- "$1" "$work/events"; }

@test "inotifywait: what is done to files is seen, by the directory's watcher and the file's" {
	kvfs_start
	mkdir "$mnt/d"
	: >"$work/ready"
	watch "$mnt/d" "$work/ready"
	wait_until 10 seen_ready
	echo v >"$mnt/d/a"
	echo v >>"$mnt/d/a"
	mv "$mnt/d/a" "$mnt/d/b"
	chmod 600 "$mnt/d/b"
	cat "$mnt/d/b" >"$work/out"
	mkdir "$mnt/d/sub"
	rmdir "$mnt/d/sub"
	rm "$mnt/d/b"
	wait_until 10 saw "DELETE b"
	kill "$watching"
	wait "$watching" || true
	same "$(grep -E ' .+$' "$work/events" | xargs)" "CREATE a OPEN a MODIFY a CLOSE_WRITE,CLOSE a OPEN a MODIFY a CLOSE_WRITE,CLOSE a \
MOVED_FROM a MOVED_TO b ATTRIB b OPEN b ACCESS b CLOSE_NOWRITE,CLOSE b CREATE,ISDIR sub DELETE,ISDIR sub DELETE b"
}

@test "inotifywait: a key that expires is seen by who watches it, not by its directory's watcher" {
	kvfs_start
	mkdir "$mnt/d"
	echo v >"$mnt/d/expires"
	echo v >"$mnt/d/taken"
	: >"$work/ready"
	watch "$mnt/d" "$mnt/d/expires" "$mnt/d/taken" "$work/ready"
	wait_until 10 seen_ready
	ctl pexpire d/expires 50
	# Nobody looks meanwhile: who asks for the name in the moment between its end and the notice makes the kernel drop it without a word.
	wait_until 10 saw "DELETE_SELF "
	[ ! -e "$mnt/d/expires" ]
	ctl del d/taken
	gone_twice() { [ "$(grep -c DELETE_SELF "$work/events")" -eq 2 ]; }
	wait_until 10 gone_twice
	echo v >"$mnt/d/mark"
	wait_until 10 saw "CLOSE_WRITE,CLOSE mark"
	run grep -E '(DELETE|MOVED_FROM) ' "$work/events"
	same "$output" ""
}

@test "inotifywait: a key that goes for maxmemory is seen by who watches it alone; an end that is set is seen by setfattr alone" {
	kvfs_start xattr=yes maxmemory=3000000 maxmemory-policy=allkeys-lru save=
	mkdir "$mnt/d"
	local i
	for i in $(seq 20); do
		head -c 100000 /dev/zero >"$mnt/d/k$i"
	done
	: >"$work/ready"
	watch "$mnt/d" "$mnt"/d/k* "$work/ready"
	wait_until 10 seen_ready
	ctl expire d/k20 1000
	ctl persist d/k20
	head -c 1000 /dev/zero >"$mnt/d/mark"
	wait_until 10 saw "CLOSE_WRITE,CLOSE mark"
	[ "$(info evicted_keys)" -eq 0 ]
	same "$(grep -c 'ATTRIB k20' "$work/events")" 0
	setfattr -n user.kvfs.ttl -v 1000 "$mnt/d/k20"
	wait_until 10 saw "ATTRIB k20"
	for i in $(seq 21 40); do
		head -c 100000 /dev/zero >"$mnt/d/new$i"
	done
	[ "$(info evicted_keys)" -ge 5 ]
	# Each that was watched and went.
	local left=0
	for i in $(seq 20); do
		[ ! -e "$mnt/d/k$i" ] || left=$((left + 1))
	done
	[ "$left" -lt 20 ]
	all_seen() { [ "$(grep -c DELETE_SELF "$work/events")" -eq $((20 - left)) ]; }
	wait_until 10 all_seen
	run grep -E '(DELETE|MOVED_FROM) ' "$work/events"
	same "$output" ""
}

@test "fio: random writes are verified, before and after a remount and a kill, by write(2) and by mmap" {
	kvfs_start
	# verify ENGINE ARG...
	verify() {
		local engine=$1
		shift
		fio --name="$engine" --directory="$mnt" --size=6m --rw=randwrite --verify=crc32c --ioengine="$engine" \
			--randseed=7 --verify_state_save=0 --end_fsync=1 --minimal "$@" >"$work/fio" 2>&1 || { cat "$work/fio"; return 1; }
	}
	verify psync --bs=3k
	verify mmap --bs=4k
	kvfs_remount
	verify psync --bs=3k --verify_only=1
	verify mmap --bs=4k --verify_only=1
	kvfs_kill9
	kvfs_start
	verify psync --bs=3k --verify_only=1
	# It does find a byte that is wrong.
	printf '\377\377\377\377' | dd of="$mnt/psync.0.0" bs=1 seek=3000000 conv=notrunc status=none
	run verify psync --bs=3k --verify_only=1
	[ "$status" -ne 0 ]
}

@test "ar and dpkg-deb: archives are made on the mount, and unpacked on it" {
	kvfs_start
	mkdir -p "$mnt/package/DEBIAN" "$mnt/package/usr/share/kvfs-test"
	printf 'Package: kvfs-test\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: nothing\n' >"$mnt/package/DEBIAN/control"
	seq 10000 >"$mnt/package/usr/share/kvfs-test/numbers"
	ln -s numbers "$mnt/package/usr/share/kvfs-test/link"
	dpkg-deb --root-owner-group -Znone -b "$mnt/package" "$mnt/kvfs-test.deb" >/dev/null
	ar t "$mnt/kvfs-test.deb" >"$work/parts"
	same "$(xargs <"$work/parts")" "debian-binary control.tar data.tar"
	(cd "$mnt" && ar q own.a package/DEBIAN/control kvfs-test.deb && ar s own.a)
	kvfs_remount
	dpkg-deb -x "$mnt/kvfs-test.deb" "$mnt/unpacked"
	diff -r "$mnt/unpacked/usr" "$mnt/package/usr"
	[ "$(readlink "$mnt/unpacked/usr/share/kvfs-test/link")" = numbers ]
	[ "$(ar p "$mnt/own.a" control)" = "$(cat "$mnt/package/DEBIAN/control")" ]
}
