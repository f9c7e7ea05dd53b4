#!/usr/bin/env bash
# Copyright The OpenTelemetry Authors
# SPDX-License-Identifier: Apache-2.0

# Installs the clients that the end-to-end tests run, and PostgreSQL, which unit tests start too: Debian's packages as root, prom-client
# and axe-core from npm. What is there already stays as it is. What cannot be installed is named here and by the tests that need it.
set -euo pipefail
cd "$(dirname "$0")/testdata"

missing=()
/usr/bin/python3 -c 'import prometheus_client' 2>/dev/null || missing+=(python3-prometheus-client)
command -v curl >/dev/null || missing+=(curl)
command -v wget >/dev/null || missing+=(wget)
command -v nc >/dev/null || missing+=(netcat-openbsd)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing+=(nginx)
command -v chromium >/dev/null || missing+=(chromium)
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
# Debian 12's Prometheus is a backend to compare with; no other release has that version.
if grep -qs '^VERSION_CODENAME=bookworm$' /etc/os-release && ! [ -x /usr/bin/prometheus ]; then
	missing+=(prometheus)
fi
# A person is not asked for a password; a CI machine has none.
as_root=()
if [ "$(id -u)" != 0 ] && [ -n "${CI:-}" ] && sudo -n true 2>/dev/null; then
	as_root=(sudo -n)
fi
if [ ${#missing[@]} -gt 0 ]; then
	if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && [ ${#as_root[@]} = 0 ]; }; then
		echo "Not installed, which takes root and apt-get: ${missing[*]}" >&2
	else
		"${as_root[@]}" apt-get update -qq
		"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
		# The tests start servers of their own; the services are not to run beside them.
		for service in prometheus nginx postgresql; do
			if [[ " ${missing[*]} " == *" $service "* ]]; then
				"${as_root[@]}" systemctl disable --now "$service" 2>/dev/null || true
			fi
		done
	fi
fi

# The lock file holds versions and checksums, so that a folder made from it is up to date until it changes.
if command -v npm >/dev/null && ! [ node/node_modules -nt node/package-lock.json ]; then
	npm --prefix node ci --no-audit --no-fund
	touch node/node_modules
fi
