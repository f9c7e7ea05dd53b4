// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
)

// TestWriteMetrics covers cases that are not recorded.
func TestWriteMetrics(t *testing.T) {
	t.Parallel()
	const stamp = `"time_stamp":"2023-11-14T22:13:20.5Z"`
	for _, test := range []struct {
		name   string
		pushes []push
		want   string
	}{
		{
			"two groups",
			[]push{{"job/j/b/2", text, ""}, {"job/j/a@base64/=", text, ""}},
			`{"labels":{"a":"","job":"j"},"last_push_successful":true},{"labels":{"b":"2","job":"j"},"last_push_successful":true}`,
		},
		{
			"family named like a key",
			[]push{{"job/j", text, "labels 1\n"}},
			`{"labels":{` + stamp + `,"type":"UNTYPED","metrics":[{"labels":{"instance":"","job":"j"},"value":"1"}]},"last_push_successful":true}`,
		},
		{
			"gauge histogram, with fractions",
			[]push{{"job/j", text, "# TYPE h gaugehistogram\nh_bucket{le=\"1e6\"} 1.5\nh_sum 3\nh_count 1234567\n"}},
			`{"h":{` + stamp + `,"type":"GAUGE_HISTOGRAM","metrics":[{"buckets":{"+Inf":"1234567","1e+06":"1.5"},"count":"1234567",` +
				`"labels":{"instance":"","job":"j"},"sum":"3"}]},"labels":{"job":"j"},"last_push_successful":true}`,
		},
		{
			"native histogram of a high and a low schema",
			[]push{{
				"job/j", protobuf,
				`name: "a" type: HISTOGRAM metric { histogram { sample_count: 3 sample_sum: 3 schema: 1 positive_span { offset: 1 length: 2 } positive_delta: 1 positive_delta: 1 } }` +
					"\n\n" + `name: "b" type: HISTOGRAM metric { histogram { sample_count: 2 sample_sum: 3 schema: -4 positive_span { offset: 64 length: 2 } positive_delta: 1 positive_delta: 0 } }`,
			}},
			`{"a":{` + stamp + `,"type":"HISTOGRAM","metrics":[{"buckets":[[0,"1","1.414213562373095","1"],[0,"1.414213562373095","2","2"]],"count":"3",` +
				`"labels":{"instance":"","job":"j"},"sum":"3"}]},` +
				`"b":{` + stamp + `,"type":"HISTOGRAM","metrics":[{"buckets":[[0,"2.7430620343968443e+303","1.7976931348623157e+308","1"],[0,"1.7976931348623157e+308","+Inf","1"]],"count":"2",` +
				`"labels":{"instance":"","job":"j"},"sum":"3"}]},"labels":{"job":"j"},"last_push_successful":true}`,
		},
		{
			"native and classic buckets, and a zero bucket beside a classic one",
			[]push{{
				"job/j", protobuf,
				`name: "a" type: HISTOGRAM metric { histogram { sample_count: 3 sample_sum: 3 bucket { upper_bound: 1 cumulative_count: 3 } schema: 0 positive_span { offset: 1 length: 1 } positive_delta: 3 } }` +
					"\n\n" + `name: "b" type: HISTOGRAM metric { histogram { sample_count: 2 sample_sum: 3 bucket { upper_bound: inf cumulative_count: 2 } schema: 0 zero_threshold: 0.5 zero_count: 2 } }`,
			}},
			`{"a":{` + stamp + `,"type":"HISTOGRAM","metrics":[{"buckets":[[0,"1","2","3"]],"count":"3","labels":{"instance":"","job":"j"},"sum":"3"}]},` +
				`"b":{` + stamp + `,"type":"HISTOGRAM","metrics":[{"buckets":{"+Inf":"2"},"count":"2","labels":{"instance":"","job":"j"},"sum":"3"}]},` +
				`"labels":{"job":"j"},"last_push_successful":true}`,
		},
		{
			"a family without series is not held",
			[]push{{"job/j", protobuf, `name: "a" type: GAUGE`}},
			`{"labels":{"job":"j"},"last_push_successful":true}`,
		},
		{
			"clashes are none of one group",
			[]push{{"job/a", text, "# TYPE a gauge\na 1\n"}, {"job/b", text, "# TYPE a counter\na 1\n"}},
			`{"a":{` + stamp + `,"type":"GAUGE","metrics":[{"labels":{"instance":"","job":"a"},"value":"1"}]},"labels":{"job":"a"},"last_push_successful":true},` +
				`{"a":{` + stamp + `,"type":"COUNTER","metrics":[{"labels":{"instance":"","job":"b"},"value":"1"}]},"labels":{"job":"b"},"last_push_successful":true}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var answer strings.Builder
			require.NoError(t, gather.WriteMetrics(&answer, held(t, test.pushes...).groups(), options))
			assert.Equal(t, `{"status":"success","data":[`+test.want+`]}`, answer.String())
		})
	}
}

func TestWriteStatus(t *testing.T) {
	t.Parallel()
	var answer strings.Builder
	require.NoError(t, gather.WriteStatus(&answer, map[string]string{"version": "1"}, map[string]string{"groups.ttl": "0s"}, pushed))
	assert.Equal(t, `{"status":"success","data":{"build_information":{"version":"1"},"flags":{"groups.ttl":"0s"},"start_time":"2023-11-14T22:13:20.5Z"}}`, answer.String())
}

// TestWriterFails has a client that disconnects after some writes.
func TestWriterFails(t *testing.T) {
	t.Parallel()
	m := held(t, push{"job/j", text, "a 1\n"})
	for n := range 3 {
		assert.ErrorIs(t, gather.WriteMetrics(&failingWriter{n}, m.groups(), options), errGone)
	}
	assert.ErrorIs(t, gather.WriteStatus(&failingWriter{0}, nil, nil, time.Time{}), errGone)
}

var errGone = errors.New("gone")

// failingWriter fails after n writes.
type failingWriter struct{ n int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.n == 0 {
		return 0, errGone
	}
	w.n--
	return len(p), nil
}
