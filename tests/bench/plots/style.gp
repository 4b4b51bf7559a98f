# style.gp -- what all pictures have in common.  One colour is one thing everywhere.
set terminal svg size 900,440 font "sans-serif,13" background rgb "white" noenhanced
set grid ytics lc rgb "#dddddd" lw 1
set border 3 lc rgb "#666666"
set tics nomirror
set style line 1 lc rgb "#bbbbbb" lw 2 pt 4 ps 0.7   # floor
set style line 2 lc rgb "#777777" lw 2 pt 6 ps 0.7   # floor with kvfs's loop
set style line 3 lc rgb "#1565c0" lw 3 pt 7 ps 0.7   # kvfs
set style line 4 lc rgb "#2e7d32" lw 2 pt 8 ps 0.7   # tmpfs
set style line 5 lc rgb "#f9a825" lw 2 pt 10 ps 0.7  # disk
set style line 6 lc rgb "#c62828" lw 2 pt 5 ps 0.7   # redis-server
set style line 7 lc rgb "#ef9a9a" lw 2 pt 5 ps 0.7   # redis-server with a log
set style line 8 lc rgb "#64b5f6" lw 2 pt 9 ps 0.7   # kvfs without a log
