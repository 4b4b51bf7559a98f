#!/usr/bin/env bats
# sqlite3 keeps its promises on the mount: what it committed is there and whole, whoever dies, in rollback and in WAL mode (whose index is
# shared memory: mmap of a file on the mount).
# One sqlite3 writes transactions of two rows and says the number of each that it committed to a file outside of the mount.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

# create MODE
create() {
	sqlite3 "$mnt/db" "PRAGMA journal_mode=$1; CREATE TABLE t(n INTEGER, side TEXT, filler BLOB); CREATE INDEX by_n ON t(n);" >"$work/mode"
	grep -qx "$1" "$work/mode"
}

# writer FROM COUNT: in the background; $work/committed gets the numbers.
writer() {
	awk -v from="$1" -v count="$2" 'BEGIN {
		print "PRAGMA busy_timeout=30000; PRAGMA synchronous=FULL; PRAGMA cache_size=20; PRAGMA cache_spill=10; PRAGMA wal_autocheckpoint=30;"
		for (n = from; n < from + count; n++)
			printf "BEGIN; INSERT INTO t VALUES(%d, %cleft%c, randomblob(3000)); INSERT INTO t VALUES(%d, %cright%c, zeroblob(9000)); COMMIT; SELECT %d;\n",
				n, 39, 39, n, 39, 39, n
	}' >"$work/transactions"
	stdbuf -o0 sqlite3 -bail "$mnt/db" <"$work/transactions" >>"$work/committed" 2>"$work/said" 3>&- 4>&- &
	writing=$!
}

committed() { [ "$(wc -l <"$work/committed")" -ge "$1" ]; }

# All numbers from 1 to one or the last said, each with both sides; no other.
is_whole() {
	local last highest
	last=$(tail -n 1 "$work/committed")
	[ "$(sqlite3 "$mnt/db" 'PRAGMA integrity_check')" = ok ]
	highest=$(sqlite3 "$mnt/db" 'SELECT max(n) FROM t')
	[ "$highest" -eq "$last" ] || [ "$highest" -eq $((last + 1)) ] || { echo "# said $last, has $highest"; return 1; }
	[ "$(sqlite3 "$mnt/db" 'SELECT count(*), count(DISTINCT n), sum(length(filler)) FROM t')" = "$((2 * highest))|$highest|$((12000 * highest))" ]
}

dies() {
	local mode=$1 who=$2 n
	kvfs_start "save=" "appendfsync=$3"
	create "$mode"
	: >"$work/committed"
	writer 1 100000
	wait_until 30 committed 30
	if [ "$who" = writer ]; then kill -KILL "$writing"; else kvfs_kill9; fi
	wait "$writing" || true
	[ "$who" = writer ] || kvfs_start "save="
	is_whole
	# Two at once, one of which dies, and readers all the time.
	n=$(($(sqlite3 "$mnt/db" 'SELECT max(n) FROM t') + 1))
	echo $((n - 1)) >"$work/committed"
	writer "$n" 40
	while kill -0 "$writing" 2>/dev/null; do
		[ "$(sqlite3 -cmd '.timeout 20000' "$mnt/db" 'SELECT count(*) % 2 FROM t')" = 0 ]
	done
	wait "$writing" || { cat "$work/said"; return 1; }
	[ "$(tail -n 1 "$work/committed")" -eq $((n + 39)) ]
	kvfs_remount "save="
	is_whole
}

@test "rollback journal: a writer is killed" { dies delete writer everysec; }
@test "rollback journal: the daemon is killed" { dies delete daemon everysec; }
@test "rollback journal that stays: the daemon is killed, in always" { dies persist daemon always; }
@test "WAL: a writer is killed" { dies wal writer everysec; }
@test "WAL: the daemon is killed" { dies wal daemon everysec; }

@test "WAL: two processes share the index in memory, and readers keep their moment while a writer goes on" {
	kvfs_start
	create wal
	: >"$work/committed"
	writer 1 20
	wait "$writing"
	mkfifo "$work/in" "$work/out"
	sqlite3 "$mnt/db" <"$work/in" >"$work/out" 3>&- 4>&- &
	local reader=$! before after
	exec 7>"$work/in" 8<"$work/out"
	echo 'BEGIN; SELECT count(*) FROM t;' >&7
	read -r before <&8
	writer 21 20
	wait "$writing"
	echo 'SELECT count(*) FROM t; COMMIT; SELECT count(*) FROM t;' >&7
	read -r after <&8
	[ "$before $after" = "40 40" ]
	read -r after <&8
	[ "$after" = 80 ]
	[ "$(find "$mnt" -name 'db-shm' -size +0 | wc -l)" = 1 ]
	exec 7>&- 8<&-
	wait "$reader"
	kvfs_remount
	is_whole
	sqlite3 "$mnt/db" 'DELETE FROM t WHERE n > 10; VACUUM; PRAGMA wal_checkpoint(TRUNCATE);' >/dev/null
	[ "$(sqlite3 "$mnt/db" 'PRAGMA integrity_check; SELECT count(*) FROM t')" = $'ok\n20' ]
}
