#!/usr/bin/env bash
# Copyright The OpenTelemetry Authors
# SPDX-License-Identifier: Apache-2.0

# The steps of a release that are not goreleaser's or chloggen's:
#
#   internal/tools/release.sh prepare VERSION   names VERSION, as in v0.2.0, in every file that names the released version
#   internal/tools/release.sh sbom VERSION BINARY FILE   writes the SBOM of a binary to FILE, for goreleaser
#   internal/tools/release.sh notes VERSION     prints docs/releases/VERSION.md with links that work outside the repository
#   internal/tools/release.sh verify DIR        checks the archives, checksums and SBOMs that goreleaser wrote to DIR
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/../.."

fail() {
	echo "$*" >&2
	exit 1
}

prepare() {
	local version=$1 old files
	[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "VERSION is '$version'; write it as in v0.2.0."
	old=$(sed -nE 's/^  version: (.+)$/\1/p' builder-config.yaml)
	[ "$old" != "${version#v}" ] || fail "builder-config.yaml names $version already."
	[ -e "docs/releases/$version.md" ] || fail "Write docs/releases/$version.md first."
	! grep -Hn '<!-- draft' "docs/releases/$version.md" >&2 || fail "Keep or delete these sections, and remove their marks."
	grep -q "^| $version |" docs/upgrading.md || fail "Add a row for $version to docs/upgrading.md first."

	sed -i "s/^  version: $old\$/  version: ${version#v}/" builder-config.yaml
	sed -i "s|\(pushgatewayreceiver\) v$old\$|\1 $version|" builder-config.yaml README.md
	sed -i "s|](releases/v$old.md)|](releases/$version.md)|" docs/README.md
	files=$(grep -rlF "otelcol-pushgateway:$old" deploy README.md)
	sed -i "s|\(otelcol-pushgateway\):$old|\1:${version#v}|" $files
	git --no-pager diff --stat
}

# The receiver is linked from this repository, not from a module proxy, so the binary names its folder and no version.
sbom() {
	local receiver=github.com/otelcol-pushgateway/pushgatewayreceiver
	cyclonedx-gomod bin -json -noserial -notimestamp -std -version "$1" "$here/$2" |
		sed "s|golang/\.\.@(devel)|golang/$receiver@$1|; s|\"name\": \"\.\.\"|\"name\": \"$receiver\"|; s|\"(devel)\"|\"$1\"|" >"$here/$3"
}

notes() {
	local repository=https://github.com/otelcol-pushgateway/pushgatewayreceiver
	sed -E "1d; s#\]\(\.\./\.\./#]($repository/blob/$1/#g; s#\]\(\.\./#]($repository/blob/$1/docs/#g; s#\]\(v([0-9])#]($repository/blob/$1/docs/releases/v\1#g" "docs/releases/$1.md"
}

# unpack ARCHIVE DIR
unpack() {
	mkdir "$2"
	case $1 in
	*.zip) unzip -q "$1" -d "$2" ;;
	*) tar -xzf "$1" -C "$2" ;;
	esac
}

verify() {
	local target archive setting
	dist=$(realpath "$1")
	unpacked=$(mktemp -d)
	trap 'rm -rf "$unpacked"' EXIT

	(cd "$dist" && sha256sum --check --strict checksums.txt)
	for target in linux_amd64 linux_arm64 darwin_amd64 darwin_arm64 windows_amd64 windows_arm64; do
		archive=$(echo "$dist"/otelcol-pushgateway_*_"$target".*[pz])
		unpack "$archive" "$unpacked/$target"
		for setting in -trimpath=true CGO_ENABLED=0 "GOOS=${target%_*}" "GOARCH=${target#*_}"; do
			go version -m "$unpacked/$target"/otelcol-pushgateway* | grep -q "	build	$setting\$" || fail "$archive: not built with $setting"
		done
		for archive in "$archive" "$dist"/otelcol-pushgateway_*_"$target".cdx.json; do
			grep -qF "  ${archive##*/}" "$dist/checksums.txt" || fail "$archive: no checksum"
		done
		grep -qF '"name": "github.com/otelcol-pushgateway/pushgatewayreceiver",' "$archive" || fail "$archive: does not list the receiver"
	done
	run_here "$(go env GOHOSTOS)_$(go env GOHOSTARCH)"
}

# run_here PLATFORM runs the binary for this machine, and the README's commands where they are for this machine.
run_here() {
	local version
	version=$(sed -nE 's/^  version: (.+)$/\1/p' builder-config.yaml)
	[ "$("$unpacked/$1/otelcol-pushgateway" --version)" = "otelcol-pushgateway version $version" ] || fail "The binary is of another version."
	"$unpacked/$1/otelcol-pushgateway" components | grep -q 'name: pushgateway$' || fail "The binary has no pushgateway receiver."
	if [ "$1" = linux_amd64 ]; then
		gh() { [ "$1" = attestation ] || cp "$dist"/*_linux_amd64.* "$dist/checksums.txt" .; }
		export dist
		export -f gh
		mkdir "$unpacked/readme"
		sed -n '/^<!-- run: release -->$/,/^```$/p' README.md | sed '1,2d; $d' >"$unpacked/readme.sh"
		(cd "$unpacked/readme" && bash -euo pipefail "$unpacked/readme.sh")
	fi
	echo "The archives of $version are complete, and the one for $1 runs."
}

case ${1-} in
prepare | sbom | notes | verify) "$@" ;;
*) fail "usage: $0 prepare|sbom|notes|verify ARGUMENTS" ;;
esac
