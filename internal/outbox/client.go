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

// clientOf returns a key for the client data that the pipeline can see, other than the address: metadata admitted by
// include_metadata, and the authenticated identity. Pushes with different keys never share a call.
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
