// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// overview is what the page shows of the receiver as a whole.
type overview struct {
	Now        int64            `json:"now"`
	Mode       string           `json:"mode"`
	Ready      bool             `json:"ready"`
	Started    int64            `json:"started"`
	Build      Build            `json:"build"`
	Allowed    map[string]bool  `json:"allowed"`
	Viewers    int              `json:"viewers"`
	MaxViewers int              `json:"maxViewers"`
	Rates      map[string]any   `json:"rates"`
	Totals     map[string]int64 `json:"totals"`
	Exports    []outcomeCount   `json:"exports"`
	InFlight   inFlight         `json:"inFlight"`
	Groups     *groups          `json:"groups,omitempty"`
	Outbox     *outboxState     `json:"outbox,omitempty"`
}

type inFlight struct {
	Bytes int64 `json:"bytes"`
	Limit int64 `json:"limit,omitempty"`
}

// groups are the groups as a whole, with their limits.
type groups struct {
	Groups            int    `json:"groups"`
	Series            int    `json:"series"`
	Bytes             int64  `json:"bytes"`
	PendingMarkers    int    `json:"pendingMarkers"`
	MaxGroups         int    `json:"maxGroups,omitempty"`
	MaxSeries         int    `json:"maxSeries,omitempty"`
	MaxBytes          int64  `json:"maxBytes,omitempty"`
	Pushers           *int   `json:"pushers,omitempty"` // nil without aggregates
	MaxPushers        int    `json:"maxPushers,omitempty"`
	RepublishInterval int64  `json:"republishInterval,omitempty"`
	TTL               int64  `json:"ttl,omitempty"`
	Storage           string `json:"storage,omitempty"`
	// Shared says that other replicas have the same groups.
	Shared   bool      `json:"shared,omitempty"`
	Database *database `json:"database,omitempty"`
}

// database is the state of the database that has the groups.
type database struct {
	Error          string `json:"error,omitempty"`
	Synchronous    bool   `json:"synchronous"`
	Connections    int    `json:"connections"`
	MaxConnections int    `json:"maxConnections"`
}

// outboxState is the state of the export of groups.
type outboxState struct {
	Waiting          int           `json:"waiting"`
	Oldest           int64         `json:"oldest,omitempty"`
	QuarantinedTotal int           `json:"quarantinedTotal"`
	Quarantined      []quarantined `json:"quarantined"`
}

func (p *Page) overview(*http.Request, *query) (any, error) {
	now := time.Now()
	o := &overview{
		Now: now.UnixMilli(), Mode: "proxy", Ready: p.source.Ready(), Started: millis(p.feed.started), Build: p.options.Build,
		Allowed: p.allowed(), Viewers: len(*p.feed.viewers.Load()), MaxViewers: maxViewers,
		Rates: p.feed.rates.history(now), Totals: p.feed.rates.totals(), Exports: p.feed.exported(),
		InFlight: inFlight{p.options.InFlight.Bytes(), p.options.InFlightLimit},
	}
	if p.options.Groups != nil {
		o.Mode = "groups"
		o.addGroups(p)
	}
	return o, nil
}

// allowed says which views and buttons there are.
func (p *Page) allowed() map[string]bool {
	groups := p.options.Groups != nil
	return map[string]bool{
		"live": p.options.Live, "refused": p.options.Live, "jobs": true, "groups": groups, "status": true,
		"peek": p.options.Peek, "delete": p.options.Delete && groups, "wipe": p.options.Wipe && groups,
	}
}

func (o *overview) addGroups(p *Page) {
	limits := p.options.Groups
	o.Groups = &groups{
		MaxGroups: limits.MaxGroups, MaxSeries: limits.MaxSeries, MaxBytes: limits.MaxBytes,
		RepublishInterval: limits.RepublishInterval.Milliseconds(), TTL: limits.TTL.Milliseconds(), Storage: limits.Storage, Shared: limits.Shared,
	}
	state, restored := p.source.State()
	if d := state.Database; d != nil {
		o.Groups.Database = &database{Synchronous: d.Synchronous, Connections: d.Connections, MaxConnections: d.MaxConnections}
		if d.Err != nil {
			o.Groups.Database.Error = d.Err.Error()
		}
	}
	if !restored {
		return
	}
	counts := state.Counts
	o.Groups.Groups, o.Groups.Series, o.Groups.Bytes, o.Groups.PendingMarkers = counts.Groups, counts.Series, counts.Size+counts.PendingSize, counts.Pending
	if limits.Aggregates {
		o.Groups.Pushers, o.Groups.MaxPushers = &counts.Pushers, limits.MaxPushers
	}
	refused, total := p.source.Refused(maxQuarantined, func(groupingkey.Key) bool { return true })
	o.Outbox = &outboxState{Waiting: state.Waiting, Oldest: millis(state.Oldest), QuarantinedTotal: total, Quarantined: make([]quarantined, 0, len(refused))}
	for i := range refused {
		shown := newQuarantined(&refused[i])
		shown.Key = pairs(refused[i].Key)
		if path := relativePath(refused[i].Key, p.options.UTF8Names); len(path) <= maxPath {
			shown.Path = path
		}
		o.Outbox.Quarantined = append(o.Outbox.Quarantined, shown)
	}
}
