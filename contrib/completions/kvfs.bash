# shellcheck shell=bash
# Completion of kvfs and kvfs-ctl for bash.  What there is to complete is asked of the programs themselves, by --help.

# NAME=VALUES of every setting.
_kvfs_settings() {
	"$1" --help 2>/dev/null | sed -n '/^Options:/,$s/^  \([a-z][a-z-]*=[^ ]*\).*/\1/p'
}

# Behind -o: names, the values that can be listed, and mount(8)'s words.  $1: kvfs, $2: what the shell takes for the current word.
_kvfs_option() {
	local typed=${COMP_LINE:0:COMP_POINT} piece name values one
	local -a choices
	typed=${typed##* }
	piece=${typed##*,}
	if [[ $piece != *=* ]]; then
		mapfile -t choices < <(_kvfs_settings "$1" | sed 's/=.*/=/')
		choices+=(ro allow_other noatime nodiratime strictatime noexec suid dev sync)
		compopt -o nospace
		mapfile -t COMPREPLY < <(compgen -P "${2%"$piece"}" -W "${choices[*]}" -- "$piece")
		return
	fi
	name=${piece%%=*}
	for one in $(_kvfs_settings "$1"); do
		[ "${one%%=*}" = "$name" ] && values=${one#*=}
	done
	one=${2#=}
	case ${values:-} in
	PATH) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$one") ;;
	*[a-z]*) mapfile -t COMPREPLY < <(compgen -W "${values//|/ }" -- "$one") ;;
	esac
}

_kvfs() {
	local kvfs=$1 current=$2 before=$3
	COMPREPLY=()
	# An '=' is a word of its own to the shell.
	if [[ ${COMP_LINE:0:COMP_POINT} =~ [[:blank:]]-o[[:blank:]]*[^[:blank:]]*$ ]]; then
		_kvfs_option "$kvfs" "$current"
	elif [[ $current == -* && $before != -c && $before != --config ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-f --foreground -c --config -o -n --check-config -T --print-config -h --help -V --version' -- "$current")
	else
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	fi
}

_kvfs_ctl_commands() {
	"$1" --help 2>/dev/null | sed -n '/^commands/,/^$/s/^  \([a-z]\)/\1/p' | sed 's/   *.*//; s/, /\n/g' | sed 's/ .*//' | sort -u
}

# Where keyspaces are mounted.
_kvfs_mounts() {
	awk '/ - fuse\.kvfs(-view)? / { print $5 }' /proc/self/mountinfo
}

# A key: a path as of any file, or one below the mount point.
_kvfs_key() {
	local current=$1 top=$2 one
	compopt -o filenames
	if [[ $current == /* || $current == ./* || $current == ../* ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
	fi
	[ -n "$top" ] || top=$(_kvfs_mounts | head -n 1)
	compopt -o nospace
	while IFS= read -r one; do
		[ -d "$one" ] && one+=/
		COMPREPLY+=("${one#"$top"/}")
	done < <([ -n "$top" ] && compgen -f -- "$top/$current")
}

_kvfs_names() {
	local kvfs
	kvfs=${1%-ctl}
	_kvfs_settings "$kvfs" | sed 's/=.*//'
}

# The words of COMMAND, the I-th behind it.
_kvfs_ctl_argument() {
	local ctl=$1 current=$2 command=$3 i=$4 top=$5 words=
	case $command in
	bgsave) words="schedule cancel --wait" ;;
	bgrewriteaof) words=--wait ;;
	info) words=$("$ctl" --help | sed -n 's/^  info \[SECTION[^ ]* *//p' | tr -d ,) ;;
	shutdown) words="nosave save now force abort" ;;
	config)
		if [ "$i" -eq 1 ]; then
			words="get set rewrite resetstat"
		else
			words=$(_kvfs_names "$ctl")
		fi
		;;
	backup | restore-to | check)
		if [[ $current == -* ]]; then
			words=$([ "$command" = check ] && echo --fix || echo --from)
		else
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$current")
			return
		fi
		;;
	expire | pexpire | expireat | pexpireat)
		[ "$i" -ne 1 ] || { _kvfs_key "$current" "$top"; return; }
		[ "$i" -ne 3 ] || words="nx xx gt lt"
		;;
	ttl | pttl | expiretime | pexpiretime | persist | exists | type | del | unlink) _kvfs_key "$current" "$top"; return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

_kvfs_ctl() {
	local ctl=$1 current=$2 top="" i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-m | --mountpoint) i=$((i + 1)) top=${COMP_WORDS[i]} ;;
		-s | --socket) i=$((i + 1)) ;;
		-*) ;;
		*) break ;;
		esac
	done
	if ((i < COMP_CWORD)); then
		_kvfs_ctl_argument "$ctl" "$current" "${COMP_WORDS[i],,}" $((COMP_CWORD - i)) "$top"
		return
	fi
	case $3 in
	-m | --mountpoint) mapfile -t COMPREPLY < <(compgen -W "$(_kvfs_mounts)" -- "$current") ;;
	-s | --socket)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		;;
	*)
		if [[ $current == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W '-m --mountpoint -s --socket -h --help -V --version' -- "$current")
		else
			mapfile -t COMPREPLY < <(compgen -W "$(_kvfs_ctl_commands "$ctl")" -- "$current")
		fi
		;;
	esac
}

complete -F _kvfs kvfs
complete -F _kvfs_ctl kvfs-ctl
