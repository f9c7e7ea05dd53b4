// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver // import "github.com/otelcol-pushgateway/pushgatewayreceiver"

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
)

const (
	// defaultEndpoint is the port of a Pushgateway, on localhost as the security practice of the collector demands.
	defaultEndpoint = "localhost:9091"

	// defaultReadTimeout ends a request whose body stalls.
	defaultReadTimeout = 60 * time.Second

	// defaultWriteTimeout leaves half a minute for the response to a body that took all of read_timeout, since it includes reading the
	// body. With the default of confighttp, 30s, a slower client would get no response.
	defaultWriteTimeout = defaultReadTimeout + 30*time.Second

	// defaultInFlightBytes allows six concurrent pushes of the largest default size (20 MiB).
	defaultInFlightBytes = 128 << 20

	// defaultRepublishInterval is a usual scrape interval, below the five minutes for which Prometheus shows a series.
	defaultRepublishInterval = time.Minute

	defaultMaxGroups = 100_000
	defaultMaxSeries = 1_000_000
	// defaultMaxBytes allows a kilobyte for each of a million series, three times the size of usual series.
	defaultMaxBytes = 1 << 30
	// Half of the connections are for exports, of which at most eight are in flight.
	defaultMaxConnections   = 16
	defaultConnectTimeout   = 5 * time.Second
	defaultStatementTimeout = 10 * time.Second

	// defaultMaxPushers allows 24 million pushers a day that push once, at the default time to live of pushers.
	defaultMaxPushers = 1_000_000
)

// defaultPage remembers more jobs than most installations have, in about two megabytes.
var defaultPage = PageConfig{Live: true, Actions: true, Jobs: 8192}

// NewFactory returns the factory of the receiver.
func NewFactory() receiver.Factory {
	return receiver.NewFactory(
		metadata.Type,
		createDefaultConfig,
		receiver.WithMetrics(createMetricsReceiver, metadata.MetricsStability),
	)
}

func createDefaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = defaultEndpoint
	server.ReadTimeout = defaultReadTimeout
	server.WriteTimeout = defaultWriteTimeout
	return &Config{
		ServerConfig:    server,
		PathPrefixes:    []string{"", "/pushgateway"},
		Timestamps:      TimestampsReject,
		Histograms:      HistogramsClassic,
		PushTimeMetrics: true,
		Limits:          LimitsConfig{InFlightBytes: defaultInFlightBytes},
		Groups: configoptional.Default(GroupsConfig{
			RepublishInterval: defaultRepublishInterval,
			MaxGroups:         defaultMaxGroups,
			MaxSeries:         defaultMaxSeries,
			MaxBytes:          defaultMaxBytes,
			MaxPushers:        defaultMaxPushers,
			Postgres: configoptional.Default(PostgresConfig{
				MaxConnections:   defaultMaxConnections,
				ConnectTimeout:   defaultConnectTimeout,
				StatementTimeout: defaultStatementTimeout,
			}),
		}),
		Page: configoptional.Default(defaultPage),
	}
}

func createMetricsReceiver(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
	return newReceiver(set, cfg.(*Config), next)
}
