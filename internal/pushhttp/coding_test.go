// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

func written(body string, to func(io.Writer) io.WriteCloser) string {
	var b bytes.Buffer
	w := to(&b)
	_, err := io.WriteString(w, body)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.String()
}

func gzipped(body string) string {
	return written(body, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

func zlibbed(body string) string {
	return written(body, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
}

func framed(body string) string {
	return written(body, func(w io.Writer) io.WriteCloser { return snappy.NewBufferedWriter(w) })
}

func block(body string) string { return string(snappy.Encode(nil, []byte(body))) }

func zstandard(body string, options ...zstd.EOption) string {
	return written(body, func(w io.Writer) io.WriteCloser {
		e, err := zstd.NewWriter(w, options...)
		if err != nil {
			panic(err)
		}
		return e
	})
}

func lz4ed(body string, options ...lz4.Option) string {
	return written(body, func(w io.Writer) io.WriteCloser {
		z := lz4.NewWriter(w)
		if err := z.Apply(options...); err != nil {
			panic(err)
		}
		return z
	})
}

// assertSame spares the log the bodies.
func assertSame(t *testing.T, want, got string) {
	t.Helper()
	if want != got {
		t.Errorf("got another body of %d bytes instead of %d", len(got), len(want))
	}
}

// noise is text that compresses but little, so that decoders see many blocks.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.IntN(26))
	}
	return string(b)
}

func TestDefaultCodingsAreThoseOfConfighttp(t *testing.T) {
	t.Parallel()
	config := confighttp.NewDefaultServerConfig()
	_, err := config.ToServer(t.Context(), nil, componenttest.NewNopTelemetrySettings(), nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"", "gzip", "zstd", "zlib", "snappy", "deflate", "lz4", "x-snappy-framed"}, config.CompressionAlgorithms)
	s := serve(t)
	for _, coding := range config.CompressionAlgorithms {
		assert.NotEqual(t, http.StatusUnsupportedMediaType, s.do(t, "PUT", "/metrics/job/j", "", "Content-Encoding: "+coding).status)
	}
}

func TestCodingsAccepted(t *testing.T) {
	t.Parallel()
	s := serve(t)
	small, large := "some_metric 3.14\n", noise(1<<20)
	for _, tt := range []struct{ name, coding, body, want string }{
		{"gzip [E01]", "gzip", gzipped(small), small},
		{"gzip in upper case [E02]", "GZIP", gzipped(small), small},
		{"gzip by its old name", "x-gzip", gzipped(small), small},
		{"gzip and identity", "gzip, identity", gzipped(small), small},
		{"gzip of nothing [E06]", "gzip", gzipped(""), ""},
		{"gzip in two members", "gzip", gzipped("a 1\n") + gzipped("b 2\n"), "a 1\nb 2\n"},
		{"gzip, large", "gzip", gzipped(large), large},
		{"zlib", "zlib", zlibbed(small), small},
		{"deflate is zlib", "deflate", zlibbed(small), small},
		{"zstd", "zstd", zstandard(small), small},
		{"zstd of nothing", "zstd", zstandard(""), ""},
		{"zstd in upper case", " Zstd", zstandard(small), small},
		{"zstd, large", "zstd", zstandard(large), large},
		{"zstd, the largest window", "zstd", zstandard(large, zstd.WithWindowSize(8<<20)), large},
		{"zstd in a single segment", "zstd", zstandard(large, zstd.WithSingleSegment(true)), large},
		{"zstd in two frames", "zstd", zstandard("a 1\n") + zstandard("b 2\n"), "a 1\nb 2\n"},
		{"zstd behind a skippable frame", "zstd", "\x50\x2a\x4d\x18\x02\x00\x00\x00xx" + zstandard(small), small},
		{"snappy block", "snappy", block(small), small},
		{"snappy block, large", "snappy", block(large), large},
		{"snappy block of nothing", "snappy", block(""), ""},
		{"snappy frames [E15]", "snappy", framed(small), small},
		{"snappy frames, large", "snappy", framed(large), large},
		{"snappy without a body [E16]", "snappy", "", ""},
		{"snappy frames by their own name", "x-snappy-framed", framed(small), small},
		{"lz4", "lz4", lz4ed(small), small},
		{"lz4 of nothing", "lz4", lz4ed(""), ""},
		{"lz4, large", "lz4", lz4ed(large, lz4.BlockSizeOption(lz4.Block64Kb)), large},
		{"lz4, large blocks", "lz4", lz4ed(large, lz4.BlockSizeOption(lz4.Block4Mb)), large},
		{"lz4 without checksum", "lz4", lz4ed(small, lz4.ChecksumOption(false)), small},
		{"lz4 with all checksums", "lz4", lz4ed(large, lz4.BlockChecksumOption(true), lz4.BlockSizeOption(lz4.Block64Kb)), large},
		{"lz4 in two frames", "lz4", lz4ed("a 1\n") + lz4ed("b 2\n", lz4.ChecksumOption(false)), "a 1\nb 2\n"},
		{"lz4 in two frames without checksum", "lz4", lz4ed("a 1\n", lz4.ChecksumOption(false)) + lz4ed("b 2\n"), "a 1\nb 2\n"},
		{"identity [E11]", "identity", small, small},
		{"identity in upper case", "Identity", small, small},
		{"empty", "", small, small},
		{"no coding: a charset", "utf-8", small, small},
		{"no coding: a media type", "text/plain", small, small},
		{"no coding: any", "*", small, small},
		{"no coding: none", "None", small, small},
		{"no coding: of another header", "chunked, 8bit, binary", small, small},
		{"no coding, and gzip", "utf-8, gzip", gzipped(small), small},
		{"the same twice", "gzip, gzip", gzipped(small), small},
		{"the same twice, not applied", "gzip, gzip", small, small},
		{"another name, and not applied", "utf-8, gzip", small, small},
		{"not the first line, and not applied", "utf-8\r\nContent-Encoding: zstd", small, small},
		{"zstd twice", "zstd,zstd", zstandard(large), large},
		{"zlib twice, not applied", "zlib,zlib", "xa 1\n", "xa 1\n"},
		{"deflate twice", "deflate,deflate", zlibbed(large), large},
		{"lz4 twice", "lz4,lz4", lz4ed(large), large},
		{"snappy block twice", "snappy,snappy", block(large), large},
		{"snappy frames twice", "snappy,snappy", framed(large), large},
		{"snappy twice, not applied", "snappy,snappy", small, small},
		{"short, and not applied", "lz4,lz4", "\n", "\n"},
		{"the same twice by two names", "GZIP, x-gzip", gzipped(small), small},
		{"the same in two lines", "gzip\r\nContent-Encoding: gzip", gzipped(small), small},
		{"no coding in two lines", "utf-8\r\nContent-Encoding: utf-8", small, small},
		{"empty elements", ", ,gzip,,", gzipped(small), small},
		{"only empty elements", ",,", small, small},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(s.pushed())
			got := s.do(t, "PUT", "/metrics/job/j", tt.body, "Content-Encoding: "+tt.coding)
			require.Equal(t, http.StatusOK, got.status, got.body)
			assertSame(t, tt.want, s.pushed()[before].body)
		})
	}
}

// A request without a body has no coding to be broken, or not to be supported.
func TestCodingsWithoutBody(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"gzip", "zlib", "deflate", "zstd", "snappy", "x-snappy-framed", "lz4", "br", "gzip, zstd", "utf-8"} {
		t.Run(coding, func(t *testing.T) {
			t.Parallel()
			s := serve(t, ignoringDelete)
			header := "Content-Encoding: " + coding
			for _, tt := range []struct {
				name, request string
				status        int
			}{
				{"PUT", request("PUT", "/metrics/job/j", []string{header, "Content-Length: 0"}, ""), 200},
				{"POST without a length", request("POST", "/metrics/job/j", []string{header}, ""), 200},
				{"PUT of no chunk", request("PUT", "/metrics/job/j", []string{header, "Transfer-Encoding: chunked"}, "0\r\n\r\n"), 200},
				{"DELETE", request("DELETE", "/metrics/job/j", []string{header}, ""), 202},
				{"GET", request("GET", "/-/healthy", []string{header}, ""), 200},
				{"HEAD", request("HEAD", "/-/ready", []string{header}, ""), 200},
				{"GET of what is not served", request("GET", "/nonexistent", []string{header}, ""), 404},
				{"PATCH", request("PATCH", "/metrics/job/j", []string{header}, ""), 405},
			} {
				got := s.send(t, tt.request)
				assert.Equal(t, tt.status, got.status, "%s: %s", tt.name, got.body)
			}
			assert.Equal(t, []push{{`{job="j"}`, exposition.Text, ""}, {`{job="j"}`, exposition.Text, ""}, {`{job="j"}`, exposition.Text, ""}}, s.pushed())
		})
	}
}

// A body that nobody reads is not decoded: the other fault is named.
func TestCodingsThatNobodyReads(t *testing.T) {
	t.Parallel()
	s := serve(t, ignoringDelete)
	for coding := range strings.SplitSeq("gzip zlib deflate zstd snappy x-snappy-framed lz4", " ") {
		for _, tt := range []struct {
			method, target string
			status         int
		}{
			{"PUT", "/metrics/job/j/a", 400},
			{"PUT", "/nonexistent", 404},
			{"PATCH", "/metrics/job/j", 405},
			{"DELETE", "/metrics/job/j", 202},
			{"GET", "/-/healthy", 200},
		} {
			got := s.do(t, tt.method, tt.target, "broken", "Content-Encoding: "+coding)
			assert.Equal(t, tt.status, got.status, "%s %s %s", coding, tt.method, tt.target)
			assert.NotContains(t, got.body, "Content-Encoding")
		}
	}
}

func TestCodingsCorrupt(t *testing.T) {
	t.Parallel()
	s := serve(t)
	small, large := "some_metric 3.14\n", noise(1<<20)
	const window = "zstd: the body needs a window larger than declared at its start or than 8388608 bytes, the most that RFC 9659 allows in HTTP"
	blocks := lz4ed(large, lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false))
	for _, tt := range []struct{ name, coding, body, want string }{
		{"gzip: plain text [E03]", "gzip", small, "gzip: invalid header"},
		{"gzip in two lines: plain text", "gzip\r\nContent-Encoding: gzip", small, "gzip: invalid header"},
		{"gzip twice: cut", "gzip, gzip", gzipped(small)[:20], "unexpected EOF; the body is not valid gzip, which its Content-Encoding names"},
		{"gzip: cut", "gzip", gzipped(large)[:1000], "unexpected EOF; the body is not valid gzip, which its Content-Encoding names"},
		{"gzip: cut in the header", "gzip", gzipped(small)[:5], "unexpected EOF; the body is not valid gzip, which its Content-Encoding names"},
		{"gzip: cut in the checksum", "gzip", gzipped(small)[:len(gzipped(small))-1], "unexpected EOF; the body is not valid gzip, which its Content-Encoding names"},
		{"gzip: garbage behind", "gzip", gzipped(small) + "garbage behind", "gzip: invalid header"},
		{"zlib: plain text", "zlib", small, "zlib: invalid header"},
		{"deflate: plain text", "deflate", small, "zlib: invalid header; the body is not valid deflate, which its Content-Encoding names"},
		{"x-snappy-framed: plain text", "x-snappy-framed", small, "snappy: corrupt input; the body is not valid x-snappy-framed, which its Content-Encoding names"},
		{"zlib: cut", "zlib", zlibbed(large)[:1000], "unexpected EOF; the body is not valid zlib, which its Content-Encoding names"},
		{"zstd: plain text [E14]", "zstd", small, "invalid input: magic number mismatch; the body is not valid zstd, which its Content-Encoding names"},
		{"zstd: cut", "zstd", zstandard(large)[:1000], "unexpected EOF; the body is not valid zstd, which its Content-Encoding names"},
		{"zstd: cut in the header", "zstd", zstandard(large)[:5], "unexpected EOF; the body is not valid zstd, which its Content-Encoding names"},
		{"zstd: window too large", "zstd", zstandard(noise(9<<20), zstd.WithWindowSize(16<<20)), window},
		{"zstd: window too large in the second frame", "zstd", zstandard(small) + zstandard(noise(2<<20)), window},
		{"snappy: plain text [E18]", "snappy", small, "snappy: corrupt input"},
		{"snappy: length beyond 32 bits", "snappy", "\xff\xff\xff\xff\xff\xff\x07", "snappy: corrupt input"},
		{"snappy: block cut", "snappy", block(large)[:1000], "snappy: corrupt input"},
		{"snappy: frame cut", "snappy", framed(large)[:1000], "snappy: corrupt input"},
		{"lz4: plain text", "lz4", small, "lz4: bad magic number"},
		{"lz4: cut in a block", "lz4", lz4ed(large)[:1000], "unexpected EOF; the body is not valid lz4, which its Content-Encoding names"},
		{"lz4: cut between blocks", "lz4", blocks[:7+4+int(binary.LittleEndian.Uint32([]byte(blocks)[7:])&0x7fffffff)], "unexpected EOF; the body is not valid lz4, which its Content-Encoding names"},
		{"lz4: cut before the end mark", "lz4", blocks[:len(blocks)-4], "unexpected EOF; the body is not valid lz4, which its Content-Encoding names"},
		{"lz4: cut before the checksum", "lz4", lz4ed(small)[:len(lz4ed(small))-4], "unexpected EOF; the body is not valid lz4, which its Content-Encoding names"},
		{"lz4: cut in the checksum", "lz4", lz4ed(small)[:len(lz4ed(small))-1], "unexpected EOF; the body is not valid lz4, which its Content-Encoding names"},
		{"lz4: cut behind the second magic", "lz4", lz4ed("a 1\n", lz4.ChecksumOption(false)) + lz4ed("b 2\n")[:4], "unexpected EOF; the body is not valid lz4, which its Content-Encoding names"},
		{"lz4: legacy", "lz4", lz4ed(small, lz4.LegacyOption(true)), "lz4: the legacy format is not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.do(t, "PUT", "/metrics/job/j", tt.body, "Content-Encoding: "+tt.coding)
			assert.Equal(t, http.StatusBadRequest, got.status)
			assert.Equal(t, tt.want+"\n", got.body)
		})
	}
	assert.Empty(t, s.pushed())
	assert.Equal(t, int64(28), s.outcomes(t)["PUT text bad_body"])
}

func TestCodingsUnsupported(t *testing.T) {
	t.Parallel()
	const all = "gzip, zstd, zlib, snappy, deflate, lz4, x-snappy-framed"
	for _, tt := range []struct {
		name         string
		codings      []string // nil is the default
		coding       string
		accept, text string
	}{
		{"unknown [E12]", nil, "br", all, `Content-Encoding "br" is not supported; supported: ` + all + `, or none`},
		{"two at once", nil, "gzip, Zstd", all, `Content-Encoding "gzip, zstd" is not supported; supported: ` + all + `, or none`},
		{"disabled", []string{"", "gzip"}, "zstd", "gzip", `Content-Encoding "zstd" is not supported; supported: gzip, or none`},
		{"disabled, replaced here", []string{"", "gzip"}, "lz4", "gzip", `Content-Encoding "lz4" is not supported; supported: gzip, or none`},
		{"all disabled", []string{}, "gzip", "identity", `Content-Encoding "gzip" is not supported; supported: none, send the body as it is`},
		{"plain only", []string{""}, "gzip", "identity", `Content-Encoding "gzip" is not supported; supported: none, send the body as it is`},
		{"no plain bodies", []string{"gzip"}, "", "gzip, identity;q=0", `a body without Content-Encoding is not accepted; supported: gzip`},
		{"no plain bodies, unknown", []string{"gzip"}, "br", "gzip, identity;q=0", `Content-Encoding "br" is not supported; supported: gzip`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, accepting(tt.codings...))
			if tt.codings == nil {
				s = serve(t)
			}
			got := s.do(t, "POST", "/metrics/job/j", "a 1\n", "Content-Encoding: "+tt.coding)
			assert.Equal(t, http.StatusUnsupportedMediaType, got.status)
			assert.Equal(t, tt.text+"\n", got.body)
			assert.Equal(t, tt.accept, got.header.Get("Accept-Encoding"))
			assert.Empty(t, s.pushed())
			assert.Equal(t, map[string]int64{"POST none content_encoding": 1}, s.outcomes(t))
		})
	}
}

func TestNarrowedCodings(t *testing.T) {
	t.Parallel()
	const probe = "GET /-/healthy"
	for _, tt := range []struct {
		name    string
		codings []string
		request string
		coding  string
		body    string
	}{
		{"no codings, plain", []string{}, "PUT /metrics/job/j", "", "a 1\n"},
		{"no codings, probe", []string{}, probe, "", ""},
		{"gzip alone, gzip", []string{"gzip"}, "PUT /metrics/job/j", "gzip", gzipped("a 1\n")},
		{"gzip alone, probe", []string{"gzip"}, probe, "", ""},
		{"gzip alone, nothing to encode", []string{"gzip"}, "PUT /metrics/job/j", "", ""},
		{"zstd alone", []string{"zstd"}, "PUT /metrics/job/j", "zstd", zstandard("a 1\n")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			method, target, _ := strings.Cut(tt.request, " ")
			s := serve(t, accepting(tt.codings...))
			got := s.do(t, method, target, tt.body, "Content-Encoding: "+tt.coding)
			assert.Equal(t, http.StatusOK, got.status, got.body)
		})
	}
}

// Bodies that are small on the wire and large in memory.
func TestBombs(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	s := serve(t, limitedTo(limit))
	zeros := strings.Repeat("\x00", 5<<20)
	for _, tt := range []struct{ name, coding, body string }{
		{"gzip", "gzip", gzipped(zeros)},
		{"zlib", "deflate", zlibbed(zeros)},
		{"zstd", "zstd", zstandard(zeros)},
		{"snappy block", "snappy", block(zeros)},
		{"snappy block, declared only", "snappy", "\xff\xff\xff\xff\x07"},
		{"lz4", "lz4", lz4ed(zeros)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.do(t, "PUT", "/metrics/job/j", tt.body, "Content-Encoding: "+tt.coding)
			assert.Equal(t, http.StatusRequestEntityTooLarge, got.status)
			assert.Equal(t, "the body is larger than max_request_body_size (1048576 bytes) allows\n", got.body)
		})
	}
	assert.Empty(t, s.pushed())
}

// A few bytes declare megabytes. Whoever stalls behind them takes no room from others, nor any in the heap: with the decoder
// of a library alone that holds half a gigabyte per body, and the memory limiter stops all pipelines.
func TestStalledBodiesTakeNoRoom(t *testing.T) {
	const clients = 20
	limiter := ingest.NewInFlight(1 << 20)
	s := serve(t, func(s *setup) { s.options.InFlight = limiter })
	window := func(exponent byte) string { // A frame of one raw block, of which a few bytes have arrived.
		return "\x28\xb5\x2f\xfd\x00" + string(exponent<<3) + "\x40\x1f\x00xxxxxxxxxxxx"
	}
	for _, tt := range []struct{ name, coding, body string }{
		{"zstd, window of 512 MiB", "zstd", window(19)},
		{"zstd, window of 8 MiB", "zstd", window(13)},
		{"zstd, nothing yet", "zstd", ""},
		{"lz4, blocks of 4 MiB", "lz4", lz4ed(noise(100_000), lz4.BlockSizeOption(lz4.Block4Mb))[:100]},
		{"lz4, nothing yet", "lz4", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Eventually(t, func() bool { return limiter.Bytes() == 0 }, waitAtMost, tick, "those of the case before are gone")
			before := heap()
			stalled := request("PUT", "/metrics/job/j", []string{"Content-Encoding: " + tt.coding, "Content-Length: 1000"}, tt.body)
			for range clients {
				conn, err := net.Dial("tcp", s.address)
				require.NoError(t, err)
				defer conn.Close()
				_, err = io.WriteString(conn, stalled)
				require.NoError(t, err)
			}
			require.Eventually(t, func() bool { return limiter.Bytes() >= 512*clients }, waitAtMost, tick, "all are being read")
			assert.LessOrEqual(t, limiter.Bytes(), int64(100<<10))
			assert.Less(t, heap()-before, int64(20<<20))
			got := s.do(t, "PUT", "/metrics/job/j", zstandard("a 1\n"), "Content-Encoding: zstd")
			assert.Equal(t, http.StatusOK, got.status, got.body)
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A decoder gives its memory back when the body has been read, not when the push is done.
func TestDecoderMemoryIsHeldWhileReadingOnly(t *testing.T) {
	t.Parallel()
	for coding, body := range map[string]string{"zstd": zstandard(noise(1 << 20)), "lz4": lz4ed(noise(1 << 20))} {
		limiter := ingest.NewInFlight(inFlightLimit)
		s := serve(t, func(s *setup) { s.options.InFlight = limiter })
		s.ingest.answer = func(body []byte) error {
			assert.LessOrEqual(t, limiter.Bytes(), int64(2*len(body)), coding)
			return nil
		}
		assert.Equal(t, http.StatusOK, s.do(t, "PUT", "/metrics/job/j", body, "Content-Encoding: "+coding).status, coding)
	}
}

func TestDecoderStateThatFindsNoRoom(t *testing.T) {
	t.Parallel()
	s := serve(t, inFlight(100_000))
	for coding, body := range map[string]string{"zstd": zstandard("a 1\n"), "lz4": lz4ed("a 1\n"), "snappy": block(strings.Repeat("a", 200_000))} {
		got := s.do(t, "PUT", "/metrics/job/j", body, "Content-Encoding: "+coding)
		assert.Equal(t, http.StatusRequestEntityTooLarge, got.status, coding)
		assert.Contains(t, got.body, "limits::in_flight_bytes (100000)", coding)
	}
}

// The decoder recurses for each header of the legacy format. So many of them take seconds and half a gigabyte of stack; with
// a larger limit the stack overflows, which ends the process.
func TestLZ4LegacyHeaders(t *testing.T) {
	t.Parallel()
	body := lz4ed("a 1\n") + strings.Repeat("\x02\x21\x4c\x18", 4<<20)
	got := serve(t).do(t, "PUT", "/metrics/job/j", body, "Content-Encoding: lz4")
	assert.Equal(t, http.StatusBadRequest, got.status)
	assert.Equal(t, "lz4: the legacy format is not supported\n", got.body)
}
