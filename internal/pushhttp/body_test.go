// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushhttp"
)

func TestBodies(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, size := range []int{0, 1, 511, 512, 513, 1 << 16, 1<<20 + 1, 5 << 20} {
		body := strings.Repeat("x", size)
		assert.Equal(t, http.StatusOK, s.do(t, "PUT", "/metrics/job/j", body).status, size)
		pushes := s.pushed()
		assertSame(t, body, pushes[len(pushes)-1].body)
	}
}

func TestBodiesDoNotMix(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.ingest.answer = func(body []byte) error {
		if len(body) == 0 || strings.Trim(string(body), string(body[:1])) != "" {
			return ingest.Refuse(ingest.ReasonParse, errors.New("mixed"))
		}
		return nil
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			body := strings.Repeat(string(rune('A'+i)), 1000*(i+1))
			assert.Equal(t, http.StatusOK, s.do(t, "PUT", "/metrics/job/j", body).status)
		})
	}
	wg.Wait()
}

func TestBodyOverTheLimit(t *testing.T) {
	t.Parallel()
	const text = "the body is larger than max_request_body_size (1000 bytes) allows"
	s := serve(t, limitedTo(1000))
	big := strings.Repeat("x", 1001)
	header := "\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\x00\x88\x13" // 5000 bytes of an extra field follow.
	for name, request := range map[string]string{
		"announced":       request("PUT", "/metrics/job/j", []string{"Content-Length: 1001"}, big),
		"only announced":  request("PUT", "/metrics/job/j", []string{"Content-Length: 1001", "Expect: 100-continue"}, ""),
		"chunked":         request("PUT", "/metrics/job/j", []string{"Transfer-Encoding: chunked"}, "3e9\r\n"+big+"\r\n0\r\n\r\n"),
		"after decoding":  request("PUT", "/metrics/job/j", []string{"Content-Encoding: gzip", "Content-Length: " + length(gzipped(big))}, gzipped(big)),
		"gzip header":     request("PUT", "/metrics/job/j", []string{"Content-Encoding: gzip", "Content-Length: 6000"}, header+strings.Repeat("x", 6000-len(header))),
		"announced block": request("PUT", "/metrics/job/j", []string{"Content-Encoding: snappy", "Content-Length: 3"}, "\xe9\x07x"),
	} {
		t.Run(name, func(t *testing.T) {
			got := s.send(t, request)
			assert.Equal(t, http.StatusRequestEntityTooLarge, got.status)
			if strings.Contains(name, "announced") && !strings.Contains(name, "block") {
				assert.Equal(t, text+": it has 1001 bytes\n", got.body)
			} else {
				assert.Equal(t, text+"\n", got.body)
			}
		})
	}
	assert.Equal(t, http.StatusOK, s.do(t, "PUT", "/metrics/job/j", big[:1000]).status)
	assert.Len(t, s.pushed(), 1)
	assert.Equal(t, map[string]int64{"PUT text accepted": 1, "PUT text too_large": 6}, s.outcomes(t))
}

func length(s string) string { return strconv.Itoa(len(s)) }

func TestCutBodyIsNotForwarded(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for name, request := range map[string]string{
		"fewer bytes than announced": request("PUT", "/metrics/job/j", []string{"Content-Length: 100"}, "a 1\n"),
		"zstd":                       request("PUT", "/metrics/job/j", []string{"Content-Length: 100", "Content-Encoding: zstd"}, zstandard("a 1\n")),
		"snappy":                     request("PUT", "/metrics/job/j", []string{"Content-Length: 100", "Content-Encoding: snappy"}, block("a 1\n")),
		"snappy, long":               request("PUT", "/metrics/job/j", []string{"Content-Length: 100", "Content-Encoding: snappy"}, block("a long metric name 1\n")),
		"lz4":                        request("PUT", "/metrics/job/j", []string{"Content-Length: 100", "Content-Encoding: lz4"}, lz4ed("a 1\n")),
		"chunks without an end":      request("PUT", "/metrics/job/j", []string{"Transfer-Encoding: chunked"}, "4\r\na 1\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			got := s.send(t, request)
			assert.Equal(t, http.StatusBadRequest, got.status)
			assert.Equal(t, "unexpected EOF\n", got.body)
		})
	}
	assert.Empty(t, s.pushed())
	assert.Equal(t, map[string]int64{"PUT text bad_body": 6}, s.outcomes(t))
}

func TestBodyIsReservedUntilThePushIsDone(t *testing.T) {
	t.Parallel()
	limiter := ingest.NewInFlight(10_000)
	s := serve(t, func(s *setup) { s.options.InFlight = limiter })
	s.ingest.answer = func(body []byte) error {
		assert.GreaterOrEqual(t, limiter.Bytes(), int64(len(body)))
		return nil
	}
	assert.Equal(t, http.StatusOK, s.do(t, "PUT", "/metrics/job/j", strings.Repeat("x", 4000)).status)
	assert.Zero(t, limiter.Bytes())
}

func TestOverload(t *testing.T) {
	t.Parallel()
	s := serve(t, inFlight(10_000))
	held, release := make(chan struct{}), make(chan struct{})
	s.ingest.answer = func([]byte) error {
		close(held)
		<-release
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		assert.Equal(t, http.StatusOK, s.do(t, "PUT", "/metrics/job/j", strings.Repeat("x", 7000)).status)
	})
	<-held
	got := s.do(t, "PUT", "/metrics/job/j", strings.Repeat("x", 7000))
	close(release)
	wg.Wait()
	assert.Equal(t, http.StatusServiceUnavailable, got.status)
	assert.NotEmpty(t, got.header.Get("Retry-After"))
	assert.Contains(t, got.body, "limits::in_flight_bytes (10000) is reached")
}

func TestBodyThatCanNeverFit(t *testing.T) {
	t.Parallel()
	s := serve(t, inFlight(10_000))
	got := s.do(t, "PUT", "/metrics/job/j", strings.Repeat("x", 20_000))
	assert.Equal(t, http.StatusRequestEntityTooLarge, got.status)
	assert.Contains(t, got.body, "more than limits::in_flight_bytes (10000) allows")
	assert.Empty(t, got.header.Get("Retry-After"))
}

// A path can name many labels before a byte of the body is there, so they count too; those of a usual key do not.
func TestKeyIsReservedBeforeTheBody(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	for _, tt := range []struct {
		name     string
		labels   int
		reserved int64
		status   int
		text     string
	}{
		{"no label", 0, 0, http.StatusBadRequest, "unexpected EOF"},
		{"a usual key", 100, 0, http.StatusBadRequest, "unexpected EOF"},
		{"many labels", 1000, 4004, http.StatusBadRequest, "unexpected EOF"},
		{"more than fit", 25_001, 0, http.StatusRequestEntityTooLarge, "more than limits::in_flight_bytes (100000) allows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			limiter := ingest.NewInFlight(limit)
			s := serve(t, func(s *setup) { s.options.InFlight = limiter })
			conn, err := net.Dial("tcp", s.address)
			require.NoError(t, err)
			defer conn.Close()
			target := "/metrics/job/j" + strings.Repeat("/a/b", tt.labels)
			_, err = io.WriteString(conn, request("PUT", target, []string{"Content-Length: 1000"}, "a"))
			require.NoError(t, err)
			if tt.status != http.StatusRequestEntityTooLarge {
				const firstBytes = 512
				assert.Eventually(t, func() bool { return limiter.Bytes() == tt.reserved+firstBytes }, waitAtMost, tick)
			}
			require.NoError(t, conn.(*net.TCPConn).CloseWrite())
			got := answerOn(t, conn, "PUT")
			assert.Equal(t, tt.status, got.status)
			assert.Contains(t, got.body, tt.text)
			assert.Zero(t, limiter.Bytes())
		})
	}
}

// Who needs more than there is, key and body together, is not told to try again.
func TestKeyAndBodyThatCanNeverFit(t *testing.T) {
	t.Parallel()
	s := serve(t, inFlight(10_000))
	got := s.do(t, "PUT", "/metrics/job/j"+strings.Repeat("/a/b", 1500), strings.Repeat("x", 5000))
	assert.Equal(t, http.StatusRequestEntityTooLarge, got.status)
	assert.Contains(t, got.body, "the push needs at least 10100 bytes, more than limits::in_flight_bytes (10000) allows")
}

// A DELETE has no body, but waits for its turn.
func TestKeyOfADeleteIsReserved(t *testing.T) {
	t.Parallel()
	s := serve(t, inFlight(10_000), func(s *setup) { s.options.Groups = &pushhttp.GroupOptions{} })
	got := s.do(t, "DELETE", "/metrics/job/j"+strings.Repeat("/a/b", 3000), "")
	assert.Equal(t, http.StatusRequestEntityTooLarge, got.status)
	assert.Equal(t, map[string]int64{"DELETE none too_large": 1}, s.outcomes(t))
}

func TestKeyOfAnAggregateIsReserved(t *testing.T) {
	t.Parallel()
	s := serve(t, inFlight(10_000), func(s *setup) { s.options.Groups = &pushhttp.GroupOptions{AdminAPI: true} })
	got := s.do(t, "DELETE", "/api/v1/admin/aggregate/job/j"+strings.Repeat("/a/b", 3000), "")
	assert.Equal(t, http.StatusRequestEntityTooLarge, got.status)
	assert.Empty(t, s.ingest.ended)
}

// A body that does not arrive is told what was waited for, and no addresses, wherever the waiting is done.
func TestStalledBodies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, coding, body string }{
		{"plain", "identity", "a 1\n"},
		{"plain, nothing yet", "identity", ""},
		{"gzip", "gzip", gzipped(noise(100_000))[:50_000]},
		{"gzip, half a header", "gzip", gzipped("a 1\n")[:5]},
		{"zlib, nothing yet", "deflate", ""},
		{"zstd", "zstd", zstandard(noise(100_000))[:50_000]},
		{"snappy frames", "snappy", framed(noise(100_000))[:50_000]},
		{"snappy block", "snappy", block(noise(100_000))[:50_000]},
		{"snappy, nothing yet", "snappy", ""},
		{"lz4", "lz4", lz4ed(noise(100_000))[:50_000]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				conn := serveOne(t, func(s *setup) { s.config.ReadTimeout = 10 * time.Second })
				go func() { // It is not read to its end.
					_, _ = io.WriteString(conn, request("PUT", "/metrics/job/j", []string{"Content-Encoding: " + tt.coding, "Content-Length: 1000000"}, tt.body))
				}()
				answer, err := io.ReadAll(conn)
				require.NoError(t, err)
				assert.Contains(t, string(answer), "HTTP/1.1 400 ")
				assert.True(t, strings.HasSuffix(string(answer), "the body did not arrive within read_timeout; nothing was kept\n"), string(answer))
			})
		})
	}
}

// serveOne serves a single connection in memory, whose time is that of a synctest bubble, and returns the client's end.
func serveOne(t *testing.T, change func(*setup)) net.Conn {
	t.Helper()
	served, conn := net.Pipe()
	listener := &oneConnection{accepted: make(chan net.Conn, 1), closed: make(chan struct{})}
	listener.accepted <- served
	serveOn(t, listener, change)
	return conn
}

// oneConnection is a listener to which one client comes.
type oneConnection struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (l *oneConnection) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accepted:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConnection) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (*oneConnection) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
