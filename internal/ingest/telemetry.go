// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
)

// logInterval is the minimum time between two log lines of one kind. Failing jobs must not fill the log.
const logInterval = 10 * time.Second

const (
	outcomeAccepted = "accepted"
	outcomeIgnored  = "ignored"
	formatNone      = "none"
	methodOther     = "other"
)

type telemetry struct {
	logger  *zap.Logger
	obs     *receiverhelper.ObsReport
	builder *metadata.TelemetryBuilder
	groups  bool    // Groups are configured.
	store   string  // what holds them, for the log
	watcher Watcher // nil if nobody watches

	attributes sync.Map // pushKind to metric.AddOption

	mu     sync.Mutex
	logged map[string]throttle // by kind of line
}

// pushKind has the attributes of receiver_pushgateway_pushes, each from a bounded set.
type pushKind struct{ format, method, outcome string }

// throttle is the time of the last log line of a kind, and the number of lines suppressed since.
type throttle struct {
	last       time.Time
	suppressed int
}

func newTelemetry(set receiver.Settings, inFlight *InFlight) (*telemetry, error) {
	obs, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID:             set.ID,
		Transport:              "http",
		ReceiverCreateSettings: set,
	})
	if err != nil {
		return nil, err
	}
	builder, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	err = builder.RegisterReceiverPushgatewayInFlightSizeCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(inFlight.Bytes())
		return nil
	})
	// No line needs a stack trace: what failed is outside of the process, and the texts say where.
	logger := set.Logger.WithOptions(zap.AddStacktrace(zapcore.DPanicLevel))
	return &telemetry{logger: logger, obs: obs, builder: builder, logged: make(map[string]throttle)}, err
}

func (t *telemetry) shutdown() { t.builder.Shutdown() }

func (t *telemetry) begin(ctx context.Context, method string) (context.Context, *Observation) {
	o := &Observation{telemetry: t, ctx: ctx, method: methodOther, format: formatNone, size: -1}
	switch method {
	case "PUT", "POST":
		o.method, o.push = method, true
		o.ctx = t.obs.StartMetricsOp(ctx)
	case "DELETE":
		o.method = method
	}
	if t.watcher != nil {
		o.began = time.Now()
	}
	return o.ctx, o
}

// Observation collects telemetry of one request to push or delete a group. It is not safe for concurrent use.
type Observation struct {
	telemetry *telemetry
	ctx       context.Context //nolint:containedctx // An observation lives as long as its request, and ends its span.

	method string
	path   string // percent-decoded
	client string // address
	push   bool
	format string
	key    groupingkey.Key
	size   int64 // decompressed bytes; -1 if no body was read
	points int
	series int
	// For the watcher.
	began  time.Time
	values []gather.Series
	more   int // series without values
}

// From sets the percent-decoded path of the request and the address of its client, for the log.
func (o *Observation) From(path, client string) { o.path, o.client = path, client }

// Key sets the grouping key of the request.
func (o *Observation) Key(k groupingkey.Key) { o.key = k }

// Format sets the format of the body.
func (o *Observation) Format(f exposition.Format) { o.format = f.String() }

// Size sets the decompressed size of the body in bytes.
func (o *Observation) Size(n int64) { o.size = n }

// decoded sets the number of decoded series, up to the first error.
func (o *Observation) decoded(series int) { o.points = series }

// translated sets the numbers of series, as Prometheus counts them, and of data points.
func (o *Observation) translated(series, points int) { o.series, o.points = series, points }

// End ends the observation of an accepted request (nil) or a refused one (a *Refusal).
func (o *Observation) End(err error) {
	outcome := outcomeAccepted
	switch {
	case err != nil:
		reason := reasonOf(err)
		outcome = string(reason)
		o.telemetry.logRefusal(o, reason, err)
	case o.push:
		o.telemetry.builder.ReceiverPushgatewayPushSeries.Record(o.ctx, int64(o.series))
	default:
		o.telemetry.logDelete(o)
	}
	o.count(outcome)
	o.tell(outcome, err)
	if o.push {
		o.telemetry.obs.EndMetricsOp(o.ctx, metadata.Type.String(), o.points, err)
	}
}

// EndIgnored ends the observation of a DELETE that ignore_delete answers.
func (o *Observation) EndIgnored() {
	o.count(outcomeIgnored)
	o.tell(outcomeIgnored, nil)
}

func (o *Observation) count(outcome string) {
	if o.size >= 0 {
		o.telemetry.builder.ReceiverPushgatewayPushSize.Record(o.ctx, o.size)
	}
	o.telemetry.builder.ReceiverPushgatewayPushes.Add(o.ctx, 1, o.telemetry.attributesOf(pushKind{o.format, o.method, outcome}))
}

// attributesOf returns the attributes of a kind of push. They are cached, since making them takes longer than decoding a small push.
func (t *telemetry) attributesOf(kind pushKind) metric.AddOption {
	if known, ok := t.attributes.Load(kind); ok {
		return known.(metric.AddOption)
	}
	made := metric.WithAttributeSet(attribute.NewSet(
		attribute.String("format", kind.format),
		attribute.String("method", kind.method),
		attribute.String("outcome", kind.outcome),
	))
	t.attributes.Store(kind, made)
	return made
}

func reasonOf(err error) Reason {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	return ReasonPermanent
}

// logRefusal logs who is refused and why: at warn level once per reason and interval, and at debug level otherwise.
func (t *telemetry) logRefusal(o *Observation, reason Reason, err error) {
	level := zap.WarnLevel
	suppressed, ok := t.allowLog(string(reason), time.Now())
	if !ok {
		level = zap.DebugLevel
	}
	entry := t.logger.Check(level, "Push refused")
	if entry == nil {
		return
	}
	fields := append(o.fields(err), zap.String("reason", string(reason)))
	if suppressed > 0 {
		fields = append(fields, zap.Int("refused_since_last_log", suppressed))
	}
	entry.Write(fields...)
}

// logDelete logs who deleted a group, with the levels of logRefusal.
func (t *telemetry) logDelete(o *Observation) {
	level := zap.InfoLevel
	suppressed, ok := t.allowLog("deleted", time.Now())
	if !ok {
		level = zap.DebugLevel
	}
	if entry := t.logger.Check(level, "Group deleted"); entry != nil {
		entry.Write(zap.String("grouping_key", truncate(o.key.String())), zap.String("client_address", o.client),
			zap.Int("deleted_since_last_log", suppressed))
	}
}

// fields are the log fields of a request and its error.
func (o *Observation) fields(err error) []zap.Field {
	fields := []zap.Field{
		zap.String("method", o.method),
		zap.String("path", o.url()),
		zap.String("client_address", o.client),
		zap.Error(err),
	}
	if o.key.Job != "" {
		fields = append(fields, zap.String("grouping_key", truncate(o.key.String())))
	}
	if parse, ok := errors.AsType[*exposition.ParseError](err); ok {
		fields = append(fields, zap.String("position", parse.Position()))
	}
	return fields
}

// url returns the path of the request. Escaped, it has only visible characters.
func (o *Observation) url() string { return truncate((&url.URL{Path: o.path}).EscapedPath()) }

// readAsText notes that an invalid OpenMetrics body was read as text. It logs that once per interval, since types and start timestamps
// are lost.
func (o *Observation) readAsText(fault *exposition.ParseError) {
	o.Format(exposition.Text)
	suppressed, ok := o.telemetry.allowLog("read as text", time.Now())
	if !ok {
		return
	}
	fields := o.fields(fault)
	if suppressed > 0 {
		fields = append(fields, zap.Int("read_since_last_log", suppressed))
	}
	o.telemetry.logger.Warn("OpenMetrics body with a fault read as text, as a Pushgateway reads it", fields...)
}

func (t *telemetry) allowLog(kind string, now time.Time) (suppressed int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.logged[kind]
	if !last.last.IsZero() && now.Sub(last.last) < logInterval {
		last.suppressed++
		t.logged[kind] = last
		return 0, false
	}
	t.logged[kind] = throttle{last: now}
	return last.suppressed, true
}
