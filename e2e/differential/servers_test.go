// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/otelcol-pushgateway/pushgatewayreceiver"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/e2e/loopback"
)

// pushgateway is a running Pushgateway.
type pushgateway struct {
	connection
	prefix string // --web.route-prefix
	scrape string // --web.telemetry-path
}

// startPushgateway starts one with further flags, and ends it with the test.
func startPushgateway(t *testing.T, flags ...string) *pushgateway {
	t.Helper()
	binary, err := filepath.Abs(filepath.Join("..", "..", ".tools", "pushgateway"))
	require.NoError(t, err)
	_, err = os.Stat(binary)
	require.NoError(t, err, "build it first: make %s", binary)
	p := &pushgateway{connection: connection{address: freeEndpoint(t)}, scrape: "/metrics"}
	args := []string{"--web.listen-address=" + p.address, "--web.enable-admin-api", "--log.level=error"}
	for _, flag := range flags {
		if flag == "--web.enable-admin-api" {
			continue
		}
		args = append(args, flag)
		if path, ok := strings.CutPrefix(flag, "--web.telemetry-path="); ok {
			p.scrape = path
		}
		if prefix, ok := strings.CutPrefix(flag, "--web.route-prefix="); ok {
			p.prefix = strings.TrimSuffix("/"+strings.Trim(prefix, "/"), "/")
		}
	}
	cmd := exec.Command(binary, args...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		p.close()
		assert.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // It was killed.
	})
	require.Eventually(t, func() bool {
		a, err := p.send(&request{method: http.MethodGet, target: p.prefix + "/-/ready"})
		return err == nil && a.status == http.StatusOK
	}, 20*time.Second, 20*time.Millisecond)
	return p
}

var freeEndpoint = loopback.FreeEndpoints(15000, 2500)

// answer sends the request; after an accepted push it reads what is exposed.
func (p *pushgateway) answer(t *testing.T, r *request) *answer {
	t.Helper()
	a, err := p.send(r)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &answer{cut: true}
	}
	require.NoError(t, err, "%s", r)
	if r.isPush() && a.accepted() {
		p.read(t, a)
	}
	return a
}

// alone sends the request to a Pushgateway that has stored nothing, and leaves it so.
func (p *pushgateway) alone(t *testing.T, r *request) *answer {
	t.Helper()
	a := p.answer(t, r)
	p.wipe(t)
	return a
}

func (p *pushgateway) wipe(t *testing.T) {
	t.Helper()
	a, err := p.send(&request{method: http.MethodPut, target: p.prefix + "/api/v1/admin/wipe"})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, a.status)
}

// inProtobuf asks for the exposition in the one format that shows native histograms, types and names as they are.
const inProtobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8"

// read reads the groups' families. The Pushgateway's own metrics are those without a job.
func (p *pushgateway) read(t *testing.T, a *answer) {
	t.Helper()
	scrape, err := p.send(&request{method: http.MethodGet, target: p.prefix + p.scrape, headers: []header{{"Accept", inProtobuf}}})
	require.NoError(t, err)
	if scrape.status != http.StatusOK {
		a.broken = true
		return
	}
	for body := bufio.NewReader(strings.NewReader(scrape.body)); ; {
		family := &dto.MetricFamily{}
		err := protodelim.UnmarshalOptions{MaxSize: -1}.UnmarshalFrom(body, family)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		family.Metric = pushed(family.GetMetric())
		a.families = append(a.families, family)
	}
	a.broken = !contains(a.families, pushTime)
}

func pushed(metrics []*dto.Metric) (pushed []*dto.Metric) {
	for _, m := range metrics {
		for _, l := range m.GetLabel() {
			if l.GetName() == "job" {
				pushed = append(pushed, m)
			}
		}
	}
	return pushed
}

// receiver is this receiver, in this process, in front of a sink.
type receiver struct {
	connection
	sink *consumertest.MetricsSink
}

// startReceiver starts it with the settings that stand for a Pushgateway's flags. DELETE is served, so that Allow lists are
// a Pushgateway's.
func startReceiver(t *testing.T, flags ...string) *receiver {
	t.Helper()
	config := pushgatewayreceiver.NewFactory().CreateDefaultConfig().(*pushgatewayreceiver.Config)
	config.IgnoreDelete = true
	config.PathPrefixes = []string{""}
	for _, flag := range flags {
		if flag == "--push.enable-utf8-names" {
			config.UTF8Names = true
		}
		if prefix, ok := strings.CutPrefix(flag, "--web.route-prefix="); ok && prefix != "/" {
			config.PathPrefixes = []string{"/" + strings.Trim(prefix, "/")}
		}
	}
	return startReceiverWith(t, config)
}

func startReceiverWith(t *testing.T, config *pushgatewayreceiver.Config) *receiver {
	t.Helper()
	factory := pushgatewayreceiver.NewFactory()
	r := &receiver{connection: connection{address: freeEndpoint(t)}, sink: new(consumertest.MetricsSink)}
	config.ServerConfig.NetAddr.Endpoint = r.address
	metrics, err := factory.CreateMetrics(t.Context(), receivertest.NewNopSettings(factory.Type()), config, r.sink)
	require.NoError(t, err)
	require.NoError(t, metrics.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() {
		r.close()
		assert.NoError(t, metrics.Shutdown(context.Background())) //nolint:usetesting // The test's own context has ended by then.
	})
	return r
}

// answer sends the request and takes what was forwarded.
func (s *receiver) answer(t *testing.T, r *request) *answer {
	t.Helper()
	a, err := s.send(r)
	require.NoError(t, err, "%s", r)
	a.series = seriesIn(s.sink.AllMetrics())
	s.sink.Reset()
	return a
}
