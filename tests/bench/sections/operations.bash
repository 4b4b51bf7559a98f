# shellcheck shell=bash disable=SC2154
# operations -- each operation on 100-byte values beside two floors, tmpfs, the disk and redis-server, and the CPU that the daemons take for it.

section_operations() {
	floor_up floor
	local floor_pid=${pids[-1]}
	floor_up floor-loop -l
	local loop_pid=${pids[-1]}
	kvfs_up plain "${kvfs_calm[@]}" spin=0 latency=no
	kvfs_up kvfs
	redis_up redis
	redis_up redis-aof "${redis_calm[@]}" --appendonly yes
	mkdir "$work/disk" "$memory/tmpfs"
	"$bench/ops" table "$BATCH" "$ROUNDS" "fuse:floor@$floor_pid=$work/floor.mnt" "fuse:floor-loop@$loop_pid=$work/floor-loop.mnt" \
		"$(target kvfs plain plain)" "$(target kvfs kvfs)" "dir:tmpfs=$memory/tmpfs" "dir:disk=$work/disk" \
		"$(target redis redis)" "$(target redis redis-aof redis-aof)" >"$out/operations.dat"
	kvfs_down plain
	kvfs_down kvfs
	redis_down redis
	redis_down redis-aof
	floor_down floor
	floor_down floor-loop
	operations_goals
	echo "## Operations"
	echo
	echo "µs an operation: 100-byte values, $BATCH keys a batch, median of $ROUNDS rounds"
	echo
	print_operations
	columns_of_operations >"$out/operations.columns.dat"
	draw operations "time of each operation on kvfs, the floors, tmpfs, the disk and redis-server"
	echo "µs of CPU that the daemon takes for it, while it polls for the next request too"
	echo
	print_operations_cpu
}

# us TARGET OPERATION; cpu_us the same
us() {
	awk -v t="$1" -v o="$2" '$1 == t && $2 == o { print $3 }' "$out/operations.dat"
}
cpu_us() {
	awk -v t="$1" -v o="$2" '$1 == t && $2 == o { print $4 }' "$out/operations.dat"
}

operations_goals() {
	local one
	for one in overwrite first_get append delete; do
		goal "${one/_/ }, to the floor with the same loop" "<=" 1.10 "$(ratio "$(us kvfs "$one")" "$(us floor-loop "$one")")"
	done
	for one in overwrite first_get append delete; do
		goal "${one/_/ }, to the floor with libfuse's loop" "<=" 0.25 "$(ratio "$(us kvfs "$one")" "$(us floor "$one")")"
	done
	goal "get again, to tmpfs" "<=" 1.3 "$(ratio "$(us kvfs get_again)" "$(us tmpfs get_again)")"
	for one in overwrite delete; do
		goal "$one, to the disk ($disk)" "<=" 1 "$(ratio "$(us kvfs "$one")" "$(us disk "$one")")"
	done
	goal "get again, times as fast as redis-server, each with its defaults" ">=" 10 "$(ratio "$(us redis get_again)" "$(us kvfs get_again)")"
	goal "overwrite, times as fast as redis-server, each with its defaults" ">=" 2.5 "$(ratio "$(us redis overwrite)" "$(us kvfs overwrite)")"
}

print_operations() {
	local one t
	head_row operation floor "floor, kvfs's loop" "kvfs, plain loop" kvfs "kvfs to floor" "to floor, kvfs's loop" tmpfs disk redis-server "with a log"
	for one in new overwrite first_get get_again stat append delete; do
		printf '| %s |' "${one/_/ }"
		for t in floor floor-loop plain kvfs; do
			cell %.1f "$(us "$t" "$one")"
		done
		for t in floor floor-loop; do
			cell %.2f "$(ratio "$(us kvfs "$one")" "$(us "$t" "$one")")"
		done
		for t in tmpfs disk redis redis-aof; do
			cell %.1f "$(us "$t" "$one")"
		done
		echo
	done
	echo
	echo "floor: a FUSE filesystem that stores nothing, with libfuse's own loop, and with the one of kvfs.  kvfs: its defaults, so with a log synced each"
	echo "second; plain loop: spin=0, latency=no.  disk: $disk.  redis-server: its defaults, so without a log, one client on a Unix socket; with a"
	echo "log: appendonly yes.  All of them are daemons in sessions of their own, since the kernel shares the CPUs out between sessions."
}

print_operations_cpu() {
	local one t
	head_row operation floor "floor, kvfs's loop" "kvfs, plain loop" kvfs redis-server "with a log"
	for one in new overwrite first_get get_again stat append delete; do
		printf '| %s |' "${one/_/ }"
		for t in floor floor-loop plain kvfs redis redis-aof; do
			cell %.1f "$(cpu_us "$t" "$one")"
		done
		echo
	done
}

# For the picture: a line an operation, a column a target.
columns_of_operations() {
	local one t
	for one in new overwrite first_get get_again append delete; do
		printf '"%s"' "${one/_/ }"
		for t in floor floor-loop kvfs tmpfs disk redis redis-aof; do
			printf ' %s' "$(us "$t" "$one")"
		done
		echo
	done
}
