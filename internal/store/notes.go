// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import "github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"

// Notes are what the observer is told about a change of an aggregate once it is made. The zero value has none.
type Notes struct {
	// Returned are pushers that push again after they were folded without DELETE.
	Returned []groupingkey.Key
	// Ended are families that ended because their rule has another function for them now.
	Ended []string

	resets, capped int
	replaced       []ReplacedType
	folded         map[FoldCause]int
	quiet          []string // paths of pushers that were folded without DELETE
}

// Pushed notes an accepted push.
func (n *Notes) Pushed(p *Prepared) {
	n.resets += p.Resets
	n.capped += p.Capped
	n.replaced = append(n.replaced, p.Replaced...)
}

// Folded notes a folded pusher by its path.
func (n *Notes) Folded(path string, cause FoldCause) {
	if n.folded == nil {
		n.folded = make(map[FoldCause]int)
	}
	n.folded[cause]++
	if cause != FoldedByDelete {
		n.quiet = append(n.quiet, path)
	}
}

// Tell tells the observer, which can be nil, and adds pushers to those that may return.
func (n *Notes) Tell(o Observer, aggregate groupingkey.Key, returns *Returns) {
	returns.Add(n.quiet)
	if o == nil {
		return
	}
	for cause, pushers := range n.folded {
		o.PusherFolded(cause, pushers)
	}
	if n.resets > 0 {
		o.PusherReset(n.resets)
	}
	if n.capped > 0 {
		o.BoundsCapped(n.capped)
	}
	for _, key := range n.Returned {
		o.PusherReturned(key)
	}
	for _, r := range n.replaced {
		o.TypeReplaced(aggregate, r.Family, r.From, r.To)
	}
	for _, family := range n.Ended {
		o.AggregateEnded(aggregate, family, "its rule has another function for it now")
	}
}
