// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

const everything = `# TYPE c counter
# HELP c All of them.
c{a="1"} 1
c{a="2",otel_scope_name="s",otel_scope_x="y"} 0.1
# TYPE g gauge
g 2
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 2
h_sum 3
h_count 2
# TYPE s summary
s_sum 1
s_count 1
`

// pushOf is a contribution with default functions.
func pushOf(tb testing.TB, body string, at time.Time) *store.Contribution {
	tb.Helper()
	key := pushtest.Key(tb, "job/X")
	push := pushtest.Text(tb, "job/X", body)
	c := &store.Contribution{Key: key, Pusher: key, Replace: true, At: at}
	for _, f := range push.Families {
		family := store.PushedFamily{Name: f.Name, Type: f.Type.String(), Metrics: push.TakeFamily(f)}
		family.Function = merge.DefaultFunction(family.Metrics.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0))
		c.Families = append(c.Families, family)
	}
	return c
}

func nobody(string) (store.Holder, bool) { return store.Holder{}, false }

// aggregateOf is what one push makes, and the contributions of its pusher.
func aggregateOf(tb testing.TB, body string) (*store.Aggregate, store.Contributions) {
	tb.Helper()
	a, err := store.NewAggregate(series.Space{OwnScope: pushtest.Scope}, 1)
	require.NoError(tb, err)
	d := a.Draft()
	p, err := d.Prepare(pushOf(tb, body, time.Unix(100, 5)), nil, nobody)
	require.NoError(tb, err)
	p.Accept()
	require.NoError(tb, d.Finish(slices.Values([]store.Contributions{p.Contributions})))
	a.Commit(d)
	return a, p.Contributions
}

// TestCodecs decodes what is encoded, to the same values.
func TestCodecs(t *testing.T) {
	t.Parallel()
	a, cs := aggregateOf(t, everything)
	again, err := store.DecodeContributions(cs.Encode())
	require.NoError(t, err)
	assert.Equal(t, cs.Encode(), again.Encode())
	var chunks []*store.Chunk
	for c := range a.Chunks() {
		b, failed := c.Encode()
		require.NoError(t, failed)
		decoded, failed := store.DecodeChunk(b)
		require.NoError(t, failed)
		chunks = append(chunks, decoded)
	}
	require.Len(t, chunks, 5)
	store.RebuildChunks(series.Space{OwnScope: pushtest.Scope}, chunks, func(yield func(time.Time, store.Contributions) bool) {
		yield(time.Unix(100, 5), again)
	}, func(err error) { require.NoError(t, err) })
	restored, err := store.NewAggregate(series.Space{OwnScope: pushtest.Scope}, a.Next, chunks...)
	require.NoError(t, err)
	assert.Equal(t, shown(t, a), shown(t, restored))
	for c := range restored.Chunks() {
		assert.Equal(t, a.Chunk(c.Number).Series, c.Series)
		assert.Equal(t, a.Chunk(c.Number).Size, c.Size)
		assert.Equal(t, a.Chunk(c.Number).Type, c.Type)
		assert.Equal(t, a.Chunk(c.Number).LastPush().UnixNano(), c.LastPush().UnixNano())
	}
}

// shown is the JSON of all chunks by number.
func shown(tb testing.TB, a *store.Aggregate) (all []string) {
	tb.Helper()
	for c := range a.Chunks() {
		text, err := new(pmetric.JSONMarshaler).MarshalMetrics(c.Metrics())
		require.NoError(tb, err)
		all = append(all, fmt.Sprint(c.Number, string(text)))
	}
	slices.Sort(all)
	return all
}

// TestJoinChunks has each metric once.
func TestJoinChunks(t *testing.T) {
	t.Parallel()
	body := "# TYPE c counter\nc{otel_scope_name=\"s\"} 1\n"
	for i := range store.MaxChunk + 1 {
		body += fmt.Sprintf("c{i=\"%d\"} 1\n", i)
	}
	a, _ := aggregateOf(t, body)
	chunks := slices.Collect(a.Chunks())
	require.Len(t, chunks, 3)
	md := store.JoinChunks(chunks)
	assert.Equal(t, store.MaxChunk+2, md.DataPointCount())
	assert.Equal(t, 2, md.MetricCount())
	assert.Equal(t, 1, md.ResourceMetrics().Len())
}

// TestDraftIsNoChange until it is committed, and neither is a push that is refused.
func TestDraftIsNoChange(t *testing.T) {
	t.Parallel()
	a, cs := aggregateOf(t, everything)
	before := shown(t, a)
	d := a.Draft()
	_, err := d.Prepare(pushOf(t, "# TYPE g gauge\ng 7\n# TYPE c counter\nc NaN\n", time.Unix(200, 0)), nil, nobody)
	require.EqualError(t, err, `pushed metrics are invalid or inconsistent with existing metrics: collected metric "c" {job="X"} `+
		`is not a finite number, which would make the total of all pushes NaN or infinite`)
	require.NoError(t, d.Finish(slices.Values([]store.Contributions{cs})))
	assert.Empty(t, d.Changed())
	p, err := d.Prepare(pushOf(t, "# TYPE g gauge\ng 7\n# TYPE c counter\nc{a=\"1\"} 5\nc 4\n", time.Unix(200, 0)), nil, nobody)
	require.NoError(t, err)
	p.Accept()
	require.NoError(t, d.Fold(cs))
	d.EndFamily("s")
	require.NoError(t, d.Finish(slices.Values([]store.Contributions{p.Contributions})))
	assert.Equal(t, before, shown(t, a))
	a.Commit(d)
	assert.NotEqual(t, before, shown(t, a))
}

func FuzzChunk(f *testing.F) {
	a, _ := aggregateOf(f, everything)
	for c := range a.Chunks() {
		b, err := c.Encode()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := store.DecodeChunk(b)
		if err != nil {
			return
		}
		encoded, err := c.Encode()
		require.NoError(t, err)
		again, err := store.DecodeChunk(encoded)
		require.NoError(t, err)
		twice, err := again.Encode()
		require.NoError(t, err)
		require.Equal(t, encoded, twice)
		store.RebuildChunks(series.Space{OwnScope: pushtest.Scope}, []*store.Chunk{c}, func(func(time.Time, store.Contributions) bool) {}, func(error) {})
		if len(c.Members) > 0 {
			c.Metrics()
			_, _ = store.NewAggregate(series.Space{OwnScope: pushtest.Scope}, c.Members[len(c.Members)-1].Number+1, c)
		}
	})
}

func FuzzContributions(f *testing.F) {
	_, cs := aggregateOf(f, everything)
	f.Add(cs.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		cs, err := store.DecodeContributions(b)
		if err != nil {
			return
		}
		again, err := store.DecodeContributions(cs.Encode())
		require.NoError(t, err)
		require.Equal(t, cs.Encode(), again.Encode())
	})
}
