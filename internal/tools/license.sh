#!/usr/bin/env bash
# Copyright The OpenTelemetry Authors
# SPDX-License-Identifier: Apache-2.0

# Lists the Go files and scripts that lack the two lines of license header, and fails if there are any. Generated files
# have none; scripts in testdata are what users write.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing=$(find . \( -name .git -o -name .tools -o -name _build -o -name node_modules \) -prune -o \
	\( -name '*.go' -o -name '*.sh' -o -path ./.ci/run \) -not -path '*/testdata/*.sh' -print0 | sort -z | xargs -0 awk '
	function finish() { if (file != "" && lines < 2 && !generated) print file; lines = generated = 0 }
	FNR == 1 { finish(); file = FILENAME }
	FNR > 4 { next }
	/^\/\/ Code generated .* DO NOT EDIT\.$/ { generated = 1 }
	/^(\/\/|#) (Copyright The OpenTelemetry Authors|SPDX-License-Identifier: Apache-2\.0)$/ { lines++ }
	END { finish() }')
if [ -n "$missing" ]; then
	echo "$missing"
	echo "These files lack the license header, '// Copyright The OpenTelemetry Authors' and '// SPDX-License-Identifier: Apache-2.0'; scripts have it behind #." >&2
	exit 1
fi
