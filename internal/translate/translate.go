// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package translate brings one decoded push and its grouping key into pdata. It knows neither HTTP nor the exposition
// formats' grammars.
//
// A push is judged whole before it is of use to anybody: what a Pushgateway refuses as inconsistent is refused here, in
// its words. The mapping is that of the OpenTelemetry specification's page on Prometheus compatibility; where OTLP cannot
// hold what was pushed, the series that a Pushgateway would show are emitted instead (flatten.go).
//
// Each family is walked twice. The first walk checks each series and writes down what its point needs: the labels that it
// keeps, its scope and its kind. The second one builds the points, so that all of pdata is made at its exact size.
package translate

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// Timestamps tells what becomes of explicit timestamps.
type Timestamps uint8

// The settings for explicit timestamps.
const (
	Reject Timestamps = iota // refuse the push, as a Pushgateway does
	Drop                     // take the push and ignore them
	Honor                    // keep them
)

// Limits bounds one push. 0 means no limit.
type Limits struct {
	// SeriesPerPush counts series as Prometheus does: a histogram has one for each bucket, its sum and its count.
	SeriesPerPush int
	// LabelsPerSeries counts job, instance and the other grouping labels too, but not the structural le and quantile.
	LabelsPerSeries int
	// LabelValueLength is in bytes.
	LabelValueLength int
}

// Options are the settings that a translation depends on.
type Options struct {
	Timestamps Timestamps
	// PushTime adds push_time_seconds to every push, as a Pushgateway does.
	PushTime bool
	Limits   Limits
	// ScopeName and ScopeVersion name the scope of all points that name none themselves.
	ScopeName    string
	ScopeVersion string
}

// Push is one push as pdata, complete but for its time. It shares no memory with the decoded body.
type Push struct {
	Metrics pmetric.Metrics
	// Series is the number of series as Prometheus counts them, without push_time_seconds.
	Series int
	// DataPoints is the number of points in Metrics, push_time_seconds included.
	DataPoints int

	pushTime    pmetric.NumberDataPoint
	hasPushTime bool
}

// Translate checks the push for consistency and builds its pdata. Points without an explicit timestamp have none until
// Stamp. The batch is only read, and no longer needed afterwards. The error is an *InconsistentError or a *LimitError.
func Translate(b *exposition.Batch, k groupingkey.Key, o Options) (*Push, error) {
	t := acquire()
	defer t.release()
	t.batch, t.options, t.push = b, o, &Push{Metrics: pmetric.NewMetrics()}
	if err := t.all(k); err != nil {
		return nil, err
	}
	return t.push, nil
}

// all runs the steps of a translation.
func (t *translator) all(k groupingkey.Key) error {
	if err := t.survey(); err != nil {
		return err
	}
	if err := t.useKey(k); err != nil {
		return err
	}
	if err := t.spendGrouping(); err != nil {
		return err
	}
	if err := t.checkFamilies(); err != nil {
		return err
	}
	for i := range t.families {
		if err := t.family(t.families[i].Family, t.families[i].series); err != nil {
			return err
		}
	}
	if t.options.PushTime {
		t.addPushTime()
	}
	return nil
}

// family translates a family of n series.
func (t *translator) family(f *exposition.Family, n int) error {
	t.beginFamily(n)
	for i := f.First; i != exposition.None; i = t.batch.Series[i].Next {
		if err := t.plan(f, i); err != nil {
			return err
		}
	}
	t.open(f)
	for i := range t.points {
		t.build(f, &t.points[i])
	}
	t.push.DataPoints += len(t.points)
	return nil
}

// plan is the first walk: it checks one series and decides what becomes of it.
func (t *translator) plan(f *exposition.Family, series int32) error {
	s := &t.batch.Series[series]
	if err := t.checkSeries(f, s); err != nil {
		return err
	}
	p, err := t.merge(f, s)
	if err != nil {
		return err
	}
	p.series = series
	if err := t.shape(f, s, &p); err != nil {
		return err
	}
	if err := t.spendPoint(&p); err != nil {
		return err
	}
	t.points = append(t.points, p)
	if t.several && t.seen.repeats(t, s) {
		return t.refuse(f, s, collectedBefore)
	}
	t.count(&p)
	return nil
}

// shape finds the kind of the point, and refuses values that are no series of their type.
func (t *translator) shape(f *exposition.Family, s *exposition.Series, p *point) error {
	switch f.Type {
	case exposition.Histogram, exposition.GaugeHistogram:
		return t.shapeHistogram(f, s, p)
	case exposition.Summary:
		p.kind = summary
		return t.checkQuantiles(f, s)
	default:
		p.kind = number
		return nil
	}
}

// build is the second walk: it makes the point that was planned.
func (t *translator) build(f *exposition.Family, p *point) {
	s, scope := &t.batch.Series[p.series], &t.scopes[p.scope]
	switch p.kind {
	case number:
		t.buildNumber(f, s, p, scope.numbers.AppendEmpty())
	case classic:
		t.buildHistogram(s, p, scope.histograms.AppendEmpty())
	case exponential:
		t.buildExponential(s, p, scope.exponentials.AppendEmpty())
	case summary:
		t.buildSummary(s, p, scope.summaries.AppendEmpty())
	case flattened:
		t.buildFlattened(s, p, &scope.flattened)
	}
}

// dataPoint is what all kinds of points have in common.
type dataPoint interface {
	Attributes() pcommon.Map
	Timestamp() pcommon.Timestamp
	SetTimestamp(pcommon.Timestamp)
}

// begin gives a point its attributes, with further ones beside its labels, and its explicit timestamp.
func begin[P dataPoint](t *translator, s *exposition.Series, p *point, dp P, further ...exposition.Label) {
	t.putAttributes(dp.Attributes(), p, further)
	if t.honors(s) {
		dp.SetTimestamp(pcommon.Timestamp(s.TimestampMs * int64(time.Millisecond)))
	}
}

// started is the start of a cumulative point; 0 if unknown.
func started(s *exposition.Series) pcommon.Timestamp { return pcommon.Timestamp(max(s.CreatedNs, 0)) }
