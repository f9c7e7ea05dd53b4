// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadatatest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// contributing notes the changes that concern aggregates. It holds ordinary groups.
type contributing struct {
	store.Store
	refuses error // of a contribution

	contributions []store.Contribution
	calls         []string
}

func (s *contributing) Contribute(_ context.Context, c store.Contribution) error {
	if s.refuses != nil {
		return s.refuses
	}
	s.contributions = append(s.contributions, c)
	return nil
}

func (s *contributing) EndPusher(_ context.Context, aggregate, pusher groupingkey.Key) error {
	s.calls = append(s.calls, "end "+pusher.Path(true)+" of "+aggregate.Path(true))
	return s.refuses
}

func (s *contributing) EndAggregate(_ context.Context, key groupingkey.Key) error {
	s.calls = append(s.calls, "end "+key.Path(true))
	return s.refuses
}

func (s *contributing) Delete(_ context.Context, key groupingkey.Key) error {
	s.calls = append(s.calls, "delete "+key.Path(true))
	return nil
}

func (s *contributing) Fail(_ context.Context, key groupingkey.Key, _ time.Time) error {
	s.calls = append(s.calls, "fail "+key.Path(true))
	return nil
}

// aggregating is an Ingest with a store that notes contributions.
type aggregating struct {
	*testing.T
	*Ingest

	store *contributing
	logs  *observer.ObservedLogs
	meter *componenttest.Telemetry
}

var aggregateRules = store.Rules{
	{
		Name: "groups::aggregate[0]", Jobs: regexp.MustCompile("^lambda$"), Without: []string{"instance", "otel_scope_name", "otel_scope_pid"}, PusherTTL: time.Hour,
		Metrics: []store.FunctionRule{
			{Names: regexp.MustCompile("^go_.*$"), Function: merge.Drop},
			{Names: regexp.MustCompile("^.*_in_progress$"), Function: merge.Sum},
		},
	},
	{Name: "groups::aggregate[1]", Without: []string{"job_id", "pid"}, PusherTTL: time.Hour},
}

func newAggregating(t *testing.T, change func(*translate.Options)) *aggregating {
	t.Helper()
	a := &aggregating{T: t, meter: componenttest.NewTelemetry()}
	options := pushtest.Options()
	options.Timestamps = translate.Reject
	if change != nil {
		change(&options)
	}
	core, logs := observer.New(zapcore.InfoLevel)
	set := metadatatest.NewSettings(a.meter)
	set.Logger, a.logs = zap.New(core), logs
	var err error
	a.Ingest, err = New(set, Options{Translate: options, Groups: &GroupOptions{Store: store.Options{Rules: aggregateRules}}}, consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, a.Start(func(o store.Options) (store.Store, error) {
		a.store = &contributing{Store: memory.New(o, nil)}
		return a.store, nil
	}))
	t.Cleanup(func() { require.NoError(t, a.Shutdown(context.Background())) }) //nolint:usetesting // The test's own context has ended by then.
	return a
}

// push pushes text, or OpenMetrics if it ends with # EOF.
func (a *aggregating) push(method, path, body string) error {
	format := exposition.Text
	if strings.HasSuffix(body, "# EOF\n") {
		format = exposition.OpenMetrics
	}
	return a.pushAs(format, method, path, []byte(body))
}

func (a *aggregating) pushAs(format exposition.Format, method, path string, body []byte) error {
	ctx, o := a.Begin(a.Context(), method)
	err := a.Push(ctx, o, Request{Key: pushtest.Key(a.T, path), Format: format, Body: body, Replace: method == http.MethodPut})
	o.End(err)
	return err
}

// delimited encodes a MetricFamily in the text form of protobuf as the body of a push.
func delimited(t *testing.T, family string) []byte {
	t.Helper()
	var f dto.MetricFamily
	require.NoError(t, prototext.Unmarshal([]byte(family), &f))
	var body bytes.Buffer
	_, err := protodelim.MarshalTo(&body, &f)
	require.NoError(t, err)
	return body.Bytes()
}

// pushed lists the points of a contribution, such as: counter/total c{a="1"} created=1s.
func pushed(c store.Contribution) (points []string) {
	for _, f := range c.Families {
		for _, rm := range f.Metrics.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					points = append(points, pointsOf(f, sm.Scope(), m)...)
				}
			}
		}
	}
	return points
}

func pointsOf(f store.PushedFamily, scope pcommon.InstrumentationScope, m pmetric.Metric) (points []string) {
	add := func(attributes pcommon.Map, start pcommon.Timestamp) {
		text := fmt.Sprintf("%s/%s %s%s", f.Type, f.Function, m.Name(), labels(attributes))
		if m.Type() == pmetric.MetricTypeExponentialHistogram {
			text += " native"
		}
		if scope.Name() != pushtest.Scope || scope.Attributes().Len() > 0 {
			text += " scope=" + scope.Name() + labels(scope.Attributes())
		}
		if start != 0 {
			text += " created=" + time.Duration(start).String()
		}
		points = append(points, text)
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			add(p.Attributes(), p.StartTimestamp())
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			add(p.Attributes(), p.StartTimestamp())
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			add(p.Attributes(), p.StartTimestamp())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			add(p.Attributes(), p.StartTimestamp())
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			add(p.Attributes(), p.StartTimestamp())
		}
	}
	return points
}

func labels(attributes pcommon.Map) string {
	pairs := make([]string, 0, attributes.Len())
	raw := attributes.AsRaw()
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, raw[name]))
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// TestContributions has what a push becomes for the store.
func TestContributions(t *testing.T) {
	t.Parallel()
	const counter = "# TYPE c counter\n"
	for name, tt := range map[string]struct {
		path, body string
		want       []string
	}{
		"a counter":                     {"job/j/job_id/1", counter + "c 1\n", []string{`counter/total c{}`}},
		"a label of the key stays":      {"job/j/zone/z/job_id/1", counter + "c{a=\"b\"} 1\n", []string{`counter/total c{a="b",zone="z"}`}},
		"a label of the body goes":      {"job/j/job_id/1", counter + "c{pid=\"1\"} 1\nc{pid=\"2\",a=\"b\"} 1\n", []string{`counter/total c{}`, `counter/total c{a="b"}`}},
		"a body repeats the key":        {"job/j/job_id/1", counter + "c{job_id=\"2\"} 1\nc{job_id=\"3\"} 1\n", []string{`counter/total c{}`, `counter/total c{}`}},
		"instance of the key":           {"job/lambda/instance/i", counter + "c 1\n", []string{`counter/total c{}`}},
		"instance of the body":          {"job/lambda", counter + "c{instance=\"i\"} 1\n", []string{`counter/total c{}`}},
		"another rule keeps instance":   {"job/j/job_id/1/instance/i", counter + "c{pid=\"p\"} 1\n", []string{`counter/total c{}`}},
		"scope labels":                  {"job/lambda", counter + "c{otel_scope_name=\"s\",otel_scope_pid=\"p\",otel_scope_a=\"b\"} 1\nc{otel_scope_name=\"s\"} 1\n", []string{`counter/total c{} scope={a="b"}`, `counter/total c{}`}},
		"without a type":                {"job/j/job_id/1", "x_total 1\ny 1\n", []string{`unknown/total x_total{}`, `unknown/last y{}`}},
		"functions of the rule":         {"job/lambda", "# TYPE a_in_progress gauge\na_in_progress 1\n# TYPE b gauge\nb 1\n", []string{`gauge/sum a_in_progress{}`, `gauge/last b{}`}},
		"dropped":                       {"job/lambda", "# TYPE go_a gauge\ngo_a 1\n# TYPE b gauge\nb 1\n", []string{`gauge/last b{}`}},
		"an info and a state set":       {"job/j/job_id/1", "# TYPE v info\nv_info{version=\"1\"} 1\n# TYPE s stateset\ns{s=\"a\"} 1\n# EOF\n", []string{`info/max v_info{version="1"}`, `stateset/max s{s="a"}`}},
		"a histogram and a summary":     {"job/j/job_id/1", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 2\n", []string{`histogram/total h{}`, `summary/total s{}`}},
		"created of OpenMetrics":        {"job/j/job_id/1", "# TYPE c counter\nc_total 1\nc_created 7\n# EOF\n", []string{`counter/total c_total{} created=7s`}},
		"created of text":               {"job/j/job_id/1", "# TYPE c_total counter\nc_total{pid=\"1\"} 1\nc_total{pid=\"2\"} 1\n# TYPE c_created gauge\nc_created{pid=\"2\"} 8\nc_created{pid=\"1\"} 7\n", []string{`counter/total c_total{} created=7s`, `counter/total c_total{} created=8s`}},
		"created of other series":       {"job/j/job_id/1", "# TYPE c_total counter\nc_total 1\n# TYPE c_created gauge\nc_created 7\nc_created{a=\"b\"} 8\n", []string{`counter/total c_total{} created=7s`, `gauge/last c_created{a="b"}`}},
		"an empty body":                 {"job/j/job_id/1", "", nil},
		"push times are not a family":   {"job/j/job_id/1", "push_time_seconds 1\n", nil},
		"a gauge histogram is dropped":  {"job/lambda", "# TYPE go_h gaugehistogram\ngo_h_bucket{le=\"+Inf\"} 1\ngo_h_gsum 1\ngo_h_gcount 1\n# EOF\n", nil},
		"a bad histogram is dropped":    {"job/lambda", "# TYPE go_h histogram\ngo_h_bucket{le=\"1\"} 0.5\ngo_h_bucket{le=\"+Inf\"} 1\ngo_h_sum 1\ngo_h_count 1\n", nil},
		"the order of the body is kept": {"job/j/job_id/1", "# TYPE g gauge\ng{pid=\"2\"} 2\ng{a=\"b\"} 3\ng{pid=\"1\"} 1\n", []string{`gauge/last g{}`, `gauge/last g{a="b"}`, `gauge/last g{}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAggregating(t, nil)
			require.NoError(t, a.push(http.MethodPut, tt.path, tt.body))
			require.Len(t, a.store.contributions, 1)
			assert.Equal(t, tt.want, pushed(a.store.contributions[0]))
			assert.Empty(t, a.store.calls)
		})
	}
}

// TestContributionOfARequest has the parts of a contribution that are not metrics.
func TestContributionOfARequest(t *testing.T) {
	t.Parallel()
	a := newAggregating(t, nil)
	require.NoError(t, a.push(http.MethodPut, "job/j/job_id/1/zone/z", "a 1\n"))
	require.NoError(t, a.pushAs(exposition.Protobuf, http.MethodPost, "job/lambda", delimited(t, `name: "b" type: GAUGE`)))
	require.Len(t, a.store.contributions, 2)
	put, post := a.store.contributions[0], a.store.contributions[1]
	assert.Equal(t, "/metrics/job/j/zone/z", put.Key.Path(true))
	assert.Equal(t, "/metrics/job/j/job_id/1/zone/z", put.Pusher.Path(true))
	assert.Equal(t, "groups::aggregate[1]", put.Rule.Name)
	assert.True(t, put.Replace)
	assert.Empty(t, put.Emptied)
	assert.WithinRange(t, put.At, time.Now().Add(-time.Hour), time.Now())
	assert.Equal(t, "/metrics/job/lambda", post.Key.Path(true))
	assert.Equal(t, "/metrics/job/lambda", post.Pusher.Path(true))
	assert.Equal(t, "groups::aggregate[0]", post.Rule.Name)
	assert.False(t, post.Replace)
	assert.Equal(t, []string{"b"}, post.Emptied)

	require.NoError(t, a.push(http.MethodPut, "job/j/zone/z", "a 1\n"), "no rule takes it")
	assert.Len(t, a.store.contributions, 2)
	for g, err := range a.Groups(t.Context()) {
		require.NoError(t, err)
		assert.Equal(t, "/metrics/job/j/zone/z", g.Key.Path(true))
	}
}

// TestContributedPartsOfHistograms pushes a histogram with both parts.
func TestContributedPartsOfHistograms(t *testing.T) {
	t.Parallel()
	body := delimited(t, `name: "h" type: HISTOGRAM metric { histogram { sample_count: 1 sample_sum: 1 `+
		`bucket { upper_bound: 1 cumulative_count: 1 } schema: 3 positive_span { length: 1 } positive_delta: 1 } }`)
	for name, tt := range map[string]struct {
		histograms translate.Histograms
		want       []string
	}{
		"classic": {translate.ClassicHistograms, []string{`histogram/total h{}`}},
		"native":  {translate.NativeHistograms, []string{`histogram/total h{} native`}},
		"both":    {translate.BothHistograms, []string{`histogram/total h{}`, `histogram/total h{} native`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAggregating(t, func(o *translate.Options) { o.Histograms = tt.histograms })
			require.NoError(t, a.pushAs(exposition.Protobuf, http.MethodPut, "job/j/job_id/1", body))
			require.Len(t, a.store.contributions, 1)
			assert.Equal(t, tt.want, pushed(a.store.contributions[0]))
		})
	}
}

// TestRefusedContributions has pushes that an aggregate cannot take. The failure is one of the aggregate, if it is one of a group.
func TestRefusedContributions(t *testing.T) {
	t.Parallel()
	const inconsistent = "pushed metrics are invalid or inconsistent with existing metrics: "
	for name, tt := range map[string]struct {
		path, body string
		reason     Reason
		want       string
		fails      []string
	}{
		"a function of another type": {
			"job/lambda", "# TYPE c_in_progress counter\nc_in_progress 1\n", ReasonInconsistent,
			inconsistent + `groups::aggregate[0]::metrics[1] has the function sum for "c_in_progress", which is a counter; allowed are total, drop`,
			[]string{"fail /metrics/job/lambda"},
		},
		"a gauge histogram": {
			"job/j/job_id/1", "# TYPE h gaugehistogram\nh_bucket{le=\"+Inf\"} 1\nh_gsum 1\nh_gcount 1\n# EOF\n", ReasonInconsistent,
			inconsistent + `collected metric "h" is a gauge histogram, which cannot be combined; the function drop under groups::aggregate[1]::metrics accepts the push without it`,
			[]string{"fail /metrics/job/j"},
		},
		"a histogram that OTLP cannot hold": {
			"job/j/job_id/1", "# TYPE h histogram\nh_bucket{le=\"1\"} 0.5\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n", ReasonInconsistent,
			inconsistent + `collected metric "h" has a fractional or decreasing count, no count, no sum or a bound that is not a number, so that it cannot be combined; ` +
				`the function drop under groups::aggregate[1]::metrics accepts the push without it`,
			[]string{"fail /metrics/job/j"},
		},
		"a summary without a count": {
			"job/j/job_id/1", "# TYPE s summary\ns_sum 1\n# EOF\n", ReasonInconsistent,
			inconsistent + `collected metric "s" has a fractional or decreasing count`,
			[]string{"fail /metrics/job/j"},
		},
		"the same series twice": {
			"job/j/job_id/1", "c{pid=\"1\"} 1\nc{pid=\"1\"} 1\n", ReasonInconsistent,
			inconsistent + `collected metric "c" {instance="",job="j",pid="1"} (line 2) was collected before with the same name and label values`,
			[]string{"fail /metrics/job/j"},
		},
		"a timestamp":           {"job/j/job_id/1", "c_total 5 1700000000000\n", ReasonInconsistent, inconsistent + "pushed metrics must not have timestamps", []string{"fail /metrics/job/j"}},
		"no metrics":            {"job/j/job_id/1", "c 1 2 3\n", ReasonParse, "text format parsing error", nil},
		"too many":              {"job/j/job_id/1", "a 1\nb 1\nc 1\nd 1\ne 1\n", ReasonLimit, "the push has 5 series; the limit series_per_push is 4", nil},
		"a long label":          {"job/j/job_id/1", "a{b=\"123456789\"} 1\n", ReasonLimit, "has a label named \"b\" whose value is 9 bytes long; the limit label_value_length is 8", nil},
		"a long grouping label": {"job/j/job_id/1/zone/123456789", "a 1\n", ReasonLimit, "whose value is 9 bytes long", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAggregating(t, func(o *translate.Options) { o.Limits = translate.Limits{SeriesPerPush: 4, LabelValueLength: 8} })
			var refusal *Refusal
			require.ErrorAs(t, a.push(http.MethodPost, tt.path, tt.body), &refusal)
			assert.Equal(t, tt.reason, refusal.Reason)
			assert.Contains(t, refusal.Error(), tt.want)
			assert.Empty(t, a.store.contributions)
			assert.Equal(t, tt.fails, a.store.calls)
		})
	}
}

// TestErrorsOfTheStoreForContributions has what the store may say to a contribution.
func TestErrorsOfTheStoreForContributions(t *testing.T) {
	t.Parallel()
	key := pushtest.Key(t, "job/j")
	fails := []string{"fail /metrics/job/j"}
	for name, tt := range map[string]struct {
		err    error
		reason Reason
		fails  []string
	}{
		"a value":  {store.Unsummable(`"c"`, errors.New("is negative")), ReasonInconsistent, fails},
		"a type":   {&store.TypeConflict{Family: "c", Aggregate: key, Pusher: key}, ReasonInconsistent, fails},
		"a series": {store.SeriesConflict(`"c"`, key), ReasonInconsistent, fails},
		"a limit":  {&store.LimitError{Limit: "max_pushers"}, ReasonGroupLimit, nil},
		"storage":  {&store.StorageError{Err: errors.New("full")}, ReasonStorage, nil},
		"busy":     {store.ErrBusy, ReasonOverload, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAggregating(t, nil)
			a.store.refuses = tt.err
			var refusal *Refusal
			require.ErrorAs(t, a.push(http.MethodPut, "job/j/job_id/1", "c 1\n"), &refusal)
			assert.Equal(t, tt.reason, refusal.Reason)
			assert.ErrorIs(t, refusal, tt.err)
			assert.Equal(t, tt.fails, a.store.calls)
		})
	}
}

// TestEndsOfPushers has the requests that end a pusher, a group or an aggregate.
func TestEndsOfPushers(t *testing.T) {
	t.Parallel()
	a := newAggregating(t, nil)
	require.NoError(t, a.awaitGroups(t.Context()))
	require.NoError(t, a.Delete(t.Context(), pushtest.Key(t, "job/j/job_id/1")))
	require.NoError(t, a.Delete(t.Context(), pushtest.Key(t, "job/j")))
	require.NoError(t, a.Delete(t.Context(), pushtest.Key(t, "job/lambda")))
	require.NoError(t, a.EndAggregate(t.Context(), pushtest.Key(t, "job/j")))
	assert.Equal(t, []string{
		"end /metrics/job/j/job_id/1 of /metrics/job/j", "delete /metrics/job/j/job_id/1",
		"delete /metrics/job/j",
		"end /metrics/job/lambda of /metrics/job/lambda", "delete /metrics/job/lambda",
		"end /metrics/job/j",
	}, a.store.calls)

	a.store.calls, a.store.refuses = nil, &store.StorageError{Err: errors.New("full")}
	var refusal *Refusal
	require.ErrorAs(t, a.Delete(t.Context(), pushtest.Key(t, "job/j/job_id/1")), &refusal)
	assert.Equal(t, ReasonStorage, refusal.Reason)
	assert.Equal(t, []string{"end /metrics/job/j/job_id/1 of /metrics/job/j"}, a.store.calls)
	require.ErrorAs(t, a.EndAggregate(t.Context(), pushtest.Key(t, "job/j")), &refusal)
	assert.Equal(t, ReasonStorage, refusal.Reason)
}

// TestTelemetryOfAggregates has the metrics and the lines of what happens to pushers.
func TestTelemetryOfAggregates(t *testing.T) {
	t.Parallel()
	a := newAggregating(t, nil)
	key := pushtest.Key(t, "job/j/job_id/1")
	a.telemetry.PusherFolded(store.FoldedByDelete, 1)
	a.telemetry.PusherFolded(store.FoldedByTTL, 200)
	a.telemetry.PusherFolded(store.FoldedByLimit, 3)
	a.telemetry.PusherReset(4)
	a.telemetry.PusherReturned(key)
	a.telemetry.PusherReturned(key)
	a.telemetry.BoundsCapped(5)
	a.telemetry.TypeReplaced(key, "c", "counter", "gauge")
	a.telemetry.AggregateEnded(key, "", "no rule takes it any more")
	cause := func(c string) attribute.Set { return attribute.NewSet(attribute.String("cause", c)) }
	metadatatest.AssertEqualReceiverPushgatewayPushersFolded(t, a.meter, []metricdata.DataPoint[int64]{
		{Attributes: cause("delete"), Value: 1}, {Attributes: cause("ttl"), Value: 200}, {Attributes: cause("limit"), Value: 3},
	}, metricdatatest.IgnoreTimestamp())
	one := func(v int64) []metricdata.DataPoint[int64] { return []metricdata.DataPoint[int64]{{Value: v}} }
	metadatatest.AssertEqualReceiverPushgatewayPusherResets(t, a.meter, one(4), metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualReceiverPushgatewayPushersReturned(t, a.meter, one(2), metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualReceiverPushgatewayAggregateBoundsCapped(t, a.meter, one(5), metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualReceiverPushgatewayAggregateTypesReplaced(t, a.meter, one(1), metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualReceiverPushgatewayAggregatePushers(t, a.meter, one(0), metricdatatest.IgnoreTimestamp())

	warnings := a.logs.FilterLevelExact(zapcore.WarnLevel).All()
	require.Len(t, warnings, 3)
	assert.Equal(t, `{job="j",job_id="1"}`, warnings[0].ContextMap()["grouping_key"])
	assert.Contains(t, warnings[0].Message, "raise pusher_ttl")
	assert.Equal(t, "gauge", warnings[1].ContextMap()["to"])
	assert.Equal(t, "no rule takes it any more", warnings[2].ContextMap()["reason"])
}
