// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadatatest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushhttp"
)

const inFlightLimit = 64 << 20

// fakeIngest observes as the real one does, and notes pushes instead of handing them on.
type fakeIngest struct {
	*ingest.Ingest
	answer func(body []byte) error // or nil

	mu     sync.Mutex
	pushes []push
	ended  []string // keys of aggregates
}

type push struct {
	key    string
	format exposition.Format
	body   string
}

func (f *fakeIngest) Push(_ context.Context, _ *ingest.Observation, r ingest.Request) error {
	f.mu.Lock()
	f.pushes = append(f.pushes, push{r.Key.String(), r.Format, string(r.Body)})
	f.mu.Unlock()
	if f.answer != nil {
		return f.answer(r.Body)
	}
	return nil
}

func (f *fakeIngest) EndAggregate(_ context.Context, key groupingkey.Key) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = append(f.ended, key.String())
	return nil
}

type server struct {
	address   string
	ingest    *fakeIngest
	telemetry *componenttest.Telemetry
	logs      *observer.ObservedLogs
}

type setup struct {
	config     confighttp.ServerConfig
	options    pushhttp.Options
	extensions map[component.ID]component.Component
}

// serve runs a server with the settings of the receiver's defaults, as changed.
func serve(t *testing.T, changes ...func(*setup)) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return serveOn(t, listener, changes...)
}

func serveOn(t *testing.T, listener net.Listener, changes ...func(*setup)) *server {
	t.Helper()
	telemetry := componenttest.NewTelemetry()
	core, logs := observer.New(zapcore.DebugLevel)
	set := metadatatest.NewSettings(telemetry)
	set.Logger = zap.New(core)
	in, err := ingest.New(set, ingest.Options{InFlightBytes: inFlightLimit}, consumertest.NewNop())
	require.NoError(t, err)
	fake := &fakeIngest{Ingest: in}
	s := &setup{
		config:  confighttp.NewDefaultServerConfig(),
		options: pushhttp.Options{Prefixes: []string{"", "/pushgateway"}, InFlight: in.InFlight},
	}
	for _, change := range changes {
		change(s)
	}
	httpServer, err := pushhttp.NewServer(t.Context(), s.config, s.extensions, telemetry.NewTelemetrySettings(), s.options, fake)
	require.NoError(t, err)
	ts := httptest.NewUnstartedServer(nil)
	require.NoError(t, ts.Listener.Close())
	ts.Listener, ts.Config = listener, httpServer
	ts.Start()
	t.Cleanup(func() {
		ts.Close()
		require.Zero(t, s.options.InFlight.Bytes(), "everything reserved is given back")
		require.NoError(t, in.Shutdown(context.Background()))        //nolint:usetesting // The test's own context has ended by then.
		require.NoError(t, telemetry.Shutdown(context.Background())) //nolint:usetesting // The test's own context has ended by then.
	})
	return &server{address: ts.Listener.Addr().String(), ingest: fake, telemetry: telemetry, logs: logs}
}

func ignoringDelete(s *setup) { s.options.IgnoreDelete = true }

func accepting(codings ...string) func(*setup) {
	return func(s *setup) { s.config.CompressionAlgorithms = codings }
}

func limitedTo(bytes int64) func(*setup) {
	return func(s *setup) { s.config.MaxRequestBodySize = bytes }
}

func inFlight(bytes int64) func(*setup) {
	return func(s *setup) { s.options.InFlight = ingest.NewInFlight(bytes) }
}

type response struct {
	status int
	header http.Header
	body   string
}

// do sends a request exactly as it is given. Headers are whole lines.
func (s *server) do(t *testing.T, method, target, body string, headers ...string) response {
	t.Helper()
	return s.send(t, request(method, target, append(headers, fmt.Sprintf("Content-Length: %d", len(body))), body))
}

func request(method, target string, headers []string, body string) string {
	headers = append([]string{method + " " + target + " HTTP/1.1", "Host: h", "Connection: close"}, headers...)
	return strings.Join(headers, "\r\n") + "\r\n\r\n" + body
}

// send writes the bytes, ends the connection in this direction, and reads the answer.
func (s *server) send(t *testing.T, bytes string) response {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	require.NoError(t, err)
	defer conn.Close()
	go func() {
		_, _ = io.WriteString(conn, bytes) // The server may answer and close before it has read all.
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	method, _, _ := strings.Cut(bytes, " ")
	return answerOn(t, conn, method)
}

// answerOn reads the answer to a request with that method.
func answerOn(t *testing.T, conn net.Conn, method string) response {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return response{resp.StatusCode, resp.Header, string(body)}
}

func (s *server) pushed() []push {
	s.ingest.mu.Lock()
	defer s.ingest.mu.Unlock()
	return append([]push(nil), s.ingest.pushes...)
}

// outcomes lists what was observed, as "method format outcome".
func (s *server) outcomes(t *testing.T) map[string]int64 {
	t.Helper()
	m, err := s.telemetry.GetMetric("otelcol_receiver_pushgateway_pushes")
	if err != nil {
		return nil // Nothing was observed yet.
	}
	counts := map[string]int64{}
	for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
		label := func(name attribute.Key) string {
			v, _ := point.Attributes.Value(name)
			return v.AsString()
		}
		counts[label("method")+" "+label("format")+" "+label("outcome")] = point.Value
	}
	return counts
}
