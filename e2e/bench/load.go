// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// client is a connection that sends prebuilt requests, one after the other. It shares the processors with the server that is
// measured, and so reads no more of a response than it must.
type client struct {
	conn     net.Conn
	response *bufio.Reader
	requests [][]byte
	next     int
	answered atomic.Int64
}

// load is the clients of a server.
type load []*client

// newLoad opens connections to a server. Each has as many groups of its own, and pushes the body to them in turns.
func newLoad(url string, connections, groupsEach int, body []byte) (load, error) {
	l := make(load, connections)
	for i := range l {
		conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			l[:i].close()
			return nil, err
		}
		l[i] = &client{conn: conn, response: bufio.NewReader(conn)}
		for g := range groupsEach {
			l[i].requests = append(l[i].requests, newRequest("PUT", i*groupsEach+g, body))
		}
	}
	return l, nil
}

// newRequest is a request for the group with that number, as it is sent.
func newRequest(method string, group int, body []byte) []byte {
	head := fmt.Sprintf("%s /metrics/job/nightly/instance/node%d HTTP/1.1\r\n"+
		"Host: localhost\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n", method, group, len(body))
	return append([]byte(head), body...)
}

func (l load) close() {
	for _, c := range l {
		_ = c.conn.Close()
	}
}

// answered is the number of requests that were answered.
func (l load) answered() (n int64) {
	for _, c := range l {
		n += c.answered.Load()
	}
	return n
}

// start lets all clients send until stop is called.
func (l load) start() (stop func() error) {
	var stopped atomic.Bool
	wait := l.each(func(c *client) (err error) {
		for !stopped.Load() && err == nil {
			err = c.send()
		}
		return err
	})
	return func() error {
		stopped.Store(true)
		return wait()
	}
}

// sendOnce sends each request once.
func (l load) sendOnce() error {
	return l.each(func(c *client) (err error) {
		for i := 0; i < len(c.requests) && err == nil; i++ {
			err = c.send()
		}
		return err
	})()
}

// each begins to do something with all clients, which wait waits for.
func (l load) each(do func(*client) error) (wait func() error) {
	failures := make([]error, len(l))
	var working sync.WaitGroup
	for i, c := range l {
		working.Go(func() { failures[i] = do(c) })
	}
	return func() error {
		working.Wait()
		return errors.Join(failures...)
	}
}

// send sends the next request and waits for its response.
func (c *client) send() error {
	request := c.requests[c.next]
	c.next = (c.next + 1) % len(c.requests)
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	status, err := c.readResponse()
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("a request was answered with %d", status)
	}
	c.answered.Add(1)
	return err
}

var contentLength = []byte("Content-Length: ")

// readResponse reads a response whose body has a Content-Length, as all of the receiver's have.
func (c *client) readResponse() (status int, err error) {
	line, err := c.response.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	code, _, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("HTTP/1.1 ")), []byte(" "))
	if status, err = strconv.Atoi(string(code)); err != nil {
		return 0, fmt.Errorf("unexpected response %q: %w", line, err)
	}
	length := 0
	for len(line) > len("\r\n") && err == nil {
		if line, err = c.response.ReadSlice('\n'); bytes.HasPrefix(line, contentLength) {
			length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):])))
		}
	}
	if err == nil {
		_, err = c.response.Discard(length)
	}
	return status, err
}
