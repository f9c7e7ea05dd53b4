// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition

import "slices"

// IsMessage reports whether a body is one undelimited protobuf message with these field numbers only. A MetricFamily has
// fields 1 to 5.
func IsMessage(body []byte, fields ...uint64) bool {
	for rest := body; len(rest) > 0; {
		key, _, _, n := consumeField(rest)
		if n <= 0 || !slices.Contains(fields, key>>3) {
			return false
		}
		rest = rest[n:]
	}
	return len(body) > 0
}
