#!/usr/bin/env bash
# Copyright The OpenTelemetry Authors
# SPDX-License-Identifier: Apache-2.0

# Runs mdatagen on metadata.yaml and then either writes what it made into the repository or compares the two:
#
#   internal/tools/generate.sh write|check MDATAGEN
#
# mdatagen names package and component after the folder that metadata.yaml lies in, and a checkout may be called anything.
# It therefore works on a copy, in a folder of the right name.
set -euo pipefail

mode=$1
mdatagen=$2
cd "$(dirname "$0")/../.."
root=$PWD

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
copy=$work/pushgatewayreceiver
mkdir "$copy"
cp go.mod go.sum doc.go metadata.yaml README.md "$copy"
(cd "$copy" && "$mdatagen" metadata.yaml)

# generated_in DIR lists what mdatagen makes in DIR, besides its section of README.md.
generated_in() {
	(cd "$1" && find . \( -name .tools -o -name _build -o -name .git -o -name e2e \) -prune -o \
		\( -name 'generated_*.go' -o -path ./documentation.md \) -print | sort)
}

if [ "$mode" = write ]; then
	generated_in "$root" | while read -r file; do rm "$root/$file"; done
	{ generated_in "$copy"; echo README.md; } | while read -r file; do
		mkdir -p "$root/$(dirname "$file")"
		cat "$copy/$file" >"$root/$file"
	done
	exit
fi

# or_nothing FILE is FILE, or the empty file where there is none.
or_nothing() {
	if [ -e "$1" ]; then echo "$1"; else echo /dev/null; fi
}

stale=0
for file in $({ generated_in "$root"; generated_in "$copy"; echo README.md; } | sort -u); do
	git --no-pager diff --no-index -- "$(or_nothing "$root/$file")" "$(or_nothing "$copy/$file")" || stale=1
done
if [ $stale = 1 ]; then
	echo "Generated files are stale, see above: run 'make generate'." >&2
	exit 1
fi
