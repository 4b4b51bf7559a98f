#!/usr/bin/env bats
# A stock redis-cli works on the control socket, in each of its modes; a SCAN misses no key that is there throughout.
# By redis-cli, beside the same keys in a redis-server, and by scans while other keys come and go.

load lib/kvfs
load lib/screen
setup() { kvfs_setup; }
teardown() {
	screen_stop
	kvfs_teardown
}

cli() {
	redis-cli -s "$data/kvfs.sock" "$@"
}

make_keys() {
	mkdir -p "$mnt/user/1" "$mnt/session"
	echo Ada >"$mnt/user/1/name"
	head -c 3000 /dev/zero >"$mnt/user/1/picture"
	for i in {1..30}; do echo "$i" >"$mnt/session/$i"; done
	ln -s name "$mnt/user/1/link"
	ln "$mnt/user/1/name" "$mnt/user/1/other"
}

@test "--scan lists the keys and nothing else, by pattern and by type" {
	kvfs_start
	make_keys
	same "$(cli --scan | sort)" "$(cd "$mnt" && find . -type f -printf '%P\n' | sort)"
	same "$(cli --scan --pattern 'user/*' | sort)" $'user/1/name\nuser/1/other\nuser/1/picture'
	same "$(cli --scan --pattern 'session/[12]?' | wc -l)" 20
	[ "$(cli scan 0 count 1000 type string | wc -l)" = 34 ]
	[ "$(cli scan 0 count 1000 type hash | sed -n 1p)" = 0 ]
	[ -z "$(cli --scan --type hash)" ]
	same "$(cli keys 'user/1/?????' | sort)" user/1/other
	ctl expire user/1/name 0
	[ "$(cli --scan --pattern '*name')" = "" ]
}

@test "keys that are no path are scanned as keys" {
	local redis_keys
	mkdir "$work/redis"
	redis_start "$work/redis" --appendonly yes
	for key in 'a//b' ../x /top a a/b; do redis set "$key" "$key" >/dev/null; done
	printf '*3\r\n$3\r\nSET\r\n$3\r\na\0b\r\n$1\r\n1\r\n' | redis-cli -s "$redis_socket" --pipe >/dev/null
	redis_keys=$(redis --no-raw keys '*' | cut -d' ' -f2- | sort)
	redis_stop
	rm -rf "$data"
	mv "$work/redis" "$data"
	kvfs_start
	same "$(cli --no-raw keys '*' | cut -d' ' -f2- | sort)" "$redis_keys"
	[ "$(cli get a//b)" = a//b ] && [ "$(cli get a)" = a ] && [ "$(cli get a/b)" = a/b ]
}

@test "a scan sees once each key that is there throughout, while others come and go and some are replaced" {
	local cursor=0
	kvfs_start
	mkdir "$mnt/d" "$mnt/tmp"
	for i in {1..200}; do : >"$mnt/d/stays$i"; done
	while :; do
		cli scan "$cursor" count 20 >"$work/step"
		cursor=$(sed -n 1p "$work/step")
		sed 1d "$work/step" >>"$work/seen"
		for i in {1..40}; do : >"$mnt/tmp/$i.$cursor"; done
		mv "$mnt/tmp/1.$cursor" "$mnt/d/stays7"
		rm -f "$mnt"/tmp/*
		[ "$cursor" != 0 ] || break
	done
	same "$(grep ^d/stays "$work/seen" | sort)" "$(printf 'd/stays%s\n' {1..200} | sort)"
}

@test "--bigkeys, --memkeys, --stat and --latency say what is there" {
	kvfs_start
	make_keys
	cli --bigkeys >"$work/big"
	grep -qF 'Biggest string found '\''"user/1/picture"'\'' has 3000 bytes' "$work/big"
	grep -q 'Sampled 33 keys in the keyspace' "$work/big"
	cli --memkeys >"$work/mem"
	grep -qF 'Biggest string found '\''"user/1/picture"'\'' has' "$work/mem"
	timeout 5 redis-cli -s "$data/kvfs.sock" -i 0.02 --stat >"$work/stat" & stat=$!
	wait_until 5 eval '[ "$(wc -l <"$work/stat")" -ge 4 ]'
	kill "$stat"
	awk '$1 == 33 && $3 >= 1 && $4 == 0 { found = 1 } END { exit !found }' "$work/stat"
	cli --latency --raw -i 0.05 | awk '{ exit !(NF == 4 && $4 > 0) }'
}

@test "commands about one key are Redis's" {
	kvfs_start
	mkdir "$work/redis"
	redis_start "$work/redis"
	redis set k $'a "value"\n' >/dev/null
	printf 'a "value"\n' >"$mnt/k"
	cat >"$work/commands" <<-COMMANDS
		get k
		get none
		get
		strlen k
		strlen none
		type k
		exists k k none
		memory usage none
		memory usage
		memory usage k samples x
		keys
		keys k*
		scan 0
		scan x
		scan 0 count
		scan 0 count 0
		scan 0 count x
		scan 0 match k type string
		scan 0 type hash
		scan 0 nosuch 1
		hello 9
		hello x
		client setname x
	COMMANDS
	same "$(cli --no-raw <"$work/commands" 2>&1)" "$(redis --no-raw <"$work/commands" 2>&1)"
	redis_stop
}

@test "what is too long for a reply is refused, and the client goes on" {
	kvfs_start
	head -c 5000000 /dev/zero >"$mnt/big"
	same "$(printf 'get big\nstrlen big\n' | cli)" $'ERR the value has more than 4194304 bytes: read it through the mount\n\n5000000'
}

@test "an interactive redis-cli: prompt, hints and answers" {
	kvfs_start
	echo v >"$mnt/k"
	screen_start 80 30 "redis-cli -s '$data/kvfs.sock'; echo 'ended with' \$?; cat"
	wait_until 10 screen_has '^redis .*> *$'
	screen_keys 'get k' Enter
	wait_until 10 screen_has '^"v\\n"$'
	screen_keys 'hello' Enter
	wait_until 10 screen_has '"7.0.15"'
	screen_keys 'exit' Enter
	wait_until 10 screen_has '^ended with 0'
}
