// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

// defaultCodings is what confighttp accepts if compression_algorithms is not set.
var defaultCodings = []string{"", "gzip", "zstd", "zlib", "snappy", "deflate", "lz4", "x-snappy-framed"}

// noCoding is how confighttp's list names a body without coding.
const noCoding = ""

// normalizeCoding brings Content-Encoding to the form in which confighttp compares it: lower case, and without identity,
// which says nothing. Several codings stay a list, which confighttp refuses. RFC 9110, section 8.4.1, makes names
// case-insensitive and x-gzip the same as gzip.
func normalizeCoding(h http.Header) {
	var codings []string
	for name := range strings.SplitSeq(strings.Join(h.Values("Content-Encoding"), ","), ",") {
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "", "identity":
		case "x-gzip":
			codings = append(codings, "gzip")
		default:
			codings = append(codings, name)
		}
	}
	if codings == nil {
		h.Del("Content-Encoding")
		return
	}
	h.Set("Content-Encoding", strings.Join(codings, ", "))
}

// refuseUndecoded answers what confighttp refuses before the handler is reached: failed authentication, a coding that is
// not enabled, and a body whose decompressor could not be made. All that confighttp tells is a text and a status, so the
// request itself is looked at.
func (h *handler) refuseUndecoded(w http.ResponseWriter, r *http.Request, text string, status int) {
	coding := r.Header.Get("Content-Encoding")
	switch {
	case status == http.StatusUnauthorized:
		h.refuse(w, r, refuseUnauthorized(h.authenticator))
	case !slices.Contains(h.codings, coding):
		h.refuse(w, r, refuseCoding(coding, h.codings))
	case text == new(http.MaxBytesError).Error():
		h.refuse(w, r, refuseTooLarge(h.maxBodySize))
	case strings.HasSuffix(text, os.ErrDeadlineExceeded.Error()):
		h.refuse(w, r, ingest.Refuse(ingest.ReasonBody, errSlow))
	default:
		h.refuse(w, r, ingest.Refuse(ingest.ReasonBody, errors.New(text)))
	}
}

// decoders replaces some of confighttp's decoders: those that a small body can make take much memory before the handler
// runs. WithDecoder enables what it replaces, so only what is enabled already may be replaced.
func (h *handler) decoders() []confighttp.ToServerOption {
	var options []confighttp.ToServerOption
	for coding, open := range map[string]opener{
		"zstd":   gathered(openZstd),
		"snappy": openSnappy(h.maxBodySize),
		"lz4":    gathered(openLZ4),
	} {
		if slices.Contains(h.codings, coding) {
			options = append(options, confighttp.WithDecoder(coding, func(body io.ReadCloser) (io.ReadCloser, error) {
				return &decoder{body: body, source: source{Reader: body}, inFlight: h.options.InFlight, open: open}, nil
			}))
		}
	}
	if !slices.Contains(h.codings, noCoding) {
		options = append(options, confighttp.WithDecoder(noCoding, h.plain))
	}
	return options
}

// plain is the decoder of a body without coding where compression_algorithms does not name "". With an empty list only
// codings are refused; else such a body is refused, but a request without any, as a probe is, has nothing to encode.
func (h *handler) plain(body io.ReadCloser) (io.ReadCloser, error) {
	if len(h.codings) == 0 {
		return nil, nil // This is how a decoder tells confighttp to keep the body as it is.
	}
	_, err := io.ReadFull(body, make([]byte, 1))
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return nil, errors.Join(errPlain, err)
}

var errPlain = errors.New("the body has no Content-Encoding")

// opener makes the reader of what a coding stands for. It is called when the body is first read.
type opener func(d *decoder) (io.Reader, error)

// gathered has the whole body read before it is decompressed. What a decompressor holds can be megabytes for a few bytes of
// body: it is reserved while there is work to do, and not while a client makes everybody wait for its next byte.
func gathered(open opener) opener {
	return func(d *decoder) (io.Reader, error) {
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
	body     io.Closer
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
		if d.reader, d.err = d.open(d); d.err != nil {
			d.release()
			return 0, d.err
		}
	}
	if n, d.err = d.reader.Read(p); d.err != nil {
		d.release() // The push may take long yet, while its decoder has done its work.
	}
	if errors.Is(d.err, io.EOF) && d.source.err != nil {
		d.err = d.source.err
	}
	return n, d.err
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

// Close ends the reading, wherever it is.
func (d *decoder) Close() error {
	d.err = http.ErrBodyReadAfterClose
	d.release()
	return d.body.Close()
}
