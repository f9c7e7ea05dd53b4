// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package translate converts one decoded push and its grouping key to pdata.
//
// [Translate] checks the whole push first for everything that a Pushgateway refuses as inconsistent, with the same
// messages. The mapping follows the OpenTelemetry specification of Prometheus compatibility. Data that OTLP cannot
// represent is flattened into the series that a Pushgateway exposes (flatten.go). A result shares no memory with the
// decoded body.
//
// A first pass counts series, so that pdata is allocated at its final size. A second pass checks each series and creates
// its point. Translations can run concurrently; a [Push] has one user at a time. The package knows neither HTTP nor the
// grammars of the formats.
package translate

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// Timestamps is the setting for explicit timestamps.
type Timestamps uint8

// The settings for explicit timestamps.
const (
	Reject Timestamps = iota // refuse the push, as a Pushgateway does
	Drop                     // accept the push and ignore the timestamps
	Honor                    // keep them
)

// Histograms selects the forwarded part of a histogram that has classic and native buckets.
type Histograms uint8

// The settings for histograms with both parts.
const (
	ClassicHistograms Histograms = iota // the classic part if it has a bucket below +Inf, else the native part
	NativeHistograms                    // the native part
	BothHistograms                      // both parts
)

// Limits are the limits of one push. 0 means no limit.
type Limits struct {
	// SeriesPerPush counts series as Prometheus does: each bucket, sum and count is one.
	SeriesPerPush int
	// LabelsPerSeries includes job, instance and other grouping labels, but not structural le and quantile.
	LabelsPerSeries int
	// LabelValueLength is in bytes and does not apply to exemplars.
	LabelValueLength int
}

// Options are the settings of a translation.
type Options struct {
	Timestamps Timestamps
	Histograms Histograms
	// PushTime adds push_time_seconds to every push, as a Pushgateway does.
	PushTime bool
	// Escaped says that names may be escaped with underscores downstream. A push in which two series become equal is
	// refused.
	Escaped bool
	// Held says that the push becomes part of a group. Push.Families is filled, histograms get both parts (see
	// Histograms.Forwarded), and push times are left to the group: PushTime then only ignores pushed families of these
	// names.
	Held   bool
	Limits Limits
	// Reserve, if not nil, is called for memory in bytes that the batch does not tell: flattened histograms, scopes and
	// the text of a held push. An error aborts the translation.
	Reserve func(bytes int64) error
	// ScopeName and ScopeVersion are the default scope.
	ScopeName    string
	ScopeVersion string
}

// Push is one push as pdata without its time. It shares no memory with the decoded body.
type Push struct {
	Metrics pmetric.Metrics
	// Series is the number of forwarded series in Prometheus, without push_time_seconds.
	Series int
	// DataPoints is the number of points in Metrics, including push_time_seconds.
	DataPoints int
	// Families assigns metrics to families, if the push is held.
	Families []Family
	// Emptied are the names of families pushed without series, if the push is held.
	Emptied []string

	pushTime    pmetric.NumberDataPoint
	hasPushTime bool
}

// Translate checks the push and builds its pdata. Points without an explicit timestamp get one in Stamp. It only reads
// the batch, which can be reused afterwards. The error is an *InconsistentError, a *LimitError or that of
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
	// The key comes first, so that other errors of a push do not create a group whose key exceeds a limit.
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
	for i := f.First; i != exposition.NoIndex; i = t.batch.Series[i].Next {
		if err := t.add(f.Family, i); err != nil {
			return err
		}
		t.left--
	}
	return nil
}

// add checks a series and creates its point.
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

// pointKinds are the points of a series: one, plus an exponential one if a histogram keeps both parts.
type pointKinds struct {
	kind   kind
	native bool
}

// shape chooses the points and refuses values that are invalid for their type.
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

// build creates the point of a checked series in the metric of its family and scope.
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

// dataPoint is the common interface of all points.
type dataPoint interface {
	Attributes() pcommon.Map
	Timestamp() pcommon.Timestamp
	SetTimestamp(pcommon.Timestamp)
	StartTimestamp() pcommon.Timestamp
	SetStartTimestamp(pcommon.Timestamp)
}

// begin sets a point's attributes, including further ones, and its explicit timestamp.
func begin[P dataPoint](t *translator, s *exposition.Series, dp P, further ...exposition.Label) {
	t.putAttributes(dp.Attributes(), further)
	if t.honors(s) {
		dp.SetTimestamp(pcommon.Timestamp(s.TimestampMs * int64(time.Millisecond)))
	}
}

// startTime returns the start of a cumulative point, or 0 if unknown.
func startTime(s *exposition.Series) pcommon.Timestamp { return pcommon.Timestamp(max(s.CreatedNs, 0)) }
