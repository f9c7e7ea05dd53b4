// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver // import "github.com/otelcol-pushgateway/pushgatewayreceiver"

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushhttp"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// shutdownTimeout is how long requests in flight may take to finish. The collector's own context has no deadline then,
// and receivers are stopped one after the other before any queue is flushed: one stalled request must not hold that up.
const shutdownTimeout = 10 * time.Second

type pushgatewayReceiver struct {
	config *Config
	set    receiver.Settings
	ingest *ingest.Ingest

	server  *http.Server // nil before Start and after Shutdown
	serving sync.WaitGroup
}

func newReceiver(set receiver.Settings, config *Config, next consumer.Metrics) (*pushgatewayReceiver, error) {
	in, err := ingest.New(set, ingestOptions(set, config), next)
	if err != nil {
		return nil, err
	}
	return &pushgatewayReceiver{config: config, set: set, ingest: in}, nil
}

func ingestOptions(set receiver.Settings, config *Config) ingest.Options {
	return ingest.Options{
		Exposition: exposition.Options{UTF8Names: config.UTF8Names},
		Translate: translate.Options{
			Timestamps: map[Timestamps]translate.Timestamps{
				TimestampsReject: translate.Reject,
				TimestampsDrop:   translate.Drop,
				TimestampsHonor:  translate.Honor,
			}[config.Timestamps],
			PushTime: config.PushTimeMetrics,
			Limits: translate.Limits{
				SeriesPerPush:    config.Limits.SeriesPerPush,
				LabelsPerSeries:  config.Limits.LabelsPerSeries,
				LabelValueLength: config.Limits.LabelValueLength,
			},
			ScopeName:    metadata.ScopeName,
			ScopeVersion: set.BuildInfo.Version,
		},
		InFlightBytes: config.Limits.InFlightBytes,
	}
}

// Start listens and serves. A failed start leaves nothing open.
func (r *pushgatewayReceiver) Start(ctx context.Context, host component.Host) error {
	server, err := r.newServer(ctx, host)
	if err != nil {
		return err
	}
	listener, err := r.config.ServerConfig.ToListener(ctx)
	if err != nil {
		return err
	}
	r.server = server
	r.set.Logger.Info("Starting HTTP server", zap.Stringer("endpoint", listener.Addr()))
	r.serving.Go(func() { r.serve(host, listener) })
	return nil
}

// serve accepts until the server is shut down. A listener that fails before that is the collector's to know.
func (r *pushgatewayReceiver) serve(host component.Host, listener net.Listener) {
	if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
	}
}

func (r *pushgatewayReceiver) newServer(ctx context.Context, host component.Host) (*http.Server, error) {
	return pushhttp.NewServer(ctx, r.config.ServerConfig, host.GetExtensions(), r.set.TelemetrySettings, pushhttp.Options{
		Prefixes:     r.config.PathPrefixes,
		UTF8Names:    r.config.UTF8Names,
		IgnoreDelete: r.config.IgnoreDelete,
		InFlight:     r.ingest.InFlight,
	}, r.ingest)
}

// Shutdown stops accepting, lets requests in flight finish until the context ends or shutdownTimeout has passed, and
// then cuts them. It may be called before Start and more than once.
func (r *pushgatewayReceiver) Shutdown(ctx context.Context) error {
	if r.server != nil {
		patience, cancel := context.WithTimeout(ctx, shutdownTimeout)
		defer cancel()
		if err := r.server.Shutdown(patience); err != nil {
			r.set.Logger.Warn("Requests in flight were cut at shutdown", zap.Error(err))
			_ = r.server.Close() // The listener is closed already; what is left are connections to cut.
		}
		r.serving.Wait()
		r.server = nil
	}
	r.ingest.Shutdown()
	return nil
}
