#!/usr/bin/env bash
# Copyright The OpenTelemetry Authors
# SPDX-License-Identifier: Apache-2.0

# Says how much of the hand-written code of the root module a coverage profile reaches, by package and in all:
#
#   internal/tools/coverage.sh PERCENT PROFILE
#
# A package that stays below PERCENT fails, with the files of it that do. What any test of the module reaches counts as
# reached, since a decoder is tested by what the receiver makes of a push too. internal/pgtest is left out, since benchmarks use it too,
# and without PostgreSQL so is internal/store/postgres, whose tests are skipped then.
set -euo pipefail
minimum=$1
cd "$(dirname "$0")/../.."

skipped='^internal/pgtest$'
if ! command -v initdb >/dev/null && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
	skipped='^internal/(pgtest|store/postgres)$'
	echo "PostgreSQL is not installed: nothing is said of internal/store/postgres." >&2
fi

# A profile has each block of statements once per test binary: "file:range statements runs".
awk -v minimum="$minimum" -v skipped="$skipped" -v module="$(go list -m)/" '
	function percent(what) { return 100 * reached[what] / statements[what] }
	function line(what) { return sprintf("%5.1f %%  %5d of %5d  %s", percent(what), reached[what], statements[what], what) }
	NR > 1 && $1 !~ /\/generated_[^\/]*\.go:/ { size[$1] = $2; if ($3 > 0) run[$1] = 1 }
	END {
		for (block in size) {
			file = block; sub(/:[^:]*$/, "", file); sub("^" module, "", file)
			package = file; if (!sub(/\/[^\/]*$/, "", package)) package = "."
			if (skipped != "" && package ~ skipped) continue
			all[package] = 1; of[file] = package
			statements[file] += size[block]; statements[package] += size[block]; statements["total"] += size[block]
			if (run[block]) { reached[file] += size[block]; reached[package] += size[block]; reached["total"] += size[block] }
		}
		for (package in all) print line(package) | "sort -k6"
		close("sort -k6")
		print line("total")
		for (package in all) if (percent(package) < minimum) {
			failed = 1
			print "below " minimum " %: " package
			for (file in of) if (of[file] == package && percent(file) < minimum) print line(file)
		}
		exit failed
	}' "$2"
