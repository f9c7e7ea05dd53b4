// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

const (
	// exportClients is how many clients push at once, but for the lone one.
	exportClients = 64
	// warmUp is how long clients push before a turn is measured.
	warmUp = 500 * time.Millisecond
	// leastPushes is how many pushes a turn has, unless that takes ten times as long: CPU time comes in ticks.
	leastPushes = 100
)

// exportPage is a push whose whole way is measured.
type exportPage struct {
	name       string
	body       []byte
	groupsEach int // groups that each client pushes to, in turns
}

// runExport measures pushes on the whole way to a backend, and what groups cost without pushes.
func runExport(collector string, rounds int, turn time.Duration, pattern string) error {
	matching, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s/%s, %d processors, %s, load average %s before\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), processor(), loadAverage())
	pages, err := exportPages()
	if err != nil {
		return err
	}
	missed := 0
	for _, part := range []func() (int, error){
		func() (int, error) { return printExports(collector, pages, rounds, turn, matching) },
		func() (int, error) { return printHanging(collector, pages[0], rounds, turn, matching) },
		func() (int, error) { return printRepublishing(collector, pages[0], matching) },
	} {
		m, err := part()
		if err != nil {
			return err
		}
		missed += m
	}
	fmt.Printf("\n%d targets missed.\n", missed)
	return nil
}

func exportPages() ([]exportPage, error) {
	small, err := generatedPage("10 series", small, tenSeries())
	if err != nil {
		return nil, err
	}
	large, err := generatedPage("1000 series × 5 labels", labeled, counters(1000))
	if err != nil {
		return nil, err
	}
	// A large push to a thousand groups would measure what a million series take.
	return []exportPage{{small.name, small.body[exposition.Text], 16}, {large.name, large.body[exposition.Text], 1}}, nil
}

// processor is the model of the processors.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	_, model, _ := strings.Cut(string(info), "model name\t: ")
	model, _, _ = strings.Cut(model, "\n")
	return model
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	average, _, _ := strings.Cut(string(text), " ")
	return average
}

// measured is a load on a collector, and what its turns took.
type measured struct {
	*exporting
	page  exportPage
	load  load
	turns []turnFigures
}

// turnFigures are of one turn, for a push.
type turnFigures struct{ perSecond, cpu, requests, bytes float64 }

// printExports measures pushes of many clients, and small ones of a lone client.
func printExports(collector string, pages []exportPage, rounds int, turn time.Duration, matching *regexp.Regexp) (missed int, err error) {
	titles := []string{
		"push", "way out", "receiver", "CPU of the collector per push, µs", "push/s", "backend requests per push", "KiB to the backend per push", "CPU ÷ into nothing",
	}
	many, lone, shares := newTable(titles...), newTable(titles...), newTable("push", "way out", "push/s with fsync ÷ without")
	for _, p := range pages {
		into := map[string]float64{} // CPU with the nop exporter
		for _, w := range []way{nowhere, remoteWrite, remoteWrite2, otlpHTTP} {
			if !matching.MatchString(p.name + ", " + w.name) {
				continue
			}
			all, err := measureWay(collector, p, w, rounds, turn)
			if err != nil {
				return missed, err
			}
			missed += many.addExports(all[:len(modes)], into, targetsOfExport(p, w))
			if len(all) > len(modes) {
				lone.addExports(all[len(modes):], into, exportTargets{})
			}
			missed += shares.addShare(all, p, w)
		}
	}
	fmt.Printf("\n## Exports\n\n%d clients:\n\n%s\nA lone client:\n\n%s\nThe storage:\n\n%s", exportClients, many, lone, shares)
	return missed, nil
}

// measureWay measures the receiver in all its modes, in turns: first all with many clients, then with a lone one.
func measureWay(collector string, p exportPage, w way, rounds int, turn time.Duration) (all []*measured, err error) {
	var lone []*measured
	for _, m := range modes {
		e, err := startExporting(collector, w, m, backendDelay)
		if err != nil {
			return nil, err
		}
		defer e.stop()
		for clients, list := range map[int]*[]*measured{exportClients: &all, 1: &lone} {
			l, err := newLoad(e.server.url, clients, p.groupsEach, p.body)
			if err != nil {
				return nil, err
			}
			defer l.close()
			*list = append(*list, &measured{exporting: e, page: p, load: l})
		}
	}
	if p.groupsEach > 1 {
		all = append(all, lone...)
	}
	for range rounds {
		for _, m := range all {
			if err := m.measure(turn); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", m.way.name, m.mode.name, err)
			}
		}
	}
	return all, nil
}

// measure lets the clients push for a turn.
func (m *measured) measure(turn time.Duration) error {
	stop := m.load.start()
	time.Sleep(warmUp)
	cpu, err := m.cpu()
	start, pushes, requests, bytes := time.Now(), m.load.answered(), m.requests.Load(), m.bytes.Load()
	for range 10 {
		time.Sleep(turn)
		if m.load.answered()-pushes >= leastPushes {
			break
		}
	}
	used, failed := m.cpu()
	passed, n := time.Since(start), float64(m.load.answered()-pushes)
	m.turns = append(m.turns, turnFigures{
		perSecond: n / passed.Seconds(),
		cpu:       float64((used - cpu).Microseconds()) / n,
		requests:  float64(m.requests.Load()-requests) / n,
		bytes:     float64(m.bytes.Load()-bytes) / n,
	})
	return errors.Join(err, failed, stop())
}

// median is the median of a figure over the turns.
func (m *measured) median(figure func(turnFigures) float64) float64 {
	figures := make([]float64, 0, len(m.turns))
	for _, t := range m.turns {
		figures = append(figures, figure(t))
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

func (m *measured) cpuPerPush() float64 {
	return m.median(func(t turnFigures) float64 { return t.cpu })
}

func (m *measured) perSecond() float64 {
	return m.median(func(t turnFigures) float64 { return t.perSecond })
}

// exportTargets are what many clients are to reach as a proxy and with groups.
type exportTargets struct{ requests, proxyCPU, proxyRate, groupsCPU, groupsRate target }

func targetsOfExport(p exportPage, w way) (t exportTargets) {
	if p.groupsEach == 1 || w.exporter == nowhere.exporter {
		return t
	}
	t.requests = target{bound: 0.1}
	if w.name == remoteWrite.name {
		t.proxyCPU, t.proxyRate = target{bound: 110}, target{bound: 3000, least: true}
		t.groupsCPU, t.groupsRate = target{bound: 150}, target{bound: 6000, least: true}
	}
	return t
}

// of are the targets of a mode. A storage has its own, its share with fsync.
func (t exportTargets) of(m mode) (cpu, rate target) {
	switch {
	case m.stored:
		return target{}, target{}
	case m.groups:
		return t.groupsCPU, t.groupsRate
	default:
		return t.proxyCPU, t.proxyRate
	}
}

// addExports adds the rows of a way. The first way, into nothing, is what the others are compared with.
func (t *table) addExports(all []*measured, into map[string]float64, wanted exportTargets) (missed int) {
	judge := func(value float64, wanted target, format string) string {
		text, met := wanted.judgeAs(format, value)
		if !met {
			missed++
		}
		return text
	}
	for _, m := range all {
		cpu, rate := wanted.of(m.mode)
		key := fmt.Sprint(m.mode.name, len(m.load))
		if m.way.exporter == nowhere.exporter {
			into[key] = m.cpuPerPush()
		}
		ratio := ""
		if into[key] > 0 {
			ratio = fmt.Sprintf("%.2f", m.cpuPerPush()/into[key])
		}
		t.row(m.page.name, m.way.name, m.mode.name, judge(m.cpuPerPush(), cpu, "%.1f"), judge(m.perSecond(), rate, "%.0f"),
			judge(m.median(func(t turnFigures) float64 { return t.requests }), wanted.requests, "%.3f"),
			fmt.Sprintf("%.2f", m.median(func(t turnFigures) float64 { return t.bytes })/1024), ratio)
	}
	return missed
}

// addShare adds what many clients reach with fsync, as a share of what they reach without, turn by turn.
func (t *table) addShare(all []*measured, p exportPage, w way) (missed int) {
	var with, without *measured
	for _, m := range all[:len(modes)] {
		switch m.mode {
		case withFsync:
			with = m
		case withStorage:
			without = m
		}
	}
	wanted := target{}
	if p.groupsEach > 1 {
		wanted = target{bound: 0.7, least: true}
	}
	text, met := wanted.judge(with.perSecond() / without.perSecond())
	if !met {
		missed++
	}
	t.row(p.name, w.name, text)
	return missed
}
