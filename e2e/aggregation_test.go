// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const byJobID = "receivers::pushgateway::groups::aggregate: [{without: [job_id]}]"

// TestThousandPushersAndKills lets a thousand pushers push to one aggregate, each under an id of its own. Some repeat their requests,
// some restart, some delete themselves; the collector is killed in between, and what was not answered is repeated. In the end
// Prometheus has counted each of them once.
func TestThousandPushersAndKills(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path  func(*testing.T) string
		flags []string
	}{
		"Prometheus 2": {debiansPrometheus, nil},
		"Prometheus 3": {builtPrometheus, []string{"--enable-feature=promql-extended-range-selectors"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const pushers, workers, kills = 1000, 8, 3
			server := startPrometheusWith(t, tc.path(t), prometheusFile(t, ""), append(tc.flags, takesRemoteWrite)...)
			start := withGroups(t, server.url, byJobID)
			start.listen = freeEndpoint(t)
			c := startCollector(t, start)

			crowd := &oneShots{url: c.url, ids: make(chan int)}
			crowd.push("first", crowdPush{rows: 1}.text()) // Its series have begun in Prometheus before the first kill.
			crowd.rows.Add(1)
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				assert.Equal(c, []string{"1"}, server.query(c, `rows_total`))
			}, dataTimeout, pollInterval, "%s", c.output)

			var working sync.WaitGroup
			for range workers {
				working.Go(crowd.work)
			}
			for id := range pushers {
				if id%(pushers/kills) == pushers/kills/2 {
					c.kill(t)
					c = startCollector(t, start)
				}
				crowd.ids <- id
			}
			close(crowd.ids)
			working.Wait()
			c.kill(t)
			c = startCollector(t, start)

			rows, pushes := crowd.rows.Load(), crowd.pushes.Load()
			held := shown(t, c.url+"/metrics")
			assert.Equal(t, strconv.FormatInt(rows, 10), held[`rows_total{job="import"}`])
			assert.Equal(t, strconv.FormatInt(pushes, 10), held[`seconds_count{job="import"}`])
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				assert.Equal(c, []string{strconv.FormatInt(rows, 10)}, server.query(c, `rows_total`))
				assert.Equal(c, []string{strconv.FormatInt(pushes, 10)}, server.query(c, `seconds_count`))
			}, dataTimeout, pollInterval, "%s", c.output)
			assert.InDelta(t, rows, increase(t, server, `rows_total{job="import"}`), 0)
			if len(tc.flags) > 0 { // Its own increase can do without extrapolation.
				assert.Equal(t, []string{strconv.FormatInt(rows, 10)}, server.query(t, `increase(rows_total{job="import"}[1h] anchored)`))
			}
			for le, want := range map[string]int64{"1": pushes - crowd.slow.Load(), "+Inf": pushes} {
				assert.InDelta(t, want, last(t, server, `seconds_bucket{job="import",le="`+le+`"}`), 0, le)
			}
			assert.NotContains(t, server.labels(t, `{job="import"}`), "job_id")
			assertShownIn(t, server, c.url, "import")
		})
	}
}

// oneShots are pushers that each do their work once.
type oneShots struct {
	url string
	ids chan int

	rows, pushes, slow atomic.Int64 // what was counted
}

// crowdPush is what a process of a pusher has counted.
type crowdPush struct {
	rows, fast, slow int
	created          time.Time // zero if it does not tell
}

func (p crowdPush) families() []*dto.MetricFamily {
	var since *timestamppb.Timestamp
	if !p.created.IsZero() {
		since = timestamppb.New(p.created)
	}
	families := []*dto.MetricFamily{{
		Name: new("rows_total"), Type: dto.MetricType_COUNTER.Enum(),
		Metric: []*dto.Metric{{Counter: &dto.Counter{Value: new(float64(p.rows)), CreatedTimestamp: since}}},
	}}
	if count := uint64(p.fast + p.slow); count > 0 {
		families = append(families, &dto.MetricFamily{
			Name: new("seconds"), Type: dto.MetricType_HISTOGRAM.Enum(),
			Metric: []*dto.Metric{{Histogram: &dto.Histogram{
				SampleCount: &count, SampleSum: new(float64(p.fast) / 2), CreatedTimestamp: since,
				Bucket: []*dto.Bucket{{UpperBound: new(1.0), CumulativeCount: new(uint64(p.fast))}},
			}}},
		})
	}
	return families
}

// message is a request body with its content type.
type message struct {
	format expfmt.Format
	body   []byte
}

func (p crowdPush) encoded(format expfmt.Format) message {
	var b bytes.Buffer
	encoder := expfmt.NewEncoder(&b, format)
	for _, f := range p.families() {
		if err := encoder.Encode(f); err != nil {
			panic(err)
		}
	}
	return message{format, b.Bytes()}
}

func (p crowdPush) text() message { return p.encoded(expfmt.NewFormat(expfmt.TypeTextPlain)) }

func (p crowdPush) protobuf() message { return p.encoded(expfmt.NewFormat(expfmt.TypeProtoDelim)) }

// push pushes until there is an answer.
func (o *oneShots) push(id string, m message) { o.request(http.MethodPut, id, m) }

func (o *oneShots) request(method, id string, m message) {
	for {
		request, err := http.NewRequest(method, o.url+"/metrics/job/import/job_id/"+id, bytes.NewReader(m.body))
		if err != nil {
			panic(err)
		}
		request.Header.Set("Content-Type", string(m.format))
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		if err == nil && response.StatusCode/100 == 2 {
			return
		}
		time.Sleep(pollInterval) // The collector starts again.
	}
}

// work is the life of one pusher after the other.
func (o *oneShots) work() {
	for id := range o.ids {
		name, p := strconv.Itoa(id), crowdPush{rows: 1 + rand.IntN(100), fast: rand.IntN(5), slow: 1 + rand.IntN(5)}
		switch id % 5 {
		case 0: // It pushes once.
			o.push(name, p.text())
		case 1: // It repeats its push, though it was answered.
			for range 3 {
				o.push(name, p.text())
			}
		case 2: // It goes on counting, and does not tell when it began.
			o.push(name, p.text())
			p.rows, p.fast = p.rows+rand.IntN(10), p.fast+rand.IntN(10)
			o.push(name, p.text())
		case 3: // It is started again and has counted less since.
			o.push(name, p.text())
			o.count(p)
			p = crowdPush{rows: p.rows - 1, fast: p.fast, slow: p.slow - 1}
			o.push(name, p.text())
			o.push(name, p.text())
		case 4: // It is started again, has counted more since, and tells when it began.
			p.created = time.Now().Add(-time.Hour)
			o.push(name, p.protobuf())
			o.count(p)
			late := p.protobuf()
			p.created, p.rows, p.slow = p.created.Add(time.Minute), p.rows+5, p.slow+5
			o.push(name, p.protobuf())
			o.push(name, late) // A delayed push of the first process changes nothing.
		}
		o.count(p)
		if id%3 == 0 {
			o.request(http.MethodDelete, name, message{})
		}
	}
}

// count counts what a process has pushed last.
func (o *oneShots) count(p crowdPush) {
	o.rows.Add(int64(p.rows))
	o.pushes.Add(int64(p.fast + p.slow))
	o.slow.Add(int64(p.slow))
}

// samples are all samples that a Prometheus has of one series, in order of time.
func samples(t require.TestingT, server prometheusServer, series string) (values []float64) {
	var matrix struct {
		Result []struct{ Values [][2]any }
	}
	server.get(t, "query", url.Values{"query": {series + "[1h]"}}, &matrix)
	require.Len(t, matrix.Result, 1, series)
	for _, sample := range matrix.Result[0].Values {
		value, err := strconv.ParseFloat(fmt.Sprint(sample[1]), 64)
		require.NoError(t, err)
		values = append(values, value)
	}
	return values
}

func last(t require.TestingT, server prometheusServer, series string) float64 {
	values := samples(t, server, series)
	return values[len(values)-1]
}

// increase is that of Prometheus without the extrapolation to the ends of the range. The series must begin at zero and never fall.
func increase(t require.TestingT, server prometheusServer, series string) float64 {
	values := samples(t, server, series)
	assert.Zero(t, values[0], series)
	assert.True(t, slices.IsSorted(values), "%s: %v", series, values)
	return values[len(values)-1] - values[0]
}
