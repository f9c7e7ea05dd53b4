// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// drainLimit is max_request_body_size: much more than the network between client and server holds.
const drainLimit = 16 << 20

// Clients such as Python's send all of the body, and "Connection: close", before they read the answer.
func TestAnswerToClientThatSendsAllFirst(t *testing.T) {
	t.Parallel()
	whole, over := strings.Repeat("x", drainLimit), strings.Repeat("x", drainLimit+drainLimit/2)
	for _, tt := range []struct {
		name, target string
		headers      []string
		body         string
		change       func(*setup)
		want         int
	}{
		{"no such path", "/metrics/jobs/j", nil, whole, nil, http.StatusNotFound},
		{"bad path", "/metrics/job/j/a", nil, whole, nil, http.StatusBadRequest},
		{"not authenticated", "/metrics/job/j", nil, whole, authenticating, http.StatusUnauthorized},
		{"unknown coding", "/metrics/job/j", []string{"Content-Encoding: br"}, whole, nil, http.StatusUnsupportedMediaType},
		{"not what it says", "/metrics/job/j", []string{"Content-Encoding: gzip"}, whole, nil, http.StatusBadRequest},
		{"too large", "/metrics/job/j", nil, over, nil, http.StatusRequestEntityTooLarge},
		{"no room", "/metrics/job/j", nil, whole, inFlight(1 << 20), http.StatusRequestEntityTooLarge},
	} {
		for _, connection := range []string{"close", "keep-alive"} {
			t.Run(tt.name+", "+connection, func(t *testing.T) {
				t.Parallel()
				changes := []func(*setup){limitedTo(drainLimit)}
				if tt.change != nil {
					changes = append(changes, tt.change)
				}
				conn, err := net.Dial("tcp", serve(t, changes...).address)
				require.NoError(t, err)
				defer conn.Close()
				head := append([]string{"PUT " + tt.target + " HTTP/1.1", "Host: h", "Connection: " + connection, "Content-Length: " + length(tt.body)}, tt.headers...)
				_, err = io.WriteString(conn, strings.Join(head, "\r\n")+"\r\n\r\n"+tt.body)
				require.NoError(t, err, "all is taken")
				got := answerOn(t, conn, http.MethodPut)
				assert.Equal(t, tt.want, got.status)
				assert.NotEmpty(t, got.body)
			})
		}
	}
}

// Who is refused at once reads it at once, and need not send the rest or be told to.
func TestAnswerToClientThatSendsNoMore(t *testing.T) {
	t.Parallel()
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		s := serve(t, limitedTo(drainLimit))
		conn, err := net.Dial("tcp", s.address)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(waitAtMost)))
		_, err = io.WriteString(conn, "PUT /metrics/job/j HTTP/1.1\r\nHost: h\r\n"+expect+"Content-Length: 100000000\r\n\r\n")
		require.NoError(t, err)
		got := answerOn(t, conn, http.MethodPut)
		assert.Equal(t, http.StatusRequestEntityTooLarge, got.status)
		assert.Contains(t, got.body, "100000000 bytes")
	}
}

// Whoever sends without end is cut off.
func TestEndlessBodyIsCut(t *testing.T) {
	t.Parallel()
	conn, err := net.Dial("tcp", serve(t, limitedTo(1<<20)).address)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(waitAtMost)))
	_, err = io.WriteString(conn, "PUT /metrics/job/j HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	for sent := 0; err == nil; sent++ {
		require.Less(t, sent, 100, "MiB are taken")
		_, err = io.WriteString(conn, "100000\r\n"+strings.Repeat("x", 1<<20)+"\r\n")
	}
	require.NotErrorIs(t, err, net.ErrClosed)
	assert.NotContains(t, err.Error(), "timeout")
}
