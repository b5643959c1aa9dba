# testsum.awk: `go test -v` in, a readable report out: one line per package, the
# full output of each test that failed, and a count. Skips go to the file `skips`.

function flush_package(   i) {
	# A package that failed without a failed test: panic, timeout, os.Exit.
	if (failed_here > 0) return
	for (i = (n > 200 ? n - 200 : 0); i < n; i++) print all[i]
	if (current != "") print "ended while running " current
}
function forget(   k) {
	for (k in out) delete out[k]
	n = failed_here = skipped_here = 0; current = ""
}

/^=== (RUN|NAME|CONT|PAUSE) / { current = $3; next }

/^[ ]*--- (PASS|FAIL|SKIP): / {
	name = $3
	if ($2 == "PASS:") passed++
	if ($2 == "FAIL:") {
		failed++; failed_here++
		printf "%s%s\n", out[name], $0
	}
	if ($2 == "SKIP:") {
		why = out[name]; sub(/^[ \t]+/, "", why); gsub(/\n[ \t]*/, " ", why)
		skipped[++nskips] = name ": " why; skipped_here++
	}
	delete out[name]
	next
}

/^(ok|FAIL)[ ]*\t|^\?[ ]+\t|^---[ ]*FAIL: / || /^\t[^ ]+\t.*coverage: / {
	if ($1 == "FAIL") { flush_package(); badpkgs++ }
	if ($1 == "ok") packages++
	for (i = nskips - skipped_here + 1; i <= nskips; i++) print $2 " " skipped[i] > skips
	if ($1 != "?") print
	fflush()
	forget()
	next
}

/^(PASS|FAIL|exit status [0-9]+)$/ { next }

# A panic takes the whole package down: nothing after it belongs to one test.
/^(panic|fatal error): / { if (current != "") print "while running " current; current = "" }

# Compiler errors and downloads stand outside any test.
current == "" { print; fflush(); next }

{
	out[current] = out[current] $0 "\n"
	all[n++] = $0
}

END {
	printf "%d tests passed, %d failed, %d skipped; %d packages ok, %d failed\n", passed, failed, nskips, packages, badpkgs
}
