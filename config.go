// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver // import "github.com/otelcol-pushgateway/pushgatewayreceiver"

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
)

// Config is the configuration of the receiver. The defaults are set in factory.go.
type Config struct {
	// ServerConfig holds every server setting of confighttp, at this level: endpoint, tls, auth, cors,
	// max_request_body_size, compression_algorithms, timeouts, include_metadata, middlewares and so on.
	ServerConfig confighttp.ServerConfig `mapstructure:",squash"`

	// PathPrefixes are the prefixes under which every path is served. "" is the root; each other one starts with a slash
	// and does not end with one. Default: "" and /pushgateway.
	PathPrefixes []string `mapstructure:"path_prefixes"`

	// Timestamps tells what becomes of explicit timestamps in a push. Default: reject.
	Timestamps Timestamps `mapstructure:"timestamps"`

	// Histograms selects which part of a histogram is forwarded if it was pushed with classic and native buckets: classic, native
	// or both. A histogram that has only one part is forwarded as it is. Default: classic.
	Histograms Histograms `mapstructure:"histograms"`

	// UTF8Names admits quoted metric and label names in the text formats and U__ escapes in paths, as the Pushgateway's
	// --push.enable-utf8-names does. Protobuf carries UTF-8 names either way. Without it, a push is refused in which two series
	// become one when names are escaped with underscores. Default: false.
	UTF8Names bool `mapstructure:"utf8_names"`

	// PushTimeMetrics adds push_time_seconds with the labels of the group to every push. Default: true.
	PushTimeMetrics bool `mapstructure:"push_time_metrics"`

	// IgnoreDelete answers DELETE with 202 and does nothing. Default: false, which answers 405.
	IgnoreDelete bool `mapstructure:"ignore_delete"`

	// Limits refuse what is too much. Exceeding one refuses the push and names the limit, its value and what came.
	Limits LimitsConfig `mapstructure:"limits"`

	// Groups keep the last value of each series until it is replaced, deleted or expires, as a Pushgateway does. Absent, which
	// is the default, nothing is stored; present, even empty, groups are kept.
	Groups configoptional.Optional[GroupsConfig] `mapstructure:"groups"`

	_ struct{}
}

// LimitsConfig bounds what one push, or all of them together, may take.
type LimitsConfig struct {
	// InFlightBytes bounds the decompressed bytes of all pushes being worked on; beyond it pushes are answered with 503
	// and Retry-After. 0 means no limit. Default: 128 MiB.
	InFlightBytes int64 `mapstructure:"in_flight_bytes"`

	// SeriesPerPush bounds the series of one push, counted as Prometheus counts series: a histogram is its buckets, sum
	// and count. 0 means no limit, which is the default.
	SeriesPerPush int `mapstructure:"series_per_push"`

	// LabelsPerSeries bounds the labels of a series, grouping labels included. 0 means no limit, which is the default.
	LabelsPerSeries int `mapstructure:"labels_per_series"`

	// LabelValueLength bounds the length in bytes of a label's value. Labels of exemplars are not counted. 0 means no limit, which is
	// the default.
	LabelValueLength int `mapstructure:"label_value_length"`

	_ struct{}
}

// GroupsConfig is how groups are kept.
type GroupsConfig struct {
	// RepublishInterval is the time within which each group's current values are handed on again, so that they stay visible:
	// 1s to 4m, or 0 for never. Default: 1m.
	RepublishInterval time.Duration `mapstructure:"republish_interval"`

	// TTL is how long after its last successful push a group is ended with stale markers and forgotten. 0 means never, which
	// is the default.
	TTL time.Duration `mapstructure:"ttl"`

	// Storage is the storage extension that groups are written to before a push is answered. Without one they are lost with
	// the process, and on reloading the configuration.
	Storage *component.ID `mapstructure:"storage"`

	// MaxGroups bounds the groups that are held; a push that would make one more is answered with 429. 0 means no limit.
	// Default: 100000.
	MaxGroups int `mapstructure:"max_groups"`

	// MaxSeries bounds the series that all groups hold, counted as Prometheus counts series; a push that would exceed it is
	// answered with 429. 0 means no limit. Default: 1000000.
	MaxSeries int `mapstructure:"max_series"`

	// MaxBytes bounds the bytes that all groups are held in; a push that would exceed it is answered with 429, and so is one that
	// brings series when they are twice as many together with the stale markers that are owed. It is a bound where series are
	// large, since a single one may be as large as a body. 0 means no limit. Default: 1073741824 (1 GiB).
	MaxBytes int64 `mapstructure:"max_bytes"`

	// AdminAPI serves PUT /api/v1/admin/wipe, which deletes all groups. Default: false.
	AdminAPI bool `mapstructure:"admin_api"`

	_ struct{}
}

// Timestamps tells what becomes of explicit timestamps in a push.
type Timestamps string

// What can become of explicit timestamps.
const (
	TimestampsReject Timestamps = "reject" // refuse the push, as a Pushgateway does
	TimestampsDrop   Timestamps = "drop"   // take the time of the push instead
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

// codings are the content codings that confighttp can decode; "" is a body without coding.
var codings = []string{"", "gzip", "zstd", "zlib", "snappy", "deflate", "lz4", "x-snappy-framed"}

var (
	_ confmap.Unmarshaler = (*Config)(nil)
	_ confmap.Validator   = (*Config)(nil)
)

// Unmarshal refuses unknown keys at every depth. Beside a squashed confighttp.ServerConfig they would be passed over in
// silence, and so would those inside blocks of our own (collector issue 15907); confighttp's own blocks are strict.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	settings := conf.ToStringMap()
	errs := unknownKeys("", settings, reflect.TypeFor[Config]())
	for block, of := range map[string]reflect.Type{
		"limits": reflect.TypeFor[LimitsConfig](), "groups": reflect.TypeFor[GroupsConfig](),
	} {
		if inner, ok := settings[block].(map[string]any); ok {
			if block == "groups" {
				inner = maps.Clone(inner)
				delete(inner, "enabled") // configoptional's own, which turns the block off.
			}
			errs = errors.Join(errs, unknownKeys(block+"::", inner, of))
		}
	}
	if errs != nil {
		return errs
	}
	return conf.Unmarshal(c)
}

func unknownKeys(path string, settings map[string]any, of reflect.Type) error {
	known := keysOf(of)
	var errs error
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if !slices.Contains(known, key) {
			errs = errors.Join(errs, fmt.Errorf("unknown key %q; known are %s", path+key, strings.Join(known, ", ")))
		}
	}
	return errs
}

// keysOf lists the configuration keys of a struct, those of squashed parts included.
func keysOf(t reflect.Type) []string {
	var keys []string
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		switch {
		case options == "squash":
			keys = append(keys, keysOf(field.Type)...)
		case name != "":
			keys = append(keys, name)
		}
	}
	return keys
}

// Validate reports every bad value with its key.
func (c *Config) Validate() error {
	return errors.Join(
		c.validateServer(),
		validatePrefixes(c.PathPrefixes),
		c.Timestamps.validate(),
		c.Histograms.validate(),
		c.Limits.validate(),
		c.validateGroups(),
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
		return errors.New(`path_prefixes: must name at least one prefix; "" is the root`)
	}
	var errs error
	for i, prefix := range prefixes {
		if fault := faultOfPrefix(prefix); fault != "" {
			errs = errors.Join(errs, fmt.Errorf("path_prefixes: %q %s", prefix, fault))
		}
		if slices.Contains(prefixes[:i], prefix) {
			errs = errors.Join(errs, fmt.Errorf("path_prefixes: %q is named twice", prefix))
		}
	}
	return errs
}

func faultOfPrefix(prefix string) string {
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
			return "must not lie under " + own + ", where the receiver's own paths are"
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

// validateGroups also refuses what contradicts groups: a value that is handed on again has no time of its own, and what is
// handed on by a timer has no request whose metadata it could carry.
func (c *Config) validateGroups() error {
	if !c.Groups.HasValue() {
		return nil
	}
	var errs error
	if c.Timestamps == TimestampsHonor {
		errs = errors.Join(errs, errors.New("groups: cannot be combined with timestamps: honor, since a value that is held is handed on again and again, at the time it is then"))
	}
	if c.ServerConfig.IncludeMetadata {
		errs = errors.Join(errs, errors.New("groups: cannot be combined with include_metadata, since what is handed on again belongs to no request"))
	}
	if c.IgnoreDelete {
		errs = errors.Join(errs, errors.New("groups: cannot be combined with ignore_delete, since DELETE deletes the group"))
	}
	return errors.Join(errs, c.Groups.Get().validate())
}

// The bounds of the republish interval. Prometheus shows a series for five minutes after its last sample.
const (
	minRepublishInterval = time.Second
	maxRepublishInterval = 4 * time.Minute
)

func (g *GroupsConfig) validate() error {
	errs := errors.Join(
		notNegative("groups::max_groups", g.MaxGroups), notNegative("groups::max_series", g.MaxSeries), notNegative("groups::max_bytes", g.MaxBytes))
	if i := g.RepublishInterval; i != 0 && (i < minRepublishInterval || i > maxRepublishInterval) {
		errs = errors.Join(errs, fmt.Errorf("groups::republish_interval: must be between %s and %s, or 0 for never; is %s",
			minRepublishInterval, maxRepublishInterval, i))
	}
	if g.TTL < 0 {
		errs = errors.Join(errs, fmt.Errorf("groups::ttl: must not be negative, is %s; 0 means for ever", g.TTL))
	}
	return errs
}
