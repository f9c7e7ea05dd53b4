// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"context"
	"net"
	"sync"
)

// pipes are connections within the process. Unlike those of a network, they let the time of a bubble pass while somebody waits
// for them.
type pipes struct {
	accepting chan net.Conn
}

func newPipes() *pipes { return &pipes{accepting: make(chan net.Conn)} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.accepting <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) listen(context.Context) (net.Listener, error) {
	return &pipeListener{pipes: p, closed: make(chan struct{})}, nil
}

// pipeListener is one listener at the pipes. The next one follows when it is closed.
type pipeListener struct {
	*pipes

	closing sync.Once
	closed  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepting:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return nil
}

func (*pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "receiver:9091" }
