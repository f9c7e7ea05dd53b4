// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Proxy is between clients and the server. It can refuse clients, and cut connections, at a COMMIT too.
type Proxy struct {
	// Datasource is the URL of the database through the proxy.
	Datasource string

	server   string
	listener net.Listener
	running  sync.WaitGroup

	mu          sync.Mutex
	rules       Rules
	connections map[net.Conn]struct{}
}

// Rules are what a proxy does with new connections. The functions are called concurrently; those that are nil let everything pass.
type Rules struct {
	// Admit decides whether a client may connect. It is called twice for a client that may.
	Admit func() bool
	// Commit decides what becomes of a COMMIT of a prepared statement.
	Commit func() Fate
	// Hold is called after a COMMIT that is Held.
	Hold func()
}

func (r Rules) admits() bool { return r.Admit == nil || r.Admit() }

// Fate is what becomes of a COMMIT.
type Fate int

// The fates.
const (
	Passed     Fate = iota
	Lost            // the connection ends before the server has it
	Unanswered      // the connection ends before the client has the answer
	Answered        // the connection ends after the client has the answer
	Held            // what the client sends after it waits for Rules.Hold
)

// NewProxy starts a proxy until the test ends. In a test with a bubble of synctest it is made outside, since the time of the bubble
// would wait for it.
func NewProxy(tb testing.TB, datasource string) *Proxy {
	tb.Helper()
	u, err := url.Parse(datasource)
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{server: u.Host, listener: listener, connections: make(map[net.Conn]struct{})}
	u.Host = listener.Addr().String()
	p.Datasource = u.String()
	p.running.Go(p.accept)
	tb.Cleanup(func() {
		_ = listener.Close()
		p.Cut()
		p.running.Wait()
	})
	return p
}

// Use sets the rules for new connections. Earlier ones keep theirs.
func (p *Proxy) Use(rules Rules) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = rules
}

func (p *Proxy) inForce() Rules {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.connections {
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve copies messages until one side ends, or the connection is cut.
func (p *Proxy) serve(client net.Conn) {
	if rules := p.inForce(); !rules.admits() { // A process of the server is not started for a client that is refused.
		_ = client.Close()
		return
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	rules := p.rules
	p.connections[client], p.connections[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	l := &link{client: client, server: server, commit: rules.Commit, hold: rules.Hold, commits: make(map[string]bool)}
	if !rules.admits() { // Whoever refuses clients later, and then cuts, finds the connection.
		l.close()
	}
	var copying sync.WaitGroup
	copying.Go(l.upstream)
	copying.Go(l.downstream)
	copying.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.connections, client)
	delete(p.connections, server)
}

// link is a connection of a client to the server.
type link struct {
	client, server net.Conn
	commit         func() Fate
	hold           func()
	commits        map[string]bool // the names of prepared statements that commit

	mu   sync.Mutex
	fate Fate // of the next answer to a commit
}

func (l *link) close() {
	_ = l.client.Close()
	_ = l.server.Close()
}

// upstream copies messages of the client, and looks for commits.
func (l *link) upstream() {
	defer l.close()
	held := false
	for first := true; ; first = false {
		m, err := readMessage(l.client, !first)
		if err != nil {
			return
		}
		if !first && l.commit != nil && l.isCommit(m) {
			fate := l.commit()
			if fate == Lost {
				return
			}
			held = fate == Held
			l.mu.Lock()
			l.fate = fate
			l.mu.Unlock()
		}
		if _, err := l.server.Write(m); err != nil {
			return
		}
		if held && m[0] == 'E' { // The server executes it at once.
			held = false
			l.hold()
		}
	}
}

// downstream copies messages of the server.
func (l *link) downstream() {
	defer l.close()
	for {
		m, err := readMessage(l.server, true)
		if err != nil {
			return
		}
		l.mu.Lock()
		fate := l.fate
		l.mu.Unlock()
		answer := m[0] == 'C' && string(m[5:]) == "COMMIT\x00"
		if answer && fate == Unanswered {
			return
		}
		if _, err := l.client.Write(m); err != nil {
			return
		}
		if answer && fate == Answered {
			return
		}
	}
}

// isCommit tells whether a message executes a COMMIT: it binds a statement that was parsed as one.
func (l *link) isCommit(m []byte) bool {
	fields := strings.SplitN(string(m[5:]), "\x00", 3)
	if len(fields) < 3 {
		return false
	}
	switch m[0] {
	case 'P':
		l.commits[fields[0]] = fields[1] == "COMMIT"
	case 'B':
		return l.commits[fields[1]]
	}
	return false
}

// readMessage reads a message of the protocol. All but the first one of a client begin with their type.
func readMessage(from io.Reader, typed bool) ([]byte, error) {
	header := make([]byte, 5)
	if !typed {
		header = header[:4]
	}
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	m := make([]byte, len(header)-4+int(binary.BigEndian.Uint32(header[len(header)-4:])))
	copy(m, header)
	_, err := io.ReadFull(from, m[len(header):])
	return m, err
}
