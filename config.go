// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver // import "github.com/otelcol-pushgateway/pushgatewayreceiver"

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/configcheck"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushhttp"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
)

// Config is the configuration of the receiver. The defaults are set in factory.go.
type Config struct {
	// ServerConfig holds every server setting of confighttp, at this level: endpoint, tls, auth, cors,
	// max_request_body_size, compression_algorithms, timeouts, include_metadata, middlewares and so on.
	ServerConfig confighttp.ServerConfig `mapstructure:",squash"`

	// PathPrefixes are the prefixes under which every path is served. "" is the root. Any other prefix starts with a slash and does
	// not end with one. Default: "" and /pushgateway.
	PathPrefixes []string `mapstructure:"path_prefixes"`

	// Timestamps selects how explicit timestamps in a push are treated: reject, drop or honor. Default: reject.
	Timestamps Timestamps `mapstructure:"timestamps"`

	// Histograms selects which part of a histogram is forwarded if it was pushed with classic and native buckets: classic, native
	// or both. A histogram that has only one part is forwarded as it is. Default: classic.
	Histograms Histograms `mapstructure:"histograms"`

	// UTF8Names allows quoted metric and label names in the text formats and U__ escapes in paths, like --push.enable-utf8-names of a
	// Pushgateway. Protobuf carries UTF-8 names either way. If false, a push is refused if two of its series become one when names
	// are escaped with underscores. Default: false.
	UTF8Names bool `mapstructure:"utf8_names"`

	// PushTimeMetrics adds push_time_seconds with the labels of the group to every push, and with groups push_failure_time_seconds.
	// Default: true.
	PushTimeMetrics bool `mapstructure:"push_time_metrics"`

	// IgnoreDelete answers DELETE with 202 and does nothing. Default: false, which answers 405.
	IgnoreDelete bool `mapstructure:"ignore_delete"`

	// Limits bound one push, or all pushes in progress. A push that exceeds a limit is refused with the name and value of the limit.
	Limits LimitsConfig `mapstructure:"limits"`

	// Groups enable storing the last value of each series until it is replaced, deleted or expires, as in a Pushgateway. If absent,
	// which is the default, nothing is stored. An empty block enables groups with the defaults.
	Groups configoptional.Optional[GroupsConfig] `mapstructure:"groups"`

	// Page configures the page for the browser. If absent, which is the default, the page shows only what the port shows anyway: with
	// groups the groups, jobs and status, otherwise there is no page. An empty block enables all views. enabled: false disables all.
	Page configoptional.Optional[PageConfig] `mapstructure:"page"`

	_ struct{}
}

// LimitsConfig bounds one push, or all pushes in progress.
type LimitsConfig struct {
	// InFlightBytes bounds the decompressed bytes of all pushes in progress. Further pushes are answered with 503 and Retry-After.
	// 0 means no limit. Default: 134217728 (128 MiB).
	InFlightBytes int64 `mapstructure:"in_flight_bytes"`

	// SeriesPerPush bounds the series of one push, as Prometheus counts series: a histogram has one per bucket, and its sum and count.
	// 0 means no limit, which is the default.
	SeriesPerPush int `mapstructure:"series_per_push"`

	// LabelsPerSeries bounds the labels of a series, grouping labels included. 0 means no limit, which is the default.
	LabelsPerSeries int `mapstructure:"labels_per_series"`

	// LabelValueLength bounds the length of a label value in bytes, except in exemplars. 0 means no limit, which is the default.
	LabelValueLength int `mapstructure:"label_value_length"`

	_ struct{}
}

// GroupsConfig configures how groups are stored and republished.
type GroupsConfig struct {
	// RepublishInterval is the time after which the current values of a group are exported again, so that backends keep showing them:
	// 1s to 4m, or 0 for never. Default: 1m.
	RepublishInterval time.Duration `mapstructure:"republish_interval"`

	// TTL is the time after its last successful push at which a group is removed and stale markers for its series are exported. 0 means
	// never, which is the default.
	TTL time.Duration `mapstructure:"ttl"`

	// Storage is the storage extension to which groups are written before a push is answered. If absent, groups are lost when the
	// process ends and when the configuration is reloaded.
	Storage *component.ID `mapstructure:"storage"`

	// Postgres stores groups in a PostgreSQL database instead, for any number of replicas of the collector. Not together with Storage.
	Postgres configoptional.Optional[PostgresConfig] `mapstructure:"postgres"`

	// MaxGroups bounds the number of groups. A push that would exceed it is answered with 429. 0 means no limit. Default: 100000.
	MaxGroups int `mapstructure:"max_groups"`

	// MaxSeries bounds the series of all groups, as Prometheus counts series. A push that would exceed it is answered with 429. 0 means
	// no limit. Default: 1000000.
	MaxSeries int `mapstructure:"max_series"`

	// MaxBytes bounds the encoded size of all groups. A push that would exceed it is answered with 429. A push with new series is also
	// refused while groups and pending stale markers exceed twice MaxBytes. Large series need this limit: a single one may be as
	// large as a body. 0 means no limit. Default: 1073741824 (1 GiB).
	MaxBytes int64 `mapstructure:"max_bytes"`

	// AdminAPI enables PUT /api/v1/admin/wipe, which deletes all groups, and DELETE /api/v1/admin/aggregate/job/<job>, which ends one
	// aggregate. Default: false.
	AdminAPI bool `mapstructure:"admin_api"`

	// Aggregate are the rules that combine the pushes of many pushers to one group, in which counters add up. The first rule whose jobs
	// match a push is used. Pushes that no rule takes go to ordinary groups. Default: none.
	Aggregate []AggregateConfig `mapstructure:"aggregate"`

	// MaxPushers bounds the pushers that all aggregates remember. At the limit, the pusher that has been quiet longest is forgotten
	// before its pusher_ttl; its counts stay. If all have pushed within five minutes, a push of a new pusher is answered with 429. 0
	// means no limit. Default: 1000000.
	MaxPushers int `mapstructure:"max_pushers"`

	_ struct{}
}

// PageConfig configures the page for the browser. All of it is shown to everybody who may push.
type PageConfig struct {
	// Live shows pushes as they come, without values, and refused requests with their reason. Default: true.
	Live bool `mapstructure:"live"`

	// Peek allows to watch the values of the pushes of one job. It requires Live. Default: false.
	Peek bool `mapstructure:"peek"`

	// Actions shows the buttons that delete groups. Hiding them is no protection: the same requests can be sent without them.
	// Default: true.
	Actions bool `mapstructure:"actions"`

	// Jobs bounds the jobs whose last push and usual interval are remembered: 1 to 1000000. Default: 8192.
	Jobs int `mapstructure:"jobs"`

	_ struct{}
}

// PostgresConfig configures the database of groups. All replicas that use it share the groups.
type PostgresConfig struct {
	// Datasource is the connection string or URL of the database, with all settings of libpq. The groups are in the first schema of its
	// search_path. Required. It is never logged.
	Datasource configopaque.String `mapstructure:"datasource"`

	// MaxConnections bounds the connections of this replica, at least 2. Exports use at most half of them. Default: 16.
	MaxConnections int `mapstructure:"max_connections"`

	// ConnectTimeout bounds the wait for a connection, at least 1ms. A request that waits longer is answered with 503. Default: 5s.
	ConnectTimeout time.Duration `mapstructure:"connect_timeout"`

	// StatementTimeout bounds each statement, and the wait for other changes of the same group, at least 2ms. A request that
	// needs longer is answered with 503. Default: 10s.
	StatementTimeout time.Duration `mapstructure:"statement_timeout"`

	_ struct{}
}

// Timestamps selects how explicit timestamps in a push are treated.
type Timestamps string

// The treatments of explicit timestamps.
const (
	TimestampsReject Timestamps = "reject" // refuse the push, as a Pushgateway does
	TimestampsDrop   Timestamps = "drop"   // use the time of the push instead
	TimestampsHonor  Timestamps = "honor"  // keep them
)

// Histograms selects the parts of a histogram that are forwarded.
type Histograms string

// The parts of a histogram that can be selected.
const (
	HistogramsClassic Histograms = "classic" // the classic part if it has a bucket with a finite bound, else the native part
	HistogramsNative  Histograms = "native"  // the native part if there is one, else the classic part
	HistogramsBoth    Histograms = "both"    // both parts
)

// codings are the content codings that confighttp can decode. "" stands for a body without coding.
var codings = []string{"", "gzip", "zstd", "zlib", "snappy", "deflate", "lz4", "x-snappy-framed"}

var (
	_ confmap.Unmarshaler = (*Config)(nil)
	_ confmap.Validator   = (*Config)(nil)
)

// Unmarshal refuses unknown keys at every depth, and values that are known mistakes. It also validates the settings of confighttp,
// since [confmap.Validate] names the squashed field, which is no key.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if err := configcheck.Check(conf.ToStringMap(), reflect.TypeFor[Config]()); err != nil {
		return err
	}
	if err := conf.Unmarshal(c); err != nil {
		return err
	}
	c.setRuleDefaults(conf)
	return configcheck.Validate(&c.ServerConfig)
}

// Validate reports every invalid value with its key.
func (c *Config) Validate() error {
	return errors.Join(
		c.validateServer(),
		validatePrefixes(c.PathPrefixes),
		c.Timestamps.validate(),
		c.Histograms.validate(),
		c.Limits.validate(),
		c.validateGroups(),
		c.validatePage(),
	)
}

func (c *Config) validateServer() error {
	var errs error
	if c.ServerConfig.NetAddr.Endpoint == "" {
		errs = errors.Join(errs, errors.New("endpoint: must not be empty; the Pushgateway's is localhost:9091"))
	}
	for _, name := range c.ServerConfig.CompressionAlgorithms {
		if !slices.Contains(codings, name) {
			errs = errors.Join(errs, fmt.Errorf("compression_algorithms: unknown algorithm %q; known are %q", name, codings))
		}
	}
	return errs
}

func validatePrefixes(prefixes []string) error {
	if len(prefixes) == 0 {
		return errors.New(`path_prefixes: must list at least one prefix; "" is the root`)
	}
	var errs error
	for i, prefix := range prefixes {
		if fault := checkPrefix(prefix); fault != "" {
			errs = errors.Join(errs, fmt.Errorf("path_prefixes: %q %s", prefix, fault))
		}
		if slices.Contains(prefixes[:i], prefix) {
			errs = errors.Join(errs, fmt.Errorf("path_prefixes: %q is listed twice", prefix))
		}
	}
	return errs
}

func checkPrefix(prefix string) string {
	switch {
	case prefix == "":
		return ""
	case prefix == "/":
		return `must be written as "", which is the root`
	case !strings.HasPrefix(prefix, "/"):
		return "must start with a slash"
	case strings.HasSuffix(prefix, "/"):
		return "must not end with a slash"
	}
	for _, own := range []string{"/metrics", "/api", "/-"} {
		if prefix == own || strings.HasPrefix(prefix, own+"/") {
			return "must not lie under " + own + ", which the receiver itself serves"
		}
	}
	return ""
}

func (t Timestamps) validate() error {
	switch t {
	case TimestampsReject, TimestampsDrop, TimestampsHonor:
		return nil
	}
	return fmt.Errorf("timestamps: unknown value %q; allowed are %q, %q and %q", t, TimestampsReject, TimestampsDrop, TimestampsHonor)
}

func (h Histograms) validate() error {
	switch h {
	case HistogramsClassic, HistogramsNative, HistogramsBoth:
		return nil
	}
	return fmt.Errorf("histograms: unknown value %q; allowed are %q, %q and %q", h, HistogramsClassic, HistogramsNative, HistogramsBoth)
}

func (l *LimitsConfig) validate() error {
	return errors.Join(
		notNegative("limits::in_flight_bytes", l.InFlightBytes),
		notNegative("limits::series_per_push", l.SeriesPerPush),
		notNegative("limits::labels_per_series", l.LabelsPerSeries),
		notNegative("limits::label_value_length", l.LabelValueLength),
	)
}

func notNegative[N int | int64](key string, limit N) error {
	if limit >= 0 {
		return nil
	}
	return fmt.Errorf("%s: must not be negative, is %d; 0 means no limit", key, limit)
}

// validateGroups also refuses settings that contradict groups.
func (c *Config) validateGroups() error {
	if !c.Groups.HasValue() {
		return nil
	}
	var errs error
	if c.Timestamps == TimestampsHonor {
		errs = errors.Join(errs, errors.New("groups: cannot be combined with timestamps: honor; republished values have the time of republishing"))
	}
	if c.ServerConfig.IncludeMetadata {
		errs = errors.Join(errs, errors.New("groups: cannot be combined with include_metadata; republished values belong to no request"))
	}
	if c.IgnoreDelete {
		errs = errors.Join(errs, errors.New("groups: cannot be combined with ignore_delete; with groups, DELETE deletes the group"))
	}
	return errors.Join(errs, c.Groups.Get().validate())
}

// The bounds of the republish interval. Prometheus shows a series for five minutes after its last sample.
const (
	minRepublishInterval = time.Second
	maxRepublishInterval = 4 * time.Minute
)

func (g *GroupsConfig) validate() error {
	_, errs := g.rules()
	errs = errors.Join(errs,
		notNegative("groups::max_groups", g.MaxGroups), notNegative("groups::max_series", g.MaxSeries), notNegative("groups::max_bytes", g.MaxBytes),
		notNegative("groups::max_pushers", g.MaxPushers))
	if i := g.RepublishInterval; i != 0 && (i < minRepublishInterval || i > maxRepublishInterval) {
		errs = errors.Join(errs, fmt.Errorf("groups::republish_interval: must be between %s and %s, or 0 for never; is %s",
			minRepublishInterval, maxRepublishInterval, i))
	}
	if g.TTL < 0 {
		errs = errors.Join(errs, fmt.Errorf("groups::ttl: must not be negative, is %s; 0 means for ever", g.TTL))
	}
	if !g.Postgres.HasValue() {
		return errs
	}
	if g.Storage != nil {
		errs = errors.Join(errs, errors.New("groups::postgres: cannot be combined with groups::storage; the groups are in the database"))
	}
	return errors.Join(errs, g.Postgres.Get().validate())
}

// The bounds of the settings of the database.
const (
	minConnections      = 2
	maxConnections      = 10_000
	minConnectTimeout   = time.Millisecond
	minStatementTimeout = 2 * time.Millisecond
)

func (p *PostgresConfig) validate() error {
	var errs error
	if p.Datasource == "" {
		errs = errors.Join(errs, errors.New("groups::postgres::datasource: must not be empty; give the connection string or URL of a PostgreSQL database"))
	} else if err := postgres.CheckDatasource(string(p.Datasource)); err != nil {
		errs = errors.Join(errs, fmt.Errorf("groups::postgres::datasource: %w", err))
	}
	if n := p.MaxConnections; n < minConnections || n > maxConnections {
		errs = errors.Join(errs, fmt.Errorf("groups::postgres::max_connections: must be between %d and %d, is %d", minConnections, maxConnections, n))
	}
	if t := p.ConnectTimeout; t < minConnectTimeout {
		errs = errors.Join(errs, fmt.Errorf("groups::postgres::connect_timeout: must be at least %s, is %s", minConnectTimeout, t))
	}
	if t := p.StatementTimeout; t < minStatementTimeout {
		errs = errors.Join(errs, fmt.Errorf("groups::postgres::statement_timeout: must be at least %s, is %s", minStatementTimeout, t))
	}
	return errs
}

// maxJobs bounds the memory of page::jobs to some hundred megabytes.
const maxJobs = 1_000_000

func (c *Config) validatePage() error {
	if !c.Page.HasValue() {
		return nil
	}
	var errs error
	page := c.Page.Get()
	if page.Jobs < 1 || page.Jobs > maxJobs {
		errs = errors.Join(errs, fmt.Errorf("page::jobs: must be between 1 and %d, is %d", maxJobs, page.Jobs))
	}
	if page.Peek && !page.Live {
		errs = errors.Join(errs, errors.New("page::peek: requires page::live, which shows the pushes"))
	}
	return errs
}

// page returns the settings of the page, or nil if there is none. If the setting is absent, nothing becomes readable that the port did
// not show before.
func (c *Config) page() *PageConfig {
	switch {
	case c.Page.HasValue():
		return c.Page.Get()
	case c.Page == configoptional.None[PageConfig]() || !c.Groups.HasValue(): // None is the result of enabled: false.
		return nil
	default:
		page := defaultPage
		page.Live = false
		return &page
	}
}

// mode names how pushes are processed.
func (c *Config) mode() string {
	if c.Groups.HasValue() {
		return "groups"
	}
	return "proxy"
}

// warnings lists combinations of settings that work but hardly as intended.
func (c *Config) warnings() []string {
	var found []string
	server, limits := &c.ServerConfig, &c.Limits
	if body := pushhttp.MaxBodySize(server); limits.InFlightBytes > 0 && limits.InFlightBytes < body {
		found = append(found, fmt.Sprintf("limits::in_flight_bytes (%d) is below max_request_body_size (%d): larger pushes than in_flight_bytes are refused with 413",
			limits.InFlightBytes, body))
	}
	if write := server.WriteTimeout; write > 0 && (server.ReadTimeout == 0 || write < server.ReadTimeout) {
		found = append(found, fmt.Sprintf("write_timeout (%s) is below read_timeout (%s): slow clients get no response", write, timeout(server.ReadTimeout)))
	}
	if !c.Groups.HasValue() {
		return found
	}
	if g := c.Groups.Get(); g.TTL > 0 && g.TTL < g.RepublishInterval {
		found = append(found, fmt.Sprintf("groups::ttl (%s) is below groups::republish_interval (%s): groups expire before they are exported again", g.TTL, g.RepublishInterval))
	}
	return found
}

func timeout(d time.Duration) string {
	if d == 0 {
		return "no limit"
	}
	return d.String()
}
