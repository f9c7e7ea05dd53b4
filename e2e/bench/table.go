// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// table is a Markdown table.
type table struct{ strings.Builder }

func newTable(titles ...string) *table {
	t := &table{}
	t.row(titles...)
	t.row(append([]string{"---"}, strings.Split(strings.Repeat("---:|", len(titles)-1), "|")[:len(titles)-1]...)...)
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintf(t, "| %s |\n", strings.Join(cells, " | ")) }

// newResultTable is the table of one format.
func newResultTable() *table {
	return newTable("page", "series", "KiB",
		"this decoder, µs", "ns/series", "floor, µs", "OTLP unmarshal, µs", "expfmt + conversion, µs", "textparse, µs",
		"÷ floor", "÷ OTLP unmarshal", "expfmt ÷ this", "÷ textparse", "allocations", "of the floor", "÷ floor")
}

// addResult adds a page's row and returns the number of targets that it misses.
func (t *table) addResult(f exposition.Format, s *subject, r [columns]result) (missed int) {
	own, targets := r[decoder], targetsOf(f, s.page.kind)
	judge := func(value float64, wanted target) string {
		text, ok := wanted.judge(value)
		if !ok {
			missed++
		}
		return text
	}
	micros := func(c column) string { return fmt.Sprintf("%.1f", float64(r[c].time)/float64(time.Microsecond)) }
	ratio := func(a, b column) float64 { return float64(r[a].time) / float64(r[b].time) }
	t.row(s.page.name, strconv.Itoa(s.series), fmt.Sprintf("%.1f", float64(len(s.body))/1024),
		micros(decoder), fmt.Sprintf("%.0f", float64(own.time)/float64(s.series)), micros(floor), micros(otlp), micros(expfmtToo), micros(textparsed),
		judge(ratio(decoder, floor), targets.floor), judge(ratio(decoder, otlp), targets.otlp),
		judge(ratio(expfmtToo, decoder), targets.expfmt), fmt.Sprintf("%.2f", ratio(decoder, textparsed)),
		strconv.FormatUint(own.allocs, 10), strconv.FormatUint(r[floor].allocs, 10),
		judge(float64(own.allocs)/float64(r[floor].allocs), targets.allocations))
	return missed
}

// target bounds a ratio from above, or from below if it is a least one. The zero target is none.
type target struct {
	bound float64
	least bool
}

// judge writes the ratio with its target and whether that was met.
func (t target) judge(value float64) (text string, met bool) { return t.judgeAs("%.2f", value) }

// judgeAs is judge for a value that is written in a format of its own.
func (t target) judgeAs(format string, value float64) (text string, met bool) {
	text, sign := fmt.Sprintf(format, value), "≤"
	met = value <= t.bound
	if t.least {
		sign, met = "≥", value >= t.bound
	}
	switch {
	case t.bound == 0:
		return text, true
	case met:
		return fmt.Sprintf("%s (%s %g, met)", text, sign, t.bound), true
	default:
		return fmt.Sprintf("**%s** (%s %g, missed)", text, sign, t.bound), false
	}
}

// targets are what this decoder is to reach on one page in one format.
type targets struct{ floor, otlp, expfmt, allocations target }

func targetsOf(f exposition.Format, k kind) targets {
	t := targets{expfmt: target{bound: 5, least: true}, allocations: target{bound: 1.02}}
	if f == exposition.Protobuf {
		t.expfmt.bound = 3
	}
	switch {
	case k == labeled:
		t.floor, t.otlp = target{bound: 1.4}, target{bound: 0.75}
	case f != exposition.Protobuf && (k == exporter || k == heavy):
		t.otlp = target{bound: 1.6}
	}
	return t
}
