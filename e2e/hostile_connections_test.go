// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// connections is how many clients do the same.
const connections = 200

// quickTimeouts make what stalls end within a test.
func quickTimeouts() settings {
	return settings{config: "testdata/hostile.yaml", set: []string{
		"receivers::pushgateway::read_timeout: 2s",
		"receivers::pushgateway::read_header_timeout: 1s",
		"receivers::pushgateway::keepalive::idle_timeout: 1s",
	}}
}

// TestHostileConnections stalls in every way, all at once, and expects to be cut off.
func TestHostileConnections(t *testing.T) {
	const (
		each = 50 // connections
		push = "PUT /metrics/job/slow HTTP/1.1\r\nHost: x\r\n"
		slow = "the body did not arrive within read_timeout"
	)
	body := func(header, start string) string { return push + header + "Content-Length: 20000000\r\n\r\n" + start }
	w := startWatched(t, quickTimeouts())
	w.withstand(t, func() {
		var stalling sync.WaitGroup
		for _, tc := range []stall{
			{name: "nothing"},
			{name: "half a line", start: push[:10]},
			{name: "slow line", start: push[:10], drip: "x"},
			{name: "slow header", start: push + "X: ", drip: "y"},
			{name: "slow headers", start: push, drip: "X: y\r\n"},
			{name: "no body", start: body("", ""), text: slow},
			{name: "slow body", start: body("", ""), drip: "a 1\n", text: slow},
			{name: "slow chunks", start: push + "Transfer-Encoding: chunked\r\n\r\n", drip: "4\r\na 1\n\r\n", text: slow},
			{name: "no gzip", start: body("Content-Encoding: gzip\r\n", ""), text: slow},
			{name: "slow gzip", start: body("Content-Encoding: gzip\r\n", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x00\xff\xff\x00\x00"), drip: "\n", text: slow},
			{name: "slow zstd", start: body("Content-Encoding: zstd\r\n", string(zstdFrame(8<<20))), drip: "x", text: slow},
			{name: "no lz4", start: body("Content-Encoding: lz4\r\n", ""), text: slow},
			{name: "slow snappy", start: body("Content-Encoding: snappy\r\n", "\x80\x80\x80\x08"), drip: "x", text: slow},
		} {
			stalling.Go(func() { together(each, func() { tc.assert(t, w.url) }) })
		}
		stalling.Wait()
	})
}

// stall is a client that makes the collector wait.
type stall struct {
	name  string
	start string // what is sent first
	drip  string // what is sent ever again, little by little
	text  string // of the answer, which is 400; if empty, there is none but the end
}

func (s stall) assert(t *testing.T, url string) {
	t.Helper()
	connection, err := dial(url)
	if !assert.NoError(t, err) {
		return
	}
	defer connection.Close()
	go dripInto(connection, s.start, s.drip)
	got, err := readAnswer(connection)
	if s.text == "" {
		// A line that was cut is answered with 400 in general, and everything else is not.
		assert.True(t, err != nil || got.status == http.StatusBadRequest, "%s: %+v", s.name, got)
		return
	}
	if assert.NoError(t, err, s.name) {
		assert.Equal(t, http.StatusBadRequest, got.status, s.name)
		assert.Contains(t, got.body, s.text, s.name)
	}
}

// dripInto sends a start and then a piece ten times a second until the connection ends.
func dripInto(connection net.Conn, start, piece string) {
	_, err := io.WriteString(connection, start)
	for err == nil && piece != "" {
		time.Sleep(100 * time.Millisecond)
		_, err = io.WriteString(connection, piece)
	}
}

// TestHalfClosedConnections ends the sending side and waits for the answer. For net/http, as for nginx, that is the end of the
// client, whose request ends with it: a whole push that was not quicker is told to try again.
func TestHalfClosedConnections(t *testing.T) {
	w := startWatched(t, settings{config: "testdata/hostile.yaml"})
	var groups atomic.Int32
	for _, tc := range []struct {
		name, sent string
		want       int // 0: no answer, only the end
		text       string
	}{
		{name: "nothing"},
		{name: "half a header", sent: "PUT /metrics/job/half HTTP/1.1\r\nHo"},
		{name: "half a body", sent: "PUT /metrics/job/half HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\na 1\n", want: 400, text: "unexpected EOF"},
		{name: "half a chunk", sent: "PUT /metrics/job/half HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\na 1\n", want: 400, text: "unexpected EOF"},
		{name: "no last chunk", sent: "PUT /metrics/job/half HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n", want: 400, text: "unexpected EOF"},
		{name: "a whole push", sent: "PUT /metrics/job/half HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\na 1\n", want: 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.withstand(t, func() {
				together(connections, func() {
					connection, err := dial(w.url)
					if !assert.NoError(t, err) {
						return
					}
					defer connection.Close()
					// Each has a group of its own: who has half gone does not wait for another's turn.
					group := fmt.Sprintf("/job/half%d", groups.Add(1))
					_, _ = io.WriteString(connection, strings.Replace(tc.sent, "/job/half", group, 1))
					_ = connection.(*net.TCPConn).CloseWrite()
					got, err := readAnswer(connection)
					if tc.want == 0 {
						// What HTTP cannot read is answered with 400 or not at all, but ends at once.
						assert.True(t, err != nil || got.status == http.StatusBadRequest, "%+v", got)
						return
					}
					switch {
					case !assert.NoError(t, err):
					case tc.want == http.StatusOK && got.status == http.StatusServiceUnavailable:
						assert.NotEmpty(t, got.header.Get("Retry-After"))
					default:
						assert.Equal(t, tc.want, got.status, got.body)
						assert.Contains(t, got.body, tc.text)
					}
				})
			})
		})
	}
}

// TestIdleConnections keeps thousands open that have pushed once. They cost what docs/operating.md says, until they are
// closed for being idle.
func TestIdleConnections(t *testing.T) {
	const idle, perConnection = 3000, 64 << 10
	s := settings{config: "testdata/hostile.yaml", set: []string{"receivers::pushgateway::keepalive::idle_timeout: 15s"}} // to open all
	w := startWatched(t, s)
	_, before := w.peaks(t)
	w.withstand(t, func() {
		together(idle, func() {
			connection, err := dial(w.url)
			if !assert.NoError(t, err) {
				return
			}
			t.Cleanup(func() { _ = connection.Close() })
			_, _ = io.WriteString(connection, "PUT /metrics/job/idle HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\na 1\n")
			got, err := readAnswer(connection)
			if assert.NoError(t, err) {
				assert.Equal(t, http.StatusOK, got.status, got.body)
			}
		})
		assert.Greater(t, w.countGoroutines(t), idle, "they are open")
	})
	_, after := w.peaks(t)
	assert.Less(t, (after-before)/idle, int64(perConnection), "bytes of memory per connection")
	t.Logf("%d KiB per idle connection", (after-before)/idle>>10)
}

// TestLargeHeaders has many clients send a megabyte of headers each, the most that is read, and stall.
func TestLargeHeaders(t *testing.T) {
	const clients, perConnection = 50, 4 << 20
	w := startWatched(t, quickTimeouts())
	_, before := w.peaks(t)
	w.withstand(t, func() {
		together(clients, func() {
			connection, err := dial(w.url)
			if !assert.NoError(t, err) {
				return
			}
			defer connection.Close()
			go dripInto(connection, "PUT /metrics/job/large HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("y", 1<<20), "y")
			_, err = readAnswer(connection)
			assert.Error(t, err)
		})
	})
	_, after := w.peaks(t)
	assert.Less(t, (after-before)/clients, int64(perConnection), "bytes of memory per connection")
	t.Logf("%d KiB per connection with 1 MiB of headers", (after-before)/clients>>10)
}

// together does the same from so many clients at once.
func together(clients int, do func()) {
	var doing sync.WaitGroup
	for range clients {
		doing.Go(do)
	}
	doing.Wait()
}

func dial(url string) (net.Conn, error) {
	return net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), settleTimeout)
}
