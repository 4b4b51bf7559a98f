# pauses-axes.gp -- the axes of the pictures of pauses.
set logscale xy
set xrange [3:200000]
set yrange [0.3:1.5e6]
set xtics ("10 µs" 10, "100 µs" 100, "1 ms" 1000, "10 ms" 10000, "100 ms" 100000)
set ytics ("1" 1, "10" 10, "100" 100, "1,000" 1e3, "10,000" 1e4, "100,000" 1e5, "10⁶" 1e6)
set xlabel "a call took (log)"
set ylabel "of a million calls (log)"
set key top right
