// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// otlpBackend is the other end of OTLP over HTTP. It answers as it is told, and keeps what it accepts.
type otlpBackend struct {
	*httptest.Server
	mu       sync.Mutex
	status   int
	header   map[string]string
	held     chan struct{} // if not nil, no request is answered until it is closed
	received []pmetric.Metrics
}

func newOTLPBackend(t *testing.T) *otlpBackend {
	t.Helper()
	return newOTLPBackendAt(t, "127.0.0.1:0")
}

func newOTLPBackendAt(t *testing.T, endpoint string) *otlpBackend {
	t.Helper()
	b := &otlpBackend{status: http.StatusOK}
	b.Server = httptest.NewUnstartedServer(b)
	require.NoError(t, b.Listener.Close())
	// A process that another test started when the address was chosen has the socket too, until it runs its program.
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		listener, err := net.Listen("tcp", endpoint)
		require.NoError(c, err)
		b.Listener = listener
	}, settleTimeout, pollInterval)
	b.Start()
	t.Cleanup(b.Close)
	t.Cleanup(func() { b.answer(http.StatusOK, nil) })
	return b
}

// answer sets the status and headers of all answers from now on, and answers whoever was held.
func (b *otlpBackend) answer(status int, header map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status, b.header = status, header
	if b.held != nil {
		close(b.held)
		b.held = nil
	}
}

// hold lets requests wait until answer is called.
func (b *otlpBackend) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = make(chan struct{})
}

func (b *otlpBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The exporter has given up.
	}
	b.mu.Lock()
	held := b.held
	b.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, value := range b.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(b.status)
	request := pmetricotlp.NewExportRequest()
	if b.status == http.StatusOK && request.UnmarshalProto(body) == nil {
		b.received = append(b.received, request.Metrics())
	}
}

// take waits until so many pushes have arrived and returns them, forgetting them.
func (b *otlpBackend) take(t *testing.T, atLeast int) []pmetric.Metrics {
	t.Helper()
	var taken []pmetric.Metrics
	require.Eventually(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		taken = append(taken, b.received...)
		b.received = nil
		return len(taken) >= atLeast
	}, settleTimeout, pollInterval)
	return taken
}
