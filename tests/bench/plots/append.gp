set terminal svg size 900,340 font "sans-serif,13" background rgb "white" noenhanced
set title "an append of 4 KiB, by the size of the value"
set xlabel "MiB of the value"
set ylabel "µs (log)"
set logscale y
set yrange [0.5:*]
set key outside right top reverse Left
plot out."/append.floor.dat" using ($1/1048576):2 with lines ls 2 title "floor, kvfs's loop", \
	out."/append.kvfs.dat" using ($1/1048576):2 with lines ls 3 title "kvfs", \
	out."/append.tmpfs.dat" using ($1/1048576):2 with lines ls 4 title "tmpfs"
