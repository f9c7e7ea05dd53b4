// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/client"
)

// clientOf names what the pipeline may know of the client of a push, but for its address: its metadata, which include_metadata admits,
// and who it was authenticated as. Pushes of different names never share a call.
func clientOf(ctx context.Context) string {
	info := client.FromContext(ctx)
	var b strings.Builder
	names := slices.Collect(info.Metadata.Keys())
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%q%q", name, info.Metadata.Get(name))
	}
	if info.Auth != nil {
		names := info.Auth.GetAttributeNames()
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(&b, "%q=%q", name, fmt.Sprint(info.Auth.GetAttribute(name)))
		}
	}
	return b.String()
}
