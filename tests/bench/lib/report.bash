# shellcheck shell=bash disable=SC2154  # run sets out, work, sections, here
# report.bash -- the machine, the table of goals, and the sections put together.

# What is worth knowing when numbers of two machines are compared.
describe_machine() {
	printf 'kvfs %s, Redis %s, libfuse %s\n' "$(git -C "$here" describe --always --dirty 2>/dev/null || echo unknown)" \
		"$(redis-server --version | sed -E 's/.*v=([0-9.]+).*/\1/')" "$(pkg-config --modversion fuse3)"
	printf 'Linux %s, %s\n' "$(uname -r)" "$(uname -m)"
	printf '%s CPUs: %s\n' "$(nproc)" "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
	printf 'virtual machine: %s\n' "$(grep -qw hypervisor /proc/cpuinfo && echo yes || echo no)"
	printf 'idle states: %s; /dev/cpu_dma_latency: %s\n' "$(cat /sys/devices/system/cpu/cpuidle/current_driver 2>/dev/null || echo unknown)" \
		"$([ -w /dev/cpu_dma_latency ] && echo yes || echo no)"
	# A host that gives it a share of its CPUs does not run a virtual machine that has used it up: no pause of ours can be shorter.
	printf 'stands still for up to %s ms while each CPU is busy for 4 s\n' "$("$bench/stalls" 4)"
	# A host that gives a virtual machine its memory when it is first used, and takes back what is free, makes that use slow.
	awk -v s="$(seconds_of dd if=/dev/zero of=/dev/null bs=512M count=1 status=none)" \
		'/^MemTotal:/ { printf "memory: %.0f GiB, its first use %.2f ms a MiB\n", $2 / 1048576, s * 1000 / 512 }' /proc/meminfo
	printf 'disk: %s\n' "$disk"
	printf 'load before: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
	printf 'date: %s\n' "$(date -u +%F)"
}

print_goals() {
	[ -s "$out/goals.tsv" ] || return 0
	echo "| | goal | measured | met |"
	echo "|---|---|---|---|"
	awk -F'\t' '{
		met = $2 == "<=" ? $4 <= $3 : $4 >= $3
		count += met
		printf "| %s | %s %s | %s | %s |\n", $1, $2 == "<=" ? "at most" : "at least", $3, sprintf($4 < 100 ? "%.2f" : "%.0f", $4), met ? "yes" : "**no**"
	} END { printf "\n%d of %d goals are met.\n", count, NR }' "$out/goals.tsv"
}

write_report() {
	local one
	echo "# What kvfs measures"
	echo
	sed 's/^/    /' "$out/machine.txt"
	echo
	echo "## Goals"
	echo
	print_goals
	for one in "${sections[@]}"; do
		echo
		cat "$out/$one.md"
	done
}

# README's part: machine, goals, operations, and the pictures.
write_readme() {
	local dir=tests/bench/results one
	echo "Measured by \`make bench\`. The machine: [machine.txt]($dir/machine.txt), all tables: [report.md]($dir/report.md). Absolute times are this machine's;"
	echo "the ratios are the point."
	echo
	[ ! -f "$out/operations.md" ] || sed -e '/^## /,+1d' -e '/^µs of CPU/,$d' -e "s#](\([a-z-]*\.svg\))#]($dir/\1)#" "$out/operations.md"
	for one in clients values keys files; do
		[ ! -f "$out/$one.md" ] || sed -n "s#^\(!.*\)](\([a-z-]*\.svg\))#\1]($dir/\2)\n#p" "$out/$one.md"
	done
	print_goals
}
