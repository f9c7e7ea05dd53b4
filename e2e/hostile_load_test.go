// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFiftyOfTheLargest pushes fifty of the largest allowed pushes at once. As many are taken as fit, the others are told to
// try again, and memory stays below the bound.
func TestFiftyOfTheLargest(t *testing.T) {
	const pushes = 50
	for _, tc := range []struct {
		name   string
		header http.Header
		body   []byte
	}{
		{"text", nil, page(largest, counter)},
		{"OpenMetrics", openMetricsHeader(), append(page(largest-100, counter), "# EOF\n"...)},
		{"protobuf", protobufHeader(), repeat(largest, counterFamily)},
		{"gzip", coded("gzip"), gzipped(page(largest, counter))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := startWatched(t, settings{config: "testdata/hostile.yaml"})
			push := attack{header: tc.header, body: of(tc.body), want: http.StatusOK}
			w.withstand(t, func() {
				push.assertAlone(t, w)
				var accepted atomic.Int32
				together(pushes, func() {
					got, err := push.send(w, push.body())
					switch {
					case !assert.NoError(t, err):
					case got.status == http.StatusServiceUnavailable:
						got.assertOverload(t)
					case assert.Equal(t, http.StatusOK, got.status, got.body):
						accepted.Add(1)
					}
				})
				t.Logf("%d of %d accepted", accepted.Load(), pushes)
			})
		})
	}
}

// TestHeaviestInTurns has several clients push again and again what takes the most memory of all that is taken, so that garbage
// of the one is collected while the other is worked on.
func TestHeaviestInTurns(t *testing.T) {
	const pushes = 12 // of each client
	w := startWatched(t, settings{config: "testdata/hostile.yaml"})
	heaviest := []attack{
		{body: of(manyLabels(1_000_000)), want: http.StatusOK},
		{body: of(page(8<<20, shortSeries)), want: http.StatusOK},
	}
	w.withstand(t, func() {
		var turns atomic.Int32
		together(clients, func() {
			for range pushes {
				push := heaviest[int(turns.Add(1))%len(heaviest)]
				got, err := push.send(w, push.body())
				switch {
				case !assert.NoError(t, err):
				case got.status == http.StatusServiceUnavailable:
					got.assertOverload(t)
				default:
					push.assertAnswer(t, got)
				}
			}
		})
	})
}

// TestTenMillionLines pushes more lines than a default body can hold, where larger ones are allowed.
func TestTenMillionLines(t *testing.T) {
	const inFlight = 2 * inFlightBytes
	w := startWatched(t, settings{config: "testdata/hostile.yaml", set: []string{
		"receivers::pushgateway::max_request_body_size: 50000000",
		"receivers::pushgateway::limits::in_flight_bytes: " + strconv.Itoa(inFlight),
	}})
	w.bound = memoryBound(inFlight)
	lines := attack{body: of(page(4*10_000_000, shortLine)), want: http.StatusRequestEntityTooLarge, text: "limits::in_flight_bytes"}
	w.withstand(t, func() { lines.assertAlone(t, w) })
}

// counter is a line of a usual page: about 200 bytes with five labels.
func counter(b []byte, i int) []byte {
	b = append(b, `http_requests_total{method="GET",handler="/api/v1/query_range",status="200",instance_type="m5.large",path="/items/`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `"} `...)
	return strconv.AppendInt(b, int64(i)*17, 10)
}

// counterFamily is a protobuf message of one counter with five labels.
func counterFamily(i int) []byte {
	var metric []byte
	for _, label := range []string{"method", "handler", "status", "instance_type", "path"} {
		metric = append(metric, field(1, append(field(1, []byte(label)), field(2, []byte("/items/"+strings.Repeat("x", 10)))...))...)
	}
	metric = append(metric, field(3, []byte{0x09, 0, 0, 0, 0, 0, 0, 0, 0x40})...)
	return delimited(append(append(field(1, []byte("http_requests_"+strconv.Itoa(i)+"_total")), 0x18, 0x00), field(4, metric)...))
}

// TestReadersAreBounded has many scrape a large memory of groups at once.
func TestReadersAreBounded(t *testing.T) {
	const readers = 40
	w := startLargeGroups(t, 20)
	for _, path := range []string{"/metrics", "/api/v1/metrics"} {
		t.Run(path, func(t *testing.T) {
			w.withstand(t, func() {
				together(readers, func() {
					response, err := http.Get(w.url + path)
					if !assert.NoError(t, err) {
						return
					}
					defer response.Body.Close()
					n, err := io.Copy(io.Discard, response.Body)
					assert.NoError(t, err)
					assert.Positive(t, n)
				})
			})
		})
	}
}

// TestReadersThatDoNotRead has both who may read at once leave their answers where they are. Pushes go on, who else wants to
// read is told to try again, and has its turn when write_timeout has ended the two.
func TestReadersThatDoNotRead(t *testing.T) {
	const readers = 2
	w := startLargeGroups(t, 80, "receivers::pushgateway::write_timeout: 20s") // more than what buffers of connections take
	w.withstand(t, func() {
		for range readers {
			connection, err := dial(w.url)
			require.NoError(t, err)
			defer connection.Close()
			require.NoError(t, connection.(*net.TCPConn).SetReadBuffer(4<<10))
			_, err = io.WriteString(connection, "GET /api/v1/metrics HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			_, err = connection.Read(make([]byte, 1)) // The answer has begun.
			require.NoError(t, err)
		}
		response, err := http.Get(w.url + "/metrics")
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
		assert.NotEmpty(t, response.Header.Get("Retry-After"))
		require.Eventually(t, func() bool {
			response, err := http.Get(w.url + "/metrics")
			return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
		}, settleTimeout, pollInterval)
	})
}

// startLargeGroups starts the distribution and has it hold so many groups of a thousand series.
func startLargeGroups(t *testing.T, groups int, set ...string) *watched {
	t.Helper()
	const series = 1000
	w := startWatched(t, settings{config: "testdata/hostile.yaml", set: append(set, "receivers::pushgateway::groups: {republish_interval: 0s}")})
	for i := range groups {
		body := page(series*130, counter)
		status, answer := send(t, http.MethodPut, w.url+"/metrics/job/"+strconv.Itoa(i), string(body))
		require.Equal(t, http.StatusOK, status, answer)
	}
	return w
}

func gzipped(body []byte) []byte {
	var b bytes.Buffer
	w := newGzipWriter(&b)
	must(w.Write(body))
	must(0, w.Close())
	return b.Bytes()
}
