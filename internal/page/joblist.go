// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// The orders of jobs.
const (
	byAge    = "age"
	byName   = "name"
	byPushes = "pushes"
	byGroups = "groups"
)

// jobRow is a job as the page shows it.
type jobRow struct {
	Job     string `json:"job"`
	Last    int64  `json:"last,omitempty"`
	Gap     int64  `json:"gap,omitempty"` // milliseconds
	Pushes  int64  `json:"pushes"`
	Groups  int    `json:"groups,omitempty"`
	Late    bool   `json:"late"`
	Outcome string `json:"outcome,omitempty"`
	Status  int    `json:"status,omitempty"`
}

// jobList is a page of jobs.
type jobList struct {
	Rows    []jobRow `json:"rows"`
	Matched int      `json:"matched"`
	Total   int      `json:"total"`
	Late    int      `json:"late"`
	Missing int      `json:"missing"`
	Since   int64    `json:"since"`
	Next    string   `json:"next,omitempty"`
}

func (p *Page) listJobs(r *http.Request, q *query) (any, error) {
	filter := groupingkey.NewFilter(q.words())
	sort := q.oneOf("sort", byAge, byName, byPushes, byGroups)
	directions := []string{descending, ascending}
	if sort == byName {
		directions = []string{ascending, descending}
	}
	order := jobOrder{by: sort, descending: q.oneOf("order", directions...) == descending}
	limit, after := q.limit(defaultLimit), q.jobPosition()
	if q.err != nil {
		return nil, q.err
	}
	rows, err := p.jobRows(r.Context(), time.Now())
	if err != nil {
		return nil, err
	}
	list := jobList{Total: len(rows), Missing: p.feed.jobs.missing.estimate(), Since: millis(p.feed.started)}
	for i := range rows {
		if rows[i].Late {
			list.Late++
		}
	}
	rows = slices.DeleteFunc(rows, func(row jobRow) bool {
		matches, _ := filter.Matches(groupingkey.Key{Job: row.Job}, nil)
		return !matches
	})
	list.Matched = len(rows)
	list.Rows, list.Next = order.page(rows, limit, after)
	return list, nil
}

// jobRows lists the jobs: with groups those that have groups, otherwise those that pushed since the start.
func (p *Page) jobRows(ctx context.Context, now time.Time) ([]jobRow, error) {
	rows := []jobRow{}
	if p.options.Groups == nil {
		p.feed.jobs.each(now, func(name string, j job) { rows = append(rows, newJobRow(name, &j, now)) })
		return rows, nil
	}
	stored, err := p.source.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	for i := range stored {
		rows = append(rows, p.storedRow(&stored[i], now))
	}
	return rows, nil
}

func newJobRow(name string, j *job, now time.Time) jobRow {
	return jobRow{
		Job: cut(name), Last: millis(j.last), Gap: j.usualGap().Milliseconds(), Pushes: j.pushes,
		Late: j.isLate(now), Outcome: j.outcome, Status: j.status,
	}
}

// storedRow describes a job that has groups. What is remembered of it can be less than what is stored: the receiver may have restarted.
func (p *Page) storedRow(stored *store.Job, now time.Time) jobRow {
	j, _ := p.feed.jobs.get(stored.Name)
	if stored.PushTime.After(j.last) {
		j.last = stored.PushTime
	}
	row := newJobRow(stored.Name, &j, now)
	row.Groups = stored.Groups
	if stored.PushFailureTime.After(j.last) && j.outcome == "" {
		row.Outcome, row.Status = "inconsistent", http.StatusBadRequest // The only refusals that a group remembers.
	}
	return row
}

// jobOrder is the order of a list of jobs. By age, late jobs come first.
type jobOrder struct {
	by         string
	descending bool
}

// jobPosition is the place of a job in a list.
type jobPosition struct {
	OnTime bool   `json:"o,omitempty"`
	Value  int64  `json:"v"`
	Name   string `json:"n"`
}

func (o jobOrder) position(row *jobRow) jobPosition {
	at := jobPosition{Name: row.Job}
	switch o.by {
	case byAge:
		at.OnTime, at.Value = !row.Late, -row.Last // The oldest push has the highest age.
	case byPushes:
		at.Value = row.Pushes
	case byGroups:
		at.Value = int64(row.Groups)
	}
	return at
}

func (o jobOrder) compare(a, b jobPosition) int {
	if a.OnTime != b.OnTime {
		if a.OnTime {
			return 1
		}
		return -1
	}
	c := cmp.Or(cmp.Compare(a.Value, b.Value), cmp.Compare(a.Name, b.Name))
	if o.descending {
		return -c
	}
	return c
}

// page returns the first rows after a position, and the position of the last one if there are more.
func (o jobOrder) page(rows []jobRow, limit int, after *jobPosition) (_ []jobRow, next string) {
	slices.SortFunc(rows, func(a, b jobRow) int { return o.compare(o.position(&a), o.position(&b)) })
	first := 0
	if after != nil {
		for first < len(rows) && o.compare(o.position(&rows[first]), *after) <= 0 {
			first++
		}
	}
	rows = rows[first:]
	if len(rows) > limit {
		rows = rows[:limit]
		last, _ := json.Marshal(o.position(&rows[limit-1])) // cannot fail
		next = base64.RawURLEncoding.EncodeToString(last)
	}
	return rows, next
}

// jobPosition returns the parameter after of a list of jobs.
func (q *query) jobPosition() *jobPosition {
	after := q.values.Get("after")
	if after == "" {
		return nil
	}
	at := &jobPosition{}
	encoded, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil || json.Unmarshal(encoded, at) != nil {
		q.fail("after: the cursor is not valid")
	}
	return at
}
