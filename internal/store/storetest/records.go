// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"strings"
)

// Many names numbers from the first up to, not including, the end.
func Many(first, end int) string {
	var names []string
	for i := first; i < end; i++ {
		names = append(names, fmt.Sprintf("m%d", i))
	}
	return strings.Join(names, " ")
}
