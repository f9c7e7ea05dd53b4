// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package translate brings one decoded push and its grouping key into pdata. It knows neither HTTP nor the exposition
// formats' grammars.
//
// A push is judged whole before it is of use to anybody: what a Pushgateway refuses as inconsistent is refused here, in
// its words. The mapping is that of the OpenTelemetry specification's page on Prometheus compatibility; where OTLP cannot
// hold what was pushed, the series that a Pushgateway would show are emitted instead (flatten.go).
//
// A first walk over the push counts its series, so that pdata is made at its size. Then each series is checked and becomes
// a point at once, while its labels and buckets are at hand. A push that is refused leaves half of its pdata to nobody.
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

// Histograms selects which part of a histogram is forwarded if it was pushed with classic and native buckets.
type Histograms uint8

// The settings for histograms with both parts.
const (
	ClassicHistograms Histograms = iota // the classic part if it has a bucket below +Inf, else the native part
	NativeHistograms                    // the native part
	BothHistograms                      // both parts
)

// Limits bounds one push. 0 means no limit.
type Limits struct {
	// SeriesPerPush counts series as Prometheus does: a histogram has one for each bucket, its sum and its count.
	SeriesPerPush int
	// LabelsPerSeries counts job, instance and the other grouping labels too, but not the structural le and quantile.
	LabelsPerSeries int
	// LabelValueLength is in bytes. It does not count for exemplars.
	LabelValueLength int
}

// Options are the settings that a translation depends on.
type Options struct {
	Timestamps Timestamps
	Histograms Histograms
	// PushTime adds push_time_seconds to every push, as a Pushgateway does.
	PushTime bool
	// Escaped says that names may be escaped with underscores on their way. A push in which two series then become one is refused.
	Escaped bool
	// Held says that the push becomes part of a group. Its families are kept apart then, and the times of pushes are left to
	// the group: PushTime only passes over the families of that name in the body. Of histograms both parts are made then, whatever is
	// forwarded; see Histograms.Forwarded.
	Held   bool
	Limits Limits
	// Reserve is asked for the bytes of memory that nobody can tell from the batch: the points of a histogram that OTLP cannot
	// hold, scopes, and the text of a push that is to be held. Its error ends the translation. Nobody is asked if it is nil.
	Reserve func(bytes int64) error
	// ScopeName and ScopeVersion name the scope of all points that name none themselves.
	ScopeName    string
	ScopeVersion string
}

// Push is one push as pdata, complete but for its time. It shares no memory with the decoded body.
type Push struct {
	Metrics pmetric.Metrics
	// Series is the number of series that are forwarded, as Prometheus counts them, without push_time_seconds.
	Series int
	// DataPoints is the number of points in Metrics, push_time_seconds included.
	DataPoints int
	// Families tells which metrics belong to which family. It is empty unless the push is held.
	Families []Family
	// Emptied are the names of families that were pushed without series. It is empty unless the push is held.
	Emptied []string

	pushTime    pmetric.NumberDataPoint
	hasPushTime bool
}

// Translate checks the push for consistency and builds its pdata. Points without an explicit timestamp have none until
// Stamp. The batch is only read, and no longer needed afterwards. The error is an *InconsistentError, a *LimitError or that of
// Options.Reserve.
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
	// The key comes first: a group whose key exceeds a limit is not to be made for anything that is wrong besides.
	if err := t.useKey(k); err != nil {
		return err
	}
	if err := t.survey(); err != nil {
		return err
	}
	if err := t.spendShared(); err != nil {
		return err
	}
	if err := t.checkFamilies(); err != nil {
		return err
	}
	for i := range t.families {
		if err := t.family(&t.families[i]); err != nil {
			return err
		}
	}
	if t.options.Escaped && t.unusual {
		if err := t.checkEscaped(); err != nil {
			return err
		}
	}
	if t.options.PushTime && !t.options.Held {
		t.addPushTime()
	}
	return nil
}

// family translates a family.
func (t *translator) family(f *family) error {
	t.beginFamily(f)
	for i := f.First; i != exposition.None; i = t.batch.Series[i].Next {
		if err := t.add(f.Family, i); err != nil {
			return err
		}
		t.left--
	}
	return nil
}

// add checks a series and makes its point.
func (t *translator) add(f *exposition.Family, series int32) error {
	s := &t.batch.Series[series]
	if err := t.checkSeries(f, s); err != nil {
		return err
	}
	if err := t.merge(f, s, series); err != nil {
		return err
	}
	p, err := t.shape(f, s)
	if err == nil {
		err = t.spendPoint(f, s, p.kind)
	}
	if err == nil && p.native {
		err = t.spendNative(f)
	}
	if err != nil {
		return err
	}
	if t.several && t.seen.repeats(t, series) {
		return t.refuse(f, s, collectedBefore)
	}
	t.build(f, s, p.kind)
	if p.native {
		t.build(f, s, exponential)
	}
	return nil
}

// pointKinds are the points that a series becomes: one of a kind, and for a histogram both of whose parts are made an exponential
// one beside it.
type pointKinds struct {
	kind   kind
	native bool
}

// shape finds the kind of the point, and refuses values that are no series of their type.
func (t *translator) shape(f *exposition.Family, s *exposition.Series) (pointKinds, error) {
	switch f.Type {
	case exposition.Histogram, exposition.GaugeHistogram:
		return t.shapeHistogram(f, s)
	case exposition.Summary:
		return t.shapeSummary(f, s)
	default:
		return pointKinds{kind: number}, nil
	}
}

// build makes the point of a series that was found good, in the metric of its family and scope.
func (t *translator) build(f *exposition.Family, s *exposition.Series, k kind) {
	if k == flattened {
		t.buildFlattened(f, s)
		return
	}
	scope := t.open(f, k)
	t.push.DataPoints++
	switch k {
	case number:
		t.buildNumber(f, s, scope.numbers.AppendEmpty())
	case classic:
		t.buildHistogram(s, scope.histograms.AppendEmpty())
	case exponential:
		t.buildExponential(s, scope.exponentials.AppendEmpty())
	case summary:
		t.buildSummary(s, scope.summaries.AppendEmpty())
	}
}

// dataPoint is what all kinds of points have in common.
type dataPoint interface {
	Attributes() pcommon.Map
	Timestamp() pcommon.Timestamp
	SetTimestamp(pcommon.Timestamp)
	StartTimestamp() pcommon.Timestamp
	SetStartTimestamp(pcommon.Timestamp)
}

// begin gives a point of the current series its attributes, with further ones beside its labels, and its explicit
// timestamp.
func begin[P dataPoint](t *translator, s *exposition.Series, dp P, further ...exposition.Label) {
	t.putAttributes(dp.Attributes(), further)
	if t.honors(s) {
		dp.SetTimestamp(pcommon.Timestamp(s.TimestampMs * int64(time.Millisecond)))
	}
}

// started is the start of a cumulative point; 0 if unknown.
func started(s *exposition.Series) pcommon.Timestamp { return pcommon.Timestamp(max(s.CreatedNs, 0)) }
