// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package growth measures how the cost of hostile bodies and paths grows with their size. It counts the processor's time of
// one thread, which does not depend on what else the machine does.
package growth

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

const (
	// small and large are the numbers of elements of the two inputs that are compared.
	small, large = 4000, 32 * small

	// most is how many times more the large input may cost. In proportion to the size it is 32, with caches that it does
	// not fit into about three times that. With one quadratic step it is 1024.
	most = 400
)

// TestDecoding decodes bodies that name many things in ways that a lookup may be slow for.
func TestDecoding(t *testing.T) {
	for format, bodies := range map[exposition.Format]map[string]func(n int) string{
		exposition.Text: {
			"many labels": func(n int) string { return "a{" + repeat(n, `l%d="",`) + "} 1\n" },
			"the same in other order": func(n int) string {
				return "# TYPE s summary\ns_sum{" + repeat(n, `l%d="",`) + "} 1\ns_count{" + backwards(n, `l%d="",`) + "} 2\n"
			},
			"many families": func(n int) string { return repeat(n, "l%d 1\n") },
			"many lines in braces": func(n int) string {
				return "# TYPE s summary\ns_sum{" + repeat(n, `l%d="",`) + "} 1\na 1\n" + strings.Repeat("{s_sum} 1\na 1\n", n)
			},
			"many escapes":        func(n int) string { return "a{x=\"" + strings.Repeat(`\\`, n) + "\"} 1\n" },
			"many escaped values": func(n int) string { return strings.Repeat("a{x=\"\\\\\"} 1\n", n) },
			"many series of a name": func(n int) string {
				return "# TYPE h histogram\n" + strings.Repeat("h_sum{a=\"1\"} 1\nh_sum{a=\"2\"} 1\n", n)
			},
		},
		exposition.OpenMetrics: {
			"many labels": func(n int) string {
				return "a{" + repeat(n, `l%d="",`) + "} 1 # {" + repeat(n, `l%d="",`) + "} 1\n# EOF\n"
			},
			"the same in other order": func(n int) string {
				one, other := repeat(n, `l%d="",`), backwards(n, `l%d="",`)
				return "# TYPE s summary\ns{" + one + "quantile=\"1\"} 1\ns_count{" + other + "} 2\ns_created{" + other + "} 5\n# EOF\n"
			},
			"many created": func(n int) string {
				return "# TYPE a counter\n" + repeat(n, "a_created{x=\"%d\"} 1\n") + repeat(n, "a_total{x=\"%d\"} 1\n") + "# EOF\n"
			},
			"many created alone": func(n int) string { return "# TYPE a counter\n" + repeat(n, "a_created{x=\"%d\"} 1\n") + "# EOF\n" },
			"many families":      func(n int) string { return repeat(n, "l%d_total 1\n") + "# EOF\n" },
			"many types": func(n int) string {
				return strings.Repeat("# TYPE a gauge\na 1\n# TYPE a counter\na 1\n", n) + "# EOF\n"
			},
			"many gauge histograms": func(n int) string {
				return "# TYPE h gaugehistogram\n" + repeat(n, "h_gsum{x=\"%d\"} 1\n") + "# EOF\n"
			},
			"long exponent": func(n int) string {
				return "# TYPE a counter\na_total 1\na_created 0." + strings.Repeat("0", n) + fmt.Sprintf("5e%d\n# EOF\n", n+10)
			},
		},
	} {
		for name, body := range bodies {
			t.Run(fmt.Sprintf("%v/%s", format, name), func(t *testing.T) {
				assertGrowth(t, func(n int) func() error {
					bytes, b := []byte(body(n)), new(exposition.Batch)
					return func() error { return b.Decode(format, bytes, exposition.Options{}) }
				})
			})
		}
	}
}

// TestTranslation translates pushes that have much of one thing.
func TestTranslation(t *testing.T) {
	for name, body := range map[string]func(n int) string{
		"labels of one series": func(n int) string { return "a{" + repeat(n, `l%d="v",`) + "} 1\n" },
		"labels of two series": func(n int) string {
			return "a{" + repeat(n, `l%d="v",`) + "} 1\na{" + repeat(n, `l%d="w",`) + "} 1\n"
		},
		"series of one family":   func(n int) string { return repeat(n, "a{l=\"%d\"} 1\n") },
		"series, names rotating": func(n int) string { return repeat(n, "a{l%[1]d=\"1\",x=\"1\"} 1\n") },
		"families":               func(n int) string { return repeat(n, "a%d_count 1\n") + "# TYPE s summary\ns_sum 1\n" },
		"scopes":                 func(n int) string { return repeat(n, "a{otel_scope_name=\"%d\"} 1\n") },
		"labels of one scope":    func(n int) string { return "a{" + repeat(n, `otel_scope_%d="v",`) + "} 1\n" },
		"buckets, backwards": func(n int) string {
			return "# TYPE h histogram\n" + repeat(n, "h_bucket{le=\"-%d\"} 1\n") + "h_count 1\n"
		},
		"quantiles, backwards":    func(n int) string { return "# TYPE s summary\n" + repeat(n, "s{quantile=\"-%d\"} 1\n") },
		"flattened, many labels":  func(n int) string { return "# TYPE h histogram\nh_count{" + repeat(n, `l%d="v",`) + "} 1.5\n" },
		"histograms in one scope": func(n int) string { return "# TYPE h histogram\n" + repeat(n, "h_count{l=\"%d\"} 1\n") },
	} {
		t.Run(name, func(t *testing.T) {
			assertGrowth(t, func(n int) func() error {
				b := new(exposition.Batch)
				require.NoError(t, b.Decode(exposition.Text, []byte(body(n)), exposition.Options{}))
				return func() error {
					push, err := translate.Translate(b, groupingkey.Key{Job: "j"}, translate.Options{ScopeName: "receiver"})
					assert.NotZero(t, push.DataPoints)
					return err
				}
			})
		})
	}
}

// TestGroupingKeys parses paths as long as the headers of a request allow, and longer.
func TestGroupingKeys(t *testing.T) {
	for name, path := range map[string]func(n int) string{
		"many labels":     func(n int) string { return "job/j" + strings.Repeat("/abcdef/1", n) },
		"many names":      func(n int) string { return "job/j" + repeat(n, "/n%d/v") },
		"one long name":   func(n int) string { return "job/j/U__" + strings.Repeat("a_2e_", n) + "/v" },
		"only slashes":    func(n int) string { return "job/j" + strings.Repeat("/", n) },
		"one long value":  func(n int) string { return "job/j/a@base64/" + strings.Repeat("Z", n) },
		"one long escape": func(n int) string { return "job/j/U___" + strings.Repeat("2", n) + "_/v" },
	} {
		t.Run(name, func(t *testing.T) {
			assertGrowth(t, func(n int) func() error {
				spelled := path(n)
				return func() error {
					_, ok, _ := groupingkey.Parse(spelled, true)
					assert.True(t, ok)
					return nil
				}
			})
		})
	}
}

// assertGrowth compares what an input costs at both sizes.
func assertGrowth(t *testing.T, of func(n int) func() error) {
	t.Helper()
	once, more := cost(t, of(small)), cost(t, of(large))
	t.Logf("%s and %s, %.1f times as much", once, more, float64(more)/float64(once))
	assert.Less(t, more, most*max(once, 100*time.Microsecond))
}

// cost is the least of some times that the thread takes, in each of which the work is done once and no garbage is collected.
func cost(t *testing.T, work func() error) time.Duration {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	least := time.Duration(1<<63 - 1)
	for range 3 {
		runtime.GC()
		before := threadTime(t)
		require.NoError(t, work())
		least = min(least, threadTime(t)-before)
	}
	return least
}

// threadTime is the processor's time that the thread has taken.
func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now))
	return time.Duration(now.Nano())
}

// repeat writes the format n times, with the numbers from 0 on.
func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// backwards writes the format n times, with the numbers down to 0.
func backwards(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, n-1-i)
	}
	return b.String()
}
