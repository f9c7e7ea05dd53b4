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

// options are the default of the tests: names as pushed, no push times.
var options = gather.Options{ScopeName: scopeName}

// Push times of the tests.
var (
	pushed = time.Date(2023, 11, 14, 22, 13, 20, 500000000, time.UTC)
	failed = pushed.Add(time.Minute)
)

// push is a push to the group of a path after /metrics/.
type push struct {
	path   string
	format exposition.Format
	body   string
}

// memory replaces the store for gather.
type memory map[string]gather.Group

// held returns the state after some pushes.
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

// delimited encodes prototext families, separated by a blank line.
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

// push applies a push.
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
	p.WithFamily(f, func(lent pmetric.Metrics) { lent.CopyTo(md) })
	return func() pmetric.Metrics { return md }
}

// groups yields all groups, sorted by key.
func (m memory) groups() iter.Seq2[gather.Group, error] {
	return func(yield func(gather.Group, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(m[key], nil) {
				return
			}
		}
	}
}

// scrape returns the merged families of all groups.
func (m memory) scrape(t *testing.T, o gather.Options) (families []*dto.MetricFamily) {
	scrape := gather.NewScrape(o)
	for f, err := range scrape.Families(m.fragments(scrape.Plan(m.types()))) {
		require.NoError(t, err)
		families = append(families, f)
	}
	return families
}

// types returns the types of all families by name.
func (m memory) types() map[string][]string {
	types := map[string][]string{}
	for _, g := range m {
		for _, f := range g.Families {
			types[f.Name] = append(types[f.Name], f.Type)
		}
	}
	return types
}

// fragments replaces the store's answer to a plan.
func (m memory) fragments(sets [][]string) iter.Seq2[gather.Fragment, error] {
	return func(yield func(gather.Fragment, error) bool) {
		for i, names := range sets {
			for g := range m.groups() {
				families := slices.DeleteFunc(slices.Clone(g.Families), func(f gather.Family) bool { return !slices.Contains(names, f.Name) })
				if g.Families = families; len(families) == 0 && !slices.Contains(names, "") {
					continue
				}
				if !yield(gather.Fragment{Group: g, Set: i}, nil) {
					return
				}
			}
		}
	}
}

// exposed returns the lines of a scrape in the text format.
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
