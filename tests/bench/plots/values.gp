set terminal svg size 1100,440 font "sans-serif,13" background rgb "white" noenhanced
set multiplot layout 1,3
set logscale x 2
set logscale y
set xtics ("16" 16, "256" 256, "4 Ki" 4096, "64 Ki" 65536, "1 Mi" 1048576, "64 Mi" 67108864)
set xrange [10:1e8]
set yrange [0.1:200000]
set xlabel "bytes of the value (log)"
set ylabel "MB/s (log)"
set key top left Left reverse
set title "write (more is better)"
plot out."/values.floor.dat" using 1:2 with linespoints ls 2 title "floor, kvfs's loop", out."/values.kvfs.dat" using 1:2 with linespoints ls 3 title "kvfs", \
	out."/values.kvfs-nolog.dat" using 1:2 with linespoints ls 8 title "kvfs, no log", out."/values.tmpfs.dat" using 1:2 with linespoints ls 4 title "tmpfs", \
	out."/values.disk.dat" using 1:2 with linespoints ls 5 title "disk"
set title "read, cold"
plot out."/values.floor.dat" using 1:3 with linespoints ls 2 title "floor, kvfs's loop", out."/values.kvfs.dat" using 1:3 with linespoints ls 3 title "kvfs"
set title "read again"
plot out."/values.floor.dat" using 1:4 with linespoints ls 2 title "floor, kvfs's loop", out."/values.kvfs.dat" using 1:4 with linespoints ls 3 title "kvfs", \
	out."/values.tmpfs.dat" using 1:4 with linespoints ls 4 title "tmpfs"
unset multiplot
