#!/usr/bin/env bats
# Files that were written once can be read for ever: a change of a format that breaks old files is seen here.
# Data directories as redis-server 7.0.15 and kvfs wrote them stand in tests/data/golden, what they hold in a text beside each; each is mounted
# from a copy and compared (tests/data/make-golden made them).

load lib/kvfs
setup() {
	kvfs_setup
	golden=$BATS_TEST_DIRNAME/data/golden
}
teardown() { kvfs_teardown; }

# "SHA-256 END KEY" of each file, as make-golden asked redis for it.
keys() {
	local key
	(cd "$mnt" && find . -type f -printf '%P\n') | LC_ALL=C sort | while read -r key; do
		printf '%s %s %s\n' "$(sha256sum <"$mnt/$key" | cut -d' ' -f1)" "$(ctl pexpiretime "$key")" "$key"
	done
}

# The tree with all attributes, and the keys that have an end.
tree() {
	local key
	{
		"$KVTOOL" list "$mnt"
		(cd "$mnt" && find . -type f -printf '%P\n') | while read -r key; do
			printf '%s %s\n' "$(ctl pexpiretime "$key")" "$key"
		done | grep -v '^-1 '
	} | LC_ALL=C sort
}

# holds NAME WHAT OPTION...: the golden directory NAME, mounted, is what its text says; and again after a rewrite of our own.
holds() {
	local name=$1 what=$2
	shift 2
	cp -r "$golden/$name/." "$data"
	kvfs_start "save=" "$@"
	same "$($what)" "$(cat "$golden/$name.txt")"
	kvfs_remount "save=" "$@"
	same "$($what)" "$(cat "$golden/$name.txt")"
}

@test "redis-server's dump: each encoding of a string" {
	holds redis-dump keys
}

@test "redis-server's log with an RDB as its base: every command in it, groups, #TS:" {
	holds redis-preamble keys
}

@test "redis-server's log with commands as its base" {
	holds redis-commands keys
}

@test "the single file of older servers" {
	holds redis-old keys
}

@test "our dump" {
	holds kvfs-dump tree appendonly=no
}

@test "our log with an RDB as its base: each kind of record" {
	holds kvfs-preamble tree
}

@test "our log with commands as its base" {
	holds kvfs-commands tree
}

# The tree with modes and extended attributes.
attributes() {
	local name
	(cd "$mnt" && find . | LC_ALL=C sort | while read -r name; do
		stat -c '%n %a' "$name"
		getfattr -h -d -m - -e hex "$name" | { grep = || true; } | LC_ALL=C sort
	done)
}

@test "extended attributes and ACLs: in an RDB and the log behind it" {
	holds kvfs-xattrs-preamble attributes xattr=yes acl=yes
}

@test "... and in a base of commands" {
	holds kvfs-xattrs-commands attributes xattr=yes acl=yes
}

# The names, which of them are of one file, and what it holds.
links() {
	local name
	(cd "$mnt" && find . -mindepth 1 | LC_ALL=C sort | while read -r name; do
		stat -c '%n %F %h %Y' "$name"
		find . -inum "$(stat -c %i "$name")" | LC_ALL=C sort | paste -sd ' '
		[ ! -f "$name" ] || sha256sum <"$name"
	done)
}

@test "files with several names: in an RDB and the log behind it" {
	holds kvfs-links-preamble links
}

@test "... with a base of commands" {
	holds kvfs-links-commands links
}

@test "no golden directory is left out" {
	same "$(cd "$golden" && ls -d -- */ | tr -d /)" "$(sed -nE 's/^	holds ([^ ]+) .*/\1/p' "$BATS_TEST_FILENAME" | grep -v '^\$' | LC_ALL=C sort)"
}
