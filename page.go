// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver // import "github.com/otelcol-pushgateway/pushgatewayreceiver"

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/page"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushhttp"
)

// newFeed returns the feed of the page, or nil without a page.
func newFeed(config *Config) *page.Feed {
	settings := config.page()
	if settings == nil {
		return nil
	}
	return page.NewFeed(page.FeedOptions{Live: settings.Live, Jobs: settings.Jobs, UTF8Names: config.UTF8Names, Status: pushhttp.Status})
}

// newPage returns the page, or nil if there is none.
func (r *pushgatewayReceiver) newPage() *page.Page {
	settings := r.config.page()
	if settings == nil {
		return nil
	}
	options := page.Options{
		Live:          settings.Live,
		Peek:          settings.Peek,
		Delete:        settings.Actions,
		UTF8Names:     r.config.UTF8Names,
		Groups:        r.pageGroups(),
		InFlight:      r.ingest.InFlight,
		InFlightLimit: r.config.Limits.InFlightBytes,
		Status:        pushhttp.Status,
		Build: page.Build{
			Name: r.set.BuildInfo.Command, Version: r.set.BuildInfo.Version, Description: r.set.BuildInfo.Description, Go: runtime.Version(),
		},
		Settings: shownSettings(r.config),
	}
	if r.config.Groups.HasValue() {
		options.Wipe = settings.Actions && r.config.Groups.Get().AdminAPI
	}
	return page.New(options, r.feed, r.ingest)
}

func (r *pushgatewayReceiver) pageGroups() *page.GroupOptions {
	if !r.config.Groups.HasValue() {
		return nil
	}
	config := r.config.Groups.Get()
	options := &page.GroupOptions{
		MaxGroups: config.MaxGroups, MaxSeries: config.MaxSeries, MaxBytes: config.MaxBytes,
		Aggregates: len(config.Aggregate) > 0, MaxPushers: config.MaxPushers,
		RepublishInterval: config.RepublishInterval, TTL: config.TTL,
		Gather: gather.Options{PushTimes: r.config.PushTimeMetrics, ScopeName: metadata.ScopeName, Natives: true},
	}
	switch {
	case config.Postgres.HasValue():
		options.Storage, options.Shared = "PostgreSQL", true
	case config.Storage != nil:
		options.Storage = config.Storage.String()
	}
	if config.Postgres.HasValue() {
		options.Storage = "PostgreSQL"
	}
	return options
}

// shownSettings lists the settings that the page shows, in the order of the README. A setting that is not listed is not shown: some
// have secrets.
func shownSettings(config *Config) []page.Setting {
	values, defaults := settingValues(config), settingValues(createDefaultConfig().(*Config))
	shown := make([]page.Setting, len(values))
	for i, v := range values {
		shown[i] = page.Setting{Key: v.key, Value: fmt.Sprint(v.value), Default: fmt.Sprint(v.value) == fmt.Sprint(defaults[i].value)}
	}
	if !config.Groups.HasValue() {
		return shown
	}
	withDefaults := createDefaultConfig().(*Config).Groups.GetOrInsertDefault()
	ofGroups, defaultsOfGroups := groupValues(config.Groups.Get()), groupValues(withDefaults)
	for i, v := range ofGroups {
		shown = append(shown, page.Setting{Key: v.key, Value: fmt.Sprint(v.value), Default: fmt.Sprint(v.value) == fmt.Sprint(defaultsOfGroups[i].value)})
	}
	return shown
}

// settingValue is a setting and its value.
type settingValue struct {
	key   string
	value any
}

// settingValues lists the settings outside groups. Of those with secrets it says only whether they are set.
func settingValues(c *Config) []settingValue {
	server := &c.ServerConfig
	values := []settingValue{
		{"endpoint", server.NetAddr.Endpoint},
		{"tls", onOff(server.TLS.HasValue())},
		{"auth", onOff(server.Auth.HasValue())},
		{"cors", onOff(server.CORS.HasValue())},
		{"include_metadata", server.IncludeMetadata},
		{"max_request_body_size", pushhttp.MaxBodySize(server)},
		{"read_timeout", server.ReadTimeout},
		{"write_timeout", server.WriteTimeout},
		{"path_prefixes", quotedList(c.PathPrefixes)},
		{"timestamps", c.Timestamps},
		{"histograms", c.Histograms},
		{"utf8_names", c.UTF8Names},
		{"push_time_metrics", c.PushTimeMetrics},
		{"ignore_delete", c.IgnoreDelete},
		{"limits::in_flight_bytes", c.Limits.InFlightBytes},
		{"limits::series_per_push", c.Limits.SeriesPerPush},
		{"limits::labels_per_series", c.Limits.LabelsPerSeries},
		{"limits::label_value_length", c.Limits.LabelValueLength},
	}
	settings := defaultPage
	if c.Page.HasValue() {
		settings = *c.Page.Get()
	} else {
		settings.Live = false
	}
	return append(values,
		settingValue{"page::live", settings.Live}, settingValue{"page::peek", settings.Peek},
		settingValue{"page::actions", settings.Actions}, settingValue{"page::jobs", settings.Jobs})
}

// groupValues lists the settings of groups. The datasource is a secret.
func groupValues(g *GroupsConfig) []settingValue {
	storage := "none"
	if g.Storage != nil {
		storage = g.Storage.String()
	}
	database := g.Postgres // A copy, with the defaults if it is absent.
	postgres := database.GetOrInsertDefault()
	return []settingValue{
		{"groups::republish_interval", g.RepublishInterval},
		{"groups::ttl", g.TTL},
		{"groups::storage", storage},
		{"groups::postgres", onOff(g.Postgres.HasValue())},
		{"groups::postgres::max_connections", postgres.MaxConnections},
		{"groups::postgres::connect_timeout", postgres.ConnectTimeout},
		{"groups::postgres::statement_timeout", postgres.StatementTimeout},
		{"groups::max_groups", g.MaxGroups},
		{"groups::max_series", g.MaxSeries},
		{"groups::max_bytes", g.MaxBytes},
		{"groups::aggregate", ruleList(g.Aggregate)},
		{"groups::max_pushers", g.MaxPushers},
		{"groups::admin_api", g.AdminAPI},
	}
}

// ruleList shows whom each rule takes and what it leaves out.
func ruleList(rules []AggregateConfig) string {
	if len(rules) == 0 {
		return "none"
	}
	shown := make([]string, len(rules))
	for i, r := range rules {
		jobs := "pushes with one of them"
		if r.Jobs != "" {
			jobs = "jobs " + r.Jobs
		}
		shown[i] = fmt.Sprintf("without %s: %s, pusher_ttl %s", strings.Join(r.Without, ", "), jobs, r.PusherTTL)
	}
	return strings.Join(shown, "; ")
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func quotedList(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("%q", v)
	}
	return strings.Join(quoted, ", ")
}
