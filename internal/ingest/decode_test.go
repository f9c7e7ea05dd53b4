// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadatatest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// decoding is an Ingest that tells what it makes of bodies.
type decoding struct {
	*Ingest
	sink      *consumertest.MetricsSink
	logs      *observer.ObservedLogs
	telemetry *componenttest.Telemetry
}

func newDecoding(t *testing.T, o Options) *decoding {
	t.Helper()
	d := &decoding{sink: new(consumertest.MetricsSink), telemetry: componenttest.NewTelemetry()}
	set := metadatatest.NewSettings(d.telemetry)
	core, logs := observer.New(zapcore.InfoLevel)
	set.Logger, d.logs = zap.New(core), logs
	var err error
	d.Ingest, err = New(set, o, d.sink)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		assert.Zero(t, d.InFlight.Bytes(), "everything reserved is given back")
		assert.NoError(t, d.Shutdown(ctx))
		assert.NoError(t, d.telemetry.Shutdown(ctx))
	})
	return d
}

func (d *decoding) push(t *testing.T, f exposition.Format, body string) error {
	t.Helper()
	ctx, o := d.Begin(t.Context(), http.MethodPut)
	key := groupingkey.Key{Job: "j"}
	o.Key(key)
	o.Format(f)
	err := d.Push(ctx, o, Request{Key: key, Format: f, Body: []byte(body)})
	o.End(err)
	return err
}

// brokenOpenMetrics are bodies that are no OpenMetrics but text, each with the fault.
var brokenOpenMetrics = []struct{ name, body, fault string }{
	{"blank line", "# TYPE a counter\na_total 1\n\nb 2\n# EOF\n", "line 3, column 1"},
	{"something behind EOF", "a_total 1\n# EOF\n\n", "line 3, column 1"},
	{"samples behind EOF", "a_total 1\n# EOF\nb 2\n", "line 3, column 1"},
	{"odd blanks", "a_total  1\n", "line 1, column 9"},
	{"tab", "a_total\t1\n", "line 1, column 8"},
	{"blank before a label", "a_total{x=\"1\", y=\"2\"} 1\n", "line 1, column 15"},
	{"upper-case type", "# TYPE a COUNTER\na 1\n# EOF\n", "line 1, column 10"},
	{"type that OpenMetrics does not have", "# TYPE a untyped\na 1\n# EOF\n", "line 1, column 10"},
	{"comment", "# some comment\na 1\n# EOF\n", "line 1, column 1"},
	{"HELP that is not UTF-8", "# HELP a \xff\na 1\n# EOF\n", "line 1, column 10"},
	{"bucket without le", "# TYPE h histogram\nh_bucket 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# EOF\n", "line 2, column 1"},
	{"histogram without suffix", "# TYPE h histogram\nh 1\nh_sum 1\nh_count 1\n# EOF\n", "line 2, column 1"},
	{"fractional count of a summary", "# TYPE s summary\ns_sum 1\ns_count 1.5\n# EOF\n", "line 3, column 9"},
	{"unit of another name", "# UNIT a bytes\na 1\n# EOF\n", "line 1, column 10"},
	{"created timestamp twice", "# TYPE a counter\na_total 1\na_created{x=\"1\"} 1\n# TYPE b counter\nb_created Inf\n# EOF\n", "line 5, column 11"},
}

// TestBrokenOpenMetricsIsText compares with the same body pushed as text.
func TestBrokenOpenMetricsIsText(t *testing.T) {
	t.Parallel()
	for _, tt := range brokenOpenMetrics {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asText, d := newDecoding(t, Options{}), newDecoding(t, Options{})
			require.NoError(t, asText.push(t, exposition.Text, tt.body))
			require.NoError(t, d.push(t, exposition.OpenMetrics, tt.body))
			want, got := asText.sink.AllMetrics(), d.sink.AllMetrics()
			require.Len(t, got, 1)
			assert.ElementsMatch(t, series.Append(nil, want[0], ""), series.Append(nil, got[0], ""))
			assert.Equal(t, want[0].DataPointCount(), got[0].DataPointCount())
			assert.Equal(t, int64(1), d.count(t, "text", "accepted"))

			logs := d.logs.All()
			require.Len(t, logs, 1)
			assert.Equal(t, zapcore.WarnLevel, logs[0].Level)
			fields := logs[0].ContextMap()
			assert.Equal(t, tt.fault, fields["position"])
			assert.Contains(t, fields["error"], "OpenMetrics parsing error in "+tt.fault)
			assert.Equal(t, `{job="j"}`, fields["grouping_key"])
		})
	}
}

// count is how many pushes are counted with that format and outcome.
func (d *decoding) count(t *testing.T, format, outcome string) int64 {
	t.Helper()
	m, err := d.telemetry.GetMetric("otelcol_receiver_pushgateway_pushes")
	require.NoError(t, err)
	want := attribute.NewSet(attribute.String("format", format), attribute.String("method", "PUT"), attribute.String("outcome", outcome))
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if p.Attributes.Equals(&want) {
			return p.Value
		}
	}
	return 0
}

func TestBrokenOpenMetricsIsLoggedOnce(t *testing.T) {
	t.Parallel()
	d := newDecoding(t, Options{})
	for range 3 {
		require.NoError(t, d.push(t, exposition.OpenMetrics, "a 1\n\n"))
	}
	assert.Equal(t, 1, d.logs.Len())
}

// What the OpenMetrics grammar takes is never read as text, and what neither takes has the fault of OpenMetrics.
func TestOpenMetricsThatIsNotText(t *testing.T) {
	t.Parallel()
	const (
		stamped      = "a  1 1520879607\n"
		inconsistent = "pushed metrics are invalid or inconsistent with existing metrics: "
	)
	honor := Options{Translate: translate.Options{Timestamps: translate.Honor}}
	drop := Options{Translate: translate.Options{Timestamps: translate.Drop}}
	for name, tt := range map[string]struct {
		options                   Options
		body, format, fault, want string
		reason                    Reason
	}{
		"OpenMetrics": {body: "# TYPE a counter\na_total 1 # {} 1\na_created 1\n# EOF\n", format: "openmetrics"},
		"neither":     {body: "a 1\n\nb{ 1\n", format: "openmetrics", reason: ReasonParse, want: "OpenMetrics parsing error in line 2, column 1: "},
		"no end":      {body: "a 1", format: "openmetrics", reason: ReasonParse, want: "OpenMetrics parsing error in line 1, column 4: "},
		"timestamp as text": {
			body: stamped, format: "text", reason: ReasonInconsistent, want: inconsistent + "pushed metrics must not have timestamps",
			fault: "OpenMetrics parsing error in line 1, column 3: ",
		},
		"series twice as text": {
			body: "a 1\n\na 2\n", format: "text", reason: ReasonInconsistent, want: inconsistent + "collected metric \"a\"",
			fault: "OpenMetrics parsing error in line 2, column 1: ",
		},
		"timestamp dropped":    {options: drop, body: stamped, format: "text"},
		"timestamp honored":    {options: honor, body: stamped, format: "openmetrics", reason: ReasonParse, want: "OpenMetrics parsing error in line 1, column 3: "},
		"no timestamp honored": {options: honor, body: "a  1\n", format: "text"},
		"quoted name":          {body: "{\"a.b\"}  1\n", format: "openmetrics", reason: ReasonParse, want: "OpenMetrics parsing error in line 1, column 2: "},
		"quoted name admitted": {options: Options{Exposition: exposition.Options{UTF8Names: true}}, body: "{\"a.b\"}  1\n", format: "text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDecoding(t, tt.options)
			err := d.push(t, exposition.OpenMetrics, tt.body)
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, int64(1), d.count(t, tt.format, outcomeAccepted))
				return
			}
			var refusal *Refusal
			require.ErrorAs(t, err, &refusal)
			assert.Equal(t, tt.reason, refusal.Reason)
			assert.True(t, strings.HasPrefix(err.Error(), tt.want), err.Error())
			_, fault, _ := strings.Cut(err.Error(), "; the body was read as text because of an ")
			assert.Equal(t, tt.fault == "", fault == "", err.Error())
			assert.True(t, strings.HasPrefix(fault, tt.fault), err.Error())
			assert.Equal(t, int64(1), d.count(t, tt.format, string(tt.reason)))
			assert.Empty(t, d.sink.AllMetrics())
		})
	}
}

// TestRefusedPointsAreThoseBeforeTheFault holds the count of a body that neither grammar takes to that of OpenMetrics.
func TestRefusedPointsAreThoseBeforeTheFault(t *testing.T) {
	t.Parallel()
	d := newDecoding(t, Options{})
	require.Error(t, d.push(t, exposition.OpenMetrics, "a 1\n\nb 2\nc 3\nd{ 4\n"))
	m, err := d.telemetry.GetMetric("otelcol_receiver_refused_metric_points")
	require.NoError(t, err)
	assert.Equal(t, int64(1), m.Data.(metricdata.Sum[int64]).DataPoints[0].Value)
}

// TestDecodingTwiceReservesOnce: the room that the first attempt took is that of the second. Either attempt may find none.
func TestDecodingTwiceReservesOnce(t *testing.T) {
	t.Parallel()
	const n = 10_000
	good := string(lines(n, "m{a=\"%d\"} 1\n"))
	reservedFor := func(f exposition.Format, body string) int64 {
		d := newDecoding(t, Options{})
		batch := new(exposition.Batch)
		reserved := &reservation{inFlight: d.InFlight, body: int64(len(body))}
		defer reserved.release()
		_, o := d.Begin(t.Context(), http.MethodPut)
		_, err := d.decode(o, batch, Request{Format: f, Body: []byte(body)}, reserved)
		require.NoError(t, err)
		require.Len(t, batch.Series, n)
		return reserved.bytes
	}
	once := reservedFor(exposition.Text, good+"\n")
	assert.Positive(t, once)
	assert.Equal(t, once, reservedFor(exposition.OpenMetrics, good+"\n"))

	d := newDecoding(t, Options{InFlightBytes: once / 2})
	for name, body := range map[string]string{"by the first": good + "\n", "by the second": "\n" + good} {
		err := d.push(t, exposition.OpenMetrics, body)
		var refusal *Refusal
		require.ErrorAs(t, err, &refusal, name)
		assert.Equal(t, ReasonTooLarge, refusal.Reason, name)
		assert.Contains(t, err.Error(), fmt.Sprintf("limits::in_flight_bytes (%d)", once/2), name)
	}
}
