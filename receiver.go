// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver // import "github.com/otelcol-pushgateway/pushgatewayreceiver"

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/page"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushhttp"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

// shutdownTimeout bounds the time for requests in flight to finish. The collector's context has no deadline at shutdown, and the
// collector stops all receivers before it flushes queues.
const shutdownTimeout = 10 * time.Second

type pushgatewayReceiver struct {
	config *Config
	set    receiver.Settings
	ingest *ingest.Ingest
	feed   *page.Feed // nil without a page

	listen  func(context.Context) (net.Listener, error) // ToListener of the settings, unless a test has another one
	clock   func() time.Time                            // nil for the database's own, unless a test has another one
	server  *http.Server                                // nil before Start and after Shutdown
	serving sync.WaitGroup
}

func newReceiver(set receiver.Settings, config *Config, next consumer.Metrics) (*pushgatewayReceiver, error) {
	options, err := ingestOptions(set, config)
	if err != nil {
		return nil, err
	}
	feed := newFeed(config)
	if feed != nil {
		options.Watcher = feed
	}
	in, err := ingest.New(set, options, next)
	if err != nil {
		return nil, err
	}
	return &pushgatewayReceiver{config: config, set: set, ingest: in, feed: feed, listen: config.ServerConfig.ToListener}, nil
}

func ingestOptions(set receiver.Settings, config *Config) (ingest.Options, error) {
	groups, err := groupOptions(config)
	return ingest.Options{
		Exposition: exposition.Options{UTF8Names: config.UTF8Names},
		Translate: translate.Options{
			Timestamps: map[Timestamps]translate.Timestamps{
				TimestampsReject: translate.Reject,
				TimestampsDrop:   translate.Drop,
				TimestampsHonor:  translate.Honor,
			}[config.Timestamps],
			Histograms: map[Histograms]translate.Histograms{
				HistogramsClassic: translate.ClassicHistograms,
				HistogramsNative:  translate.NativeHistograms,
				HistogramsBoth:    translate.BothHistograms,
			}[config.Histograms],
			PushTime: config.PushTimeMetrics,
			Escaped:  !config.UTF8Names,
			Limits: translate.Limits{
				SeriesPerPush:    config.Limits.SeriesPerPush,
				LabelsPerSeries:  config.Limits.LabelsPerSeries,
				LabelValueLength: config.Limits.LabelValueLength,
			},
			ScopeName:    metadata.ScopeName,
			ScopeVersion: set.BuildInfo.Version,
		},
		InFlightBytes: config.Limits.InFlightBytes,
		Groups:        groups,
	}, err
}

func groupOptions(config *Config) (*ingest.GroupOptions, error) {
	if !config.Groups.HasValue() {
		return nil, nil
	}
	groups := config.Groups.Get()
	rules, err := groups.rules()
	options := &ingest.GroupOptions{
		RepublishInterval: groups.RepublishInterval,
		Store: store.Options{
			MaxGroups: groups.MaxGroups,
			MaxSeries: groups.MaxSeries,
			MaxBytes:  groups.MaxBytes,
			TTL:       groups.TTL,

			Rules:      rules,
			MaxPushers: groups.MaxPushers,
		},
	}
	if groups.Postgres.HasValue() {
		options.Store.SeriesKey = new(series.Key)
		options.Database = true
	}
	return options, err
}

// Start listens, serves, and starts restoring groups. If it fails, it leaves nothing open.
func (r *pushgatewayReceiver) Start(ctx context.Context, host component.Host) error {
	for _, warning := range r.config.warnings() {
		r.set.Logger.Warn(warning)
	}
	server, err := r.newServer(ctx, host)
	if err != nil {
		return err
	}
	listener, err := r.listen(ctx)
	if err != nil {
		return err
	}
	if r.config.Groups.HasValue() {
		if err := r.startGroups(ctx, host); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	r.server = server
	r.set.Logger.Info("Starting HTTP server", zap.Stringer("endpoint", listener.Addr()), zap.String("mode", r.config.mode()),
		zap.String("push_url", r.pushURL(listener.Addr())))
	r.serving.Go(func() { r.serve(host, listener) })
	return nil
}

// pushURL describes the URL of a push to the listener.
func (r *pushgatewayReceiver) pushURL(address net.Addr) string {
	scheme := "http://"
	if r.config.ServerConfig.TLS.HasValue() {
		scheme = "https://"
	}
	host := address.String()
	if address.Network() == "unix" {
		host = "localhost" // as for curl --unix-socket
	}
	return scheme + host + pushhttp.PushPath(r.config.PathPrefixes)
}

// startGroups opens the storage and starts restoring groups.
func (r *pushgatewayReceiver) startGroups(ctx context.Context, host component.Host) error {
	config := r.config.Groups.Get()
	if config.Postgres.HasValue() {
		return r.ingest.Start(r.openDatabase)
	}
	client, err := r.storageClient(ctx, host, config.Storage)
	if err != nil {
		return err
	}
	return r.ingest.Start(func(o store.Options) (store.Store, error) { return memory.New(o, client), nil })
}

// openDatabase does not wait for the database: until it is reached, the receiver is not ready.
func (r *pushgatewayReceiver) openDatabase(o store.Options) (store.Store, error) {
	config := r.config.Groups.Get().Postgres.Get()
	return postgres.New(o, postgres.Settings{
		Datasource:       string(config.Datasource),
		MaxConnections:   config.MaxConnections,
		ConnectTimeout:   config.ConnectTimeout,
		StatementTimeout: config.StatementTimeout,
		Observer:         r.ingest.Database(),
		Clock:            r.clock,
	})
}

// storageClient returns nil if no storage is configured.
func (r *pushgatewayReceiver) storageClient(ctx context.Context, host component.Host, id *component.ID) (storage.Client, error) {
	if id == nil {
		r.set.Logger.Warn(r.config.Groups.Get().withoutStorage())
		return nil, nil
	}
	extension, ok := host.GetExtensions()[*id]
	if !ok {
		return nil, fmt.Errorf("groups::storage: there is no extension %q; is it listed under service::extensions?", id)
	}
	provider, ok := extension.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("groups::storage: the extension %q is not a storage extension", id)
	}
	client, err := provider.GetClient(ctx, component.KindReceiver, r.set.ID, "")
	if err != nil {
		return nil, fmt.Errorf("groups::storage: %w", err)
	}
	return client, nil
}

// serve accepts connections until Shutdown. If the listener fails earlier, it reports a fatal error.
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
		Groups:       r.groupRoutes(),
		InFlight:     r.ingest.InFlight,
		Page:         r.newPage(),
	}, r.ingest)
}

func (r *pushgatewayReceiver) groupRoutes() *pushhttp.GroupOptions {
	if !r.config.Groups.HasValue() {
		return nil
	}
	config := r.config.Groups.Get()
	return &pushhttp.GroupOptions{
		AdminAPI:         config.AdminAPI,
		PushTimes:        r.config.PushTimeMetrics,
		OwnScope:         metadata.ScopeName,
		BuildInformation: buildInformation(r.set.BuildInfo),
		Flags:            r.flags(),
	}
}

// buildInformation has the keys of a Pushgateway's build information.
func buildInformation(build component.BuildInfo) map[string]string {
	return map[string]string{
		"version": build.Version, "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": runtime.Version(),
	}
}

// flags returns the settings for which a Pushgateway has flags, under the names of the flags.
func (r *pushgatewayReceiver) flags() map[string]string {
	groups := r.config.Groups.Get()
	persistence := ""
	if groups.Storage != nil {
		persistence = groups.Storage.String()
	}
	return map[string]string{
		"web.listen-address":     r.config.ServerConfig.NetAddr.Endpoint,
		"web.enable-admin-api":   strconv.FormatBool(groups.AdminAPI),
		"push.enable-utf8-names": strconv.FormatBool(r.config.UTF8Names),
		"persistence.file":       persistence,
	}
}

// Shutdown stops accepting and waits for requests in flight until the context ends or shutdownTimeout has passed. Then it closes
// their connections. It may be called before Start and more than once.
func (r *pushgatewayReceiver) Shutdown(ctx context.Context) error {
	r.ingest.Stopping()
	if r.feed != nil {
		r.feed.Stop() // Event streams do not end by themselves.
	}
	limited, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	if r.server != nil {
		if err := r.server.Shutdown(limited); err != nil {
			r.set.Logger.Warn("Shutdown closed connections with requests in flight", zap.Error(err))
			_ = r.server.Close() // The listener is closed already. Close ends the remaining connections.
		}
		r.serving.Wait()
		r.server = nil
	}
	return r.ingest.Shutdown(limited)
}
