// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"bytes"
	"encoding/base64"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// histogramFamilies are what client_java 1.x pushes by default, with nativeOnly and with classicOnly, and a histogram whose native part
// OTLP does not hold.
func histogramFamilies() []*dto.MetricFamily {
	bucket := func(bound float64, count uint64) *dto.Bucket {
		return &dto.Bucket{UpperBound: &bound, CumulativeCount: &count}
	}
	family := func(name string, native func(h *dto.Histogram), buckets ...*dto.Bucket) *dto.MetricFamily {
		h := &dto.Histogram{SampleCount: new(uint64(3)), SampleSum: new(0.9), Bucket: buckets}
		if native != nil {
			native(h)
		}
		return &dto.MetricFamily{Name: &name, Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}}}
	}
	native := func(h *dto.Histogram) {
		h.Schema, h.ZeroThreshold, h.ZeroCount = new(int32(0)), new(0.001), new(uint64(1))
		h.PositiveSpan, h.PositiveDelta = []*dto.BucketSpan{{Offset: new(int32), Length: new(uint32(1))}}, []int64{2}
	}
	foreign := func(h *dto.Histogram) { native(h); h.Schema = new(int32(9)) }
	infinite := bucket(math.Inf(1), 3)
	return []*dto.MetricFamily{
		family("both", native, bucket(0.5, 2), infinite),
		family("native_only", native, infinite),
		family("classic_only", nil, bucket(0.5, 2), infinite),
		family("foreign", foreign, bucket(0.5, 2), infinite),
	}
}

func protobufBody(t *testing.T, families ...*dto.MetricFamily) string {
	var body bytes.Buffer
	for _, f := range families {
		_, err := protodelim.MarshalTo(&body, f)
		require.NoError(t, err)
	}
	return body.String()
}

// pushProtobuf pushes a body of protobuf to the group job="j".
func pushProtobuf(t *testing.T, address, method, body string) (status int, answer string) {
	status, _, answer = exchange(t, address, &conformanceStep{
		Method: method, Target: "/metrics/job/j", BodyB64: base64.StdEncoding.EncodeToString([]byte(body)),
		Headers: [][2]string{{"Content-Type", delimitedProtobuf}},
	})
	return status, answer
}

// forwardedKinds are the metrics of what was forwarded by name and kind, without push times.
func forwardedKinds(sink *consumertest.MetricsSink) map[string]int {
	kinds := map[string]int{}
	for _, md := range sink.AllMetrics() {
		eachMetric(md, func(m pmetric.Metric) { kinds[m.Name()+" "+m.Type().String()]++ })
	}
	return kinds
}

func eachMetric(md pmetric.Metrics, visit func(pmetric.Metric)) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if !strings.HasPrefix(m.Name(), "push_") {
					visit(m)
				}
			}
		}
	}
}

var histogramSettings = map[Histograms]map[string]int{
	HistogramsClassic: {"both Histogram": 1, "native_only ExponentialHistogram": 1, "classic_only Histogram": 1, "foreign Histogram": 1},
	HistogramsNative:  {"both ExponentialHistogram": 1, "native_only ExponentialHistogram": 1, "classic_only Histogram": 1, "foreign Histogram": 1},
	HistogramsBoth: {
		"both Histogram": 1, "both ExponentialHistogram": 1, "native_only Histogram": 1, "native_only ExponentialHistogram": 1,
		"classic_only Histogram": 1, "foreign Histogram": 1,
	},
}

func TestHistogramsOfAProxy(t *testing.T) {
	t.Parallel()
	for setting, want := range histogramSettings {
		t.Run(string(setting), func(t *testing.T) {
			t.Parallel()
			sink := new(consumertest.MetricsSink)
			address := startReceiver(t, with(func(c *Config) { c.Histograms = setting }), sink)
			status, answer := pushProtobuf(t, address, http.MethodPut, protobufBody(t, histogramFamilies()...))
			require.Equal(t, http.StatusOK, status, answer)
			assert.Equal(t, want, forwardedKinds(sink))
		})
	}
}

// groupsOnce are exported once.
var groupsOnce = withGroups(func(g *GroupsConfig) { g.RepublishInterval = 0 })

// TestHistogramsOfGroups shows both parts whatever is forwarded, and ends with a DELETE what was forwarded and nothing else.
func TestHistogramsOfGroups(t *testing.T) {
	t.Parallel()
	for setting, want := range histogramSettings {
		t.Run(string(setting), func(t *testing.T) {
			t.Parallel()
			onStores(t, both(groupsOnce, func(c *Config) { c.Histograms = setting }), func(t *testing.T, change func(*Config)) {
				sink := new(consumertest.MetricsSink)
				address := startReceiver(t, with(change), sink)
				pushed := histogramFamilies()
				status, answer := pushProtobuf(t, address, http.MethodPut, protobufBody(t, pushed...))
				require.Equal(t, http.StatusOK, status, answer)
				awaitKinds(t, sink, want)
				assertShowsBothParts(t, address, pushed)
				sink.Reset()
				status, _, answer = send(t, http.MethodDelete, "http://"+address+"/metrics/job/j", "")
				require.Equal(t, http.StatusAccepted, status, answer)
				awaitKinds(t, sink, want)
			})
		})
	}
}

func awaitKinds(t *testing.T, sink *consumertest.MetricsSink, want map[string]int) {
	t.Helper()
	assert.Eventually(t, func() bool { return assert.ObjectsAreEqual(want, forwardedKinds(sink)) }, patience, 5*time.Millisecond,
		"%v", forwardedKinds(sink))
}

// assertShowsBothParts compares what is read back, in the text format, in protobuf and through the API, with what was pushed.
func assertShowsBothParts(t *testing.T, address string, pushed []*dto.MetricFamily) {
	var text []string
	for _, name := range []string{"both", "classic_only", "foreign", "native_only"} {
		text = append(text, "# TYPE "+name+" histogram")
		if name != "native_only" {
			text = append(text, name+`_bucket{instance="",job="j",le="0.5"} 2`)
		}
		text = append(text, name+`_bucket{instance="",job="j",le="+Inf"} 3`, name+`_sum{instance="",job="j"} 0.9`, name+`_count{instance="",job="j"} 3`)
	}
	assert.ElementsMatch(t, text, scrape(t, address, ""))

	_, _, body := exchange(t, address, &conformanceStep{Method: http.MethodGet, Target: "/metrics", Headers: [][2]string{{"Accept", delimitedProtobuf}}})
	shown := map[string]*dto.Histogram{}
	for reader := bytes.NewReader([]byte(body)); reader.Len() > 0; {
		family := &dto.MetricFamily{}
		require.NoError(t, protodelim.UnmarshalFrom(reader, family))
		shown[family.GetName()] = family.Metric[0].Histogram
	}
	for _, family := range pushed {
		want := family.Metric[0].Histogram
		if family.GetName() == "foreign" {
			want = &dto.Histogram{SampleCount: want.SampleCount, SampleSum: want.SampleSum, Bucket: want.Bucket}
		}
		assert.True(t, proto.Equal(want, shown[family.GetName()]), "%s: %v", family.GetName(), shown[family.GetName()])
	}

	_, _, body = send(t, http.MethodGet, "http://"+address+"/api/v1/metrics", "")
	assert.Contains(t, body, `"metrics":[{"buckets":[[3,"-0.001","0.001","1"],[0,"0.5","1","2"]],"count":"3","labels":{"instance":"","job":"j"},"sum":"0.9"}]`)
	assert.Contains(t, body, `"metrics":[{"buckets":{"+Inf":"3","0.5":"2"},"count":"3","labels":{"instance":"","job":"j"},"sum":"0.9"}]`)
}

// TestHistogramThatBecomesClassic changes the client of a group back and forth: only forwarded series end.
func TestHistogramThatBecomesClassic(t *testing.T) {
	t.Parallel()
	onStores(t, groupsOnce, histogramThatBecomesClassic)
}

func histogramThatBecomesClassic(t *testing.T, change func(*Config)) {
	sink := new(consumertest.MetricsSink)
	address := startReceiver(t, with(change), sink)
	families := histogramFamilies()
	both, native := families[0], families[1]
	native.Name = both.Name
	for i, step := range []struct {
		family *dto.MetricFamily
		want   map[string]int
	}{
		{both, map[string]int{"both Histogram": 1}},
		{native, map[string]int{"both ExponentialHistogram": 1, "both Histogram": 1}}, // with the marker of what was
		{both, map[string]int{"both ExponentialHistogram": 1, "both Histogram": 1}},
	} {
		sink.Reset()
		status, answer := pushProtobuf(t, address, http.MethodPut, protobufBody(t, step.family))
		require.Equal(t, http.StatusOK, status, "step %d: %s", i, answer)
		awaitKinds(t, sink, step.want)
	}
}

// gaugesOf is a family of gauges by the value of their label.
func gaugesOf(values map[string]float64) *dto.MetricFamily {
	f := &dto.MetricFamily{Name: new("g"), Type: dto.MetricType_GAUGE.Enum()}
	for label, v := range values {
		f.Metric = append(f.Metric, &dto.Metric{Label: []*dto.LabelPair{{Name: new("l"), Value: &label}}, Gauge: &dto.Gauge{Value: &v}})
	}
	return f
}

// TestFamilyTwice pushes a family in parts, as several registries do, to a proxy and to a group.
func TestFamilyTwice(t *testing.T) {
	t.Parallel()
	counter := &dto.MetricFamily{Name: new("g"), Type: dto.MetricType_COUNTER.Enum(), Metric: []*dto.Metric{{Counter: &dto.Counter{Value: new(1.0)}}}}
	for name, c := range map[string]struct {
		families []*dto.MetricFamily
		status   int
		want     map[string]string
		text     string
	}{
		"one type": {
			[]*dto.MetricFamily{gaugesOf(map[string]float64{"a": 1}), gaugesOf(map[string]float64{"b": 2})},
			http.StatusOK,
			map[string]string{`g job="j" l="a"`: "1", `g job="j" l="b"`: "2"},
			"",
		},
		"the second one empty": {
			[]*dto.MetricFamily{gaugesOf(map[string]float64{"a": 1}), gaugesOf(nil)},
			http.StatusOK,
			map[string]string{`g job="j" l="a"`: "1"},
			"",
		},
		"the same series": {
			[]*dto.MetricFamily{gaugesOf(map[string]float64{"a": 1}), gaugesOf(map[string]float64{"a": 2})},
			http.StatusBadRequest, nil,
			`collected metric "g" {instance="",job="j",l="a"} was collected before with the same name and label values`,
		},
		"two types": {
			[]*dto.MetricFamily{gaugesOf(map[string]float64{"a": 1}), counter},
			http.StatusBadRequest, nil,
			`metric family "g" is pushed twice, as gauge and as counter`,
		},
		"an unknown type": {
			[]*dto.MetricFamily{{Name: new("g"), Type: dto.MetricType(17).Enum(), Metric: counter.Metric}},
			http.StatusBadRequest, nil,
			`metric family "g" has an unknown type: 17`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			modesOf(t, func(c *Config) { c.PushTimeMetrics = false }, func(t *testing.T, change func(*Config), _ bool) {
				sink := new(consumertest.MetricsSink)
				address := startReceiver(t, with(change), sink)
				status, answer := pushProtobuf(t, address, http.MethodPost, protobufBody(t, c.families...))
				assert.Equal(t, c.status, status)
				assert.Contains(t, answer, c.text)
				if c.want == nil {
					assert.Zero(t, sink.DataPointCount())
					return
				}
				require.Eventually(t, func() bool { return len(sink.AllMetrics()) > 0 }, patience, 5*time.Millisecond)
				assert.Equal(t, c.want, exposedOf(sink.AllMetrics()[0]))
			})
		})
	}
}

// TestStartOfAClientAhead pushes created timestamps of a clock that is ahead.
func TestStartOfAClientAhead(t *testing.T) {
	t.Parallel()
	ahead := timestamppb.New(time.Now().Add(time.Hour))
	family := func(name string, typ dto.MetricType, m *dto.Metric) *dto.MetricFamily {
		return &dto.MetricFamily{Name: &name, Type: &typ, Metric: []*dto.Metric{m}}
	}
	body := protobufBody(t,
		family("c", dto.MetricType_COUNTER, &dto.Metric{Counter: &dto.Counter{Value: new(1.0), CreatedTimestamp: ahead}}),
		family("s", dto.MetricType_SUMMARY, &dto.Metric{Summary: &dto.Summary{SampleCount: new(uint64(1)), CreatedTimestamp: ahead}}),
		family("h", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: &dto.Histogram{SampleCount: new(uint64(1)), CreatedTimestamp: ahead}}))
	for _, timestamps := range []Timestamps{TimestampsReject, TimestampsHonor} {
		start := func(t *testing.T, change func(*Config), _ bool) {
			sink := new(consumertest.MetricsSink)
			address := startReceiver(t, with(change), sink)
			status, answer := pushProtobuf(t, address, http.MethodPut, body)
			require.Equal(t, http.StatusOK, status, answer)
			require.Eventually(t, func() bool { return len(sink.AllMetrics()) > 0 }, patience, 5*time.Millisecond)
			seen := 0
			eachMetric(sink.AllMetrics()[0], func(m pmetric.Metric) {
				seen++
				switch m.Type() {
				case pmetric.MetricTypeSum:
					assert.LessOrEqual(t, m.Sum().DataPoints().At(0).StartTimestamp(), m.Sum().DataPoints().At(0).Timestamp())
				case pmetric.MetricTypeSummary:
					assert.LessOrEqual(t, m.Summary().DataPoints().At(0).StartTimestamp(), m.Summary().DataPoints().At(0).Timestamp())
				case pmetric.MetricTypeHistogram:
					assert.LessOrEqual(t, m.Histogram().DataPoints().At(0).StartTimestamp(), m.Histogram().DataPoints().At(0).Timestamp())
				}
			})
			assert.Equal(t, 3, seen)
		}
		if timestamps == TimestampsReject {
			modesOf(t, func(*Config) {}, start)
			continue
		}
		t.Run(string(timestamps), func(t *testing.T) {
			t.Parallel()
			start(t, func(c *Config) { c.Timestamps = timestamps }, false)
		})
	}
}
