#!/usr/bin/env bats
# Large work on the mount, with a remount in the middle: the history of 5,000 commits in git, and kvfs itself compiled there and mounted by what
# came of it.
# HEAVY=no leaves it out, for slow programs: nothing of kvfs is called here that is not called elsewhere.

load lib/kvfs
setup() {
	[ "${HEAVY:-yes}" != no ] || skip "HEAVY=no"
	kvfs_setup
}
teardown() { kvfs_teardown; }

# history COUNT: for git fast-import, each commit with a file changed, one added and one removed, and now and then one renamed.
history() {
	awk -v count="$1" 'BEGIN {
		for (i = 1; i <= count; i++) {
			printf "blob\nmark :%d\ndata <<END\n", 2 * i
			for (line = 0; line < 20; line++)
				print "line", line, "of", i % (line + 2)
			print "END"
			printf "commit refs/heads/main\nmark :%d\ncommitter nobody <nobody@example.org> %d +0000\ndata 10\ncommit %03d\n", 2 * i + 1, 1700000000 + i, i % 1000
			if (i > 1)
				printf "from :%d\n", 2 * i - 1
			printf "M 644 :%d dir%d/sub%d/file\nM 644 :%d new%d/%d\n", 2 * i, i % 7, i % 31, 2 * i, i % 50, i
			if (i > 300)
				printf "D new%d/%d\n", (i - 300) % 50, i - 300
			if (i % 100 == 0)
				printf "R new%d/%d moved/%d\n", (i - 1) % 50, i - 1, i
			print ""
		}
	}'
}

@test "git: 5,000 commits are imported, cloned, repacked and checked; mounted again they are the same" {
	kvfs_start
	export GIT_CONFIG_GLOBAL=$work/gitconfig GIT_CONFIG_NOSYSTEM=1
	git config --global gc.auto 0
	git config --global init.defaultBranch main
	git init -q "$mnt/source"
	history 5000 | git -C "$mnt/source" fast-import --quiet
	git -C "$mnt/source" reset -q --hard
	local head one
	head=$(git -C "$mnt/source" rev-parse HEAD)
	[ "$(git -C "$mnt/source" rev-list --count HEAD)" -eq 5000 ]
	git clone -q "$mnt/source" "$mnt/linked"
	git clone -q --no-local "$mnt/source" "$work/outside"
	kvfs_remount
	[ -z "$(git -C "$mnt/source" status --porcelain)" ]
	git clone -q --no-local "$mnt/source" "$mnt/copied"
	git -C "$mnt/copied" gc -q --prune=now
	git -C "$mnt/copied" mv dir1 dir-renamed
	git -C "$mnt/copied" -c user.name=n -c user.email=e commit -q -m renamed
	git -C "$mnt/source" pull -q --no-rebase "$mnt/copied" main
	kvfs_kill9
	kvfs_start
	for one in source linked copied; do
		git -C "$mnt/$one" fsck --strict --no-progress
		[ -z "$(git -C "$mnt/$one" status --porcelain)" ]
	done
	[ "$(git -C "$mnt/linked" rev-parse HEAD) $(git -C "$mnt/source" rev-parse HEAD~1)" = "$head $head" ]
	[ "$(git -C "$mnt/source" rev-parse HEAD)" = "$(git -C "$mnt/copied" rev-parse HEAD)" ]
	diff -r --exclude=.git "$work/outside" "$mnt/linked"
}

# compile ARG...: by a make of its own, that knows nothing of the one this test may run under.
compile() {
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$mnt/kvfs" B=build CC=gcc CFLAGS=-O0 "$@" all
}

@test "kvfs compiles on the mount, by make -j2, and what came of it mounts" {
	kvfs_start
	mkdir "$mnt/kvfs" "$work/data2" "$work/mnt2"
	cp -r "$BATS_TEST_DIRNAME"/../{Makefile,fs,persist,store} "$mnt/kvfs/"
	compile -j2 >"$work/make" 2>&1 || { tail -n 20 "$work/make"; return 1; }
	# Nothing is left to do: the times of sources and objects are in order.
	compile -q
	kvfs_remount
	compile -q
	touch "$mnt/kvfs/store/value.c"
	run compile -q
	[ "$status" -eq 1 ]
	"$mnt/kvfs/build/kvfs" --help >"$work/help"
	grep -q appendfsync "$work/help"
	"$mnt/kvfs/build/kvfs" -o "logfile=$work/other.log" "$work/data2" "$work/mnt2" 3>&- 4>&-
	echo hello >"$work/mnt2/k"
	[ "$(cat "$work/mnt2/k")" = hello ]
	run bash -c 'echo x >>"$1"' - "$mnt/kvfs/build/kvfs"
	[ "$status" -ne 0 ]
	[[ $output == *"Text file busy"* ]]
	"$mnt/kvfs/build/kvfs-ctl" -m "$work/mnt2" umount
	not_mounted "$work/mnt2"
	kvfs_stop
}
