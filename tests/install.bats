#!/usr/bin/env bats
# What make install puts in place works from there and goes again without a trace: the programs, the unit, the manual, the completions.
# By installing below a directory of the test's own, and asking the programs that read each of it.

load lib/kvfs
top=$BATS_TEST_DIRNAME/..
setup() { kvfs_setup; }
teardown() {
	kvfs_teardown
}

# in_make ARG...: this tree's Makefile, with the programs that are under test.
in_make() {
	env -u MAKEFLAGS -u MAKELEVEL make --no-print-directory -s -C "$top" B="$KVFS_BIN" -o all "$@"
}

@test "make uninstall leaves nothing of what make install made, DESTDIR and PREFIX hold for everything" {
	in_make install DESTDIR="$work/root" PREFIX=/usr
	[ "$(cd "$work/root" && find . -type f -o -type l | LC_ALL=C sort | xargs)" = "./sbin/mount.fuse.kvfs ./sbin/mount.kvfs ./usr/bin/kvfs ./usr/bin/kvfs-ctl \
./usr/lib/systemd/system/kvfs@.service ./usr/share/bash-completion/completions/kvfs ./usr/share/bash-completion/completions/kvfs-ctl \
./usr/share/doc/kvfs/LICENSE ./usr/share/doc/kvfs/NEWS.md ./usr/share/doc/kvfs/README.md ./usr/share/doc/kvfs/kvfs.ini \
./usr/share/fish/vendor_completions.d/kvfs-ctl.fish ./usr/share/fish/vendor_completions.d/kvfs.fish \
./usr/share/man/man1/kvfs-ctl.1 ./usr/share/man/man5/kvfs.ini.5 ./usr/share/man/man8/kvfs.8 ./usr/share/man/man8/mount.fuse.kvfs.8 ./usr/share/man/man8/mount.kvfs.8 \
./usr/share/zsh/site-functions/_kvfs" ]
	[ "$(readlink "$work/root/sbin/mount.kvfs")" = /usr/bin/kvfs ]
	[ "$(readlink "$work/root/sbin/mount.fuse.kvfs")" = /usr/bin/kvfs ]
	run grep -rE "$work|/usr/local" "$work/root/usr/lib" "$work/root/usr/share/man"
	[ "$status" -eq 1 ]
	in_make uninstall DESTDIR="$work/root" PREFIX=/usr
	[ -z "$(find "$work/root" ! -type d)" ]
	[ -z "$(find "$work/root" -name '*kvfs*' -o -name '*completion*' -o -name systemd)" ]
}

@test "who may not write to the helper's directory still gets the rest, and is told" {
	run in_make install PREFIX="$work/usr" HELPER_DIR=/proc/none
	[ "$status" -eq 0 ]
	[[ $output == *"kvfs: /proc/none/mount.kvfs could not be made"*"mount -t fuse.kvfs"* ]]
	[ -x "$work/usr/bin/kvfs" ]
	"$work/usr/bin/kvfs" -n "$work/usr/share/doc/kvfs/kvfs.ini"
}

@test "the unit is one that systemd takes, and asks for no mount namespace, in which the mount would be hidden" {
	command -v systemd-analyze >/dev/null || skip "no systemd-analyze here"
	in_make install PREFIX="$work/usr" HELPER_DIR="$work/sbin"
	unit=$work/usr/lib/systemd/system/kvfs@.service
	run systemd-analyze verify --man=no "$unit"
	[ "$status" -eq 0 ]
	[ "$output" = "" ]
	run grep -E '^(Protect|Private|ReadOnly|ReadWrite|Inaccessible|NoExec|Exec|Bind|Temporary|Root|Mount|DynamicUser)[A-Za-z]*=' "$unit"
	same "$output" "$(grep -E '^Exec(Start|StartPre)=' "$unit")"
	grep -qxF "ExecStart=$work/usr/bin/kvfs -f -c /etc/kvfs/%i.ini \${MOUNTPOINT}" "$unit"
}

@test "the capabilities that the unit leaves are enough for a whole life" {
	command -v setpriv >/dev/null || skip "no setpriv here"
	caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$top/contrib/kvfs@.service" | tr 'A-Z' 'a-z' | sed 's/cap_/+/g; s/ /,/g')
	setpriv --no-new-privs --bounding-set="-all,$caps" "$KVFS_BIN/kvfs" -o "logfile=$log" "$data" "$mnt" 3>&- 4>&-
	note_daemons
	echo value >"$mnt/k"
	chown 12:34 "$mnt/k"
	ctl bgsave --wait
	ctl bgrewriteaof --wait
	kvfs_stop
	kvfs_start
	[ "$(stat -c %u:%g "$mnt/k")" = 12:34 ]
}

@test "each page of the manual renders without a warning, and has the sections one looks for" {
	local page section
	for page in kvfs.8 kvfs-ctl.1 kvfs.ini.5; do
		LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 "$top/man/$page" >"$work/page" 2>"$work/warnings"
		[ "$(cat "$work/warnings")" = "" ]
		[ "$(wc -l <"$work/page")" -gt 50 ]
		for section in NAME SYNOPSIS DESCRIPTION EXAMPLES FILES "SEE ALSO"; do
			grep -qx ".SH $section" "$top/man/$page" || { echo "# $page has no $section"; return 1; }
		done
		# The pages have no date: it would be that of nothing in particular.
		! command -v mandoc >/dev/null || [ -z "$(mandoc -T lint -W warning "$top/man/$page" | grep -v 'missing date')" ]
	done
	for page in kvfs.8 kvfs-ctl.1; do
		grep -qx ".SH EXIT STATUS" "$top/man/$page"
	done
}

# ---- completions ----

# complete_it WORD...: what bash offers for the last word, one a line; the words as bash cuts them, with '=' as one.
complete_it() {
	local line=
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
	local word
	for word; do
		case $word in
		=) line+="=" ;;
		*) [[ -z $line || $line == *= ]] && line+=$word || line+=" $word" ;;
		esac
	done
	COMP_LINE=$line COMP_POINT=${#line}
	compopt() { :; }
	"$completer" "$program" "${@: -1}" "${*: -2:1}"
	printf '%s\n' "${COMPREPLY[@]}"
}

@test "bash completes the settings of kvfs, and values where they can be listed" {
	PATH=$KVFS_BIN:$PATH
	source "$top/contrib/completions/kvfs.bash"
	completer=_kvfs program=kvfs
	kvfs --help >"$work/help"
	same "$(complete_it kvfs -o '' | grep = | LC_ALL=C sort)" "$(sed -nE 's/^([a-z-]+) =.*/\1=/p' "$top/kvfs.ini" | LC_ALL=C sort)"
	[ "$(complete_it kvfs -o appendf | xargs)" = "appendfsync= appendfilename=" ]
	[ "$(complete_it kvfs -o appendfsync = a)" = always ]
	[ "$(complete_it kvfs -o appendfsync = | xargs)" = "everysec always no" ]
	[ "$(complete_it kvfs -o spin = 5,xat)" = 5,xattr= ]
	[ "$(complete_it kvfs -o spin = 5,xattr = y)" = yes ]
	[ "$(complete_it kvfs -o dir = "$work/da")" = "$work/data" ]
	[ "$(complete_it kvfs --pri)" = --print-config ]
	[ "$(complete_it kvfs -c "$work/da")" = "$work/data" ]
	local word
	for word in $(complete_it kvfs -); do
		grep -q -- "$word\>" "$work/help" || { echo "# --help has no $word"; return 1; }
	done
}

@test "bash completes commands, settings, mount points and keys of kvfs-ctl" {
	kvfs_start
	mkdir "$mnt/user"
	echo value >"$mnt/user/ada"
	PATH=$KVFS_BIN:$PATH
	source "$top/contrib/completions/kvfs.bash"
	completer=_kvfs_ctl program=kvfs-ctl
	[ "$(complete_it kvfs-ctl bg | xargs)" = "bgrewriteaof bgsave" ]
	[ "$(complete_it kvfs-ctl pex | xargs)" = "pexpire pexpireat pexpiretime" ]
	# Every command that the manual has.
	local word all
	all=" $(complete_it kvfs-ctl '' | xargs) "
	for word in backup check config dbsize del echo exists expire expireat expiretime info lastsave persist ping pttl restore-to save shutdown ttl type umount unlink; do
		[[ $all == *" $word "* ]] || { echo "# $word is not offered"; return 1; }
	done
	# And no other.
	for word in $all; do
		grep -qwE "^\.(B|BI|BR|TP).*$word.*" "$top/man/kvfs-ctl.1" || grep -qx "\.B $word" "$top/man/kvfs-ctl.1" || { echo "# $word is not in kvfs-ctl.1"; return 1; }
	done
	[ "$(complete_it kvfs-ctl config r | xargs)" = "rewrite resetstat" ]
	[ "$(complete_it kvfs-ctl config get maxmemory-p)" = maxmemory-policy ]
	[ "$(complete_it kvfs-ctl info key)" = keyspace ]
	[[ $(complete_it kvfs-ctl -m "${mnt%t}") == *"$mnt"* ]]
	[ "$(complete_it kvfs-ctl -m "$mnt" ttl us)" = user/ ]
	[ "$(complete_it kvfs-ctl -m "$mnt" ttl user/)" = user/ada ]
	[ "$(complete_it kvfs-ctl ttl "$mnt/user/a")" = "$mnt/user/ada" ]
	[ "$(complete_it kvfs-ctl -m "$mnt" expire user/ada 60 g)" = gt ]
	[ "$(complete_it kvfs-ctl check --)" = --fix ]
	kvfs_stop
}

@test "the completions of zsh and fish are ones that these shells can read" {
	local any=
	if command -v zsh >/dev/null; then
		zsh -n "$top/contrib/completions/_kvfs"
		any=yes
	fi
	if command -v fish >/dev/null; then
		fish -n "$top/contrib/completions/kvfs.fish"
		any=yes
	fi
	[ -n "$any" ] || skip "neither zsh nor fish is here"
}

@test "the package has the program's version" {
	[ "$(sed -n '1s/^kvfs (\(.*\)-[^-]*).*/\1/p' "$top/contrib/debian/changelog")" = "$("$KVFS_BIN/kvfs" --version | sed -n '1s/^kvfs \([^ ]*\).*/\1/p')" ]
}
