set title "µs an operation on 100 bytes, one client (less is better)"
set style data histograms
set style histogram clustered gap 1.5
set style fill solid 1.0
set logscale y
set yrange [1:*]
set ylabel "µs (log)"
set key outside right top reverse Left
plot out."/operations.columns.dat" using 2:xtic(1) ls 1 title "floor", "" using 3 ls 2 title "floor, kvfs's loop", \
	"" using 4 ls 3 title "kvfs", "" using 5 ls 4 title "tmpfs", "" using 6 ls 5 title "disk", \
	"" using 7 ls 6 title "redis-server", "" using 8 ls 7 title "redis-server, log"
