# pauses-plot.gp -- two histograms, of the files `redis` and `kvfs`, each as shares of its calls.
stats redis using 2 nooutput name "REDIS"
stats kvfs using 2 nooutput name "KVFS"
plot redis using 1:($2 * 1e6 / REDIS_sum) with steps ls 6 title "redis-server", kvfs using 1:($2 * 1e6 / KVFS_sum) with steps ls 3 title "kvfs"
