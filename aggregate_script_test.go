// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/otelcol-pushgateway/pushgatewayreceiver"
)

// script plays steps, one in each line, to a receiver with a storage, in a bubble of time:
//
//	a: c_total 5                  PUT /metrics/job/X/job_id/a; two series are c_total{l="1"} 5, g 3
//	a: POST c_total 5             the same as a POST; without series the body is empty
//	a: DELETE
//	/job/Y: c_total 5             another path
//	a: c_total 5 @1               with a created timestamp, in protobuf
//	a: python c_total 5 @1        in text, as Python's client writes it; openmetrics likewise
//	a: raw "c_total 5\n"          a body as it is; raw-openmetrics likewise
//	a: h 1:4 +Inf:5 sum:6         a histogram with its cumulative buckets
//	a: s 0.5=3 sum:6 count:2      a summary with its quantiles
//	a: untyped c_total 5          counter, gauge and untyped say the type; else c_total is a counter, g a gauge
//	x8 a: c_total 5               eight times at once
//	a: c_total 5 -> 400 text      the status of the answer and a text in it; else it is 200 or 202
//	a: c_total 5 -> any           whatever the answer
//	= c_total 8                   exactly these series are in GET /metrics, and after the next export in the backend
//	backend c_total: 0 5 stale    the values that the backend had in order
//	increase c_total: 8           what Prometheus computes of all that the backend had
//	start c_total                 it has one start time, which is that of its first value or a millisecond before it
//	pushers 3                     those that are remembered
//	counted pusher_resets 1       a counter of the process's own, with its attribute: pushers_folded{cause=ttl}
//	wait 1h
//	database: wait 1h             a step for groups in a database alone
//	restart, kill                 the process ends, with a signal that it can heed or not, and another one starts
//	config: groups: {...}         another configuration for the next start
//	weather retryable             what the backend does from now on
//	crash 2, refuse 2, deceive 2  what befalls the storage after so many writes, see trial
//	wipe, end /job/X              requests of the admin API
//	failed                        push_failure_time_seconds{job="X"} is later than push_time_seconds
//	log text                      the process has logged it
type script struct {
	*rig

	config  string
	logged  bool // series with job_id are expected
	created time.Time
}

// aggregateByJobID has a short pusher_ttl: a database takes long for each minute of a bubble, since it is asked every few seconds.
const aggregateByJobID = "groups: {aggregate: [{without: [job_id], pusher_ttl: 10m}]}"

// inBubble runs a subtest with a receiver in a bubble of time, for each store.
func inBubble(t *testing.T, name, config string, play func(*script)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		onStores(t, false, func(t *testing.T, k keeping) { playInBubble(t, k, config, play) })
	})
}

// inBubbleOnDisk runs a subtest in a bubble with a disk alone.
func inBubbleOnDisk(t *testing.T, name, config string, play func(*script)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		playInBubble(t, keeping{disk: newDisk()}, config, play)
	})
}

func playInBubble(t *testing.T, k keeping, config string, play func(*script)) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{config: config, created: time.Now().Add(-time.Hour)}
		s.rig = newRig(t, k, func(c *pushgatewayreceiver.Config) {
			c.Groups.Get().RepublishInterval = time.Minute
			overlay(t, c, s.config)
		})
		s.sink.ledger = newLedger()
		play(s)
		s.finish()
	})
}

// databaseWrites is the number of writes to a database of a push and its export.
const databaseWrites = 2

// fewerOnDatabase is a number of requests, of which a database gets less because each takes longer there.
func (s *script) fewerOnDatabase(n int) int {
	if s.database != nil {
		return n / 20
	}
	return n
}

// overlay sets what a configuration says in another one.
func overlay(t *testing.T, c *pushgatewayreceiver.Config, yaml string) {
	t.Helper()
	retrieved, err := confmap.NewRetrievedFromYAML([]byte(yaml))
	require.NoError(t, err)
	conf, err := retrieved.AsConf()
	require.NoError(t, err)
	require.NoError(t, conf.Unmarshal(c), "%s", yaml)
}

// finish holds what the backend has seen to what must be true of every history.
func (s *script) finish() {
	s.Helper()
	synctest.Wait()
	require.Empty(s, s.sink.allFaults())
	require.Empty(s, s.sink.ledger.faults())
	if !s.logged {
		require.Empty(s, s.sink.ledger.labeled("job_id"))
	}
}

// play plays the steps of a text.
func (s *script) play(text string) {
	s.Helper()
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			s.step(line)
			synctest.Wait()
		}
	}
}

func (s *script) step(line string) {
	s.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "database:":
		if s.database != nil {
			s.step(rest)
		}
	case "=":
		s.expect(line, rest)
	case "backend":
		name, values, _ := strings.Cut(rest, ": ")
		require.Equal(s, values, strings.Join(s.sink.ledger.values(ofX(name)), " "), line)
	case "increase":
		name, value, _ := strings.Cut(rest, ": ")
		require.Equal(s, value, spellNumber(s.sink.ledger.increases()[ofX(name)]), line)
	case "start":
		starts, first := s.sink.ledger.starts(ofX(rest))
		require.Len(s, starts, 1, line)
		require.InDelta(s, first, starts[0], 1, line)
		require.Positive(s, starts[0], line)
	case "pushers":
		s.awaitCounts()
		require.Equal(s, rest, strconv.FormatInt(s.gauge("aggregate_pushers"), 10), line)
	case "counted":
		name, n, _ := strings.Cut(rest, " ")
		require.Equal(s, n, strconv.FormatInt(s.counted(name), 10), line)
	case "wait":
		pause, err := time.ParseDuration(rest)
		require.NoError(s, err)
		time.Sleep(pause)
	case "restart", "kill":
		s.restart(verb == "kill")
	case "config:":
		s.config = rest
	case "weather":
		s.sink.turn(weather(slices.Index(weatherNames[:], rest)))
	case "crash", "refuse", "deceive":
		writes, err := strconv.Atoi(rest)
		require.NoError(s, err)
		s.life.try(trial(slices.Index(trialNames[:], verb)), writes)
	case "wipe":
		s.request(line, http.MethodPut, "/api/v1/admin/wipe", "", nil, "202")
	case "end":
		s.request(line, http.MethodDelete, "/api/v1/admin/aggregate"+rest, "", nil, "202")
	case "failed":
		held := s.seriesIn(s.read(), false)
		require.Greater(s, number(held[ofX("push_failure_time_seconds")]), number(held[ofX("push_time_seconds")]), "%v", held)
	case "log":
		require.NotZero(s, s.logs.Filter(hasText(rest)).Len(), "%s: %v", line, s.logs.All())
	default:
		s.push(line)
	}
}

// counted is the value of one of the receiver's own counters.
func (s *script) counted(name string) (n int64) {
	s.Helper()
	name, with, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
	m, err := s.telemetry.GetMetric("otelcol_receiver_pushgateway_" + name)
	if err != nil {
		return 0 // Nothing was counted yet.
	}
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		key, value, _ := strings.Cut(with, "=")
		if v, _ := p.Attributes.Value(attribute.Key(key)); v.AsString() == value || with == "" {
			n += p.Value
		}
	}
	return n
}

// push sends a push or a DELETE.
func (s *script) push(line string) {
	s.Helper()
	times, request := 1, line
	if count, rest, ok := strings.Cut(line, " "); ok && count[0] == 'x' {
		times, _ = strconv.Atoi(count[1:])
		request = rest
	}
	request, want, _ := strings.Cut(request, " -> ")
	pusher, what, ok := strings.Cut(request, ":")
	require.True(s, ok && times > 0, "what is %q?", line)
	path := "/metrics/job/X/job_id/" + pusher
	if strings.HasPrefix(pusher, "/") {
		path = "/metrics" + pusher
	}
	method, what := http.MethodPut, strings.TrimSpace(what)
	for _, other := range []string{http.MethodPost, http.MethodDelete} {
		if rest, is := strings.CutPrefix(what+" ", other+" "); is {
			method, what = other, strings.TrimSpace(rest)
		}
	}
	format, body := s.body(what)
	var requests sync.WaitGroup
	for range times {
		requests.Go(func() { s.request(line, method, path, string(format), body, want) })
	}
	requests.Wait()
}

// request sends a request, and compares the answer with what is wanted.
func (s *script) request(line, method, path, format string, body []byte, want string) {
	s.Helper()
	status, answer := s.send(method, path, format, body)
	code, text, _ := strings.Cut(want, " ")
	switch {
	case want == "any":
		return
	case want == "" && method == http.MethodDelete:
		code = "202"
	case want == "":
		code = "200"
	}
	if code != strconv.Itoa(status) || !strings.Contains(answer, text) {
		s.Errorf("%s: %d %s", line, status, answer)
	}
}

// body makes the body of a push.
func (s *script) body(what string) (expfmt.Format, []byte) {
	s.Helper()
	how, rest, _ := strings.Cut(what, " ")
	switch how {
	case "raw", "raw-openmetrics":
		body, err := strconv.Unquote(rest)
		require.NoError(s, err)
		return map[string]expfmt.Format{"raw": text, "raw-openmetrics": openMetrics}[how], []byte(body)
	case "python":
		families := s.families(rest)
		return text, encode(text, withCreatedGauges(families))
	case "openmetrics":
		return openMetrics, encodeWithCreated(s.families(rest))
	default:
		families := s.families(what)
		if strings.Contains(what, "@") {
			return protobuf, encode(protobuf, families)
		}
		return text, encode(text, families)
	}
}

func encodeWithCreated(families []*dto.MetricFamily) []byte {
	var b bytes.Buffer
	encoder := expfmt.NewEncoder(&b, openMetrics, expfmt.WithCreatedLines())
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			panic(err)
		}
	}
	_ = encoder.(io.Closer).Close() // It writes into memory.
	return b.Bytes()
}

// withCreatedGauges adds the gauges that Python's client writes into its text.
func withCreatedGauges(families []*dto.MetricFamily) (all []*dto.MetricFamily) {
	for _, f := range families {
		all = append(all, f)
		name := f.GetName()
		if f.GetType() == dto.MetricType_COUNTER {
			name = strings.TrimSuffix(name, "_total")
		}
		gauge := &dto.MetricFamily{Name: new(name + "_created"), Type: dto.MetricType_GAUGE.Enum()}
		for _, m := range f.Metric {
			if at := createdOf(m); at != nil {
				seconds := float64(at.AsTime().UnixMilli()) / 1000
				gauge.Metric = append(gauge.Metric, &dto.Metric{Label: m.Label, Gauge: &dto.Gauge{Value: &seconds}})
			}
		}
		if len(gauge.Metric) > 0 {
			all = append(all, gauge)
		}
	}
	return all
}

func createdOf(m *dto.Metric) *timestamppb.Timestamp {
	switch {
	case m.Counter != nil:
		return m.Counter.CreatedTimestamp
	case m.Histogram != nil:
		return m.Histogram.CreatedTimestamp
	case m.Summary != nil:
		return m.Summary.CreatedTimestamp
	default:
		return nil
	}
}

// families reads the notation of series.
func (s *script) families(text string) (families []*dto.MetricFamily) {
	s.Helper()
	if text == "" {
		return nil
	}
	for item := range strings.SplitSeq(text, ", ") {
		f := s.family(item)
		i := slices.IndexFunc(families, func(o *dto.MetricFamily) bool { return o.GetName() == f.GetName() })
		if i < 0 {
			families = append(families, f)
		} else {
			families[i].Metric = append(families[i].Metric, f.Metric...)
		}
	}
	return families
}

// family reads one series.
func (s *script) family(item string) *dto.MetricFamily {
	s.Helper()
	fields := strings.Fields(item)
	kind, typed := map[string]dto.MetricType{
		"counter": dto.MetricType_COUNTER, "gauge": dto.MetricType_GAUGE, "untyped": dto.MetricType_UNTYPED,
	}[fields[0]]
	if typed {
		fields = fields[1:]
	}
	require.Greater(s, len(fields), 1, item)
	var created *timestamppb.Timestamp
	if n, is := strings.CutPrefix(fields[len(fields)-1], "@"); is {
		seconds, err := strconv.Atoi(n)
		require.NoError(s, err)
		created, fields = timestamppb.New(s.created.Add(time.Duration(seconds)*time.Second)), fields[:len(fields)-1]
	}
	name, labels, _ := strings.Cut(strings.TrimSuffix(fields[0], "}"), "{")
	m := &dto.Metric{Label: labelsOf(labels)}
	value, text := fields[1], strings.Join(fields[1:], " ")
	switch {
	case strings.Contains(text, "count:"):
		kind, m.Summary = dto.MetricType_SUMMARY, summaryOf(fields[1:])
		m.Summary.CreatedTimestamp = created
	case strings.Contains(text, "sum:"):
		kind, m.Histogram = dto.MetricType_HISTOGRAM, histogramOf(fields[1:])
		m.Histogram.CreatedTimestamp = created
	case typed && kind == dto.MetricType_UNTYPED:
		m.Untyped = &dto.Untyped{Value: new(number(value))}
	case typed && kind == dto.MetricType_COUNTER || !typed && strings.HasSuffix(name, "_total"):
		kind, m.Counter = dto.MetricType_COUNTER, &dto.Counter{Value: new(number(value)), CreatedTimestamp: created}
	default:
		kind, m.Gauge = dto.MetricType_GAUGE, &dto.Gauge{Value: new(number(value))}
	}
	return &dto.MetricFamily{Name: &name, Type: kind.Enum(), Metric: []*dto.Metric{m}}
}

// labelsOf reads a="1",b="2".
func labelsOf(text string) (labels []*dto.LabelPair) {
	for pair := range strings.SplitSeq(text, ",") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			labels = append(labels, &dto.LabelPair{Name: new(name), Value: new(strings.Trim(value, `"`))})
		}
	}
	return labels
}

func histogramOf(fields []string) *dto.Histogram {
	h := &dto.Histogram{}
	for _, field := range fields {
		bound, value, _ := strings.Cut(field, ":")
		if bound == "sum" {
			h.SampleSum = new(number(value))
			continue
		}
		count := uint64(number(value))
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(number(bound)), CumulativeCount: &count})
		if math.IsInf(number(bound), 1) {
			h.SampleCount = &count
		}
	}
	return h
}

func summaryOf(fields []string) *dto.Summary {
	s := &dto.Summary{}
	for _, field := range fields {
		if value, is := strings.CutPrefix(field, "sum:"); is {
			s.SampleSum = new(number(value))
		} else if value, is := strings.CutPrefix(field, "count:"); is {
			s.SampleCount = new(uint64(number(value)))
		} else {
			quantile, value, _ := strings.Cut(field, "=")
			s.Quantile = append(s.Quantile, &dto.Quantile{Quantile: new(number(quantile)), Value: new(number(value))})
		}
	}
	return s
}

// exportPause is longer than a change of an aggregate waits until it is exported.
const exportPause = 11 * time.Second

// expect holds GET /metrics, and after the next export the backend, to exactly the series of the text.
func (s *script) expect(line, text string) {
	s.Helper()
	want := map[string]string{}
	families := s.read()
	for _, f := range s.families(text) {
		series, twice := seriesOf(f, nil, false)
		require.Empty(s, twice)
		for name, value := range series {
			s.logged = s.logged || strings.Contains(name, "job_id=")
			want[ofX(name)] = value
		}
		if f.GetType() != dto.MetricType_GAUGE { // What is none says so.
			require.Equal(s, f.GetType().String(), families[f.GetName()].GetType().String(), "%s: %s", line, f.GetName())
		}
	}
	held := s.seriesIn(families, false)
	require.Empty(s, difference(want, withoutTimes(held)), line)
	time.Sleep(exportPause)
	synctest.Wait()
	require.Empty(s, difference(held, s.sink.db.alive(time.Time{})), "%s in the backend", line)
}

// ofX gives a series the label of the job, unless it has one.
func ofX(series string) string {
	name, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
	all := map[string]string{"job": "X"}
	for _, l := range labelsOf(labels) {
		all[l.GetName()] = l.GetValue()
	}
	return seriesName(name, all)
}

func withoutTimes(series map[string]string) map[string]string {
	series = maps.Clone(series)
	maps.DeleteFunc(series, func(name, _ string) bool {
		return strings.HasPrefix(name, "push_time_seconds{") || strings.HasPrefix(name, "push_failure_time_seconds{")
	})
	return series
}

// lines writes steps.
func lines(steps ...any) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintln(&b, s)
	}
	return b.String()
}
