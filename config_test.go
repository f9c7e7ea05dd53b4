// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/configcheck"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
)

// with is the default configuration after a change.
func with(change func(*Config)) *Config {
	cfg := createDefaultConfig().(*Config)
	change(cfg)
	return cfg
}

// withGroups switches groups on, with their defaults after a change.
func withGroups(change func(*GroupsConfig)) func(*Config) {
	return func(c *Config) {
		groups := *c.Groups.GetOrInsertDefault()
		change(&groups)
		c.Groups = configoptional.Some(groups)
	}
}

// TestTimeForAnAnswer is left to a push whose body takes all the time that it may.
func TestTimeForAnAnswer(t *testing.T) {
	t.Parallel()
	server := createDefaultConfig().(*Config).ServerConfig
	assert.GreaterOrEqual(t, server.WriteTimeout, server.ReadTimeout+30*time.Second)
}

func TestLoadConfig(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]*Config{
		"": with(func(*Config) {}),
		"all_settings": with(func(c *Config) {
			c.ServerConfig.NetAddr.Endpoint = "0.0.0.0:9191"
			c.ServerConfig.ReadTimeout = 10 * time.Second
			c.ServerConfig.WriteTimeout = 40 * time.Second
			c.PathPrefixes = []string{"/team-a"}
			c.Timestamps = TimestampsHonor
			c.Histograms = HistogramsBoth
			c.UTF8Names = true
			c.PushTimeMetrics = false
			c.IgnoreDelete = true
			c.Limits = LimitsConfig{InFlightBytes: 1048576, SeriesPerPush: 1000, LabelsPerSeries: 20, LabelValueLength: 256}
			c.Page = configoptional.Some(PageConfig{Jobs: 100})
		}),
		"endpoint":                  with(func(c *Config) { c.ServerConfig.NetAddr.Endpoint = "0.0.0.0:9091" }),
		"read_timeout":              with(func(c *Config) { c.ServerConfig.ReadTimeout = 5 * time.Second }),
		"write_timeout":             with(func(c *Config) { c.ServerConfig.WriteTimeout = 2 * time.Minute }),
		"max_request_body_size":     with(func(c *Config) { c.ServerConfig.MaxRequestBodySize = 1048576 }),
		"compression_algorithms":    with(func(c *Config) { c.ServerConfig.CompressionAlgorithms = []string{"", "gzip"} }),
		"path_prefixes":             with(func(c *Config) { c.PathPrefixes = []string{""} }),
		"timestamps":                with(func(c *Config) { c.Timestamps = TimestampsDrop }),
		"histograms":                with(func(c *Config) { c.Histograms = HistogramsNative }),
		"utf8_names":                with(func(c *Config) { c.UTF8Names = true }),
		"push_time_metrics":         with(func(c *Config) { c.PushTimeMetrics = false }),
		"ignore_delete":             with(func(c *Config) { c.IgnoreDelete = true }),
		"limits_in_flight_bytes":    with(func(c *Config) { c.Limits.InFlightBytes = 0 }),
		"limits_series_per_push":    with(func(c *Config) { c.Limits.SeriesPerPush = 50000 }),
		"limits_labels_per_series":  with(func(c *Config) { c.Limits.LabelsPerSeries = 30 }),
		"limits_label_value_length": with(func(c *Config) { c.Limits.LabelValueLength = 1024 }),
		"groups":                    with(withGroups(func(*GroupsConfig) {})),
		"groups_all_settings": with(withGroups(func(g *GroupsConfig) {
			id := component.MustNewIDWithName("file_storage", "groups")
			*g = GroupsConfig{
				RepublishInterval: 30 * time.Second, TTL: 24 * time.Hour, Storage: &id, MaxGroups: 1000, MaxSeries: 50000, MaxBytes: 100 << 20, AdminAPI: true, MaxPushers: 5000, Postgres: g.Postgres,
				Aggregate: []AggregateConfig{
					{
						Jobs: "lambda-.+", Without: []string{"job_id", "instance"}, PusherTTL: 30 * time.Minute,
						Metrics: []AggregateMetricsConfig{{Names: ".+_in_progress", Function: "sum"}, {Names: "go_.+|process_.+", Function: "drop"}},
					},
					{Without: []string{"job_id"}, PusherTTL: time.Hour},
				},
			}
		})),
		"groups_postgres": with(withGroups(func(g *GroupsConfig) {
			g.Postgres = configoptional.Some(PostgresConfig{
				Datasource:     "postgres://pushgateway:secret@db.example.com/pushgateway?sslmode=verify-full",
				MaxConnections: 32, ConnectTimeout: 3 * time.Second, StatementTimeout: 8 * time.Second,
			})
			g.Aggregate = []AggregateConfig{{Without: []string{"job_id"}, PusherTTL: time.Hour}}
		})),
		"groups_aggregate": with(withGroups(func(g *GroupsConfig) {
			g.Aggregate = []AggregateConfig{{Without: []string{"job_id"}, PusherTTL: time.Hour}}
		})),
		"groups_disabled": with(func(c *Config) { c.Groups = configoptional.None[GroupsConfig]() }),
		"page":            with(withPage(unchanged)),
		"page_peek":       with(withPage(func(p *PageConfig) { p.Peek = true })),
		"page_disabled":   with(both(withGroups(unchangedGroups), withoutPage)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := load(t, testdataConfig(t), name)
			require.NoError(t, err)
			assert.Equal(t, want, cfg)
		})
	}
}

// TestEverySettingHasACase keeps testdata/config.yaml complete: all_settings and groups_all_settings name every key that is
// ours.
func TestEverySettingHasACase(t *testing.T) {
	t.Parallel()
	all, err := testdataConfig(t).Sub("pushgateway/all_settings")
	require.NoError(t, err)
	for field := range reflect.TypeFor[Config]().Fields() {
		key := field.Tag.Get("mapstructure")
		if key != "" && key != ",squash" && key != "groups" {
			assert.True(t, all.IsSet(key), "testdata/config.yaml: all_settings lacks %s", key)
		}
	}
	for _, key := range configcheck.Keys(reflect.TypeFor[LimitsConfig]()) {
		assert.True(t, all.IsSet("limits::"+key), "testdata/config.yaml: all_settings lacks limits::%s", key)
	}
	for _, key := range configcheck.Keys(reflect.TypeFor[PageConfig]()) {
		assert.True(t, all.IsSet("page::"+key), "testdata/config.yaml: all_settings lacks page::%s", key)
	}
	groups, err := testdataConfig(t).Sub("pushgateway/groups_all_settings")
	require.NoError(t, err)
	postgres, err := testdataConfig(t).Sub("pushgateway/groups_postgres")
	require.NoError(t, err)
	for _, key := range configcheck.Keys(reflect.TypeFor[PostgresConfig]()) {
		assert.True(t, postgres.IsSet("groups::postgres::"+key), "testdata/config.yaml: groups_postgres lacks groups::postgres::%s", key)
	}
	for _, key := range configcheck.Keys(reflect.TypeFor[GroupsConfig]()) {
		if key == "postgres" {
			continue // Not together with storage.
		}
		assert.True(t, groups.IsSet("groups::"+key), "testdata/config.yaml: groups_all_settings lacks groups::%s", key)
	}
	rule := groups.Get("groups::aggregate").([]any)[0].(map[string]any)
	for _, key := range configcheck.Keys(reflect.TypeFor[AggregateConfig]()) {
		assert.Contains(t, rule, key, "testdata/config.yaml: groups_all_settings lacks groups::aggregate[0]::%s", key)
	}
}

// postgresConfig has one setting of groups::postgres beside the datasource.
func postgresConfig(key string, value any) map[string]any {
	settings := map[string]any{"datasource": "host=db.example.com"}
	settings[key] = value
	return map[string]any{"groups": map[string]any{"postgres": settings}}
}

func TestRefusedConfig(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config  map[string]any
		message string
	}{
		"unknown key":                        {map[string]any{"endpont": "localhost:1"}, `unknown key "endpont"; known are endpoint, `},
		"unknown key beside server settings": {map[string]any{"endpoint": "localhost:1", "prefix": "/x"}, `unknown key "prefix"`},
		"unknown key in limits":              {map[string]any{"limits": map[string]any{"series": 1}}, `unknown key "limits::series"; known are series_per_push, labels_per_series, in_flight_bytes, label_value_length`},
		"unknown key in groups":              {map[string]any{"groups": map[string]any{"max_group": 1}}, `unknown key "groups::max_group"; known are max_groups, max_series, max_bytes, postgres, max_pushers, storage, admin_api, aggregate, ttl, republish_interval`},
		"groups with honor":                  {map[string]any{"groups": map[string]any{}, "timestamps": "honor"}, `groups: cannot be combined with timestamps: honor`},
		"groups with include_metadata":       {map[string]any{"groups": map[string]any{}, "include_metadata": true}, `groups: cannot be combined with include_metadata`},
		"groups with ignore_delete":          {map[string]any{"groups": nil, "ignore_delete": true}, `groups: cannot be combined with ignore_delete`},
		"republish_interval too short":       {map[string]any{"groups": map[string]any{"republish_interval": "999ms"}}, `groups::republish_interval: must be between 1s and 4m0s, or 0 for never; is 999ms`},
		"republish_interval too long":        {map[string]any{"groups": map[string]any{"republish_interval": "4m1s"}}, `groups::republish_interval: must be between 1s and 4m0s`},
		"postgres without datasource":        {map[string]any{"groups": map[string]any{"postgres": map[string]any{}}}, `groups::postgres::datasource: must not be empty`},
		"postgres with a bad datasource":     {postgresConfig("datasource", "postgres://user:secret@host:no"), `groups::postgres::datasource: the datasource is not a connection string or URL of PostgreSQL`},
		"postgres with storage":              {map[string]any{"groups": map[string]any{"storage": "file_storage", "postgres": map[string]any{"datasource": "host=x"}}}, `groups::postgres: cannot be combined with groups::storage`},
		"postgres with few connections":      {postgresConfig("max_connections", 1), `groups::postgres::max_connections: must be between 2 and 10000, is 1`},
		"postgres without connect_timeout":   {postgresConfig("connect_timeout", "0s"), `groups::postgres::connect_timeout: must be at least 1ms, is 0s`},
		"postgres without statement_timeout": {postgresConfig("statement_timeout", "1ms"), `groups::postgres::statement_timeout: must be at least 2ms, is 1ms`},
		"unknown key in postgres":            {postgresConfig("password", "x"), `unknown key "groups::postgres::password"; known are `},
		"negative ttl":                       {map[string]any{"groups": map[string]any{"ttl": "-1s"}}, `groups::ttl: must not be negative, is -1s; 0 means for ever`},
		"negative max_groups":                {map[string]any{"groups": map[string]any{"max_groups": -1}}, `groups::max_groups: must not be negative, is -1; 0 means no limit`},
		"negative max_series":                {map[string]any{"groups": map[string]any{"max_series": -1}}, `groups::max_series: must not be negative`},
		"negative max_bytes":                 {map[string]any{"groups": map[string]any{"max_bytes": -1}}, `groups::max_bytes: must not be negative`},
		"unknown key in tls":                 {map[string]any{"tls": map[string]any{"cert": "x"}}, `unknown key "tls::cert"; known are `},
		"unknown key in cors":                {map[string]any{"cors": map[string]any{"origins": []string{"*"}}}, `unknown key "cors::origins"; known are `},
		"unknown key in auth":                {map[string]any{"auth": map[string]any{"user": "x"}}, `unknown key "auth::user"; known are `},
		"unknown key in keepalive":           {map[string]any{"keepalive": map[string]any{"idle": "1s"}}, `unknown key "keepalive::idle"; known are `},
		"prefix without leading slash":       {map[string]any{"path_prefixes": []string{"x"}}, `path_prefixes: "x" must start with a slash`},
		"prefix with trailing slash":         {map[string]any{"path_prefixes": []string{"/x/"}}, `path_prefixes: "/x/" must not end with a slash`},
		"prefix that is one slash":           {map[string]any{"path_prefixes": []string{"/"}}, `path_prefixes: "/" must be written as ""`},
		"prefix under /metrics":              {map[string]any{"path_prefixes": []string{"/metrics/x"}}, `path_prefixes: "/metrics/x" must not lie under /metrics`},
		"prefix /api":                        {map[string]any{"path_prefixes": []string{"/api"}}, `path_prefixes: "/api" must not lie under /api`},
		"prefix under /-":                    {map[string]any{"path_prefixes": []string{"/-/x"}}, `path_prefixes: "/-/x" must not lie under /-`},
		"prefix twice":                       {map[string]any{"path_prefixes": []string{"/x", "/x"}}, `path_prefixes: "/x" is listed twice`},
		"no prefix":                          {map[string]any{"path_prefixes": []string{}}, `path_prefixes: must list at least one prefix`},
		"timestamps value":                   {map[string]any{"timestamps": "accept"}, `timestamps: unknown value "accept"; allowed are "reject", "drop" and "honor"`},
		"histograms value":                   {map[string]any{"histograms": "exponential"}, `histograms: unknown value "exponential"; allowed are "classic", "native" and "both"`},
		"negative in_flight_bytes":           {map[string]any{"limits": map[string]any{"in_flight_bytes": -1}}, `limits::in_flight_bytes: must not be negative, is -1; 0 means no limit`},
		"negative series_per_push":           {map[string]any{"limits": map[string]any{"series_per_push": -1}}, `limits::series_per_push: must not be negative`},
		"negative labels_per_series":         {map[string]any{"limits": map[string]any{"labels_per_series": -1}}, `limits::labels_per_series: must not be negative`},
		"negative label_value_length":        {map[string]any{"limits": map[string]any{"label_value_length": -1}}, `limits::label_value_length: must not be negative`},
		"unknown key in page":                {map[string]any{"page": map[string]any{"view": true}}, `unknown key "page::view"; known are live`},
		"no jobs":                            {map[string]any{"page": map[string]any{"jobs": 0}}, `page::jobs: must be between 1 and 1000000, is 0`},
		"too many jobs":                      {map[string]any{"page": map[string]any{"jobs": 1000001}}, `page::jobs: must be between 1 and 1000000, is 1000001`},
		"peek without live":                  {map[string]any{"page": map[string]any{"peek": true, "live": false}}, `page::peek: requires page::live`},
		"top-level key in limits":            {map[string]any{"limits": map[string]any{"max_request_body_size": 1}}, `unknown key "limits::max_request_body_size"; max_request_body_size belongs at the top level of the receiver`},
		"key of groups at the top level":     {map[string]any{"ttl": "1h"}, `unknown key "ttl"; it belongs in a block, as groups::ttl`},
		"key of limits in groups":            {map[string]any{"groups": map[string]any{"in_flight_bytes": 1}}, `unknown key "groups::in_flight_bytes"; it belongs in a block, as limits::in_flight_bytes`},
		"key of tls at the top level":        {map[string]any{"cert_file": "x"}, `unknown key "cert_file"; it belongs in a block, as tls::cert_file`},
		"ttl in days":                        {map[string]any{"groups": map[string]any{"ttl": "7d"}}, `groups::ttl: "7d" is not a duration; write 168h`},
		"republish_interval without unit":    {map[string]any{"groups": map[string]any{"republish_interval": 30}}, `groups::republish_interval: 30 has no unit; write 30s`},
		"ttl without unit":                   {map[string]any{"groups": map[string]any{"ttl": 86400}}, `groups::ttl: 86400 has no unit; write 86400s`},
		"read_timeout without unit":          {map[string]any{"read_timeout": 60}, `read_timeout: 60 has no unit; write 60s`},
		"timeout of keepalive without unit":  {map[string]any{"keepalive": map[string]any{"idle_timeout": 60}}, `keepalive::idle_timeout: 60 has no unit; write 60s`},
		"max_request_body_size with unit":    {map[string]any{"max_request_body_size": "5MB"}, `max_request_body_size: "5MB" is not a number; write 5000000`},
		"in_flight_bytes with unit":          {map[string]any{"limits": map[string]any{"in_flight_bytes": "64MiB"}}, `limits::in_flight_bytes: "64MiB" is not a number; write 67108864`},
		"boolean of YAML 1.1":                {map[string]any{"utf8_names": "yes"}, `utf8_names: "yes" is not a boolean; write true or false`},
		"tls without a key":                  {map[string]any{"tls": map[string]any{"cert_file": "server.crt"}}, `'' tls: TLS configuration must include both certificate and key`},
		"unknown transport":                  {map[string]any{"transport": "quic"}, `unsupported transport type "quic"`},
		"wrong type":                         {map[string]any{"utf8_names": "perhaps"}, `utf8_names`},
		"empty endpoint":                     {map[string]any{"endpoint": ""}, `endpoint: must not be empty`},
		"unknown compression algorithm":      {map[string]any{"compression_algorithms": []string{"brotli"}}, `compression_algorithms: unknown algorithm "brotli"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, confmap.NewFromStringMap(map[string]any{"pushgateway": tc.config}), "")
			require.ErrorContains(t, err, tc.message)
		})
	}
}

// TestRefusedAggregates has the faults of rules: what groups have besides the rules, the rules, and the message.
func TestRefusedAggregates(t *testing.T) {
	t.Parallel()
	type block = map[string]any
	rules := func(r ...any) block { return block{"aggregate": r} }
	metrics := func(names, function string) block {
		return rules(block{"without": []any{"id"}, "metrics": []any{block{"names": names, "function": function}}})
	}
	for name, tc := range map[string]struct {
		groups  block
		message string
	}{
		"without is absent":        {rules(block{"jobs": "a"}), "groups::aggregate[0]::without: must list at least one label, such as job_id"},
		"without is empty":         {rules(block{"without": []any{}}), "groups::aggregate[0]::without: must list at least one label"},
		"an element is empty":      {rules(nil), "groups::aggregate[0]::without: must list at least one label"},
		"without job":              {rules(block{"without": []any{"id", "job"}}), "groups::aggregate[0]::without: must not have job"},
		"without le":               {rules(block{"without": []any{"le"}}), "groups::aggregate[0]::without: must not have le"},
		"without quantile":         {rules(block{"without": []any{"quantile"}}), "groups::aggregate[0]::without: must not have quantile"},
		"without an empty label":   {rules(block{"without": []any{""}}), "groups::aggregate[0]::without: must not have an empty label"},
		"without a label twice":    {rules(block{"without": []any{"id", "pid", "id"}}), `groups::aggregate[0]::without: "id" is listed twice`},
		"bad jobs":                 {rules(block{"without": []any{"id"}, "jobs": "a)|(b"}), "groups::aggregate[0]::jobs: error parsing regexp: unexpected ): `a)|(b`"},
		"glob of jobs":             {rules(block{"without": []any{"id"}, "jobs": "*-worker"}), "groups::aggregate[0]::jobs: error parsing regexp: missing argument to repetition operator: `*`; it is a regular expression: write .*-worker"},
		"expression that goes on":  {rules(block{"without": []any{"id"}, "jobs": `\Qa`}), "groups::aggregate[0]::jobs: error parsing regexp: missing closing )"},
		"pusher_ttl below":         {rules(block{"without": []any{"id"}, "pusher_ttl": "59s"}), "groups::aggregate[0]::pusher_ttl: must be between 1m0s and 720h0m0s, is 59s"},
		"pusher_ttl above":         {rules(block{"without": []any{"id"}, "pusher_ttl": "720h1s"}), "groups::aggregate[0]::pusher_ttl: must be between 1m0s and 720h0m0s, is 720h0m1s"},
		"pusher_ttl is 0":          {rules(block{"without": []any{"id"}, "pusher_ttl": 0}), "groups::aggregate[0]::pusher_ttl: must be between 1m0s and 720h0m0s, is 0s"},
		"pusher_ttl without unit":  {rules(block{"without": []any{"id"}, "pusher_ttl": 3600}), "groups::aggregate[0]::pusher_ttl: 3600 has no unit; write 3600s"},
		"bad names":                {metrics("*_x", "sum"), "groups::aggregate[0]::metrics[0]::names: error parsing regexp: missing argument to repetition operator: `*`; it is a regular expression: write .*_x"},
		"no names":                 {metrics("", "sum"), "groups::aggregate[0]::metrics[0]::names: must not be empty; .+ matches every name"},
		"unknown function":         {metrics("x", "mean"), `groups::aggregate[0]::metrics[0]::function: unknown function "mean"; known are total, last, sum, min, max, avg, drop`},
		"no function":              {metrics("x", ""), `groups::aggregate[0]::metrics[0]::function: unknown function ""`},
		"unknown key":              {rules(block{"with": []any{"id"}}), `unknown key "groups::aggregate[0]::with"; known are without, jobs, metrics, pusher_ttl`},
		"unknown key of metrics":   {rules(block{"without": []any{"id"}, "metrics": []any{block{"name": "x"}}}), `unknown key "groups::aggregate[0]::metrics[0]::name"; known are names, function`},
		"key beside the rules":     {block{"without": []any{"id"}}, `unknown key "groups::without"; it belongs in a block, as groups::aggregate[0]::without`},
		"no list":                  {block{"aggregate": block{"without": []any{"id"}}}, "aggregate"},
		"after a rule of all jobs": {rules(block{"without": []any{"id"}}, block{"without": []any{"pid"}, "jobs": "a"}), "groups::aggregate[1]: is never used, because groups::aggregate[0] has no jobs"},
		"after the same jobs":      {rules(block{"without": []any{"id"}, "jobs": "a"}, block{"without": []any{"pid"}, "jobs": "a"}), "groups::aggregate[1]::jobs: is never used, because groups::aggregate[0] has the same jobs"},
		"ttl below pusher_ttl":     {block{"ttl": "10m", "aggregate": []any{block{"without": []any{"id"}}}}, "groups::ttl: must not be below groups::aggregate[0]::pusher_ttl (1h0m0s), is 10m0s"},
		"negative max_pushers":     {block{"max_pushers": -1}, "groups::max_pushers: must not be negative, is -1; 0 means no limit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, confmap.NewFromStringMap(block{"pushgateway": block{"groups": tc.groups}}), "")
			require.ErrorContains(t, err, tc.message)
		})
	}
	_, err := load(t, confmap.NewFromStringMap(block{"pushgateway": rules(block{"without": []any{"id"}})}), "")
	require.ErrorContains(t, err, `unknown key "aggregate"; it belongs in a block, as groups::aggregate`)
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	type block = map[string]any
	for name, tc := range map[string]struct {
		config block
		want   []string
	}{
		"defaults":                 {nil, nil},
		"defaults of groups":       {block{"groups": nil}, nil},
		"in_flight_bytes at least": {block{"max_request_body_size": 1000, "limits": block{"in_flight_bytes": 1000}}, nil},
		"in_flight_bytes is off":   {block{"limits": block{"in_flight_bytes": 0}}, nil},
		"in_flight_bytes below": {
			block{"limits": block{"in_flight_bytes": 1000}},
			[]string{"limits::in_flight_bytes (1000) is below max_request_body_size (20971520): larger pushes than in_flight_bytes are refused with 413"},
		},
		"max_request_body_size above": {
			block{"max_request_body_size": 134217729},
			[]string{"limits::in_flight_bytes (134217728) is below max_request_body_size (134217729): larger pushes than in_flight_bytes are refused with 413"},
		},
		"timeouts are equal":         {block{"read_timeout": "1m", "write_timeout": "1m"}, nil},
		"write_timeout is off":       {block{"write_timeout": 0}, nil},
		"write_timeout below":        {block{"write_timeout": "30s"}, []string{"write_timeout (30s) is below read_timeout (1m0s): slow clients get no response"}},
		"read_timeout is off":        {block{"read_timeout": 0}, []string{"write_timeout (1m30s) is below read_timeout (no limit): slow clients get no response"}},
		"ttl and interval are equal": {block{"groups": block{"ttl": "1m"}}, nil},
		"nothing is republished":     {block{"groups": block{"ttl": "1s", "republish_interval": 0}}, nil},
		"ttl below the interval": {
			block{"groups": block{"ttl": "30s"}},
			[]string{"groups::ttl (30s) is below groups::republish_interval (1m0s): groups expire before they are exported again"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := load(t, confmap.NewFromStringMap(block{"pushgateway": tc.config}), "")
			require.NoError(t, err)
			assert.Equal(t, tc.want, config.(*Config).warnings())
		})
	}
}

// TestNoErrorNamesAGoField has confighttp refuse settings: no message may name a struct that is squashed into the configuration.
func TestNoErrorNamesAGoField(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]map[string]any{
		"tls":       {"tls": map[string]any{"cert_file": "server.crt"}},
		"transport": {"transport": "quic"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, confmap.NewFromStringMap(map[string]any{"pushgateway": settings}), "")
			require.Error(t, err)
			for _, field := range []string{"serverconfig", "netaddr", " config:"} {
				assert.NotContains(t, strings.ToLower(err.Error()), field)
			}
		})
	}
}

// TestEveryBlockOfConfighttp loads the blocks of confighttp with values of every type.
func TestEveryBlockOfConfighttp(t *testing.T) {
	t.Parallel()
	type block = map[string]any
	_, err := load(t, confmap.NewFromStringMap(block{"pushgateway": block{
		"tls":                    block{"cert_file": "c", "key_file": "k", "min_version": "1.3", "reload_interval": "1h", "cipher_suites": []any{}, "include_system_ca_certs_pool": true},
		"cors":                   block{"allowed_origins": []any{"https://a.example"}, "max_age": 60},
		"auth":                   block{"authenticator": "basicauth/server", "request_params": []any{"token"}},
		"keepalive":              block{"enabled": true, "idle_timeout": "1m"},
		"response_headers":       block{"X-Header": "value"},
		"middlewares":            []any{block{"id": "limiter/one"}},
		"compression_algorithms": []any{"", "gzip"},
		"read_header_timeout":    "5s",
		"transport":              "tcp",
	}}), "")
	require.NoError(t, err)
}

func TestEveryFaultIsReported(t *testing.T) {
	t.Parallel()
	_, err := load(t, confmap.NewFromStringMap(map[string]any{"pushgateway": map[string]any{
		"timestamps": "x", "path_prefixes": []string{"x"}, "limits": map[string]any{"series_per_push": -1},
	}}), "")
	require.ErrorContains(t, err, "timestamps:")
	require.ErrorContains(t, err, "path_prefixes:")
	require.ErrorContains(t, err, "limits::series_per_push:")
}

func testdataConfig(t *testing.T) *confmap.Conf {
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	return conf
}

// load does what the collector does with one receiver's configuration before anything starts.
func load(t *testing.T, conf *confmap.Conf, name string) (component.Config, error) {
	sub, err := conf.Sub(component.NewIDWithName(metadata.Type, name).String())
	require.NoError(t, err)
	cfg := NewFactory().CreateDefaultConfig()
	if err := sub.Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, confmap.Validate(cfg)
}
