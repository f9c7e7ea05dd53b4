// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

// recordedCase is an exchange with a real Pushgateway 1.11.3.
type recordedCase struct {
	ID, Title string
	Steps     []recordedStep
	Exposed   []string
}

type recordedStep struct {
	Method, Target, Body string
	Headers              [][2]string
	BodyB64              string `json:"body_b64"`
	Expect               struct {
		Status int
		Body   string
	}
}

func recordedCases(t *testing.T) []recordedCase {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "conformance", "pushgateway-cases.json"))
	require.NoError(t, err)
	var file struct{ Cases []recordedCase }
	require.NoError(t, json.Unmarshal(data, &file))
	require.NotEmpty(t, file.Cases)
	return file.Cases
}

// notHeld are cases whose pushes are not stored as sent.
var notHeld = map[string]string{
	"E01": "compressed, which is package pushhttp's business",
	"R40": "redirected, which never happens here",
	"B34": "refused: h_gsum next to the gauge histogram h",
	"B53": "refused: a label without a value is none, so that a series is there twice",
	"N05": "refused: a series is there twice",
	"X17": "refused: a quantile is there twice",
}

// deviations are cases with intended differences.
var deviations = map[string]struct {
	why  string
	show []string
}{
	"B59": {"no metrics of its own to clash with", []string{
		"# HELP go_goroutines mine", "# TYPE go_goroutines gauge", `go_goroutines{instance="",job="j"} 5`,
	}},
	"B82": {"no metrics of its own to clash with", []string{
		"# TYPE pushgateway_http_requests_total gauge", `pushgateway_http_requests_total{instance="",job="j"} 1`,
	}},
	"M11": {"a clash of types is shown untyped", []string{
		"# TYPE a untyped", `a{instance="",job="g1"} 1`, `a{instance="",job="g2"} 1`,
		"# TYPE b untyped", `b{instance="",job="g3"} 1`,
	}},
	"N03": {"a clash of types is shown untyped", []string{
		"# TYPE a untyped", `a{instance="",job="g1"} 1`, `a{instance="",job="g2"} 1`,
	}},
	"P06": {"native histogram with fractional populations: classic buckets at the native bounds", []string{
		"# HELP pb_native_f help of pb_native_f", "# TYPE pb_native_f histogram",
		`pb_native_f_bucket{instance="",job="j",le="0.001"} 2.5`, `pb_native_f_bucket{instance="",job="j",le="1"} 5.5`,
		`pb_native_f_bucket{instance="",job="j",le="1.0905077326652577"} 9.5`,
		`pb_native_f_bucket{instance="",job="j",le="1.2968395546510096"} 12.5`,
		`pb_native_f_bucket{instance="",job="j",le="+Inf"} 12.5`,
		`pb_native_f_sum{instance="",job="j"} 18.4`, `pb_native_f_count{instance="",job="j"} 12.5`,
	}},
	"P11": {"families of one name and type are one family", []string{
		"# HELP pb_dup help of pb_dup", "# TYPE pb_dup gauge", `pb_dup{instance="",job="j",n="1"} 1`, `pb_dup{instance="",job="j",n="2"} 2`,
	}},
	"T17": {"OpenMetrics is read as such", []string{
		"# HELP c_total h", "# TYPE c_total counter", `c_total{instance="",job="j"} 1`,
	}},
	"X21": {"buckets are held in the order of their bounds", []string{
		"# TYPE h histogram", `h_bucket{instance="",job="j",le="1"} 1`, `h_bucket{instance="",job="j",le="+Inf"} 4`,
		`h_sum{instance="",job="j"} 9.5`, `h_count{instance="",job="j"} 4`,
	}},
}

// TestConformance replays recorded pushes and compares the output.
func TestConformance(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, c := range recordedCases(t) {
		if len(c.Exposed) == 0 || notHeld[c.ID] != "" {
			continue
		}
		compared++
		t.Run(c.ID+" "+c.Title, func(t *testing.T) {
			t.Parallel()
			want := c.Exposed
			if strings.HasPrefix(want[0], "An error has occurred") {
				want = nil // The push that broke the Pushgateway is refused.
			}
			if d, ok := deviations[c.ID]; ok {
				want = d.show
			}
			o := options
			o.Escape = underscores
			assert.Equal(t, want, exposed(t, replay(t, &c).scrape(t, o)))
		})
	}
	assert.Greater(t, compared, 90)
}

func underscores(name string) string { return model.EscapeName(name, model.UnderscoreEscaping) }

// Parts of recorded responses that differ each time.
var (
	timeStamp = regexp.MustCompile(`"time_stamp":"[^"]+"`)
	pushTime  = regexp.MustCompile(`"value":"1\.70000\d+e\+09"`)
)

// TestAPIConformance compares GET /api/v1/metrics byte by byte.
func TestAPIConformance(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, c := range recordedCases(t) {
		last := c.Steps[len(c.Steps)-1]
		if last.Method != http.MethodGet || last.Target != "/api/v1/metrics" {
			continue
		}
		compared++
		t.Run(c.ID+" "+c.Title, func(t *testing.T) {
			t.Parallel()
			o := options
			o.PushTimes = true
			var answer strings.Builder
			require.NoError(t, gather.WriteMetrics(&answer, replay(t, &c).groups(), o))
			got := timeStamp.ReplaceAllLiteralString(answer.String(), `"time_stamp":"<TS>"`)
			assert.Equal(t, last.Expect.Body, pushTime.ReplaceAllLiteralString(got, `"value":"<NOW>"`))
		})
	}
	assert.GreaterOrEqual(t, compared, 5)
}

// replay applies the accepted pushes and records those refused after decoding.
func replay(t *testing.T, c *recordedCase) memory {
	m := memory{}
	for _, step := range c.Steps {
		target, _, _ := strings.Cut(step.Target, "?")
		path, err := url.PathUnescape(target)
		require.NoError(t, err)
		_, path, _ = strings.Cut(path, "/metrics/")
		key, ok, err := groupingkey.Parse(path, true)
		switch refused := step.Expect.Status >= http.StatusMultipleChoices; {
		case !ok || err != nil:
		case refused && strings.HasPrefix(step.Expect.Body, "pushed metrics are invalid"):
			group := m[key.String()]
			group.Key, group.PushFailureTime = key, failed
			m[key.String()] = group
		case refused:
		case step.Method == http.MethodDelete:
			delete(m, key.String())
		default:
			m.push(t, key, step.format(), step.body(t), step.Method == http.MethodPut)
		}
	}
	return m
}

func (s *recordedStep) body(t *testing.T) []byte {
	if s.BodyB64 == "" {
		return []byte(s.Body)
	}
	body, err := base64.StdEncoding.DecodeString(s.BodyB64)
	require.NoError(t, err)
	return body
}

// format returns the format of the first Content-Type.
func (s *recordedStep) format() exposition.Format {
	for _, h := range s.Headers {
		if h[0] == "Content-Type" {
			return exposition.Negotiate(h[1])
		}
	}
	return exposition.Text
}
