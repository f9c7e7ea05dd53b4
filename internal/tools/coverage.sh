#!/usr/bin/env bash
# Copyright The OpenTelemetry Authors
# SPDX-License-Identifier: Apache-2.0

# Runs the tests of the root module and says how much of the hand-written code they reach, by package and in all:
#
#   internal/tools/coverage.sh PERCENT
#
# A package that stays below PERCENT fails, with the files of it that do. What any test of the module reaches counts as
# reached, since a decoder is tested by what the receiver makes of a push too.
set -euo pipefail
minimum=$1
cd "$(dirname "$0")/../.."

profile=$(mktemp)
trap 'rm -f "$profile"' EXIT
if ! output=$(go test -coverpkg=./... -coverprofile="$profile" ./...); then
	echo "$output" >&2
	exit 1
fi

# A profile has each block of statements once per test binary: "file:range statements runs".
awk -v minimum="$minimum" -v module="$(go list -m)/" '
	function percent(what) { return 100 * reached[what] / statements[what] }
	function line(what) { return sprintf("%5.1f %%  %5d of %5d  %s", percent(what), reached[what], statements[what], what) }
	NR > 1 && $1 !~ /\/generated_[^\/]*\.go:/ { size[$1] = $2; if ($3 > 0) run[$1] = 1 }
	END {
		for (block in size) {
			file = block; sub(/:[^:]*$/, "", file); sub("^" module, "", file)
			package = file; if (!sub(/\/[^\/]*$/, "", package)) package = "."
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
	}' "$profile"
