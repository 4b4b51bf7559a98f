#!/usr/bin/env bats
# A key is a file: what every program expects of a local filesystem holds on the mount.
# By plain commands and single system calls against the real mount.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

try() { "$KVTOOL" try "$@"; }

@test "echo, cat and rm do what they say" {
	kvfs_start
	echo hello >"$mnt/greeting"
	[ "$(cat "$mnt/greeting")" = hello ]
	[ "$(stat -c '%s %F' "$mnt/greeting")" = "6 regular file" ]
	rm "$mnt/greeting"
	[ ! -e "$mnt/greeting" ]
	[ -z "$(ls -A "$mnt")" ]
}

@test "a key is a path: directories nest, and come and go" {
	kvfs_start
	mkdir -p "$mnt/user/1000/settings"
	echo Ada >"$mnt/user/1000/name"
	[ "$(cd "$mnt" && find . | LC_ALL=C sort | tr '\n' ' ')" = ". ./user ./user/1000 ./user/1000/name ./user/1000/settings " ]
	[ "$(stat -c %h "$mnt/user/1000")" = 3 ]
	run rmdir "$mnt/user/1000"
	[ "$status" -ne 0 ]
	rm -r "$mnt/user"
	[ -z "$(ls -A "$mnt")" ]
}

@test "truncation by > is not lost, also to nothing and also without a write" {
	kvfs_start
	printf 'a long value' >"$mnt/k"
	printf 'short' >"$mnt/k"
	[ "$(cat "$mnt/k")" = short ]
	: >"$mnt/k"
	[ "$(stat -c %s "$mnt/k")" = 0 ]
	[ -z "$(cat "$mnt/k")" ]
}

@test "append: >> and O_APPEND by two descriptors and two processes lose no line" {
	kvfs_start
	echo one >"$mnt/k"
	echo two >>"$mnt/k"
	[ "$(cat "$mnt/k")" = $'one\ntwo' ]
	"$KVTOOL" append "$mnt/turns" 200
	"$KVTOOL" race "$mnt/race" 500
}

@test "O_EXCL creates once" {
	kvfs_start
	[ "$(try create "$mnt/k")" = ok ]
	[ "$(try create "$mnt/k")" = EEXIST ]
	rm "$mnt/k"
	[ "$(try create "$mnt/k")" = ok ]
}

@test "a shared mapping writes and sees writes" {
	kvfs_start
	"$KVTOOL" mmap "$mnt/k"
	kvfs_remount
	[ "$(stat -c %s "$mnt/k")" = 12305 ]
	[ "$(tail -c +5001 "$mnt/k" | head -c 7)" = written ]
}

@test "an unlinked file lives on for whoever has it open" {
	kvfs_start
	"$KVTOOL" unlinked "$mnt/k"
	[ "$(cat "$mnt/k")" = new ]
}

@test "holes read as zeros, writes beyond the end and truncation move it" {
	kvfs_start
	printf x | dd of="$mnt/k" bs=1 seek=100000 conv=notrunc status=none
	[ "$(stat -c %s "$mnt/k")" = 100001 ]
	[ "$(head -c 100000 "$mnt/k" | tr -d '\0' | wc -c)" = 0 ]
	truncate -s 3 "$mnt/k"
	printf y | dd of="$mnt/k" bs=1 seek=5 conv=notrunc status=none
	[ "$(od -An -tx1 "$mnt/k" | tr -d ' \n')" = 000000000079 ]
	truncate -s 20g "$mnt/big" && false
	[ "$(stat -c %s "$mnt/big")" = 0 ]
}

@test "mode, owner and times are kept to the nanosecond" {
	kvfs_start
	echo v >"$mnt/k"
	chmod 4751 "$mnt/k"
	chown 1234:4321 "$mnt/k"
	touch -d '1999-12-31 23:59:59.123456789 UTC' "$mnt/k"
	chmod u+s "$mnt/k"
	[ "$(stat -c '%a %u %g %.9Y' "$mnt/k")" = "4751 1234 4321 946684799.123456789" ]
	mkdir "$mnt/d"
	chmod 2770 "$mnt/d"
	chown :77 "$mnt/d"
	chmod g+s "$mnt/d"
	echo v >"$mnt/d/k"
	mkdir "$mnt/d/sub"
	[ "$(stat -c '%g' "$mnt/d/k")" = 77 ]
	[ "$(stat -c '%g %a' "$mnt/d/sub")" = "77 2755" ]
}

@test "times move as POSIX says" {
	kvfs_start
	mkdir "$mnt/d"
	echo v >"$mnt/d/k"
	touch -d @1000 "$mnt/d/k" "$mnt/d"
	echo w >>"$mnt/d/k"
	[ "$(stat -c %Y "$mnt/d/k")" -gt 1000 ]
	[ "$(stat -c %Y "$mnt/d")" = 1000 ]
	echo x >"$mnt/d/other"
	[ "$(stat -c %Y "$mnt/d")" -gt 1000 ]
	touch -d @1000 "$mnt/d/k"
	chmod 600 "$mnt/d/k"
	[ "$(stat -c %Y "$mnt/d/k")" = 1000 ]
	[ "$(stat -c %Z "$mnt/d/k")" -gt 1000 ]
}

@test "permissions are checked for other users" {
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR" "$work" "$(dirname "$BATS_TEST_TMPDIR")"
	[ "$(id -u)" = 0 ] || skip "needs root"
	kvfs_start allow-other=yes
	echo secret >"$mnt/k"
	chmod 600 "$mnt/k"
	echo open >"$mnt/o"
	[ "$(setpriv --reuid 65534 --regid 65534 --clear-groups cat "$mnt/o")" = open ]
	run setpriv --reuid 65534 --regid 65534 --clear-groups cat "$mnt/k"
	[ "$status" -ne 0 ]
	run setpriv --reuid 65534 --regid 65534 --clear-groups rm -f "$mnt/o"
	[ "$status" -ne 0 ]
	mkdir -m 1777 "$mnt/tmp"
	setpriv --reuid 65534 --regid 65533 --clear-groups touch "$mnt/tmp/theirs"
	[ "$(stat -c '%u %g' "$mnt/tmp/theirs")" = "65534 65533" ]
}

@test "errors have the errno POSIX gives" {
	kvfs_start
	local long
	long=$(printf 'x%.0s' {1..256})
	echo v >"$mnt/k"
	mkdir "$mnt/d"
	echo v >"$mnt/d/k"
	[ "$(try open "$mnt/none")" = ENOENT ]
	[ "$(try open "$mnt/$long")" = ENAMETOOLONG ]
	[ "$(try create "$mnt/$long")" = ENAMETOOLONG ]
	[ "$(try mkdir "$mnt/$long")" = ENAMETOOLONG ]
	[ "$(try create "$mnt/${long:1}")" = ok ]
	[ "$(try open "$mnt/k/below")" = ENOTDIR ]
	[ "$(try mkdir "$mnt/k")" = EEXIST ]
	[ "$(try rmdir "$mnt/d")" = ENOTEMPTY ]
	[ "$(try rmdir "$mnt/k")" = ENOTDIR ]
	[ "$(try unlink "$mnt/d")" = EISDIR ]
	[ "$(try link "$mnt/d" "$mnt/hard")" = EPERM ]
	[ "$(try truncate "$mnt/d" 0)" = EISDIR ]
	ln -s loop "$mnt/loop"
	[ "$(try open "$mnt/loop")" = ELOOP ]
}

@test "a value over the limit is EFBIG, a full keyspace ENOSPC, and both leave it whole" {
	kvfs_start value-max=1mb maxmemory=8mb
	head -c 1048576 /dev/zero >"$mnt/k"
	[ "$(try pwrite "$mnt/k" 1048576 x)" = EFBIG ]
	[ "$(try truncate "$mnt/k" 1048577)" = EFBIG ]
	[ "$(stat -c %s "$mnt/k")" = 1048576 ]
	local i
	for i in $(seq 20); do
		head -c 1000000 /dev/urandom >"$mnt/f$i" || break
	done 2>/dev/null
	[ "$i" -lt 20 ]
	[ "$(try mkdir "$mnt/ds")" = ok ] || [ "$(try mkdir "$mnt/ds")" = ENOSPC ]
	[ "$(df --output=avail -B1 "$mnt" | tail -n 1)" -lt 1048576 ]
	rm "$mnt"/f*
	echo again >"$mnt/f1"
	[ "$(cat "$mnt/f1")" = again ]
}

@test "df shows true numbers" {
	kvfs_start maxmemory=64mb
	[ "$(df --output=size -B1 "$mnt" | tail -n 1)" -eq 67108864 ]
	local before after
	before=$(df --output=used -B1 "$mnt" | tail -n 1)
	head -c 10000000 /dev/urandom >"$mnt/k"
	after=$(df --output=used -B1 "$mnt" | tail -n 1)
	[ $((after - before)) -ge 10000000 ]
	[ $((after - before)) -lt 11000000 ]
	[ "$(df --output=iused "$mnt" | tail -n 1)" -ge 1 ]
	[ "$(stat -f -c %l "$mnt")" = 255 ]
}

@test "locks of all kinds keep others out" {
	kvfs_start
	"$KVTOOL" locks "$mnt/k"
}

@test "a scan sees each lasting name once while others come and go" {
	kvfs_start
	mkdir "$mnt/d"
	"$KVTOOL" scan "$mnt/d" 5000
}

@test "a big directory lists whole, by ls and by ls -l" {
	kvfs_start
	mkdir "$mnt/d"
	(cd "$mnt/d" && seq 20000 | xargs touch)
	[ "$(ls "$mnt/d" | sort -n | md5sum)" = "$(seq 20000 | md5sum)" ]
	[ "$(ls -l "$mnt/d" | wc -l)" = 20001 ]
	[ "$(info db0)" = "keys=20000,expires=0,avg_ttl=0" ]
}
