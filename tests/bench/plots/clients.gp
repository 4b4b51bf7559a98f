set multiplot layout 1,2
set logscale x 2
set xtics (1, 2, 4, 8)
set xrange [0.9:8.9]
set yrange [0:*]
set xlabel "clients at once"
set ylabel "thousand a second"
set key top right Left reverse
set offsets 0, 0, graph 0.3, 0
set title "overwrites a second (more is better)"
f = out."/clients.overwrite.dat"
plot f using 1:($2/1e3) with linespoints ls 2 title "floor, kvfs's loop", "" using 1:($3/1e3) with linespoints ls 3 title "kvfs", \
	"" using 1:($4/1e3) with linespoints ls 6 title "redis-server", "" using 1:($5/1e3) with linespoints ls 7 title "redis-server, log"
set title "gets of a key that was read before, a second"
set logscale y
set offsets 0, 0, 0, 0
set yrange [1:5000]
set ylabel "thousand a second (log)"
f = out."/clients.get_again.dat"
plot f using 1:($2/1e3) with linespoints ls 2 title "floor, kvfs's loop", "" using 1:($3/1e3) with linespoints ls 3 title "kvfs", \
	"" using 1:($4/1e3) with linespoints ls 6 title "redis-server", "" using 1:($5/1e3) with linespoints ls 7 title "redis-server, log"
unset multiplot
