// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// request is sent byte by byte as it stands, which net/http's client would not do.
type request struct {
	method, target string
	headers        []header
	body           []byte
	plain          []byte // the body without its coding
	encoded        bool   // The body is plain in the coding that the header names.
}

type header struct{ name, value string }

func (r *request) header(name string) string {
	for _, h := range r.headers {
		if strings.EqualFold(h.name, name) {
			return h.value
		}
	}
	return ""
}

// withoutCoding is the request less its Content-Encoding.
func (r *request) withoutCoding() *request {
	other := *r
	other.headers = nil
	for _, h := range r.headers {
		if !strings.EqualFold(h.name, "Content-Encoding") {
			other.headers = append(other.headers, h)
		}
	}
	return &other
}

// isPush tells whether the request would change a group.
func (r *request) isPush() bool { return r.method == http.MethodPut || r.method == http.MethodPost }

func (r *request) String() string {
	return fmt.Sprintf("%s %s %q\n%q\nplain: %q", r.method, r.target, r.headers, r.body, r.plain)
}

// wire is the request as it is sent.
func (r *request) wire() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: h\r\n", r.method, r.target)
	for _, h := range r.headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.name, h.value)
	}
	if strings.EqualFold(r.header("Transfer-Encoding"), "chunked") {
		fmt.Fprintf(&b, "\r\n%x\r\n%s\r\n0\r\n\r\n", len(r.body), r.body)
	} else {
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.body), r.body)
	}
	return []byte(b.String())
}

// answer is what a server made of a request.
type answer struct {
	status int
	allow  string
	body   string
	cut    bool // The connection ended without an answer.
	// Of a Pushgateway, what it exposes after an accepted push; broken if that cannot be read to its end.
	families []*dto.MetricFamily
	broken   bool
	// Of the receiver, what it forwarded. Of a Pushgateway, what is expected instead of the families, if not nil.
	series exposed
}

// accepted tells whether a push was taken.
func (a *answer) accepted() bool { return a.status == http.StatusOK || a.status == http.StatusAccepted }

func contains(families []*dto.MetricFamily, name string) bool {
	for _, f := range families {
		if f.GetName() == name && len(f.GetMetric()) > 0 {
			return true
		}
	}
	return false
}

// connection is a connection to a server, made anew when the server closes it.
type connection struct {
	address string
	conn    net.Conn
	reader  *bufio.Reader
}

const exchangeTimeout = 20 * time.Second

// send sends a request and reads the answer. A connection that was idle may have been closed in the meantime, so that the
// first attempt on it may fail.
func (c *connection) send(r *request) (*answer, error) {
	if c.conn != nil {
		if a, err := c.try(r); err == nil {
			return a, nil
		}
	}
	c.close()
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		return nil, err
	}
	c.conn, c.reader = conn, bufio.NewReader(conn)
	return c.try(r)
}

func (c *connection) try(r *request) (*answer, error) {
	if err := c.conn.SetDeadline(time.Now().Add(exchangeTimeout)); err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(r.wire()); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(c.reader, &http.Request{Method: r.method})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.Close {
		c.close()
	}
	return &answer{status: response.StatusCode, allow: response.Header.Get("Allow"), body: string(body)}, nil
}

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close() // It may be closed already.
		c.conn = nil
	}
}
