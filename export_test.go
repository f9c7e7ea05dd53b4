// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"context"
	"net"
	"time"

	"go.opentelemetry.io/collector/receiver"
)

// UseClock gives the database of a receiver that is not started yet another clock.
func UseClock(r receiver.Metrics, clock func() time.Time) { r.(*pushgatewayReceiver).clock = clock }

// ListenOn lets a receiver that is not started yet listen as the test wants.
func ListenOn(r receiver.Metrics, listen func(context.Context) (net.Listener, error)) {
	r.(*pushgatewayReceiver).listen = listen
}
