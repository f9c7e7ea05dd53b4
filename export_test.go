// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"context"
	"net"

	"go.opentelemetry.io/collector/receiver"
)

// ListenOn lets a receiver that is not started yet listen as the test wants.
func ListenOn(r receiver.Metrics, listen func(context.Context) (net.Listener, error)) {
	r.(*pushgatewayReceiver).listen = listen
}
