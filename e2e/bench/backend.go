// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// backendDelay is how long the backend takes for a request.
const backendDelay = 10 * time.Millisecond

// backend accepts and counts what exporters send, of every protocol. It does not decode it, since it shares the processors with
// the collector.
type backend struct {
	url      string
	server   *http.Server
	delay    time.Duration
	requests atomic.Int64
	bytes    atomic.Int64 // as sent, compressed
}

// startBackend serves a backend that answers after a delay.
func startBackend(delay time.Duration) (*backend, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{url: "http://" + listener.Addr().String(), delay: delay}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: time.Minute}
	go func() { _ = b.server.Serve(listener) }()
	return b, nil
}

func (b *backend) stop() { _ = b.server.Close() }

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	b.requests.Add(1)
	b.bytes.Add(n)
	select {
	case <-time.After(b.delay):
	case <-r.Context().Done():
	}
	for _, kind := range []string{"Samples", "Histograms", "Exemplars"} {
		w.Header().Set("X-Prometheus-Remote-Write-"+kind+"-Written", "0") // The exporter of 2.0 logs a warning without.
	}
}
