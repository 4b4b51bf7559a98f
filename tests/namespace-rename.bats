#!/usr/bin/env bats
# A rename is one step: the name is the old file or the new one, never nothing, and a subtree moves whole.
# By renames of every kind on the mount, each looked at again after a remount.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

try() { "$KVTOOL" try "$@"; }

# The tree now and after a remount must be TREE.
holds() {
	local tree
	tree=$(cd "$mnt" && find . -mindepth 1 | LC_ALL=C sort | while read -r path; do
		[ -d "$path" ] && echo "${path#./}/" || echo "${path#./}=$(cat "$path")"
	done)
	same "$tree" "$(printf '%s\n' "$@")"
}

keeps() {
	holds "$@"
	kvfs_remount
	holds "$@"
}

@test "a file gets another name" {
	kvfs_start
	echo 1 >"$mnt/a"
	mv "$mnt/a" "$mnt/b"
	keeps b=1
}

@test "onto a file: it is replaced" {
	kvfs_start
	echo 1 >"$mnt/a"
	echo 2 >"$mnt/b"
	mv "$mnt/a" "$mnt/b"
	keeps b=1
}

@test "a written and renamed file (as editors save) is there whole" {
	kvfs_start
	echo old >"$mnt/config"
	echo new >"$mnt/.config.tmp"
	sync "$mnt/.config.tmp"
	mv "$mnt/.config.tmp" "$mnt/config"
	keeps config=new
}

@test "a file created and renamed before its first write keeps the write" {
	kvfs_start
	exec 5>"$mnt/a"
	mv "$mnt/a" "$mnt/b"
	echo late >&5
	exec 5>&-
	keeps b=late
}

@test "a directory moves with everything below" {
	kvfs_start
	mkdir -p "$mnt/a/x/y" "$mnt/to"
	echo 1 >"$mnt/a/1"
	echo 2 >"$mnt/a/x/y/2"
	mv "$mnt/a" "$mnt/to/b"
	keeps to/ to/b/ to/b/1=1 to/b/x/ to/b/x/y/ to/b/x/y/2=2
}

@test "a directory onto an empty directory, not onto a full one" {
	kvfs_start
	mkdir "$mnt/a" "$mnt/empty" "$mnt/full"
	echo 1 >"$mnt/a/1"
	echo 2 >"$mnt/full/2"
	[ "$(try rename "$mnt/a" "$mnt/full")" = ENOTEMPTY ]
	[ "$(try rename "$mnt/a" "$mnt/empty")" = ok ]
	keeps empty/ empty/1=1 full/ full/2=2
}

@test "what cannot be is refused: into itself, file over directory, directory over file" {
	kvfs_start
	mkdir -p "$mnt/d/sub"
	echo 1 >"$mnt/f"
	[ "$(try rename "$mnt/d" "$mnt/d/sub/d")" = EINVAL ]
	[ "$(try rename "$mnt/f" "$mnt/d")" = EISDIR ]
	[ "$(try rename "$mnt/d" "$mnt/f")" = ENOTDIR ]
	[ "$(try rename "$mnt/none" "$mnt/f")" = ENOENT ]
	[ "$(try rename "$mnt/f" "$mnt/f")" = ok ]
	keeps d/ d/sub/ f=1
}

@test "RENAME_NOREPLACE does not replace" {
	kvfs_start
	echo 1 >"$mnt/a"
	echo 2 >"$mnt/b"
	[ "$(try noreplace "$mnt/a" "$mnt/b")" = EEXIST ]
	[ "$(try noreplace "$mnt/a" "$mnt/c")" = ok ]
	keeps b=2 c=1
}

@test "RENAME_EXCHANGE swaps files, directories, and one with the other" {
	kvfs_start
	echo 1 >"$mnt/a"
	echo 2 >"$mnt/b"
	mkdir "$mnt/d"
	echo 3 >"$mnt/d/3"
	[ "$(try exchange "$mnt/a" "$mnt/b")" = ok ]
	holds a=2 b=1 d/ d/3=3
	[ "$(try exchange "$mnt/a" "$mnt/d")" = ok ]
	holds a/ a/3=3 b=1 d=2
	[ "$(try exchange "$mnt/a" "$mnt/none")" = ENOENT ]
	mkdir "$mnt/e"
	echo 4 >"$mnt/e/4"
	[ "$(try exchange "$mnt/a" "$mnt/e")" = ok ]
	keeps a/ a/4=4 b=1 d=2 e/ e/3=3
}

@test "a name is never missing while it is being replaced" {
	kvfs_start
	echo 0 >"$mnt/k"
	(
		for i in $(seq 500); do
			echo "$i" >"$mnt/new" && mv "$mnt/new" "$mnt/k" || exit 1
		done
	) 3>&- &
	writer=$!
	missing=0
	while kill -0 "$writer" 2>/dev/null; do
		[ -n "$(cat "$mnt/k")" ] || missing=$((missing + 1))
	done
	wait "$writer"
	[ "$missing" -eq 0 ]
	keeps k=500
}
