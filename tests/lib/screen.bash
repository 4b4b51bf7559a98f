# screen.bash -- a program on a terminal of its own, by tmux: what it shows, keys for it.
#
#	screen_start WIDTH HEIGHT COMMAND    a shell command line; returns at once
#	screen                               the text that stands there now; screen -e: with its colours
#	screen_has REGEX                     whether a line of it matches (grep -E)
#	screen_keys KEY...                   as tmux names them
#	screen_size WIDTH HEIGHT             the window becomes another size
#	screen_stop                          ends it, for teardown; after a failure it shows what stood there

screen_start() {
	LC_ALL=C.UTF-8 tmux -S "$work/tmux" -u -f /dev/null new-session -d -x "$1" -y "$2" "$3" 3>&- 4>&-
}

screen() {
	tmux -S "$work/tmux" capture-pane -p "$@"
}

screen_has() {
	screen | grep -qE -- "$1"
}

screen_keys() {
	tmux -S "$work/tmux" send-keys "$@"
}

screen_size() {
	tmux -S "$work/tmux" resize-window -x "$1" -y "$2"
}

screen_stop() {
	[ -S "${work:-/nowhere}/tmux" ] || return 0
	[ "${BATS_TEST_COMPLETED:-}" = 1 ] || screen 2>/dev/null | sed 's/^/# /'
	tmux -S "$work/tmux" kill-server 2>/dev/null || true
}
