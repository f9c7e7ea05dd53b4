// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package loopback chooses loopback addresses for the servers of end-to-end tests.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// FreeEndpoints returns a function that returns unused addresses, each once. Its ports count up from a random one of n
// ports from first on. Packages whose tests run at the same time need different ranges below 32768, where Linux's ports of
// outgoing connections start: otherwise a port could be taken before the server listens.
func FreeEndpoints(first, n int32) func(testing.TB) string {
	var last atomic.Int32
	last.Store(first + rand.Int32N(n))
	return func(tb testing.TB) string {
		tb.Helper()
		for {
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", last.Add(1)))
			if errors.Is(err, syscall.EADDRINUSE) {
				continue
			}
			require.NoError(tb, err)
			defer listener.Close()
			return listener.Addr().String()
		}
	}
}
