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

// defaultCodings is what confighttp accepts if compression_algorithms is not set.
var defaultCodings = []string{"", "gzip", "zstd", "zlib", "snappy", "deflate", "lz4", "x-snappy-framed"}

// noCoding is how confighttp's list names a body without coding.
const noCoding = ""

// unsupported stands in Content-Encoding for codings that are not enabled, whose names follow as a second value, where nobody
// can tell yet whether there is a body. No coding has a blank in its name.
const unsupported = "not supported"

// perhaps stands in Content-Encoding before a coding that is not named alone. A Pushgateway reads such a body as it is.
const perhaps = "perhaps "

// otherCodings are the codings of the IANA registry that are not decoded here.
var otherCodings = []string{"aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress"}

// normalizeCoding brings Content-Encoding to the form in which confighttp compares it: the lower-case name of the one coding that
// the body has, or no header. A name that is no coding, such as utf-8, says nothing, as for a Pushgateway, and neither does
// identity. A coding that is named again was named by two components: it was applied once. RFC 9110, section 8.4.1, makes names
// case-insensitive and x-gzip the same as gzip. A request without a body has no coding.
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
			codings[0] = perhaps + codings[0]
		}
		r.Header.Set("Content-Encoding", codings[0])
	case r.ContentLength > 0:
		r.Header.Set("Content-Encoding", strings.Join(codings, ", "))
	default: // There may be a body.
		r.Header["Content-Encoding"] = []string{unsupported, strings.Join(codings, ", ")}
	}
}

// codingName is the name of a coding in the terms of confighttp.
func codingName(written string) string {
	name := strings.ToLower(strings.TrimSpace(written))
	if name == "x-gzip" {
		return "gzip"
	}
	return name
}

// isCoding tells whether a name stands for a coding that changes a body.
func isCoding(name string) bool {
	return name != noCoding && slices.Contains(defaultCodings, name) || slices.Contains(otherCodings, name)
}

// refuseUndecoded answers what confighttp refuses before the handler is reached: failed authentication, or a body in a coding
// that is not enabled.
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

// decoders replaces confighttp's decoders of the enabled codings, which begin to read before the handler is reached: a body is
// not looked at until a push needs it. Theirs of zstd, snappy and lz4 also take much memory for a small body.
func (h *handler) decoders() []confighttp.ToServerOption {
	openers := map[string]opener{
		"gzip":            openGzip,
		"zlib":            openZlib,
		"deflate":         openZlib,
		"zstd":            gathered(openZstd),
		"snappy":          openSnappy(h.maxBodySize),
		"x-snappy-framed": openFramedSnappy,
		"lz4":             gathered(openLZ4),
	}
	options := []confighttp.ToServerOption{confighttp.WithDecoder(unsupported, nothing)}
	for _, coding := range h.codings {
		if open, ok := openers[coding]; ok {
			options = append(options, h.decoder(coding, coding, open), h.decoder(perhaps+coding, coding, recognized(coding, open)))
		}
	}
	switch {
	case slices.Contains(h.codings, noCoding):
	case len(h.codings) == 0: // With an empty list only codings are refused.
		options = append(options, confighttp.WithDecoder(noCoding, asItIs))
	default:
		options = append(options, confighttp.WithDecoder(noCoding, nothing))
	}
	return options
}

// decoder is what decodes bodies under that name.
func (h *handler) decoder(name, coding string, open opener) confighttp.ToServerOption {
	return confighttp.WithDecoder(name, func(body io.ReadCloser) (io.ReadCloser, error) {
		return &decoder{coding: coding, source: source{Reader: body}, inFlight: h.options.InFlight, open: open}, nil
	})
}

// recognized decodes a body that looks like one in the coding, and reads others as they are.
func recognized(coding string, open opener) opener {
	return gathered(func(d *decoder) (io.Reader, error) {
		if !looksLike(coding, d.compressed.bytes) {
			return &d.source, nil
		}
		return open(d)
	})
}

// asItIs is the decoder of a body without coding: without a reader, confighttp keeps the body.
func asItIs(io.ReadCloser) (io.ReadCloser, error) { return nil, nil }

// nothing is the decoder where bodies are not accepted. A request without a body, as a probe is, has nothing to encode.
func nothing(body io.ReadCloser) (io.ReadCloser, error) {
	if _, err := io.ReadFull(body, make([]byte, 1)); errors.Is(err, io.EOF) {
		return nil, nil
	}
	return nil, errNotAccepted
}

var errNotAccepted = errors.New("a body in this coding is not accepted")

// opener makes the reader of what a coding stands for. It is called when the body is first read.
type opener func(d *decoder) (io.Reader, error)

func openGzip(d *decoder) (io.Reader, error) { return gzip.NewReader(&d.source) }

func openZlib(d *decoder) (io.Reader, error) { return zlib.NewReader(&d.source) }

// gathered has the whole body read before it is decompressed. What a decompressor holds can be megabytes for a few bytes of
// body: it is reserved while there is work to do, and not while a client makes everybody wait for its next byte.
func gathered(open opener) opener {
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

// decoder is a body being decompressed. Nothing is read, reserved or allocated before the handler reads the body, so that
// what does not fit is refused where all refusals are.
type decoder struct {
	coding   string
	source   source
	inFlight *ingest.InFlight
	open     opener

	compressed *buffer // what was gathered, or nil
	reader     io.Reader
	free       func() // gives back what the reader holds, or nil
	reserved   int64
	err        error // what ended the reading
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
		d.release() // The push may take long yet, while its decoder has done its work.
		d.err = d.fault(err)
	}
	return n, d.err
}

// begin makes the reader. Nothing at all is nothing in every coding.
func (d *decoder) begin() (io.Reader, error) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(&d.source, first); err != nil {
		return nil, err
	}
	d.source.Reader = io.MultiReader(bytes.NewReader(first), d.source.Reader)
	return d.open(d)
}

// fault is what ended the reading: what broke the body off, or else the decoder's own words, which name the coding.
func (d *decoder) fault(err error) error {
	switch {
	case d.source.err != nil:
		return d.source.err
	case errors.Is(err, io.EOF), strings.HasPrefix(err.Error(), d.coding+": "):
		return err
	default:
		return fmt.Errorf("%w; the body is not valid %s, which its Content-Encoding names", err, d.coding)
	}
}

// source is the body as it arrives. It remembers what broke it off, which a decoder may take for the end.
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

// reserve takes room for the decoder's own state.
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

// Close ends the reading, wherever it is. What is left of the body is net/http's, and lingering's.
func (d *decoder) Close() error {
	d.err = http.ErrBodyReadAfterClose
	d.release()
	return nil
}
