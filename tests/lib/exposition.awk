# exposition.awk -- a strict reading of Prometheus's text exposition format 0.0.4, and of its rules for names.  Says each fault; exits 1
# when there is one, or nothing at all.

function fault(what) {
	print FILENAME ":" FNR ": " what ": " $0
	faults++
}

function is_number(text) {
	return text ~ /^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$/ || text ~ /^([+-]?Inf|NaN)$/
}

# The family a sample belongs to.
function family_of(name,  base) {
	base = name
	if (sub(/_(bucket|sum|count)$/, "", base) && type[base] == "histogram")
		return base
	return name
}

function check_name(name, kind) {
	if (name !~ /^[a-z][a-z0-9_]*$/)
		fault("no name")
	if ((kind == "counter") != (name ~ /_total$/))
		fault("a counter ends in _total, and nothing else")
	if (name ~ /_(ms|us|ns|milliseconds|microseconds|minutes|kb|kilobytes|mb|percent)(_total)?$/)
		fault("no base unit")
}

/^# HELP / {
	if ($3 in help) fault("a second HELP")
	if (NF < 4) fault("no help")
	help[$3] = 1
	next
}

/^# TYPE / {
	if ($3 in type) fault("a second TYPE")
	if (!($3 in help)) fault("no HELP before it")
	if (NF != 4 || $4 !~ /^(counter|gauge|histogram)$/) fault("no type")
	type[$3] = $4
	check_name($3, $4)
	next
}

/^#/ { fault("a comment that is neither HELP nor TYPE"); next }

{
	if (!match($0, /^[a-zA-Z_:][a-zA-Z0-9_:]*/)) { fault("no sample"); next }
	name = substr($0, 1, RLENGTH)
	rest = substr($0, RLENGTH + 1)
	labels = ""
	if (rest ~ /^\{/) {
		if (!match(rest, /^\{([a-z_]+="([^"\\]|\\["\\n])*",?)+\}/)) { fault("wrong labels"); next }
		labels = substr(rest, 2, RLENGTH - 2)
		rest = substr(rest, RLENGTH + 1)
	}
	if (rest !~ /^ [^ ]+$/ || !is_number(substr(rest, 2))) { fault("no value"); next }
	value = substr(rest, 2)
	family = family_of(name)
	if (!(family in type)) fault("no TYPE before it")
	if (family != last && (family in done)) fault("its family stands in two places")
	done[family] = 1
	last = family
	if ((name, labels) in seen) fault("a second time")
	seen[name, labels] = 1
	samples++
	if (type[family] == "counter" && value + 0 < 0) fault("a counter below 0")
	if (type[family] != "histogram") next
	if (name == family "_bucket") {
		if (!match(labels, /,?le="[^"]*"/)) { fault("no le"); next }
		le = substr(labels, RSTART, RLENGTH)
		set = family "," substr(labels, 1, RSTART - 1)
		gsub(/.*"(.*)"/, "&", le)
		gsub(/^,?le="|"$/, "", le)
		if (set in bound && (le != "+Inf" && le + 0 <= bound[set] || closed[set])) fault("bounds do not grow")
		if (set in bound && value + 0 < cumulated[set]) fault("buckets are not cumulated")
		bound[set] = le + 0
		cumulated[set] = value + 0
		closed[set] = le == "+Inf"
	} else {
		set = family "," labels
		if (!closed[set]) fault("no +Inf before it")
		if (name == family "_count" && value + 0 != cumulated[set]) fault("the count is not that of +Inf")
		if (name == family "_count") counted[set] = 1
		if (name == family "_sum") summed[set] = 1
	}
}

END {
	for (name in help)
		if (!(name in type)) { print "no TYPE: " name; faults++ }
	for (set in bound)
		if (!(set in counted) || !(set in summed)) { print "no sum or count: " set; faults++ }
	if (samples == 0) print "no sample"
	exit faults > 0 || samples == 0
}
