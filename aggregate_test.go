// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushgatewayreceiver_test

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumererror"

	"github.com/otelcol-pushgateway/pushgatewayreceiver"
)

// aggregateCases say what an aggregate is, step by step. For the notation see script.
var aggregateCases = []struct{ name, config, steps string }{
	{"two pushers add up", aggregateByJobID, `
		a: c_total 5
		= c_total 5
		b: c_total 3
		= c_total 8
		backend c_total: 0 5 8
		increase c_total: 8
		start c_total
		pushers 2
	`},
	{"a push that is repeated counts once", aggregateByJobID, `
		a: c_total 5
		a: c_total 5
		a: c_total 5
		= c_total 5
		x16 a: c_total 5
		= c_total 5
		x16 b: c_total 1
		= c_total 6
	`},
	{"a push replaces the one before it", aggregateByJobID, `
		a: c_total 5
		a: c_total 9
		b: c_total 1
		a: c_total 9
		= c_total 10
		increase c_total: 10
	`},
	{"a value that falls is a restart", aggregateByJobID, `
		a: c_total 14
		= c_total 14
		a: c_total 2
		= c_total 16
		a: c_total 3
		= c_total 17
		backend c_total: 0 14 16 17
		counted pusher_resets 1
	`},
	{"a later created timestamp is a restart, and an earlier one a delayed push", aggregateByJobID, `
		a: c_total 14 @1
		= c_total 14
		a: c_total 20 @2
		= c_total 34
		a: c_total 14 @1
		= c_total 34
		a: c_total 21 @2
		= c_total 35
	`},
	{"a smaller value of the same created timestamp is a delayed push", aggregateByJobID, `
		a: c_total 7 @1
		= c_total 7
		a: c_total 5 @1
		= c_total 7
		a: c_total 8 @1
		= c_total 8
	`},
	{"created timestamps of Python's client", aggregateByJobID, `
		a: python c_total 1 @1, h 1:1 +Inf:2 sum:3 @1, s sum:1 count:1 @1
		= c_total 1, h 1:1 +Inf:2 sum:3, s sum:1 count:1
		a: python c_total 1 @2, h 1:1 +Inf:2 sum:3 @2, s sum:1 count:1 @2
		= c_total 2, h 1:2 +Inf:4 sum:6, s sum:2 count:2
	`},
	{"created timestamps of OpenMetrics", aggregateByJobID, `
		a: openmetrics c_total 1 @1
		a: openmetrics c_total 1 @1
		= c_total 1
		a: openmetrics c_total 1 @2
		= c_total 2
	`},
	{"DELETE ends a pusher, and the total stays", aggregateByJobID, `
		a: c_total 5
		= c_total 5
		a: DELETE
		= c_total 5
		a: DELETE
		= c_total 5
		pushers 0
		counted pushers_folded{cause=delete} 1
		a: c_total 5
		= c_total 10
		b: DELETE
		= c_total 10
		backend c_total: 0 5 10
	`},
	{"a quiet pusher is forgotten, and the total stays", aggregateByJobID, `
		a: c_total 5
		= c_total 5
		wait 10m
		= c_total 5
		pushers 0
		b: c_total 1
		= c_total 6
		a: c_total 5
		counted pushers_folded{cause=ttl} 1
		counted pushers_returned 1
		= c_total 11
		restart
		= c_total 11
		kill
		= c_total 11
		pushers 2
		backend c_total: 0 5 6 11
	`},
	{"a series that is left out stays counted", aggregateByJobID, `
		a: c_total 5, d_total 1
		= c_total 5, d_total 1
		a: d_total 2
		= c_total 5, d_total 2
		a: c_total 5
		= c_total 5, d_total 2
		a: POST d_total 3
		= c_total 5, d_total 3
	`},
	{"a gauge has the last value", aggregateByJobID, `
		a: g 30
		= g 30
		b: g 10
		= g 10
		b: DELETE
		= g 10
		a: DELETE
		= g 10
	`},
	{"max", "groups: {aggregate: [{without: [job_id], metrics: [{names: g, function: max}]}]}", `
		a: g 30
		= g 30
		b: g 10
		= g 30
		a: DELETE
		= g 10
		b: DELETE
		=
		backend g: 30 10 stale
	`},
	{"min", "groups: {aggregate: [{without: [job_id], pusher_ttl: 10m, metrics: [{names: g, function: min}]}]}", `
		a: g 30
		b: g 10
		= g 10
		b: g 40
		= g 30
		wait 10m
		=
	`},
	{"sum", "groups: {aggregate: [{without: [job_id], metrics: [{names: g, function: sum}]}]}", `
		a: g 2
		= g 2
		b: g 3
		= g 5
		a: other 1
		= g 3, other 1
		b: POST other 2
		= g 3, other 2
	`},
	{"avg", "groups: {aggregate: [{without: [job_id], metrics: [{names: g, function: avg}]}]}", `
		a: g 2
		= g 2
		b: g NaN
		= g 2
		b: g 4
		= g 3
	`},
	{"drop", "groups: {aggregate: [{without: [job_id], metrics: [{names: go_.+, function: drop}]}]}", `
		a: go_goroutines 2, c_total 1, untyped go_total 1
		= c_total 1
	`},
	{"a gauge that is added up", "groups: {aggregate: [{without: [job_id], metrics: [{names: x, function: total}]}]}", `
		a: gauge x 10
		= counter x 10
		a: gauge x 7
		= counter x 17
		b: gauge x 1
		= counter x 18
		backend x: 0 10 17 18
	`},
	{"values without type", aggregateByJobID, `
		a: raw "x_total 1\ny 1\n"
		b: raw "x_total 1\ny 4\n"
		= counter x_total 2, untyped y 4
	`},
	{"info ends with the last pusher that says so", aggregateByJobID, `
		a: raw-openmetrics "# TYPE v info\nv_info{version=\"1\"} 1\n# EOF\n"
		b: raw-openmetrics "# TYPE v info\nv_info{version=\"2\"} 1\n# EOF\n"
		= v_info{version="1"} 1, v_info{version="2"} 1
		wait 8m
		b: raw-openmetrics "# TYPE v info\nv_info{version=\"2\"} 1\n# EOF\n"
		wait 3m
		= v_info{version="2"} 1
		backend v_info{version="1"}: 1 stale
	`},
	{"histograms of other bounds", aggregateByJobID, `
		a: h 1:4 +Inf:5 sum:6
		= h 1:4 +Inf:5 sum:6
		b: h 2:3 +Inf:3 sum:4
		= h 1:4 2:7 +Inf:8 sum:10
		c: h 0.5:1 1:1 +Inf:1 sum:0.5
		= h 0.5:1 1:5 2:8 +Inf:9 sum:10.5
		a: DELETE
		b: DELETE
		wait 10m
		pushers 0
		= h 0.5:1 1:5 2:8 +Inf:9 sum:10.5
		kill
		= h 0.5:1 1:5 2:8 +Inf:9 sum:10.5
		backend h_count: 0 5 8 9
		backend h_bucket{le="1"}: 0 4 5
		backend h_bucket{le="+Inf"}: 0 5 8 9
	`},
	{"a histogram restarts", aggregateByJobID, `
		a: h 1:4 +Inf:5 sum:6
		a: h 1:1 +Inf:2 sum:1
		= h 1:5 +Inf:7 sum:7
		a: h 1:0 +Inf:3 sum:2
		= h 1:5 +Inf:10 sum:9
		a: h 2:0 +Inf:3 sum:2
		= h 1:5 2:5 +Inf:13 sum:11
	`},
	{"summaries have no quantiles", aggregateByJobID, `
		a: s 0.5=3 sum:6 count:2
		= s sum:6 count:2
		b: s sum:4 count:1
		= s sum:10 count:3
	`},
	{"values that cannot be added up", aggregateByJobID, `
		a: c_total 1
		= c_total 1
		a: c_total NaN -> 400 c_total
		failed
		a: c_total +Inf -> 400 c_total
		a: c_total -1 -> 400 c_total
		b: c_total -1 -> 400 c_total
		a: h 1:1 +Inf:1 sum:NaN -> 400 h
		a: h 1:1 +Inf:1 sum:+Inf -> 400 h
		= c_total 1
		pushers 1
		a: h 1:1 +Inf:2 sum:-3, g NaN
		= c_total 1, h 1:1 +Inf:2 sum:-3, g NaN
	`},
	{"another type", aggregateByJobID, `
		a: c_total 5
		= c_total 5
		b: gauge c_total 1 -> 400 /job_id/a
		= c_total 5
		a: DELETE
		b: gauge c_total 1
		= gauge c_total 1
		backend c_total: 0 5 1
	`},
	{"another type once the pusher is quiet", aggregateByJobID, `
		a: c_total 5
		wait 8m
		b: h 1:1 +Inf:1 sum:1, d_total 1
		b: gauge c_total 1 -> 400 "c_total" is a counter in the aggregate /metrics/job/X, last pushed as such
		wait 3m
		b: POST gauge c_total 1
		= gauge c_total 1, h 1:1 +Inf:1 sum:1, d_total 1
		counted aggregate_types_replaced 1
		c: POST c_total 1 -> 400 /job_id/b
	`},
	{"labels of the body", "groups: {aggregate: [{without: [job_id, pid]}]}", `
		a: c_total{pid="1"} 2, c_total{pid="2"} 3, g{pid="1"} 2, g{pid="2"} 1
		= c_total 5, g 1
		a: c_total{pid="1"} 2, c_total{pid="2"} 3, g{pid="1"} 2, g{pid="2"} 1
		= c_total 5, g 1
		a: c_total{pid="1"} 2, c_total{pid="2"} 4
		= c_total 6, g 1
	`},
	{"a series of another aggregate", aggregateByJobID, `
		/job/X/job_id/a/env/prod: c_total 1
		b: c_total{env="prod"} 1 -> 400 {job="X",env="prod"}
		= c_total{env="prod"} 1
		b: c_total{env="test"} 1
		= c_total{env="prod"} 1, c_total{env="test"} 1
	`},
	{"the limit of pushers", "groups: {aggregate: [{without: [job_id]}], max_pushers: 3}", `
		a: c_total 1
		b: c_total 1
		c: c_total 1
		= c_total 3
		wait 6m
		d: c_total 1
		= c_total 4
		pushers 3
		b: c_total 2
		c: c_total 2
		= c_total 6
		e: c_total 1 -> 429 max_pushers
		e: c_total 1 -> 429 3
		= c_total 6
		pushers 3
		counted pushers_folded{cause=limit} 1
	`},
	{"a series that nobody pushes ends", "groups: {aggregate: [{without: [job_id], pusher_ttl: 10m}], ttl: 20m}", `
		a: err_total{code="500"} 1
		= err_total{code="500"} 1
		b: c_total 1
		wait 5m
		b: c_total 2
		wait 5m
		b: c_total 3
		wait 5m
		b: c_total 4
		= c_total 4, err_total{code="500"} 1
		wait 5m
		b: c_total 5
		= c_total 5
		a: err_total{code="500"} 1
		= c_total 5, err_total{code="500"} 1
		backend err_total{code="500"}: 0 1 stale 0 1
		increase err_total{code="500"}: 2
		increase c_total: 5
	`},
	{"a series that ends though its pusher lives", "groups: {aggregate: [{without: [job_id], pusher_ttl: 10m}], ttl: 10m}", `
		a: c_total 1, d_total 7
		= c_total 1, d_total 7
		wait 5m
		a: POST c_total 2
		wait 6m
		= c_total 2
		a: d_total 7
		= c_total 2, d_total 7
		backend d_total: 0 7 stale 0 7
		kill
		= c_total 2, d_total 7
	`},
	{"the backend is away", aggregateByJobID, `
		weather retryable
		a: c_total 2
		wait 4m
		b: c_total 3
		wait 6m
		weather healthy
		wait 1m
		= c_total 5
		backend c_total: 0 5
		increase c_total: 5
	`},
	{"a rule is removed", aggregateByJobID, `
		a: c_total 5
		b: c_total 3
		= c_total 8
		config: groups: {}
		restart
		database: wait 5m
		=
		backend c_total: 0 5 8 stale
		log An aggregate ended
		a: c_total 5
		= c_total{job_id="a"} 5
	`},
	{"the labels of a rule change", aggregateByJobID, `
		a: c_total 5
		b: c_total 3
		= c_total 8
		config: groups: {aggregate: [{without: [job_id, pid]}]}
		restart
		database: wait 5m
		=
		backend c_total: 0 5 8 stale
		log An aggregate ended
		a: c_total 5
		= c_total 5
	`},
	{"a rule is added over groups", "groups: {}", `
		a: c_total 5
		b: c_total 3
		= c_total{job_id="a"} 5, c_total{job_id="b"} 3
		config: groups: {aggregate: [{without: [job_id]}]}
		restart
		= c_total{job_id="a"} 5, c_total{job_id="b"} 3
		a: c_total 5
		= c_total 5, c_total{job_id="b"} 3
		b: c_total 3
		= c_total 8
		backend c_total{job_id="a"}: 5 stale
		restart
		= c_total 8
	`},
	{"a rule is added over the group without an id", "groups: {}", `
		/job/X: c_total 5
		= c_total 5
		config: groups: {aggregate: [{jobs: X, without: [job_id]}]}
		restart
		/job/X: c_total 6
		= c_total 6
		a: c_total 1
		= c_total 7
	`},
	{"an empty push", "groups: {aggregate: [{without: [job_id], pusher_ttl: 10m, metrics: [{names: g, function: sum}]}]}", `
		a: c_total 5, g 2
		wait 5m
		a: POST
		wait 5m
		a: POST
		wait 5m
		a: POST
		wait 5m
		= c_total 5, g 2
		pushers 1
		a:
		= c_total 5
		pushers 1
	`},
	{"the jobs of a rule", "groups: {aggregate: [{jobs: lambda-.+, without: [job_id]}]}", `
		/job/cron/job_id/7: c_total 5
		/job/my-lambda-1/job_id/7: c_total 6
		= c_total{job="cron",job_id="7"} 5, c_total{job="my-lambda-1",job_id="7"} 6
		/job/lambda-1/job_id/7: c_total 1
		/job/lambda-1: c_total 2
		= c_total{job="cron",job_id="7"} 5, c_total{job="my-lambda-1",job_id="7"} 6, c_total{job="lambda-1"} 3
	`},
	{"without jobs only who has the label", aggregateByJobID, `
		/job/cron: c_total 100
		= c_total{job="cron"} 100
		/job/cron: c_total 80
		= c_total{job="cron"} 80
	`},
	{"a group and an aggregate of one key", aggregateByJobID, `
		/job/X: c_total 5
		a: d_total 1
		= c_total 5, d_total 1
		a: c_total 1 -> 400 jobs
		/job/X: d_total 1 -> 400 jobs
		= c_total 5, d_total 1
		/job/X: DELETE
		= d_total 1
		a: c_total 1
		= c_total 1, d_total 1
	`},
	{"the first rule that matches", "groups: {aggregate: [{jobs: X, without: [job_id]}, {without: [zone]}]}", `
		/job/X/zone/z: c_total 1
		a: d_total 2
		/job/Y/zone/z: c_total 3
		= c_total{zone="z"} 1, d_total 2, c_total{job="Y"} 3
	`},
	{"explicit timestamps", aggregateByJobID, `
		a: raw "# TYPE c_total counter\nc_total 5 1700000000000\n" -> 400
		=
		a: c_total 1
		= c_total 1
	`},
	{"wipe", aggregateByJobID, `
		a: c_total 5
		b: c_total 3
		= c_total 8
		wipe
		=
		pushers 0
		backend c_total: 0 5 8 stale
		kill
		=
		a: c_total 5
		= c_total 5
		backend c_total: 0 5 8 stale 0 5
	`},
	{"the end of one aggregate", aggregateByJobID, `
		a: c_total 5
		/job/Y/job_id/a: c_total 3
		= c_total 5, c_total{job="Y"} 3
		end /job/X
		= c_total{job="Y"} 3
		pushers 1
		backend c_total: 0 5 stale
		kill
		= c_total{job="Y"} 3
		a: c_total 5
		= c_total 5, c_total{job="Y"} 3
	`},
	{"a script deletes without an id", aggregateByJobID, `
		a: c_total 5
		/job/X: DELETE
		= c_total 5
	`},
	{"the pusher without an id ends", "groups: {aggregate: [{jobs: X, without: [job_id]}]}", `
		a: c_total 5
		/job/X: c_total 2
		= c_total 7
		pushers 2
		/job/X: DELETE
		= c_total 7
		pushers 1
	`},
	{"the storage fails", aggregateByJobID, `
		b: c_total 1
		= c_total 1
		refuse 0
		a: c_total 5 -> 503
		= c_total 1
		a: c_total 5
		= c_total 6
		refuse 0
		a: c_total 7 -> 503
		= c_total 6
		refuse 0
		a: DELETE -> 503
		a: DELETE
		= c_total 6
		kill
		= c_total 6
	`},
}

func TestAggregates(t *testing.T) {
	t.Parallel()
	for _, c := range aggregateCases {
		inBubble(t, c.name, c.config, func(s *script) { s.play(c.steps) })
	}
}

// TestAggregateHasNoSecondZero lets the backend take the zero and the first value of a series, and the receiver doubt it.
func TestAggregateHasNoSecondZero(t *testing.T) {
	t.Parallel()
	for name, doubt := range doubts {
		inBubble(t, name, aggregateByJobID, func(s *script) {
			s.sink.doubt = func() error { return doubt }
			s.play(`
				weather ambiguous
				a: c_total 2
				wait 2m
				weather healthy
				wait 2m
				a: c_total 3
				= c_total 3
				backend c_total: 0 2 3
			`)
		})
	}
}

var doubts = map[string]error{"a timeout": context.DeadlineExceeded, "a permanent error": consumererror.NewPermanent(errRefused)}

// TestAggregateSurvivesTheStorage lets the process die, or a write fail, at each write of a push and of the end of a pusher. Whatever
// the answer is, the client repeats its push, which counts once.
func TestAggregateSurvivesTheStorage(t *testing.T) {
	t.Parallel()
	const writes = 8
	for _, what := range []string{"crash", "refuse", "deceive"} {
		for n := range writes {
			name := fmt.Sprintf("%s %d", what, n)
			inBubble := inBubble
			if n >= databaseWrites {
				inBubble = inBubbleOnDisk
			}
			inBubble(t, name+" push", aggregateByJobID, func(s *script) {
				s.play(lines("a: c_total 5, h 1:1 +Inf:2 sum:3", name, "b: c_total 3, d_total 1 -> any", "kill",
					"b: c_total 3, d_total 1", "= c_total 8, d_total 1, h 1:1 +Inf:2 sum:3",
					name, "b: c_total 4 -> any", "kill", "b: c_total 4", "= c_total 9, d_total 1, h 1:1 +Inf:2 sum:3"))
			})
			inBubble(t, name+" DELETE", aggregateByJobID, func(s *script) {
				s.play(lines("a: c_total 5", "b: c_total 3", name, "a: DELETE -> any", "kill", "= c_total 8",
					"a: DELETE", "= c_total 8", "a: c_total 1", "kill", "= c_total 9"))
			})
			if n > 0 { // Many minutes take a database long.
				inBubble = inBubbleOnDisk
			}
			inBubble(t, name+" quiet", aggregateByJobID, func(s *script) {
				s.play(lines("a: c_total 5", "b: c_total 3", "c: c_total 1", name, "wait 11m", "kill", "= c_total 9",
					"wait 11m", "= c_total 9", "pushers 0", "kill", "= c_total 9", "a: c_total 5", "= c_total 14"))
			})
			inBubble(t, name+" quiet and no restart", aggregateByJobID, func(s *script) {
				if what == "crash" {
					return // It needs one.
				}
				s.play(lines("a: c_total 5", "b: c_total 3", name, "wait 11m", "= c_total 8", "wait 1m", "pushers 0", "kill", "= c_total 8"))
			})
		}
	}
}

// TestAggregateOfManyBounds pushes histograms of one bound each. 256 are kept; what lies under another one counts at the next one.
func TestAggregateOfManyBounds(t *testing.T) {
	t.Parallel()
	inBubble(t, "", aggregateByJobID, func(s *script) {
		const pushers, kept = 300, 256
		order := rand.New(rand.NewPCG(1, 0)).Perm(pushers)
		for _, bound := range order {
			s.step(fmt.Sprintf("%d: h %d:1 +Inf:1 sum:1", bound, bound))
		}
		bounds := slices.Sorted(slices.Values(order[:kept]))
		counts := make([]int, kept+1)
		for _, bound := range order {
			at, _ := slices.BinarySearch(bounds, bound)
			counts[at]++
		}
		want, cumulative := "= h", 0
		for i, bound := range bounds {
			cumulative += counts[i]
			want += fmt.Sprintf(" %d:%d", bound, cumulative)
		}
		want += fmt.Sprintf(" +Inf:%d sum:%d", pushers, pushers)
		s.play(lines(want, fmt.Sprintf("counted aggregate_bounds_capped %d", pushers-kept), "kill", want))
	})
}

// TestAggregateOfNativeHistograms gets coarser with its coarsest pusher, and stays so.
func TestAggregateOfNativeHistograms(t *testing.T) {
	t.Parallel()
	inBubble(t, "", aggregateByJobID, func(s *script) {
		push := func(pusher string, schema, offset int32, threshold float64) {
			h := &dto.Histogram{
				SampleCount: new(uint64(2)), SampleSum: new(2.0), Schema: &schema, ZeroThreshold: &threshold,
				PositiveSpan: []*dto.BucketSpan{{Offset: &offset, Length: new(uint32(2))}}, PositiveDelta: []int64{1, 0},
			}
			family := &dto.MetricFamily{Name: new("n"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}}}
			s.request(pusher, http.MethodPut, "/metrics/job/X/job_id/"+pusher, string(protobuf), encode(protobuf, []*dto.MetricFamily{family}), "")
			time.Sleep(exportPause)
			synctest.Wait()
		}
		last := func() nativeBuckets {
			s.sink.ledger.mu.Lock()
			defer s.sink.ledger.mu.Unlock()
			return *s.sink.ledger.series[ofX("n")].last.native
		}
		push("a", 3, 1, 1e-128) // Buckets of Prometheus are numbered from one higher than those of OTLP.
		push("b", 2, 0, 1e-3)
		push("a", 3, 1, 1e-128)
		want := nativeBuckets{
			count: 4, scale: 2, threshold: last().threshold, positive: map[int32]uint64{-1: 1, 0: 3}, negative: map[int32]uint64{},
		}
		assert.Equal(t, want, last())
		assert.InDelta(t, 1e-3, want.threshold, 3e-4, "it is at the bound of a bucket")
		s.play("b: DELETE\n wait 11s\n kill\n wait 11s")
		push("a", 3, 1, 1e-128)
		assert.Equal(t, want, last())
		assert.Equal(t, "native histogram 4 4", s.seriesIn(s.read(), false)[ofX("n")])
	})
}

// TestAggregateIsExact adds up decimals of many pushers. The total is the exact sum, rounded once, and is found again.
func TestAggregateIsExact(t *testing.T) {
	t.Parallel()
	inBubble(t, "", aggregateByJobID, func(s *script) {
		count := s.fewerOnDatabase(2000)
		random := rand.New(rand.NewPCG(1, 2))
		sum := new(big.Float).SetPrec(2200)
		for i := range count {
			v := random.Float64() * float64(random.IntN(1000)) * [...]float64{1e-9, 1, 1e6}[random.IntN(3)]
			sum.Add(sum, big.NewFloat(v))
			s.step(fmt.Sprintf("%d: f_total %s", i, spellNumber(v)))
		}
		exact, _ := sum.Float64()
		want := "= f_total " + spellNumber(exact)
		s.play(lines(want, "kill", want, "wait 2m", want, "wait 10m", "pushers 0", want, "restart", want))
	})
}

// TestAggregateUnderLoad pushes 2000 times a second to one aggregate while each export takes a while. Nobody waits for an export, and
// the aggregate is exported about once in ten seconds.
func TestAggregateUnderLoad(t *testing.T) {
	t.Parallel()
	inBubble(t, "", aggregateByJobID, func(s *script) {
		pushers := s.fewerOnDatabase(2000)
		s.sink.pause = 10 * time.Millisecond
		var pushing sync.WaitGroup
		for i := range pushers {
			pushing.Go(func() {
				before := time.Now()
				s.step(fmt.Sprintf("%d: c_total 1", i))
				assert.Zero(s, time.Since(before), "no time passes but for exports")
			})
			time.Sleep(time.Second / time.Duration(pushers))
		}
		pushing.Wait()
		assert.EqualValues(s, 1, s.sink.calls.Load())
		time.Sleep(exportPause - 500*time.Millisecond)
		assert.EqualValues(s, 2, s.sink.calls.Load())
		s.play(fmt.Sprintf("= c_total %d\n pushers %d", pushers, pushers))
		assert.Equal(s, strconv.Itoa(pushers), s.sink.ledger.values(ofX("c_total"))[2])
	})
}

// TestAggregateKeys are those that must be refused before anything starts.
func TestAggregateKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		yaml string
		want []string
	}{
		"a glob without quotes": {"groups: {aggregate: [{without: [job_id], metrics: [{names: *_x, function: sum}]}]}", nil},
		"a glob":                {"groups: {aggregate: [{without: [job_id], metrics: [{names: '*_x', function: sum}]}]}", []string{"names", "*_x"}},
		"no labels":             {"groups: {aggregate: [{without: []}]}", []string{"aggregate", "without"}},
		"no key":                {"groups: {aggregate: [{}]}", []string{"aggregate", "without"}},
		"the job":               {"groups: {aggregate: [{without: [job]}]}", []string{"aggregate", "without", "job"}},
		"le":                    {"groups: {aggregate: [{without: [le]}]}", []string{"aggregate", "without", "le"}},
		"quantile":              {"groups: {aggregate: [{without: [quantile]}]}", []string{"aggregate", "without", "quantile"}},
		"a bad expression":      {"groups: {aggregate: [{jobs: '(', without: [job_id]}]}", []string{"aggregate", "jobs"}},
		"an unknown function":   {"groups: {aggregate: [{without: [job_id], metrics: [{names: x, function: mean}]}]}", []string{"function", "mean"}},
		"a short ttl":           {"groups: {ttl: 10m, aggregate: [{without: [job_id], pusher_ttl: 1h}]}", []string{"ttl", "pusher_ttl"}},
		"a short default ttl":   {"groups: {ttl: 10m, aggregate: [{without: [job_id]}]}", []string{"ttl", "pusher_ttl"}},
		"a pusher_ttl too short": {
			"groups: {aggregate: [{without: [job_id], pusher_ttl: 1s}]}", []string{"aggregate", "pusher_ttl"},
		},
		"a pusher_ttl too long": {
			"groups: {aggregate: [{without: [job_id], pusher_ttl: 721h}]}", []string{"aggregate", "pusher_ttl"},
		},
		"a rule that never matches": {
			"groups: {aggregate: [{without: [job_id]}, {jobs: x, without: [job_id]}]}", []string{"aggregate"},
		},
		"no groups":           {"aggregate: [{without: [job_id]}]", []string{"aggregate"}},
		"an unknown key":      {"groups: {aggregate: [{without: [job_id], pusher_tll: 1h}]}", []string{"aggregate", "pusher_tll"}},
		"a negative limit":    {"groups: {max_pushers: -1}", []string{"max_pushers"}},
		"no name of a metric": {"groups: {aggregate: [{without: [job_id], metrics: [{function: sum}]}]}", []string{"names"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := configError(c.yaml)
			require.Error(t, err)
			for _, want := range c.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

// configError is the error of a configuration, as the collector would find it.
func configError(yaml string) error {
	retrieved, err := confmap.NewRetrievedFromYAML([]byte(yaml))
	if err != nil {
		return err
	}
	conf, err := retrieved.AsConf()
	if err != nil {
		return err
	}
	config := pushgatewayreceiver.NewFactory().CreateDefaultConfig().(*pushgatewayreceiver.Config)
	if err := conf.Unmarshal(config); err != nil {
		return err
	}
	return config.Validate()
}
