// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	prometheusmodel "github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-pushgateway/pushgatewayreceiver"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadatatest"
)

// rig is a receiver with groups, between a client and a sink, whose process can be ended and started again.
type rig struct {
	*testing.T

	change func(*pushgatewayreceiver.Config)
	sink   *sink
	pipes  *pipes

	keeping

	life      *life
	receiver  receiver.Metrics
	telemetry *componenttest.Telemetry
	logs      *observer.ObservedLogs
	client    *http.Client
}

var storageID = component.MustNewID("memory")

// newRig makes a rig whose time is that of the bubble that it is made in: no connection leaves the process.
// Only those to a database do, which time waits for.
func newRig(t *testing.T, k keeping, change func(*pushgatewayreceiver.Config)) *rig {
	p := newPipes()
	r := &rig{T: t, change: change, sink: newSink(), keeping: k, pipes: p, client: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DialContext: p.dial,
	}}}
	r.begin()
	return r
}

// begin starts the first process, and ends the last one with the test.
func (r *rig) begin() {
	r.start()
	r.Cleanup(func() { r.stop(false) })
}

// host has the one extension.
type host struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h host) GetExtensions() map[component.ID]component.Component { return h.extensions }

// start starts a process.
func (r *rig) start() {
	r.Helper()
	factory := pushgatewayreceiver.NewFactory()
	config := factory.CreateDefaultConfig().(*pushgatewayreceiver.Config)
	config.ServerConfig.NetAddr.Endpoint = "127.0.0.1:0"
	groups := *config.Groups.GetOrInsertDefault()
	groups.RepublishInterval, groups.AdminAPI = time.Second, true
	r.life = &life{keeping: r.keeping}
	extensions := map[component.ID]component.Component{}
	if r.disk != nil {
		groups.Storage, extensions[storageID] = &storageID, r.life
	}
	config.Groups = configoptional.Some(groups)
	if r.database != nil {
		r.database.Use(r.life.rules())
		pushgatewayreceiver.OnDatabase(config, r.database.Datasource)
	}
	r.change(config)
	require.NoError(r, config.Validate())

	core, logs := observer.New(zap.InfoLevel)
	r.telemetry = componenttest.NewTelemetry()
	set := metadatatest.NewSettings(r.telemetry)
	set.Logger, r.logs = zap.New(core), logs
	var err error
	r.receiver, err = factory.CreateMetrics(r.Context(), set, config, r.sink.of(r.life))
	require.NoError(r, err)
	pushgatewayreceiver.ListenOn(r.receiver, r.pipes.listen)
	pushgatewayreceiver.UseClock(r.receiver, time.Now)
	require.NoError(r, r.receiver.Start(r.Context(), host{componenttest.NewNopHost(), extensions}))
	require.Eventually(r, func() bool {
		status, _ := r.send(http.MethodGet, "/-/ready", "", nil)
		return status == http.StatusOK
	}, 5*time.Minute, time.Millisecond)
}

// stop ends the process: with a signal it can heed, or at once. Either way it is shut down, which waits until the times that it
// gave out have passed: after a kill, that stands for the time that a new process takes to start.
func (r *rig) stop(kill bool) {
	if r.receiver == nil {
		return
	}
	if kill {
		r.life.end()
	}
	if weather(r.sink.weather.Load()) == hanging {
		r.sink.turn(retryable) // Not to wait until the calls of the shutdown are cancelled.
	}
	require.NoError(r, r.receiver.Shutdown(context.Background()))
	require.NoError(r, r.telemetry.Shutdown(context.Background()))
	r.receiver = nil
	r.life.end()
	r.awaitSessions(r.T)
}

func (r *rig) restart(kill bool) {
	r.stop(kill)
	r.start()
}

// hasText tells whether a log entry has a text, be it in a field.
func hasText(text string) func(observer.LoggedEntry) bool {
	return func(e observer.LoggedEntry) bool {
		return strings.Contains(e.Message, text) || strings.Contains(fmt.Sprint(e.ContextMap()), text)
	}
}

// send sends a request.
func (r *rig) send(method, path, contentType string, body []byte) (status int, answer string) {
	status, answer, err := r.trySend(method, path, contentType, body)
	require.NoError(r, err)
	return status, answer
}

// trySend sends a request, which fails if there is no answer.
func (r *rig) trySend(method, path, contentType string, body []byte) (status int, answer string, err error) {
	request, err := http.NewRequestWithContext(context.Background(), method, "http://"+pipeAddr{}.String()+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if method == http.MethodGet {
		request.Header.Set("Accept", contentType)
	} else if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, string(data), err
}

// read reads all families back, in protobuf.
func (r *rig) read() map[string]*dto.MetricFamily {
	r.Helper()
	status, answer := r.send(http.MethodGet, "/metrics", string(protobuf), nil)
	require.Equal(r, http.StatusOK, status, answer)
	families := map[string]*dto.MetricFamily{}
	decoder := expfmt.NewDecoder(strings.NewReader(answer), protobuf)
	for {
		f := &dto.MetricFamily{}
		err := decoder.Decode(f)
		if errors.Is(err, io.EOF) {
			return families
		}
		require.NoError(r, err)
		require.Nil(r, families[f.GetName()], "a family twice")
		families[f.GetName()] = f
	}
}

// seriesIn lists the series of all families.
func (r *rig) seriesIn(families map[string]*dto.MetricFamily, asText bool) map[string]string {
	r.Helper()
	all := map[string]string{}
	for _, f := range families {
		series, twice := seriesOf(f, nil, asText)
		require.Empty(r, twice, "a series twice")
		for name, value := range series {
			require.NotContains(r, all, name, "a series of two families")
			all[name] = value
		}
	}
	return all
}

// textDiffers tells how the text exposition differs from the protobuf one.
func (r *rig) textDiffers(families map[string]*dto.MetricFamily) string {
	r.Helper()
	status, answer := r.send(http.MethodGet, "/metrics", "text/plain", nil)
	require.Equal(r, http.StatusOK, status, answer)
	parser := expfmt.NewTextParser(prometheusmodel.LegacyValidation)
	parsed, err := parser.TextToMetricFamilies(strings.NewReader(answer))
	require.NoError(r, err, answer)
	return difference(r.seriesIn(families, true), r.seriesIn(parsed, true))
}

// checkQuery holds that the query API shows the model's groups with their families.
func (r *rig) checkQuery(m *model) {
	r.Helper()
	status, answer := r.send(http.MethodGet, "/api/v1/metrics", "", nil)
	require.Equal(r, http.StatusOK, status, answer)
	var query struct {
		Status string
		Data   []map[string]json.RawMessage
	}
	require.NoError(r, json.Unmarshal([]byte(answer), &query), answer)
	expected, found := map[string]string{}, map[string]string{}
	for id, g := range m.groups {
		if !g.overlap() {
			expected[id] = fmt.Sprintf("last push successful: %t", g.pushed.to.After(g.failed.to))
		}
		for name, f := range g.families {
			expected[id+" "+name] = f.kind.String()
		}
	}
	for _, group := range query.Data {
		var key groupKey
		require.NoError(r, json.Unmarshal(group["labels"], &key))
		if g := m.groups[key.String()]; g == nil || !g.overlap() {
			found[key.String()] = "last push successful: " + string(group["last_push_successful"])
		}
		for name, raw := range group {
			var family struct{ Type string }
			if name != "labels" && name != "last_push_successful" && !strings.HasPrefix(name, "push_") {
				require.NoError(r, json.Unmarshal(raw, &family))
				found[key.String()+" "+name] = family.Type
			}
		}
	}
	require.Empty(r, difference(expected, found))
}

// gauge is the value of one of the receiver's own metrics.
func (r *rig) gauge(name string) int64 {
	r.Helper()
	m, err := r.telemetry.GetMetric("otelcol_receiver_pushgateway_" + name)
	require.NoError(r, err)
	return m.Data.(metricdata.Sum[int64]).DataPoints[0].Value
}

// quietTimeout is how much time of the bubble may pass until everything owed was handed on and everything held was handed on again.
const quietTimeout = 30 * time.Second

// quiet waits until downstream has exactly what is held, all of it handed on again since, and nothing is owed.
func (r *rig) quiet() {
	r.Helper()
	r.sink.turn(healthy)
	since := time.Now()
	for rest := "not looked at"; rest != ""; {
		if time.Since(since) > quietTimeout {
			for name := range strings.Lines(rest) {
				name, _, _ = strings.Cut(name, "} ")
				rest += r.sink.db.history(name + "}")
			}
			require.FailNow(r, "downstream differs from what is held", rest)
		}
		time.Sleep(countsAge)
		synctest.Wait()
		rest = r.unquiet(since)
	}
	require.Empty(r, r.sink.allFaults())
}

// unquiet tells how downstream differs from what is held, or what is owed.
func (r *rig) unquiet(since time.Time) string {
	r.Helper()
	families := r.read()
	rest := difference(r.seriesIn(families, false), r.sink.db.alive(since))
	if rest == "" {
		rest = r.textDiffers(families)
	}
	if markers, groups := r.gauge("pending_stale_markers"), r.gauge("unsent_groups"); markers+groups > 0 {
		rest += fmt.Sprintf("%d stale markers and %d groups are owed\n", markers, groups)
	}
	return rest
}

// countsAge is how old the counts of a database may be in the receiver's own metrics.
const countsAge = time.Second

// awaitCounts waits until the receiver's own metrics show what is now.
func (r *rig) awaitCounts() {
	if r.database != nil {
		time.Sleep(countsAge)
	}
}

// checkCounts holds the receiver's own metrics to the model.
func (r *rig) checkCounts(m *model) {
	r.Helper()
	series := 0
	for _, g := range m.groups {
		for _, f := range g.families {
			series += len(maps.Clone(f.series))
		}
	}
	r.awaitCounts()
	require.Equal(r, []int64{int64(len(m.groups)), int64(series)}, []int64{r.gauge("groups"), r.gauge("group_series")})
	if len(m.groups) == 0 {
		require.Zero(r, r.gauge("group_size"))
	}
}
