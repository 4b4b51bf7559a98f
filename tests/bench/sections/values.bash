# shellcheck shell=bash disable=SC2154
# values -- values of all sizes: throughput, streaming 1 MiB a call, appending, small writes into a large value during a snapshot, and what large
# values cost those who use others.

section_values() {
	floor_up floor-loop -l
	kvfs_up values "${kvfs_calm[@]}"
	kvfs_up values-nolog "${kvfs_calm[@]}" appendonly=no
	mkdir "$memory/values" "$work/values.disk"
	head -c "$STREAM" /dev/urandom >"$memory/source"
	values_sizes
	values_stream
	values_append
	floor_down floor-loop
	kvfs_down values-nolog
	values_large
	values_beside
	kvfs_down values
	print_values
	rm -r "$memory/source" "$work/values.disk"
}

values_places=(floor kvfs kvfs-nolog tmpfs disk)
# values_dir PLACE
values_dir() {
	case $1 in
	floor) echo "$work/floor-loop.mnt" ;;
	kvfs) echo "$work/values.mnt" ;;
	kvfs-nolog) echo "$work/values-nolog.mnt" ;;
	tmpfs) echo "$memory/values" ;;
	disk) echo "$work/values.disk" ;;
	esac
}

values_sizes() {
	local size one targets=()
	for one in "${values_places[@]}"; do
		targets+=("$one=$(values_dir "$one")")
	done
	for size in $SIZES; do
		"$bench/values" table "$size" "$TOTAL" "$REPEATS" "${targets[@]}"
	done >"$out/values.dat"
	for one in "${values_places[@]}"; do
		for size in $SIZES; do
			echo "$size $(mb_s "$one" "$size" write) $(mb_s "$one" "$size" cold) $(mb_s "$one" "$size" cached)"
		done >"$out/values.$one.dat"
	done
}
# mb_s PLACE SIZE WHAT
mb_s() {
	awk -v t="$1" -v s="$2" -v w="$3" '$1 == t && $2 == s && $3 == w { print $4 }' "$out/values.dat"
}

# ---- streaming, 1 MiB a call: dd through the page cache, fio past it, so that each call is a message of 1 MiB ----

values_stream() {
	local one round
	for round in $(seq 0 "$REPEATS"); do
		for one in "${values_places[@]}"; do
			stream_round "$one" "$round"
		done
	done
}
# Round 0 only makes the file.
stream_round() {
	local place=$1 round=$2 file
	file=$(values_dir "$1")/stream
	dd if="$memory/source" of="$file" bs=1M conv=notrunc status=none
	[ "$round" -gt 0 ] || return 0
	sample "stream.dd_write.$place" stream_s dd if="$memory/source" of="$file" bs=1M conv=notrunc status=none
	dd of="$file" oflag=nocache conv=notrunc count=0 status=none   # drops its pages
	sample "stream.dd_cold.$place" stream_s dd if="$file" of=/dev/null bs=1M status=none
	sample "stream.dd_cached.$place" stream_s dd if="$file" of=/dev/null bs=1M status=none
	sample "stream.fio_write.$place" fio_mb_s write "$file"
	sample "stream.fio_read.$place" fio_mb_s read "$file"
	sleep 0.12
}
stream_s() {
	awk -v bytes="$STREAM" -v s="$(seconds_of "$@")" 'BEGIN { printf "%.1f\n", bytes / s / 1e6 }'
}
# In the terse output, version 3, field 7 is KiB/s of reading, 48 of writing.  Nothing where the filesystem knows no O_DIRECT.
fio_mb_s() {
	{ fio --name=stream --filename="$2" --rw="$1" --bs=1M --size="$STREAM" --direct=1 --ioengine=psync --thread --minimal --terse-version=3 2>/dev/null || true; } |
		awk -F';' -v field="$([ "$1" = read ] && echo 7 || echo 48)" '$field > 0 { printf "%.1f\n", $field * 1024 / 1e6 }'
}

# ---- appending 4 KiB at a time ----

values_append() {
	local one
	for one in floor kvfs tmpfs; do
		"$bench/values" append 4096 "$APPEND" 32 "$(values_dir "$one")/append" >"$out/append.$one.dat"
		rm "$(values_dir "$one")/append"
	done
}

# ---- 4 KiB at random places of a large value, while nothing and while a snapshot runs ----

values_large() {
	local file=$work/values.mnt/large at _
	at=$(socket kvfs values)
	for ((i = 0; i < BIG; i += STREAM)); do
		cat "$memory/source"
	done | dd of="$file" bs=1M iflag=fullblock status=none
	truncate -s "$BIG" "$file"
	sync "$file"
	for _ in $(seq "$REPEATS"); do
		"$bench/pause" value "$out/large.nothing.dat" "$file" sleep "$SECONDS_EACH" >>"$work/large.nothing"
		# shellcheck disable=SC2016  # $0 is the socket, for the inner shell
		"$bench/pause" value "$out/large.bgsave.dat" "$file" bash -c 'job "$0" bgsave' "$at" >>"$work/large.bgsave"
	done
}
# large_us nothing|bgsave FIELD: the median of the rounds
large_us() {
	cut -d' ' -f"$2" "$work/large.$1" | median
}

# ---- 4 KiB at random places of a value, while another one is written and then removed ----

values_beside() {
	local large=$work/values.mnt/large other=$work/values.mnt/other
	head -c $((1 << 20)) "$memory/source" >"$other"
	"$bench/pause" value "$out/beside.stream.dat" "$other" dd if="$memory/source" of="$work/values.mnt/stream" bs=1M oflag=direct conv=notrunc status=none \
		>"$work/beside.stream"
	"$bench/pause" value "$out/beside.removal.dat" "$other" rm "$large" >"$work/beside.removal"
}

print_values() {
	local one what place size words
	goal "write of 1 MiB messages (fio), time to the floor with the same loop" "<=" 1.15 "$(ratio "$(samples stream.fio_write.floor)" "$(samples stream.fio_write.kvfs)")"
	goal "the same with appendonly no" "<=" 1.15 "$(ratio "$(samples stream.fio_write.floor)" "$(samples stream.fio_write.kvfs-nolog)")"
	goal "read of 1 MiB messages (fio), time to the floor with the same loop" "<=" 1.15 "$(ratio "$(samples stream.fio_read.floor)" "$(samples stream.fio_read.kvfs)")"
	goal "4 KiB write into a $(bytes "$BIG") value during a snapshot, to without" "<=" 1.3 "$(ratio "$(large_us bgsave 2)" "$(large_us nothing 2)")"
	echo "## Values of all sizes"
	echo
	echo "MB/s: files of one size one after the other, $(bytes "$TOTAL") or 1000 files of each size (one if it is larger); median of $REPEATS.  cold: the kernel has"
	echo "the name, not the bytes"
	echo
	head_row "" "${values_places[@]}" "kvfs to floor"
	for what in write cold cached; do
		for size in $SIZES; do
			printf '| %s, %s |' "$what" "$(bytes "$size")"
			for place in "${values_places[@]}"; do
				[[ $place.$what != @(tmpfs|disk).cold ]] || { printf ' - |'; continue; }
				cell %.4g "$(mb_s "$place" "$size" "$what")"
			done
			echo "$(cell %.2f "$(ratio "$(mb_s kvfs "$size" "$what")" "$(mb_s floor "$size" "$what")")")"
		done
	done
	echo
	echo "floor: with kvfs's loop.  kvfs-nolog: appendonly no.  disk: $disk, without a sync."
	draw values "throughput by the size of the value"
	echo "MB/s of one value of $(bytes "$STREAM"), 1 MiB a call; dd goes through the page cache, fio past it (O_DIRECT)"
	echo
	head_row "" "${values_places[@]}" "kvfs to floor"
	for one in dd_write:"dd, write" dd_cold:"dd, read cold" dd_cached:"dd, read again" fio_write:"fio, write" fio_read:"fio, read"; do
		what=${one%%:*} words=${one#*:}
		printf '| %s |' "$words"
		for place in "${values_places[@]}"; do
			[[ $place.$what != @(tmpfs|disk).dd_cold ]] || { printf ' - |'; continue; }
			cell %.0f "$(samples "stream.$what.$place")"
		done
		cell %.2f "$(ratio "$(samples "stream.$what.kvfs")" "$(samples "stream.$what.floor")")"
		echo
	done
	echo
	echo "µs of an append of 4 KiB to a value that grows to $(bytes "$APPEND")"
	echo
	head_row "" "at the beginning" "in the middle" "at the end"
	for one in floor kvfs tmpfs; do
		printf '| %s |%s\n' "$one" "$(append_cells "$one")"
	done
	draw append "time of an append by the size of the value"
	echo "µs of a write of 4 KiB at a random place of a value of $(bytes "$BIG"), median of $REPEATS"
	echo
	head_row "" mean 50% 99% 99.9% longest
	for one in nothing:"nothing beside it" bgsave:"during a BGSAVE"; do
		printf '| %s |' "${one#*:}"
		for what in 2 3 4 5 6; do
			cell %.1f "$(large_us "${one%%:*}" "$what")"
		done
		echo
	done
	echo
	echo "µs of a write of 4 KiB at a random place of a value of 1 MiB, beside the work of another client"
	echo
	head_row "" mean 50% 99% 99.9% longest
	for one in stream:"a stream of 1 MiB writes" removal:"the removal of $(bytes "$BIG")"; do
		printf '| %s |' "${one#*:}"
		for what in 2 3 4 5 6; do
			cell %.1f "$(cut -d' ' -f"$what" "$work/beside.${one%%:*}")"
		done
		echo
	done
}
# Of the first, the middle and the last eighth of the windows.
append_cells() {
	awk '{ v[NR] = $2 } END {
		n = int(NR / 8)
		for (i = 1; i <= n; i++) { a += v[i]; b += v[int(NR / 2) + i - int(n / 2)]; c += v[NR - i + 1] }
		printf " %.1f | %.1f | %.1f |", a / n, b / n, c / n
	}' "$out/append.$1.dat"
}
