// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadatatest"
)

// startReceiver starts a receiver on a free port until the test ends and returns its address.
func startReceiver(t *testing.T, config *Config, next consumer.Metrics) string {
	address, _ := startReceiverWith(t, receivertest.NewNopSettings(metadata.Type), config, next)
	return address
}

func startReceiverWith(t *testing.T, set receiver.Settings, config *Config, next consumer.Metrics) (address string, logs *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.InfoLevel)
	set.Logger = zap.New(core)
	config.ServerConfig.NetAddr.Endpoint = "127.0.0.1:0"
	r, err := NewFactory().CreateMetrics(t.Context(), set, config, next)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { assert.NoError(t, r.Shutdown(context.Background())) }) //nolint:usetesting // The test's own context has ended by then.
	started := logs.FilterMessage("Starting HTTP server").TakeAll()
	require.Len(t, started, 1)
	address = started[0].ContextMap()["endpoint"].(string)
	if config.Groups.HasValue() && config.Groups.Get().Postgres.HasValue() {
		awaitReady(t, address+config.PathPrefixes[0])
	}
	return address, logs
}

// awaitReady waits until groups are restored.
func awaitReady(t *testing.T, base string) {
	t.Helper()
	require.Eventually(t, func() bool {
		code, _, _ := send(t, http.MethodGet, "http://"+base+"/-/ready", "")
		return code == http.StatusOK
	}, patience, 5*time.Millisecond)
}

// client opens a connection for each request: receivers that follow each other on one port must not meet an old one.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// send pushes the body and returns the answer.
func send(t *testing.T, method, url, body string) (code int, header http.Header, text string) {
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header, string(data)
}

// sendAside pushes the body in a goroutine of its own and gives the code of the answer, or 0 if none came.
func sendAside(url, body string) <-chan int {
	code := make(chan int, 1)
	go func() {
		response, err := client.Post(url, "", strings.NewReader(body))
		if err != nil {
			code <- 0
			return
		}
		_ = response.Body.Close()
		code <- response.StatusCode
	}()
	return code
}

func TestPushIsForwarded(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.MetricsSink)
	address := startReceiver(t, with(func(*Config) {}), sink)
	before := time.Now().Truncate(time.Millisecond)

	code, header, body := send(t, http.MethodPost, "http://"+address+"/metrics/job/some_job/instance/i/zone/z", "some_metric 3.14\n")
	assert.Equal(t, http.StatusOK, code)
	assert.Empty(t, body)
	assert.Empty(t, header.Get("Content-Type"))

	require.Len(t, sink.AllMetrics(), 1)
	md := sink.AllMetrics()[0]
	require.Equal(t, 1, md.ResourceMetrics().Len())
	rm := md.ResourceMetrics().At(0)
	assert.Equal(t, map[string]any{"service.name": "some_job", "service.instance.id": "i"}, rm.Resource().Attributes().AsRaw())
	scope := rm.ScopeMetrics().At(0).Scope()
	assert.Equal(t, "github.com/otelcol-pushgateway/pushgatewayreceiver", scope.Name())

	values := map[string]float64{}
	for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
		p := m.Gauge().DataPoints().At(0)
		values[m.Name()] = p.DoubleValue()
		assert.Equal(t, map[string]any{"zone": "z"}, p.Attributes().AsRaw(), m.Name())
		assert.WithinRange(t, p.Timestamp().AsTime(), before, time.Now())
	}
	assert.InDelta(t, 3.14, values["some_metric"], 0)
	assert.WithinRange(t, time.UnixMilli(int64(math.Round(values["push_time_seconds"]*1e3))), before, time.Now().Add(time.Millisecond))
	assert.Len(t, values, 2)
}

// TestGoClient pushes with the unmodified client library, to both base URLs and in each format that it can write.
func TestGoClient(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "/pushgateway"} {
		for name, format := range map[string]expfmt.Format{
			"default":     expfmt.NewFormat(expfmt.TypeProtoDelim),
			"text":        expfmt.NewFormat(expfmt.TypeTextPlain),
			"OpenMetrics": expfmt.NewFormat(expfmt.TypeOpenMetrics),
		} {
			t.Run(name+base, func(t *testing.T) {
				t.Parallel()
				sink := new(consumertest.MetricsSink)
				address := startReceiver(t, with(func(c *Config) { c.IgnoreDelete = true }), sink)
				gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "help"})
				gauge.Set(42)
				pusher := push.New("http://"+address+base, "a/b").Collector(gauge).Grouping("k", "").Format(format)
				require.NoError(t, pusher.Push())
				require.NoError(t, pusher.Add())
				require.NoError(t, pusher.Delete())
				require.Len(t, sink.AllMetrics(), 2)
				for _, md := range sink.AllMetrics() {
					assert.Equal(t, map[string]string{`g job="a/b"`: "42"}, exposedOf(md))
				}
			})
		}
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	for _, ignore := range []bool{false, true} {
		t.Run(fmt.Sprintf("ignore_delete %t", ignore), func(t *testing.T) {
			t.Parallel()
			sink := new(consumertest.MetricsSink)
			address := startReceiver(t, with(func(c *Config) { c.IgnoreDelete = ignore }), sink)
			code, header, body := send(t, http.MethodDelete, "http://"+address+"/metrics/job/j", "")
			if ignore {
				assert.Equal(t, http.StatusAccepted, code)
			} else {
				assert.Equal(t, http.StatusMethodNotAllowed, code)
				assert.Equal(t, "OPTIONS, POST, PUT", header.Get("Allow"))
				assert.Contains(t, body, "ignore_delete")
			}
			assert.Empty(t, sink.AllMetrics())
		})
	}
}

func TestDownstreamRefusal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err        error
		code       int
		retryAfter bool
	}{
		"retryable": {errors.New("sending queue is full"), http.StatusServiceUnavailable, true},
		"exhausted": {status.Error(codes.ResourceExhausted, "quota"), http.StatusTooManyRequests, true},
		"permanent": {consumererror.NewPermanent(errors.New("no")), http.StatusInternalServerError, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := startReceiver(t, with(func(*Config) {}), consumertest.NewErr(tc.err))
			code, header, body := send(t, http.MethodPut, "http://"+address+"/metrics/job/j", "a 1\n")
			assert.Equal(t, tc.code, code)
			assert.Equal(t, tc.retryAfter, header.Get("Retry-After") != "")
			assert.Contains(t, body, tc.err.Error())
		})
	}
}

// blockingConsumer holds every push until release is closed.
type blockingConsumer struct {
	consumertest.Consumer
	entered chan struct{}
	release chan struct{}
}

func newBlockingConsumer() *blockingConsumer {
	return &blockingConsumer{Consumer: consumertest.NewNop(), entered: make(chan struct{}, 100), release: make(chan struct{})}
}

func (c *blockingConsumer) ConsumeMetrics(ctx context.Context, _ pmetric.Metrics) error {
	c.entered <- struct{}{}
	select {
	case <-c.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestStartInTheLog(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config   *Config
		mode     string
		path     string
		warnings []string
	}{
		"proxy":        {with(func(*Config) {}), "proxy", "/metrics/job/<job>{/<label>/<value>}", nil},
		"other prefix": {with(func(c *Config) { c.PathPrefixes = []string{"/team-long", "/team"} }), "proxy", "/team/metrics/job/<job>{/<label>/<value>}", nil},
		"groups": {
			with(withGroups(func(*GroupsConfig) {})), "groups", "/metrics/job/<job>{/<label>/<value>}",
			[]string{"Groups are kept in memory only and will be lost on restart or reload. Set groups::storage or groups::postgres to persist them."},
		},
		"aggregates": {
			with(withGroups(func(g *GroupsConfig) {
				g.Aggregate = []AggregateConfig{{Without: []string{"job_id"}, PusherTTL: time.Hour}}
			})),
			"groups", "/metrics/job/<job>{/<label>/<value>}",
			[]string{"Groups are kept in memory only and will be lost on restart or reload. The totals of groups::aggregate then begin anew, and pushers " +
				"that continue to push are counted again. Set groups::storage or groups::postgres to persist them."},
		},
		"contradiction": {
			with(func(c *Config) { c.ServerConfig.WriteTimeout = time.Second }), "proxy", "/metrics/job/<job>{/<label>/<value>}",
			[]string{"write_timeout (1s) is below read_timeout (1m0s): slow clients get no response"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zapcore.InfoLevel)
			set := receivertest.NewNopSettings(metadata.Type)
			set.Logger = zap.New(core)
			tc.config.ServerConfig.NetAddr.Endpoint = "127.0.0.1:0"
			r, err := NewFactory().CreateMetrics(t.Context(), set, tc.config, consumertest.NewNop())
			require.NoError(t, err)
			require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
			require.NoError(t, r.Shutdown(t.Context()))
			fields := logs.FilterMessage("Starting HTTP server").All()[0].ContextMap()
			assert.Equal(t, tc.mode, fields["mode"])
			assert.Equal(t, "http://"+fields["endpoint"].(string)+tc.path, fields["push_url"])
			var warnings []string
			for _, line := range logs.FilterLevelExact(zapcore.WarnLevel).All() {
				warnings = append(warnings, line.Message)
			}
			assert.Equal(t, tc.warnings, warnings)
		})
	}
}

func TestInFlightBytes(t *testing.T) {
	t.Parallel()
	next := newBlockingConsumer()
	address := startReceiver(t, with(func(c *Config) { c.Limits.InFlightBytes = 4096 }), next)
	body := strings.Repeat("# x\n", 700) + "a 1\n" // 2.8 kB, for which room is made in steps
	first := sendAside("http://"+address+"/metrics/job/first", body)
	<-next.entered

	code, header, text := send(t, http.MethodPut, "http://"+address+"/metrics/job/second", body)
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.NotEmpty(t, header.Get("Retry-After"))
	assert.Contains(t, text, "limits::in_flight_bytes (4096)")

	close(next.release)
	assert.Equal(t, http.StatusOK, <-first)
	code, _, text = send(t, http.MethodPut, "http://"+address+"/metrics/job/third", strings.Repeat(body, 2))
	assert.Equal(t, http.StatusRequestEntityTooLarge, code, "what can never fit")
	assert.Contains(t, text, "limits::in_flight_bytes (4096)")
	code, _, _ = send(t, http.MethodPut, "http://"+address+"/metrics/job/second", body)
	assert.Equal(t, http.StatusOK, code, "room again once the first push is done")
}

func TestLimitsPerPush(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limits LimitsConfig
		text   string
	}{
		"series_per_push":    {LimitsConfig{SeriesPerPush: 1}, "series_per_push"},
		"labels_per_series":  {LimitsConfig{LabelsPerSeries: 1}, "labels_per_series"},
		"label_value_length": {LimitsConfig{LabelValueLength: 3}, "label_value_length"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := startReceiver(t, with(func(c *Config) { c.Limits = tc.limits }), consumertest.NewNop())
			code, _, text := send(t, http.MethodPut, "http://"+address+"/metrics/job/j", "a{l=\"long\"} 1\nb 2\n")
			assert.Equal(t, http.StatusBadRequest, code)
			assert.Contains(t, text, tc.text)
		})
	}
}

func TestTelemetry(t *testing.T) {
	t.Parallel()
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { assert.NoError(t, tel.Shutdown(context.Background())) }) //nolint:usetesting // As above.
	set := metadatatest.NewSettings(tel)
	config := with(func(*Config) {})
	address, logs := startReceiverWith(t, set, config, consumertest.NewNop())

	send(t, http.MethodPut, "http://"+address+"/metrics/job/j", "# TYPE a counter\na 1\n")
	send(t, http.MethodPost, "http://"+address+"/metrics/job/j", "a 1\nb x\n")
	send(t, http.MethodPost, "http://"+address+"/metrics/job/other", "a 1\nb x\n")
	send(t, http.MethodPost, "http://"+address+"/metrics/job/j/odd", "a 1\n")
	send(t, http.MethodDelete, "http://"+address+"/metrics/job/j", "")

	point := func(format, method, outcome string, value int64) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: value, Attributes: attribute.NewSet(
			attribute.String("format", format), attribute.String("method", method), attribute.String("outcome", outcome))}
	}
	metadatatest.AssertEqualReceiverPushgatewayPushes(t, tel, []metricdata.DataPoint[int64]{
		point("text", "PUT", "accepted", 1),
		point("text", "POST", "parse", 2),
		point("none", "POST", "path", 1),
		point("none", "DELETE", "method", 1),
	}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
	metadatatest.AssertEqualReceiverPushgatewayInFlightSize(t, tel, []metricdata.DataPoint[int64]{{}}, metricdatatest.IgnoreTimestamp())

	assert.EqualValues(t, 2, sumOf(t, tel, "otelcol_receiver_accepted_metric_points"), "a and push_time_seconds")
	assert.EqualValues(t, 4, sumOf(t, tel, "otelcol_receiver_refused_metric_points"), "what was read of two bodies, the faulty series too")

	parse := logs.FilterField(zap.String("reason", "parse")).All()
	require.NotEmpty(t, parse)
	assert.Equal(t, zapcore.WarnLevel, parse[0].Level)
	fields := parse[0].ContextMap()
	assert.Equal(t, `{job="j"}`, fields["grouping_key"])
	assert.Equal(t, "line 2, column 3", fields["position"])
	assert.Contains(t, fields["error"], `expected float as value, got "x"`)
}

func sumOf(t *testing.T, tel *componenttest.Telemetry, name string) (sum int64) {
	m, err := tel.GetMetric(name)
	require.NoError(t, err)
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		sum += p.Value
	}
	return sum
}

func TestStartFailsOnTakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	config := with(func(c *Config) { c.ServerConfig.NetAddr.Endpoint = taken.Addr().String() })
	r, err := NewFactory().CreateMetrics(t.Context(), receivertest.NewNopSettings(metadata.Type), config, consumertest.NewNop())
	require.NoError(t, err)
	require.ErrorContains(t, r.Start(t.Context(), componenttest.NewNopHost()), "address already in use")
	require.NoError(t, r.Shutdown(t.Context()))
	require.NoError(t, r.Shutdown(t.Context()), "safe twice")
}

// statusHost is a host that keeps the events reported to it.
type statusHost struct {
	component.Host
	events chan *componentstatus.Event
}

func (h *statusHost) Report(event *componentstatus.Event) { h.events <- event }

func TestListenerFailureIsReported(t *testing.T) {
	t.Parallel()
	r, err := newReceiver(receivertest.NewNopSettings(metadata.Type), with(func(*Config) {}), consumertest.NewNop())
	require.NoError(t, err)
	host := &statusHost{componenttest.NewNopHost(), make(chan *componentstatus.Event, 1)}
	r.server, err = r.newServer(t.Context(), host)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())

	r.serve(host, listener)
	event := <-host.events
	assert.Equal(t, componentstatus.StatusFatalError, event.Status())
	assert.Error(t, event.Err())
	require.NoError(t, r.Shutdown(t.Context()))
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	next := newBlockingConsumer()
	config := with(func(c *Config) { c.ServerConfig.NetAddr.Endpoint = "127.0.0.1:0" })
	r, address := newStarted(t, config, next)
	answered := sendAside("http://"+address+"/metrics/job/j", "a 1\n")
	<-next.entered
	stopped := make(chan error, 1)
	go func() { stopped <- r.Shutdown(t.Context()) }()
	awaitClosed(t, address)
	assert.Empty(t, stopped, "waits for the request")
	close(next.release)
	require.NoError(t, <-stopped)
	assert.Equal(t, http.StatusOK, <-answered)
}

// awaitClosed waits until nothing listens on the address any more, which is how shutting down begins.
func awaitClosed(t *testing.T, address string) {
	t.Helper()
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		require.NoError(t, conn.Close())
	}
}

// TestShutdownCutsWhatStalls has a consumer that never returns. A push to a proxy waits for it, a push to groups does not.
func TestShutdownCutsWhatStalls(t *testing.T) {
	t.Parallel()
	modesOf(t, func(*Config) {}, func(t *testing.T, change func(*Config), groups bool) {
		next := newBlockingConsumer()
		r, address := newStarted(t, with(both(change, func(c *Config) { c.ServerConfig.NetAddr.Endpoint = "127.0.0.1:0" })), next)
		awaitReady(t, address)
		answered := sendAside("http://"+address+"/metrics/job/j", "a 1\n")
		<-next.entered
		if groups {
			assert.Equal(t, http.StatusOK, <-answered)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, r.Shutdown(ctx))
		if !groups {
			assert.Zero(t, <-answered, "no answer")
		}
	})
}

func newStarted(t *testing.T, config *Config, next consumer.Metrics) (r *pushgatewayReceiver, address string) {
	core, logs := observer.New(zapcore.InfoLevel)
	set := receivertest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	r, err := newReceiver(set, config, next)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	return r, logs.FilterMessage("Starting HTTP server").All()[0].ContextMap()["endpoint"].(string)
}

// TestConsumeContract is the collector's own test of what a receiver owes its consumer: retry what may be retried, give
// up what is permanent, lose nothing.
func TestConsumeContract(t *testing.T) {
	t.Parallel()
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := probe.Addr().String()
	require.NoError(t, probe.Close())
	receivertest.CheckConsumeContract(receivertest.CheckConsumeContractParams{
		T:       t,
		Factory: NewFactory(),
		Signal:  pipeline.SignalMetrics,
		Config: with(func(c *Config) {
			c.ServerConfig.NetAddr.Endpoint = address
			c.PushTimeMetrics = false
		}),
		Generator:     &contractGenerator{t: t, address: address},
		GenerateCount: 100,
	})
}

// contractGenerator is a pusher that does what the status codes ask for.
type contractGenerator struct {
	t       *testing.T
	address string
	id      atomic.Int64
}

func (*contractGenerator) Start() {}
func (*contractGenerator) Stop()  {}

func (g *contractGenerator) Generate() []receivertest.UniqueIDAttrVal {
	id := receivertest.UniqueIDAttrVal(strconv.FormatInt(g.id.Add(1), 10))
	body := fmt.Sprintf("# TYPE a gauge\na{%s=%q} 1\n", receivertest.UniqueIDAttrName, id)
	for {
		code, _, _ := send(g.t, http.MethodPost, "http://"+g.address+"/metrics/job/j", body)
		if code != http.StatusServiceUnavailable {
			return []receivertest.UniqueIDAttrVal{id}
		}
	}
}
