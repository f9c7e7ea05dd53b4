// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// attack is one hostile request, sent by several clients at once.
type attack struct {
	name   string
	path   string // below /metrics/job/; empty: a job
	header http.Header
	body   func() io.Reader // made once for each client
	want   int              // 503 with Retry-After is right besides, unless the push fits alone
	text   string           // in the answer
}

// clients is how many send an attack at once.
const clients = 4

// TestHostileCodings sends little that stands for much.
func TestHostileCodings(t *testing.T) {
	runAttacks(t, codingAttacks())
}

// TestHostilePages sends pages that cost more than their bytes, or that are not what they say.
func TestHostilePages(t *testing.T) {
	runAttacks(t, append(textAttacks(), protobufAttacks()...))
}

// runAttacks lets each attack be sent alone, to see what it is answered, and then by several clients at once. One collector
// withstands them all: the peaks that it has after one are those of the worst so far.
func runAttacks(t *testing.T, attacks []attack) {
	t.Helper()
	w := startWatched(t, settings{config: "testdata/hostile.yaml"})
	for _, a := range attacks {
		withstood := t.Run(a.name, func(t *testing.T) {
			w.withstand(t, func() {
				a.assertAlone(t, w)
				a.assertTogether(t, w)
			})
		})
		if !withstood {
			w = startWatched(t, settings{config: "testdata/hostile.yaml"})
		}
	}
}

func (a attack) assertAlone(t *testing.T, w *watched) {
	t.Helper()
	got, err := a.send(w, a.body())
	require.NoError(t, err)
	a.assertAnswer(t, got)
}

func (a attack) assertAnswer(t *testing.T, got answer) {
	t.Helper()
	assert.Equal(t, a.want, got.status, got.body)
	assert.Contains(t, got.body, a.text)
	assert.Less(t, len(got.body), 8<<10, "answers are cut short")
}

// assertTogether lets clients be told to try again, since all together do not fit.
func (a attack) assertTogether(t *testing.T, w *watched) {
	t.Helper()
	together(clients, func() {
		got, err := a.send(w, a.body())
		switch {
		case !assert.NoError(t, err):
		case got.status == http.StatusServiceUnavailable:
			got.assertOverload(t)
		default:
			a.assertAnswer(t, got)
		}
	})
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) assertOverload(t *testing.T) {
	t.Helper()
	assert.NotEmpty(t, a.header.Get("Retry-After"))
	assert.Contains(t, a.body, "limits::in_flight_bytes ("+strconv.Itoa(inFlightBytes)+")")
}

// send writes the request and reads the answer at the same time: an answer may come before the end of the body, and whoever
// keeps on writing without reading gets none.
func (a attack) send(w *watched, body io.Reader) (answer, error) {
	request, err := http.NewRequest(http.MethodPut, w.url+"/metrics/job/"+cmp.Or(a.path, "hostile"), body)
	if err != nil {
		return answer{}, err
	}
	maps.Copy(request.Header, a.header)
	connection, err := net.DialTimeout("tcp", request.Host, settleTimeout)
	if err != nil {
		return answer{}, err
	}
	defer connection.Close()
	go func() { _ = request.Write(connection) }()
	return readAnswer(connection)
}

// readAnswer reads one response.
func readAnswer(connection net.Conn) (answer, error) {
	if err := connection.SetReadDeadline(time.Now().Add(2 * settleTimeout)); err != nil {
		return answer{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}, err
}

// of is the same bytes for every client.
func of(body []byte) func() io.Reader { return func() io.Reader { return bytes.NewReader(body) } }

// coded is a header that names a content coding.
func coded(codings ...string) http.Header { return http.Header{"Content-Encoding": codings} }

// page writes a page of so many bytes, or a line more.
func page(size int, line func(b []byte, i int) []byte) []byte {
	b := make([]byte, 0, size+1024)
	for i := 0; len(b) < size; i++ {
		b = append(line(b, i), '\n')
	}
	return b
}

// must gives the value of a step of a test's that cannot fail.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
