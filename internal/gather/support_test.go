// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather_test

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/gather"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/translate"
)

const scopeName = "receiver"

// options are those of most tests: names as pushed, without the times of pushes.
var options = gather.Options{ScopeName: scopeName}

// The times at which the tests push.
var (
	pushed = time.Date(2023, 11, 14, 22, 13, 20, 500000000, time.UTC)
	failed = pushed.Add(time.Minute)
)

// push is a push to a group, named by what follows /metrics/ in its path.
type push struct {
	path   string
	format exposition.Format
	body   string
}

// memory is what the store holds, as far as gather is concerned.
type memory map[string]gather.Group

// held is what is held after some pushes.
func held(t *testing.T, pushes ...push) memory {
	m := memory{}
	for _, p := range pushes {
		body := []byte(p.body)
		if p.format == exposition.Protobuf {
			body = delimited(t, p.body)
		}
		key, ok, err := groupingkey.Parse(p.path, true)
		require.NoError(t, err)
		require.True(t, ok)
		m.push(t, key, p.format, body, false)
	}
	return m
}

// delimited encodes families that are written as prototext, a blank line between them.
func delimited(t *testing.T, body string) []byte {
	var families []*dto.MetricFamily
	for text := range strings.SplitSeq(body, "\n\n") {
		family := new(dto.MetricFamily)
		require.NoError(t, prototext.Unmarshal([]byte(text), family))
		families = append(families, family)
	}
	return encoded(t, families)
}

func encoded(t *testing.T, families []*dto.MetricFamily) []byte {
	var out bytes.Buffer
	for _, f := range families {
		_, err := protodelim.MarshalTo(&out, f)
		require.NoError(t, err)
	}
	return out.Bytes()
}

// push takes a push.
func (m memory) push(t *testing.T, key groupingkey.Key, format exposition.Format, body []byte, replace bool) {
	var batch exposition.Batch
	require.NoError(t, batch.Decode(format, body, exposition.Options{UTF8Names: true}))
	translated, err := translate.Translate(&batch, key, translate.Options{Held: true, PushTime: true, ScopeName: scopeName, ScopeVersion: "1.2.3"})
	require.NoError(t, err)
	group := m[key.String()]
	group.Key, group.PushTime = key, pushed
	if replace {
		group.Families = nil
	}
	for _, f := range translated.Families {
		group.Families = slices.DeleteFunc(slices.Clone(group.Families), func(old gather.Family) bool { return old.Name == f.Name })
		group.Families = append(group.Families, gather.Family{
			Name: f.Name, Type: f.Type.String(), PushTime: pushed, Metrics: kept(translated, f),
		})
	}
	m[key.String()] = group
}

func kept(p *translate.Push, f translate.Family) func() pmetric.Metrics {
	md := pmetric.NewMetrics()
	p.With(f, func(lent pmetric.Metrics) { lent.CopyTo(md) })
	return func() pmetric.Metrics { return md }
}

// groups are all groups, sorted by key.
func (m memory) groups() iter.Seq[gather.Group] {
	return func(yield func(gather.Group) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(m[key]) {
				return
			}
		}
	}
}

// exposed is what a scrape of the text format shows, line by line.
func exposed(t *testing.T, families []*dto.MetricFamily) []string {
	var out bytes.Buffer
	format := expfmt.NewFormat(expfmt.TypeTextPlain).WithEscapingScheme(model.NoEscaping)
	encoder := expfmt.NewEncoder(&out, format)
	for _, f := range families {
		require.NoError(t, encoder.Encode(f))
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	_, err := parser.TextToMetricFamilies(bytes.NewReader(out.Bytes()))
	require.NoError(t, err, out.String())
	return lines(out.String())
}

// lines splits a text into its lines.
func lines(text string) []string {
	return slices.Collect(strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' }))
}
