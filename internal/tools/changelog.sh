#!/usr/bin/env bash
# Copyright The OpenTelemetry Authors
# SPDX-License-Identifier: Apache-2.0

# Starts a changelog entry, or checks those that there are:
#
#   internal/tools/changelog.sh new NAME
#   internal/tools/changelog.sh validate
#
# Both do what chloggen's commands of the same names do and need nothing but the shell, so that they run where chloggen
# cannot be had. An entry has one key a line; a list of issues stands in brackets.
set -euo pipefail
cd "$(dirname "$0")/../../.chloggen"

if [ "$1" = new ]; then
	file=${2//[^A-Za-z0-9._-]/-}.yaml
	if [ -e "$file" ]; then
		echo ".chloggen/$file is there already." >&2
		exit 1
	fi
	cp TEMPLATE.yaml "$file"
	echo "Fill in .chloggen/$file, then run 'make chlog-validate'."
	exit
fi

# value KEY FILE is what stands behind a key, without comment and quotes; the lines of a block are not read.
value() { sed -nE "s/^$1:[[:space:]]*//p" "$2" | sed -E 's/[[:space:]]+#.*//; s/^["'\'']//; s/["'\'']$//'; }

faults=0
fault() {
	echo ".chloggen/$1: $2" >&2
	faults=1
}

components=$(sed -nE '/^components:/,/^[a-z]/s/^ *- //p' config.yaml)
for file in *.yaml; do
	case $file in TEMPLATE.yaml | config.yaml) continue ;; esac
	case $(value change_type "$file") in
	breaking | deprecation | new_component | enhancement | bug_fix) ;;
	*) fault "$file" "change_type: must be breaking, deprecation, new_component, enhancement or bug_fix" ;;
	esac
	grep -qxF -- "$(value component "$file")" <<<"$components" || fault "$file" "component: must be one of ${components//$'\n'/, }"
	[ -n "$(value note "$file")" ] || fault "$file" "note: must not be empty"
	[[ $(value issues "$file") =~ ^\[[0-9]+(,\ *[0-9]+)*\]$ ]] || fault "$file" "issues: must be a list of numbers, as in [12, 13]"
	unknown=$(grep -vE '^(#|[[:space:]]|$|(change_type|component|note|issues|subtext|change_logs):)' "$file") || true
	[ -z "$unknown" ] || fault "$file" "not a known key: $unknown"
done
grep -qxF '<!-- next version -->' ../CHANGELOG.md || fault ../CHANGELOG.md "the line '<!-- next version -->' is missing"
exit $faults
