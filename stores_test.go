// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"testing"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
)

// onStores runs a test of a configuration with groups for each store of groups.
func onStores(t *testing.T, change func(*Config), run func(t *testing.T, change func(*Config))) {
	t.Helper()
	pgtest.OnStores(t, func(t *testing.T, datasource string) {
		run(t, func(c *Config) {
			change(c)
			OnDatabase(c, datasource)
		})
	})
}

// modesOf runs a test of a configuration as a proxy, and with groups for each store of groups.
func modesOf(t *testing.T, change func(*Config), run func(t *testing.T, change func(*Config), groups bool)) {
	t.Helper()
	t.Run("proxy", func(t *testing.T) {
		t.Parallel()
		run(t, change, false)
	})
	onStores(t, both(withGroups(unchangedGroups), change), func(t *testing.T, change func(*Config)) { run(t, change, true) })
}

// OnDatabase holds the groups of a configuration in a database, unless the datasource is empty. The times of the database are so long
// that a busy machine does not reach them.
func OnDatabase(c *Config, datasource string) *Config {
	if datasource != "" {
		c.Groups.Get().Postgres = configoptional.Some(PostgresConfig{
			Datasource: configopaque.String(datasource), MaxConnections: 8, ConnectTimeout: time.Minute, StatementTimeout: time.Minute,
		})
	}
	return c
}
