#!/usr/bin/env bats
# INFO persistence is Redis's: each field that has a meaning here, in Redis's order, saying what is true.
# By a stock redis-server's own INFO beside it, and by looking while saves run.

load lib/kvfs
setup() { kvfs_setup; }
teardown() { kvfs_teardown; }

# Names of fields of INFO persistence, from standard input.
names() {
	tr -d '\r' | sed -n 's/^\([a-z_]*\):.*/\1/p'
}

# What Redis has and we cannot mean, as a pattern; and what we have and Redis does not.
not_here='^module_fork_'
own='^(rdb_bgsave_scheduled|aof_syncs|aof_writes|persistence_state|seq_[a-z]*|journal_size|replies_parked)$'

@test "the fields of INFO persistence are Redis's, in its order, with the log and without" {
	mkdir "$work/redis"
	for appendonly in yes no; do
		redis_start "$work/redis" --appendonly "$appendonly"
		kvfs_start appendonly="$appendonly"
		same "$(ctl info persistence | names | grep -vE "$own")" "$(redis info persistence | names | grep -vE "$not_here")"
		kvfs_stop
		redis_stop
	done
}

@test "the values of a fresh mount are those of a fresh server, but for what counts and what is on" {
	mkdir "$work/redis"
	redis_start "$work/redis" --appendonly yes --save "3600 1"
	kvfs_start save='3600 1'
	differs='^(rdb_last_save_time|aof_current_size|aof_base_size|rdb_last_load_keys_[a-z]*|aof_rewrites|aof_last_rewrite_time_sec|aof_last_cow_size):'
	same "$(ctl info persistence | tr -d '\r' | grep -vE "${own%?}:|$differs")" \
		"$(redis info persistence | tr -d '\r' | grep -vE "$not_here|$differs")"
	redis_stop
}

# One look at a running save: the share that is said is the share that is done.
share_is_true() {
	ctl info persistence | tr -d '\r' | awk -F: '
		$1 == "current_save_keys_processed" { done = $2 }
		$1 == "current_save_keys_total" { total = $2 }
		$1 == "current_fork_perc" { said = $2 }
		END { exit !(done > 0 && done < total && said == sprintf("%.2f", 100 * done / total)) }'
}

idle() {
	[ "$(info rdb_bgsave_in_progress)" = 0 ]
}

@test "current_fork_perc is how far a running save is, and 0.00 when none runs" {
	kvfs_start save= rdb-key-save-delay=20000
	for i in {1..50}; do echo "$i" >"$mnt/k$i"; done
	ctl bgsave
	wait_until 10 share_is_true
	wait_until 30 idle
	[ "$(info current_fork_perc)" = 0.00 ]
}
