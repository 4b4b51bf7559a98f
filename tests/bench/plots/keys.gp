set terminal svg size 1100,440 font "sans-serif,13" background rgb "white" noenhanced
set multiplot layout 1,3
set logscale x
set xtics ("10³" 1e3, "10⁴" 1e4, "10⁵" 1e5, "10⁶" 1e6, "10⁷" 1e7)
set xrange [700:1.4e7]
set xlabel "keys (log)"
set yrange [0:*]
set ylabel "µs"
set key top right Left reverse
set offsets 0, 0, graph 0.35, 0
set title "an operation on kvfs"
ops = out."/keys.ops.dat"
plot "< grep -w first_get ".ops using 1:3 with linespoints lc rgb "#6a1b9a" lw 2 pt 7 ps 0.7 title "first get", \
	"< grep -w overwrite ".ops using 1:3 with linespoints ls 3 title "overwrite", \
	"< grep -w delete ".ops using 1:3 with linespoints lc rgb "#00838f" lw 2 pt 7 ps 0.7 title "delete", \
	"< grep -w get_again ".ops using 1:3 with linespoints ls 8 title "get again"
set ylabel "bytes"
set title "memory a key (16 + 100 bytes)"
f = out."/keys.dat"
plot f using 1:2 with linespoints ls 3 title "kvfs", "" using 1:3 with linespoints ls 6 title "redis-server"
set ylabel "s (log)"
set logscale y
set key top left
set offsets 0, 0, 0, 0
set yrange [0.005:200]
set title "load and BGSAVE"
plot f using 1:5 with linespoints ls 6 title "redis-server, load", "" using 1:7 with linespoints ls 7 title "redis-server, BGSAVE", \
	"" using 1:4 with linespoints ls 3 title "kvfs, load", "" using 1:6 with linespoints ls 8 title "kvfs, BGSAVE"
unset multiplot
