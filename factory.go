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
	// defaultEndpoint is the Pushgateway's port, on localhost as the collector's security practice demands.
	defaultEndpoint = "localhost:9091"

	// defaultReadTimeout ends a request whose body stalls. Without it such a request would live for ever.
	defaultReadTimeout = 60 * time.Second

	// defaultWriteTimeout leaves half a minute for the answer to a body that took all of read_timeout: it begins with the body,
	// not with the answer. With confighttp's 30s a push that was slower would be taken, or refused, without a word.
	defaultWriteTimeout = defaultReadTimeout + 30*time.Second

	// defaultInFlightBytes lets six pushes of the largest default size (20 MiB) be worked on at once.
	defaultInFlightBytes = 128 << 20

	// defaultRepublishInterval is a usual scrape interval, well within the five minutes for which Prometheus shows a series.
	defaultRepublishInterval = time.Minute

	defaultMaxGroups = 100_000
	defaultMaxSeries = 1_000_000
	// defaultMaxBytes lets a million series have a kilobyte each, three times what usual ones take.
	defaultMaxBytes = 1 << 30
)

// NewFactory makes the factory of the receiver.
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
		}),
	}
}

func createMetricsReceiver(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
	return newReceiver(set, cfg.(*Config), next)
}
