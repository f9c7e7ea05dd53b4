// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
)

// logInterval is the time within which one reason of refusal is logged at most once: a fleet of failing jobs must not
// fill the collector's log.
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
	groups  bool // Groups are configured.

	attributes sync.Map // pushKind to metric.AddOption

	mu     sync.Mutex
	logged map[string]throttle // by what is refused or fails, and why
}

// pushKind is what the attributes of receiver_pushgateway_pushes tell apart. All three are from bounded sets.
type pushKind struct{ format, method, outcome string }

// throttle remembers when a kind of line was last logged and how many were passed over since.
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
	return &telemetry{logger: set.Logger, obs: obs, builder: builder, logged: make(map[string]throttle)}, err
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
	return o.ctx, o
}

// Observation follows one request to push or delete a group, from its first byte to its answer.
type Observation struct {
	telemetry *telemetry
	ctx       context.Context //nolint:containedctx // An observation lives as long as its request and ends the request's span.

	method string
	push   bool
	format string
	key    groupingkey.Key
	size   int64 // decompressed bytes; -1 if no body was read
	points int
	series int
}

// Key tells which group the request is for.
func (o *Observation) Key(k groupingkey.Key) { o.key = k }

// Format tells in which format the body is.
func (o *Observation) Format(f exposition.Format) { o.format = f.String() }

// Size tells how many decompressed bytes the body has.
func (o *Observation) Size(n int64) { o.size = n }

// decoded tells how many series were read, the whole body or up to the fault in it.
func (o *Observation) decoded(series int) { o.points = series }

// translated tells how many series, as Prometheus counts them, and data points the push is.
func (o *Observation) translated(series, points int) { o.series, o.points = series, points }

// End closes the observation of a push that was accepted (nil) or of a request that was refused (a *Refusal).
func (o *Observation) End(err error) {
	outcome := outcomeAccepted
	if err != nil {
		reason := reasonOf(err)
		outcome = string(reason)
		o.telemetry.logRefusal(o, reason, err)
	} else if o.push {
		o.telemetry.builder.ReceiverPushgatewayPushSeries.Record(o.ctx, int64(o.series))
	}
	o.count(outcome)
	if o.push {
		o.telemetry.obs.EndMetricsOp(o.ctx, metadata.Type.String(), o.points, err)
	}
}

// EndIgnored closes the observation of a DELETE that was answered and not acted on.
func (o *Observation) EndIgnored() { o.count(outcomeIgnored) }

func (o *Observation) count(outcome string) {
	if o.size >= 0 {
		o.telemetry.builder.ReceiverPushgatewayPushSize.Record(o.ctx, o.size)
	}
	o.telemetry.builder.ReceiverPushgatewayPushes.Add(o.ctx, 1, o.telemetry.attributesOf(pushKind{o.format, o.method, outcome}))
}

// attributesOf gives the attributes for a kind of push. There are few kinds, so each set is made once: making one takes
// longer than reading a small push.
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

// logRefusal writes one line per reason and interval, so that the person on call sees who is refused and why.
func (t *telemetry) logRefusal(o *Observation, reason Reason, err error) {
	suppressed, ok := t.allowLog(string(reason), time.Now())
	if !ok {
		return
	}
	fields := append(o.fields(err), zap.String("reason", string(reason)))
	if suppressed > 0 {
		fields = append(fields, zap.Int("refused_since_last_log", suppressed))
	}
	t.logger.Warn("Push refused", fields...)
}

// fields describe a request and what is wrong with it.
func (o *Observation) fields(err error) []zap.Field {
	fields := []zap.Field{zap.String("method", o.method), zap.Error(err)}
	if o.key.Job != "" {
		fields = append(fields, zap.String("grouping_key", cut(o.key.String())))
	}
	if parse, ok := errors.AsType[*exposition.ParseError](err); ok {
		fields = append(fields, zap.String("position", parse.Position()))
	}
	return fields
}

// readAsText tells that an OpenMetrics body was read as text because of a fault. A line is written once per interval, so that
// whoever wonders about missing types and start timestamps finds the reason.
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
