# shellcheck shell=bash disable=SC2154  # run sets work, out, REPEATS
# measure.bash -- time, samples, and the arithmetic of the tables.

wait_until() {
	local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/./}" -lt "$deadline" ] || { echo "bench: timed out: $*" >&2; return 1; }
		sleep 0.005
	done
}

seconds_since() {
	awk -v us=$((${EPOCHREALTIME/./} - $1)) 'BEGIN { printf "%.3f", us / 1e6 }'
}

# seconds_of COMMAND...: how long it takes.
seconds_of() {
	local start=${EPOCHREALTIME/./}
	"$@" >/dev/null
	seconds_since "$start"
}

# sample NAME COMMAND...: adds what COMMAND prints, a number with or without a line's end, to the samples of that name.
sample() {
	local file=$work/samples.$1
	shift
	"$@" >>"$file"
	echo >>"$file"
}
# samples NAME: their median; "-": there are none.
samples() {
	[ -s "$work/samples.$1" ] || { echo -; return; }
	median <"$work/samples.$1"
}
median() {
	awk NF | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# cell FORMAT NUMBER: as a cell of a table; "-" stays.
cell() {
	case $2 in
	- | "") printf ' - |' ;;
	*) printf " $1 |" "$2" ;;
	esac
}

# head_row COLUMN...: the first two lines of a table.
head_row() {
	local one
	printf '|'
	for one; do
		printf ' %s |' "$one"
	done
	printf '\n|'
	for one; do
		printf -- '---|'
	done
	echo
}

# row NAME FORMAT KVFS OTHER: a line of a table with their ratio.
row() {
	printf '| %s |%s%s%s\n' "$1" "$(cell "$2" "$3")" "$(cell "$2" "$4")" "$(cell %.2f "$(ratio "$3" "$4")")"
}
# ratio A B: "-" when one of them was not measured.
ratio() {
	case $1/$2 in
	/* | */ | *-*) echo - ;;
	*) awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.4f", a / b; else print "-" }' ;;
	esac
}

# goal TEXT "<="|">=" LIMIT MEASURED: a line of the table of goals.  What was not measured is no line.
goal() {
	[ "$4" = - ] || printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$out/goals.tsv"
}

# draw NAME TEXT [GNUPLOT]: NAME.svg out of plots/NAME.gp, and its line in the report.  TEXT is for who does not see it, GNUPLOT a statement
# before the plot.
draw() {
	local name=$1 text=$2
	shift 2
	gnuplot -e "out = '$out'; here = '$here/plots'; $*" "$here/plots/style.gp" "$here/plots/$name.gp" >"$out/$name.svg"
	printf '\n![%s](%s.svg)\n\n' "$text" "$name"
}

# power 10000000: 10^7.  bytes 65536: 64 KiB.
power() {
	awk -v n="$1" 'BEGIN { e = int(log(n) / log(10) + 0.5); if (10 ^ e == n) print "10^" e; else print n }'
}
bytes() {
	awk -v n="$1" 'BEGIN { split("B KiB MiB GiB", u, " "); i = 1; while (n >= 1024 && i < 4) { n /= 1024; i++ } printf "%g %s\n", n, u[i] }'
}
