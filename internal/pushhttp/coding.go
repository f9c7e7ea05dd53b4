// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// defaultCodings are the codings that confighttp accepts if compression_algorithms is not set.
var defaultCodings = []string{"", "gzip", "zstd", "zlib", "snappy", "deflate", "lz4", "x-snappy-framed"}

// noCoding stands for a body without coding in the list of confighttp.
const noCoding = ""

// unsupported replaces Content-Encoding if its codings are not enabled and it is not known yet whether there is a body. Their names
// follow as a second value. No coding has a blank in its name.
const unsupported = "not supported"

// uncertain precedes a coding in Content-Encoding if the header names it more than once or beside other tokens. A Pushgateway reads
// such a body as it is.
const uncertain = "uncertain "

// otherCodings are the other codings of the IANA registry.
var otherCodings = []string{"aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress"}

// normalizeCoding rewrites Content-Encoding for confighttp: to the lower-case name of one coding, or to no header. Names that are no
// codings, such as utf-8, and identity are ignored, as in a Pushgateway. A coding that is named twice was applied once. Names are
// case-insensitive, and x-gzip means gzip (RFC 9110, section 8.4.1). A request without a body has no coding.
func (h *handler) normalizeCoding(r *http.Request) {
	var codings []string
	if lines := r.Header.Values("Content-Encoding"); r.ContentLength != 0 {
		for name := range strings.SplitSeq(strings.Join(lines, ","), ",") {
			if name = codingName(name); isCoding(name) && !slices.Contains(codings, name) {
				codings = append(codings, name)
			}
		}
	}
	switch {
	case len(codings) == 0:
		r.Header.Del("Content-Encoding")
	case len(codings) == 1 && slices.Contains(h.codings, codings[0]):
		if codingName(r.Header.Get("Content-Encoding")) != codings[0] {
			codings[0] = uncertain + codings[0]
		}
		r.Header.Set("Content-Encoding", codings[0])
	case r.ContentLength > 0:
		r.Header.Set("Content-Encoding", strings.Join(codings, ", "))
	default: // The request may have a body.
		r.Header["Content-Encoding"] = []string{unsupported, strings.Join(codings, ", ")}
	}
}

// codingName returns the name by which confighttp knows a coding.
func codingName(written string) string {
	name := strings.ToLower(strings.TrimSpace(written))
	if name == "x-gzip" {
		return "gzip"
	}
	return name
}

// isCoding reports whether a name is a coding that changes a body.
func isCoding(name string) bool {
	return name != noCoding && slices.Contains(defaultCodings, name) || slices.Contains(otherCodings, name)
}

// refuseUndecoded answers requests that confighttp refuses: failed authentication, or a coding that is not enabled.
func (h *handler) refuseUndecoded(w http.ResponseWriter, r *http.Request, _ string, status int) {
	if status == http.StatusUnauthorized {
		h.refuse(w, r, refuseUnauthorized(h.authenticator))
		return
	}
	coding := noCoding
	if named := r.Header.Values("Content-Encoding"); len(named) > 0 {
		coding = named[len(named)-1]
	}
	h.refuse(w, r, refuseCoding(coding, h.codings))
}

// decoders replaces the decoders of confighttp, which read from the body before the handler is called. Those of zstd, snappy and lz4 also
// need much memory for a small body.
func (h *handler) decoders() []confighttp.ToServerOption {
	openers := map[string]opener{
		"gzip":            openGzip,
		"zlib":            openZlib,
		"deflate":         openZlib,
		"zstd":            buffered(openZstd),
		"snappy":          openSnappy(h.maxBodySize),
		"x-snappy-framed": openFramedSnappy,
		"lz4":             buffered(openLZ4),
	}
	options := []confighttp.ToServerOption{confighttp.WithDecoder(unsupported, emptyOnly)}
	for _, coding := range h.codings {
		if open, ok := openers[coding]; ok {
			options = append(options, h.decoder(coding, coding, open), h.decoder(uncertain+coding, coding, ifRecognized(coding, open)))
		}
	}
	switch {
	case slices.Contains(h.codings, noCoding):
	case len(h.codings) == 0: // An empty list disables all codings, but not bodies without one.
		options = append(options, confighttp.WithDecoder(noCoding, identity))
	default:
		options = append(options, confighttp.WithDecoder(noCoding, emptyOnly))
	}
	return options
}

// decoder registers a decoder under a name.
func (h *handler) decoder(name, coding string, open opener) confighttp.ToServerOption {
	return confighttp.WithDecoder(name, func(body io.ReadCloser) (io.ReadCloser, error) {
		return &decoder{coding: coding, source: source{Reader: body}, inFlight: h.options.InFlight, open: open}, nil
	})
}

// ifRecognized decodes a body that looks like the coding, and reads others as they are.
func ifRecognized(coding string, open opener) opener {
	return buffered(func(d *decoder) (io.Reader, error) {
		if !looksLike(coding, d.compressed.bytes) {
			return &d.source, nil
		}
		return open(d)
	})
}

// identity is the decoder of a body without coding. If it returns no reader, confighttp keeps the body.
func identity(io.ReadCloser) (io.ReadCloser, error) { return nil, nil }

// emptyOnly is the decoder of codings that are not accepted. It accepts a request without a body, such as a probe.
func emptyOnly(body io.ReadCloser) (io.ReadCloser, error) {
	if _, err := io.ReadFull(body, make([]byte, 1)); errors.Is(err, io.EOF) {
		return nil, nil
	}
	return nil, errNotAccepted
}

var errNotAccepted = errors.New("a body in this coding is not accepted")

// opener returns the reader of the decompressed body. It is called at the first read.
type opener func(d *decoder) (io.Reader, error)

func openGzip(d *decoder) (io.Reader, error) { return gzip.NewReader(&d.source) }

func openZlib(d *decoder) (io.Reader, error) { return zlib.NewReader(&d.source) }

// buffered reads the compressed body completely before it opens the decompressor. A decompressor may need megabytes for a few bytes of
// body. So they are not reserved while a slow client sends.
func buffered(open opener) opener {
	return func(d *decoder) (io.Reader, error) {
		if d.compressed != nil {
			return open(d)
		}
		d.compressed = newBuffer(d.inFlight)
		if err := d.compressed.readAll(&d.source); err != nil {
			return nil, err
		}
		d.source.Reader = bytes.NewReader(d.compressed.bytes)
		return open(d)
	}
}

// decoder is a body that is decompressed while it is read. It reads, reserves and allocates nothing before the first Read.
type decoder struct {
	coding   string
	source   source
	inFlight *ingest.InFlight
	open     opener

	compressed *buffer // the compressed body if it is buffered, or nil
	reader     io.Reader
	free       func() // releases the reader, or nil
	reserved   int64
	err        error // the result of further reads
}

func (d *decoder) Read(p []byte) (n int, err error) {
	if d.err != nil {
		return 0, d.err
	}
	if d.reader == nil {
		d.reader, err = d.begin()
	}
	if err == nil {
		n, err = d.reader.Read(p)
	}
	if err != nil {
		d.release() // Processing the push may take long.
		d.err = d.readError(err)
	}
	return n, d.err
}

// begin opens the reader. An empty body is valid in every coding.
func (d *decoder) begin() (io.Reader, error) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(&d.source, first); err != nil {
		return nil, err
	}
	d.source.Reader = io.MultiReader(bytes.NewReader(first), d.source.Reader)
	return d.open(d)
}

// readError is the error of the connection if there is one, otherwise that of the decompressor, with the name of the coding.
func (d *decoder) readError(err error) error {
	switch {
	case d.source.err != nil:
		return d.source.err
	case errors.Is(err, io.EOF), strings.HasPrefix(err.Error(), d.coding+": "):
		return err
	default:
		return fmt.Errorf("%w; the body is not valid %s, which its Content-Encoding names", err, d.coding)
	}
}

// source is the compressed body. It remembers the error of the connection, which a decompressor may hide.
type source struct {
	io.Reader
	err error // other than EOF
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// reserve reserves memory for the state of the decompressor.
func (d *decoder) reserve(n int64) error {
	if err := d.inFlight.Reserve(n); err != nil {
		return err
	}
	d.reserved += n
	return nil
}

func (d *decoder) release() {
	d.inFlight.Release(d.reserved)
	d.reserved = 0
	if d.free != nil {
		d.free()
		d.free = nil
	}
	if d.compressed != nil {
		d.compressed.free()
		d.compressed = nil
	}
}

// Close releases the decoder. It does not read the rest of the body.
func (d *decoder) Close() error {
	d.err = http.ErrBodyReadAfterClose
	d.release()
	return nil
}
