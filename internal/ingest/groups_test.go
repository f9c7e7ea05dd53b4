// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

var errForGood = consumererror.NewPermanent(errors.New("refused by the test for good"))

// without refuses for good what has a metric of that prefix.
func without(prefix string) func(context.Context, pmetric.Metrics) error {
	return func(_ context.Context, md pmetric.Metrics) error {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					if strings.HasPrefix(m.Name(), prefix) {
						return errForGood
					}
				}
			}
		}
		return nil
	}
}

// atMost refuses requests of more points, as an OTLP exporter says it.
func atMost(points int) func(context.Context, pmetric.Metrics) error {
	return func(_ context.Context, md pmetric.Metrics) error {
		if md.DataPointCount() > points {
			return consumererror.NewPermanent(status.Error(codes.ResourceExhausted, "received message larger than max"))
		}
		return nil
	}
}

// many is a body of so many series.
func many(name string, series int) string {
	var body strings.Builder
	for n := range series {
		fmt.Fprintf(&body, "%s{n=\"%d\"} 1\n", name, n)
	}
	return body.String()
}

// TestValueThatIsNeverTaken stands beside a series that is another one with each push.
func TestValueThatIsNeverTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRemembering(t, 0, 0)
		r.refuse(without("bad"))
		for i := range 100 {
			r.push("j", fmt.Sprintf("bad 1\na%d 1\n", i))
			assert.Zero(t, r.owed(), "what is gone is ended at once")
		}
		assert.LessOrEqual(t, r.called(), 3*100)
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestMarkerThatIsNeverTaken must not keep values and other markers from being taken, nor be owed for ever.
func TestMarkerThatIsNeverTaken(t *testing.T) {
	t.Parallel()
	for name, interval := range map[string]time.Duration{"republished": time.Minute, "not republished": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRememberingWith(t, GroupOptions{RepublishInterval: interval}, store.Options{}, 0)
				r.refuse(without("bad"))
				r.push("j", "bad 1\n")
				r.push("j", many("a", 900))
				assert.Len(t, r.values("j"), 1, "the values are taken without it")
				r.push("j", many("b", 900))
				r.push("j", many("c", 900))
				assert.Equal(t, 1, r.owed(), "a part of markers takes no other with it")
				time.Sleep(3 * time.Minute)
				assert.Equal(t, 1, r.owed())
				time.Sleep(5 * time.Minute)
				assert.Zero(t, r.owed(), "the series has ended by itself")
				require.NoError(t, r.Shutdown(t.Context()))
			})
		})
	}
}

// TestPushBesideWhatIsNeverTaken ends a series whose marker is refused for good together with what is pushed. What else the
// group holds must neither keep that from being taken nor cost anything.
func TestPushBesideWhatIsNeverTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRemembering(t, 0, 0)
		r.push("j", "never 1\nm{x=\"1\"} 1\n"+many("held", 100))
		before, never := len(r.values("j")), without("never")
		r.refuse(func(ctx context.Context, md pmetric.Metrics) error {
			first := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0)
			if first.Flags().NoRecordedValue() {
				return errForGood
			}
			return never(ctx, md)
		})
		r.add("j", "m{x=\"2\"} 1\ngood 1\n")
		assert.Len(t, r.values("j"), before+1)
		assert.Equal(t, 3, r.called(), "together, the marker, the push")
		assert.Equal(t, 4, r.most, "points of what was taken: m, good and both push times")
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestChurnOfWhatIsNeverTaken replaces series that no backend takes by others for three hours.
func TestChurnOfWhatIsNeverTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRemembering(t, 0, 0)
		r.refuse(without("bad"))
		most := 0
		for i := range 3 * 60 {
			r.push("j", fmt.Sprintf("bad%d 1\na%d 1\n", i, i))
			most = max(most, r.owed())
			time.Sleep(time.Minute)
		}
		assert.Less(t, most, 20)
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestMarkersAreKept as long as downstream may take them one day.
func TestMarkersAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRemembering(t, 0, 0)
		r.push("j", many("a", 2500))
		r.refuse(away)
		r.put("j")
		time.Sleep(time.Hour)
		assert.Equal(t, 2500, r.owed())
		assert.LessOrEqual(t, r.called(), 1+2*60, "a consumer that is away is not given one part after the other")
		r.refuse(nil)
		time.Sleep(time.Minute)
		assert.Zero(t, r.owed())
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

// TestBoundedRequests ends many series before a backend that bounds its requests.
func TestBoundedRequests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end   func(*remembering)
		after time.Duration
	}{
		"deleted":  {func(r *remembering) { require.NoError(r, r.Delete(r.Context(), pushtest.Key(r.T, "job/j"))) }, 0},
		"replaced": {func(r *remembering) { r.push("j", many("b", 1000)) }, time.Second},
		"emptied":  {func(r *remembering) { r.put("j") }, time.Second},
		"deleted while it is away": {func(r *remembering) {
			r.refuse(away)
			require.NoError(r, r.Delete(r.Context(), pushtest.Key(r.T, "job/j")))
			r.refuse(atMost(2500))
		}, time.Minute},
		"replaced many times while it is away": {func(r *remembering) {
			r.refuse(away)
			for i := range 10 {
				r.push("j", many(fmt.Sprint("b", i), 2000))
			}
			r.refuse(atMost(2500))
		}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRemembering(t, 0, 0)
				r.push("j", many("a", 10_000))
				r.refuse(atMost(2500))
				c.end(r)
				time.Sleep(c.after)
				assert.Zero(t, r.owed())
				values := len(r.values("j"))
				time.Sleep(time.Minute)
				assert.Equal(t, strings.HasPrefix(name, "deleted"), values == len(r.values("j")), "values go on")
				require.NoError(t, r.Shutdown(t.Context()))
			})
		})
	}
}

// TestDeletionOfMuch is answered although the consumer takes its time, and when who asked for it has gone. The rest follows.
func TestDeletionOfMuch(t *testing.T) {
	t.Parallel()
	for name, patience := range map[string]time.Duration{"patient": time.Hour, "impatient": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRemembering(t, 0, 0)
				r.push("j", many("a", 20_000))
				r.take(2 * time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				began := time.Now()
				require.NoError(t, r.Delete(ctx, pushtest.Key(t, "job/j")))
				assert.LessOrEqual(t, time.Since(began), min(patience, visitTimeout))
				assert.Positive(t, r.owed())
				time.Sleep(5 * time.Minute)
				assert.Zero(t, r.owed())
				require.NoError(t, r.Shutdown(t.Context()))
			})
		})
	}
}
