// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
)

// encoding is a state as bytes.
type encoding struct {
	name  string
	total bool // an accumulator
	bytes []byte
}

// encodings are states of each kind, after two pushes of a pusher.
func encodings(tb testing.TB) (all []encoding) {
	tb.Helper()
	for _, c := range []struct {
		name          string
		f             merge.Function
		first, second pmetric.Metric
	}{
		{"counter", merge.Total, counter(5), counter(7)},
		{"counter that restarted", merge.Total, counterSince(1, 5), counterSince(2, 0.1)},
		{"large counter", merge.Total, counter(1e300), counter(3)},
		{"histogram", merge.Total, buckets{bounds: []float64{0.1, 1}, counts: []uint64{1, 2, 3}, sum: 4}.metric(), buckets{bounds: []float64{2}, counts: []uint64{9, 9}, sum: -1}.metric()},
		{"native histogram", merge.Total, native{scale: 2, positive: []uint64{1, 0, 2}, sum: 4}.metric(), native{scale: 1, threshold: 0.5, negative: []uint64{5}}.metric()},
		{"summary", merge.Total, summaryOf(3, 4), summaryOf(1, 5)},
		{"last", merge.Last, gauge(3), gauge(-0.1)},
		{"sum", merge.Sum, gauge(3), gauge(4)},
		{"avg", merge.Avg, gauge(3), gauge(-4)},
		{"min", merge.Min, gauge(3), gauge(4)},
		{"max", merge.Max, gauge(3), gauge(2.5)},
	} {
		s := newStore(tb, c.f)
		require.NoError(tb, s.push("a", c.first))
		require.NoError(tb, s.push("a", c.second))
		all = append(all,
			encoding{c.name, false, s.pushers["a"].Encode(nil)},
			encoding{c.name, true, s.value.Encode(nil)},
			encoding{c.name + ", nothing", true, s.base.Encode(nil)})
	}
	return all
}

// TestEncoding: the bytes are frozen, since stores have them.
func TestEncoding(t *testing.T) {
	t.Parallel()
	var got []string
	for _, c := range encodings(t) {
		line := c.name + ": "
		if !c.total {
			line = c.name + ", contribution: "
		}
		got = append(got, line+hex.EncodeToString(c.bytes))
	}
	assert.Equal(t, frozen, got)
}

var frozen = []string{
	"counter, contribution: 24020007",
	"counter: 1101020007",
	"counter, nothing: 1100",
	"counter that restarted, contribution: 2784a0abfef9620200050e6d0ccccccccccccd",
	"counter that restarted: 1101106d028ccccccccccccd",
	"counter that restarted, nothing: 1100",
	"large counter, contribution: 260ee40e05f90f22001d67020003",
	"large counter: 1101fa010017e43c8800759c00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000003",
	"large counter, nothing: 1100",
	"histogram, contribution: 2a02083fb999999999999a023ff00102030204010101400909030001",
	"histogram: 110203083fb999999999999a023ff001400102090c020003",
	"histogram, nothing: 1100",
	"native histogram, contribution: 2e040000030003000100020002040102023fe00105000001000500",
	"native histogram: 110302023fe001080002000102010005020401",
	"native histogram, nothing: 1100",
	"summary, contribution: 320302040101020005",
	"summary: 110404020009",
	"summary, nothing: 1100",
	"last, contribution: 2208bfb999999999999a809294bdd29df1fa31",
	"last: 120108bfb999999999999a809294bdd29df1fa31",
	"last, nothing: 12000000",
	"sum, contribution: 20024010",
	"sum: 13010000020401",
	"sum, nothing: 1300000000",
	"avg, contribution: 2002c010",
	"avg: 16010000030401",
	"avg, nothing: 1600000000",
	"min, contribution: 20024010",
	"min: 140101024010",
	"min, nothing: 14000000",
	"max, contribution: 20024004",
	"max: 150101024004",
	"max, nothing: 15000000",
}

func TestCorrupt(t *testing.T) {
	t.Parallel()
	for _, c := range encodings(t) {
		decode := func(b []byte) error {
			if c.total {
				_, _, err := merge.DecodeAccumulator(b)
				return err
			}
			_, _, err := merge.DecodeContribution(b)
			return err
		}
		require.NoError(t, decode(c.bytes))
		for n := range c.bytes {
			require.ErrorIs(t, decode(c.bytes[:n]), merge.ErrCorrupt, "%s, %d bytes", c.name, n)
		}
		require.ErrorIs(t, decode(append([]byte{0xf0 | c.bytes[0]}, c.bytes[1:]...)), merge.ErrVersion)
	}
	for name, text := range map[string]string{
		"unknown function":             "1f",
		"drop":                         "17",
		"unknown kind":                 "1107",
		"negative counter":             "110103" + "00" + "05",
		"mantissa too long":            "1101fe7f00",
		"exponent too large":           "110102ffff0f05",
		"more holders than pushers":    "140102" + "00",
		"more infinities than pushers": "1301" + "0200" + "00",
		"bounds that fall":             "110202" + "023ff0" + "00" + "010101" + "00",
		"more bounds than bytes":       "1102ff01",
		"scale out of range":           "110314" + "00" + "00" + "0000" + "0000" + "00",
		"more in buckets than counted": "110300" + "00" + "00" + "0001" + "0000" + "00",
		"empty bucket at the end":      "110300" + "00" + "00" + "0100" + "0100" + "00" + "00" + "00",
		"bucket beyond all numbers":    "110300" + "00" + "00" + "0100" + "01" + "ffff0f" + "01" + "00" + "00",
		"subnormal threshold":          "110300" + "080000000000000001" + "00" + "0000" + "0000" + "00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := hex.DecodeString(text)
			require.NoError(t, err)
			_, _, err = merge.DecodeAccumulator(b)
			require.ErrorIs(t, err, merge.ErrCorrupt)
		})
	}
}
