// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"sync"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// enoughRefusals is the number of consecutive refusals that quarantine a part.
const enoughRefusals = 3

// suspects are parts that were refused alone while others were accepted. Each is exported in its own call until it is
// accepted.
type suspects struct {
	mu    sync.Mutex
	known map[store.PartID]*suspect
}

type suspect struct {
	part        Refused // without its retry
	refusals    int
	quarantined bool
	retry       time.Time
	seen        time.Time // in a claim
	accepts     int64     // the outbox's accepts at the last refusal
}

// sort divides a claim's parts into normal parts and suspects that are due. Other suspects get their due time as outcome.
func (s *suspects) sort(claim *store.Claim, now time.Time) (normal, due []*store.Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) == 0 {
		return claim.Parts, nil
	}
	claim.Separate(func(id store.PartID) bool { return s.known[id] != nil })
	for _, p := range claim.Parts {
		known := s.known[p.ID()]
		switch {
		case known == nil:
			normal = append(normal, p)
			continue
		case known.retry.After(now):
			p.Outcome.Retry, p.Outcome.Suspect = known.retry, true
		default:
			due = append(due, p)
		}
		known.seen = now
	}
	return normal, due
}

// refuse records that a part was refused alone and sets its retry. A repeated refusal counts only if something else was
// accepted in between.
func (s *suspects) refuse(g *groups, p *store.Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, accepts := g.outbox.options.Now(), g.outbox.accepts.Load()
	s.prune(now, g.round())
	known := s.known[p.ID()]
	if known == nil {
		known = &suspect{accepts: -1}
		s.known[p.ID()] = known
	}
	known.seen = now
	known.part.Key, known.part.Part, known.part.Series = p.Key, p.Name(), p.Series
	known.part.Error = cutText(g.outbox.options.ErrorText(p.Outcome.Err))
	if known.accepts != accepts {
		known.refusals++
	}
	known.accepts = accepts
	if !known.quarantined && (known.refusals >= enoughRefusals || isPermanent(p.Outcome.Err)) {
		known.quarantined, known.part.Since = true, now
		g.outbox.options.Observer.Quarantined(p, p.Outcome.Err)
	}
	pause := g.round() * 3 / 4 // due with its next round
	if !known.quarantined {
		pause = min(pause, probeInterval<<(known.refusals-1))
	}
	known.retry = now.Add(pause)
	p.Outcome.Retry, p.Outcome.Suspect = known.retry, true
}

// prune drops suspects that were in no claim for some rounds: their groups are gone. The lock is held.
func (s *suspects) prune(now time.Time, round time.Duration) {
	for id, known := range s.known {
		if now.Sub(known.seen) > 3*round {
			delete(s.known, id)
		}
	}
}

// accept clears a suspect.
func (s *suspects) accept(g *groups, p *store.Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.known[p.ID()]; known != nil && known.quarantined {
		g.outbox.options.Observer.Accepted(p)
	}
	delete(s.known, p.ID())
}

// Quarantined returns the number of quarantined parts of groups.
func (o *Outbox) Quarantined() (n int) {
	g := o.groups.Load()
	if g == nil {
		return 0
	}
	s := &g.suspects
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prune(o.options.Now(), g.round())
	for _, known := range s.known {
		if known.quarantined {
			n++
		}
	}
	return n
}
