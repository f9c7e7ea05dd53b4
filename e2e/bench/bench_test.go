// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// A comparison is fair only if all columns make the same pdata of a page.
func TestColumnsMakeTheSame(t *testing.T) {
	t.Parallel()
	pages, err := loadPages()
	require.NoError(t, err)
	for _, p := range pages {
		for _, f := range formats {
			body, ok := p.body[f.format]
			if !ok {
				continue
			}
			t.Run(p.name+"/"+f.title, func(t *testing.T) {
				t.Parallel()
				_, err := newSubject(p, f.format, f.content)
				require.NoError(t, err)

				push, err := read(f.format, body)
				require.NoError(t, err)
				families, err := decode(forExpfmt(p, f.format, f.content))
				require.NoError(t, err)
				assertSame(t, convert(families, now), push.Metrics)
				assertSame(t, extract(push.Metrics).build(), push.Metrics)
			})
		}
	}
}

// assertSame compares pdata but for the order of metrics, which expfmt loses. Equal bytes are enough, and quick to compare;
// where they differ, pmetrictest says in what.
func assertSame(t *testing.T, want, got pmetric.Metrics) {
	t.Helper()
	if bytes.Equal(marshalSorted(t, want), marshalSorted(t, got)) {
		return
	}
	assert.NoError(t, pmetrictest.CompareMetrics(want, got))
	assert.Fail(t, "not the same pdata")
}

func marshalSorted(t *testing.T, md pmetric.Metrics) []byte {
	t.Helper()
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().Sort(func(a, b pmetric.Metric) bool { return a.Name() < b.Name() })
	encoded, err := new(pmetric.ProtoMarshaler).MarshalMetrics(md)
	require.NoError(t, err)
	return encoded
}

// BenchmarkColumns is for profiles of a single column, and for benchstat:
//
//	go test ./bench -run - -bench 'Columns/Text/node_exporter/this' -cpuprofile cpu.out
func BenchmarkColumns(b *testing.B) {
	pages, err := loadPages()
	require.NoError(b, err)
	for _, f := range formats {
		for _, p := range pages {
			if _, ok := p.body[f.format]; !ok {
				continue
			}
			s, err := newSubject(p, f.format, f.content)
			require.NoError(b, err)
			for c, read := range s.read {
				b.Run(f.title+"/"+p.name+"/"+columnNames[c], func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(int64(len(s.body)))
					for b.Loop() {
						if err := read(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
