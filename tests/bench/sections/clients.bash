# shellcheck shell=bash disable=SC2154
# clients -- 1, 2, 4 and 8 clients at once.

section_clients() {
	local op count _
	floor_up floor-loop -l
	kvfs_up clients
	redis_up redis-clients
	redis_up redis-clients-aof "${redis_calm[@]}" --appendonly yes
	for op in overwrite get_again; do
		for count in 1 2 4 8; do
			for _ in $(seq "$REPEATS"); do
				sample "clients.$op.$count.floor" client_us "$op" "$count" "fuse:floor=$work/floor-loop.mnt"
				sample "clients.$op.$count.kvfs" client_us "$op" "$count" "$(target kvfs clients)"
				sample "clients.$op.$count.redis" client_us "$op" "$count" "$(target redis redis-clients)"
				sample "clients.$op.$count.redis-aof" client_us "$op" "$count" "$(target redis redis-clients-aof)"
			done
			echo "$count $(a_second "$op" "$count" floor) $(a_second "$op" "$count" kvfs) $(a_second "$op" "$count" redis) $(a_second "$op" "$count" redis-aof)"
		done >"$out/clients.$op.dat"
	done
	floor_down floor-loop
	kvfs_down clients
	redis_down redis-clients
	redis_down redis-clients-aof
	for op in overwrite get_again; do
		goal "${op/_/ }, 8 clients, times as many a second as redis-server" ">=" 1 "$(ratio "$(a_second "$op" 8 kvfs)" "$(a_second "$op" 8 redis)")"
	done
	print_clients
}

# µs an operation; CALLS are shared by the clients.
client_us() {
	"$bench/clients" "$1" "$2" $((CALLS / $2)) "$3"
}
a_second() {
	ratio 1000000 "$(samples "clients.$1.$2.$3")"
}

print_clients() {
	local op count server
	echo "## Clients at once"
	echo
	echo "operations a second, each client on its own key of 100 bytes; median of $REPEATS"
	echo
	head_row "" "floor, kvfs's loop" kvfs redis-server "kvfs to it" "redis-server with a log" "kvfs to it"
	for op in overwrite get_again; do
		for count in 1 2 4 8; do
			printf '| %s, %s at once |' "${op/_/ }" "$count"
			for server in floor kvfs redis; do
				cell %.0f "$(a_second "$op" "$count" "$server")"
			done
			cell %.2f "$(ratio "$(a_second "$op" "$count" kvfs)" "$(a_second "$op" "$count" redis)")"
			cell %.0f "$(a_second "$op" "$count" redis-aof)"
			cell %.2f "$(ratio "$(a_second "$op" "$count" kvfs)" "$(a_second "$op" "$count" redis-aof)")"
			echo
		done
	done
	draw clients "operations a second by 1 to 8 clients"
}
