# shellcheck shell=bash disable=SC2154
# shell -- `echo v > key` on the mount against `redis-cli set` in the same loop of the shell.

section_shell() {
	local turns=$((LOOPS / 15)) kvfs redis
	kvfs_up shell
	redis_up redis-shell
	echo_loop "$LOOPS" >/dev/null   # the keys are there then
	for _ in $(seq "$REPEATS"); do
		sample shell.kvfs echo_loop "$LOOPS"
		sample shell.redis redis_cli_loop "$turns"
	done
	kvfs_down shell
	redis_down redis-shell
	kvfs=$(samples shell.kvfs) redis=$(samples shell.redis)
	goal "\`echo v > key\` in a shell loop, times as fast as \`redis-cli set\`" ">=" 100 "$(ratio "$kvfs" "$redis")"
	echo "## A loop of the shell"
	echo
	echo "turns a second of \`for ((i = 0; i < n; i++)); do ...; done\` in bash, each with its defaults; median of $REPEATS"
	echo
	head_row "\`echo v >/mnt/kv/key\$i\`" "\`redis-cli -s sock set key\$i v\`" ratio
	printf '|%s%s%s\n' "$(cell %.0f "$kvfs")" "$(cell %.0f "$redis")" "$(cell %.0f "$(ratio "$kvfs" "$redis")")"
}

echo_loop() {
	local i start=${EPOCHREALTIME/./}
	for ((i = 0; i < $1; i++)); do
		echo v >"$work/shell.mnt/key$i"
	done
	ratio "$1" "$(seconds_since "$start")"
}
redis_cli_loop() {
	local i start=${EPOCHREALTIME/./}
	for ((i = 0; i < $1; i++)); do
		redis-cli -s "$work/redis-shell/sock" set "key$i" v >/dev/null
	done
	ratio "$1" "$(seconds_since "$start")"
}
