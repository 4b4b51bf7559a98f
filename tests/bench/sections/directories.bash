# shellcheck shell=bash disable=SC2154
# directories -- large directories (NAMES), and what work in them does to others.

section_directories() {
	local count
	for count in $NAMES; do
		names_kvfs "$count"
		names_tmpfs "$count"
	done
	count=${NAMES##* }
	goal "\`ls -f\` of $(power "$count") names, to tmpfs" "<=" 3 "$(ratio "$(samples "ls.$count.kvfs")" "$(samples "ls.$count.tmpfs")")"
	print_names
}

# As many as can be made, looked at and removed in a moment.
names_step() {
	echo $(($1 < 10000 ? $1 : 10000))
}
names_kvfs() {
	local count=$1 name=names-$1
	mkdir "$work/$name"
	"$bench/fill" rdb "$count" names/ >"$work/$name/dump.rdb"
	kvfs_up "$name" "${kvfs_calm[@]}" appendonly=no
	log_on "$(socket kvfs "$name")"
	names_measure "$count" kvfs "$work/$name.mnt"
	kvfs_down "$name"
	rm -r "${work:?}/$name"
}
names_tmpfs() {
	local dir=$memory/names-$1
	mkdir -p "$dir/names"
	"$bench/fill" names "$1" "$dir/names"
	names_measure "$1" tmpfs "$dir"
	rm -r "$dir"
}
names_measure() {
	local _
	for _ in $(seq "$REPEATS"); do
		sample "ls.$1.$2" seconds_of ls -f "$3/names"
	done
	"$bench/names" "$3" "$1" "$(names_step "$1")" >"$out/names.$1.$2.dat"
}

# names_of COUNT SERVER OPERATION FIELD: seconds (2), or the longest call of another (3).
names_of() {
	awk -v what="$3" -v field="$4" '$1 == what { print $field }' "$out/names.$1.$2.dat"
}
# names_us COUNT SERVER OPERATION: µs a name; of the rename the whole.
names_us() {
	local names s
	case $3 in
	ls) names=$1 s=$(samples "ls.$1.$2") ;;
	list) names=$(($1 + $(names_step "$1"))) s=$(names_of "$1" "$2" list 2) ;;
	rename) names=1 s=$(names_of "$1" "$2" rename 2) ;;
	*) names=$(names_step "$1") s=$(names_of "$1" "$2" "$3" 2) ;;
	esac
	awk -v s="$s" -v n="$names" 'BEGIN { printf "%.4f", s * 1e6 / n }'
}
print_names() {
	local one count server
	echo "## Large directories"
	echo
	echo "µs a name in a directory of so many names; of the rename the whole, in µs.  ls: \`ls -f\`, nothing beside it; the others while another overwrites a"
	echo "key beside the directory"
	echo
	# shellcheck disable=SC2046  # words
	head_row "" $(for count in $NAMES; do power "$count"; done)
	for one in ls make list stat rename remove; do
		for server in kvfs tmpfs; do
			printf '| %s, %s |' "$server" "$one"
			for count in $NAMES; do
				cell %.2f "$(names_us "$count" "$server" "$one")"
			done
			echo
		done
	done
	echo
	echo "ms that the longest call of the other takes meanwhile"
	echo
	# shellcheck disable=SC2046  # words
	head_row "" $(for count in $NAMES; do power "$count"; done)
	for one in list stat rename remove; do
		printf '| kvfs, %s |' "$one"
		for count in $NAMES; do
			cell %.2f "$(names_of "$count" kvfs "$one" 3)"
		done
		echo
	done
}
