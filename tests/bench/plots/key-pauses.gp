set terminal svg size 700,400 font "sans-serif,13" background rgb "white" noenhanced
load here."/pauses-axes.gp"
set title "one writer during a bgsave of ".keys." keys (kvfs with its log, redis-server without)"
redis = out."/keys.pauses.redis.dat"
kvfs = out."/keys.pauses.kvfs.dat"
load here."/pauses-plot.gp"
