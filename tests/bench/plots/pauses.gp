set terminal svg size 1100,440 font "sans-serif,13" background rgb "white" noenhanced
set multiplot layout 1,3
load here."/pauses-axes.gp"
do for [what in "nothing bgsave bgrewriteaof"] {
	set title (what eq "nothing" ? "one writer, nothing beside it" : "one writer during a ".what)
	redis = out."/pauses.".what.".redis.dat"
	kvfs = out."/pauses.".what.".kvfs.dat"
	load here."/pauses-plot.gp"
}
unset multiplot
