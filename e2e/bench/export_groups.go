// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

// printHanging measures how long a push and a DELETE with groups take while the backend hangs, and while there is none.
func printHanging(collector string, p exportPage, rounds int, turn time.Duration, matching *regexp.Regexp) (missed int, err error) {
	if !matching.MatchString("hanging backend") {
		return 0, nil
	}
	t := newTable("receiver", "request", "median without a backend, ms", "while it hangs, ms", "ratio", "99th percentile without a backend, ms", "while it hangs, ms", "ratio")
	for _, m := range modes {
		if !m.groups {
			continue
		}
		without, hanging, err := measureHanging(collector, p, m, rounds, turn)
		if err != nil {
			return missed, err
		}
		for i, method := range hangingMethods {
			ratio, met := target{bound: 1.2}.judge(without[i].over(hanging[i], 0.5))
			if !met {
				missed++
			}
			t.row(m.name, method, without[i].at(0.5), hanging[i].at(0.5), ratio, without[i].at(0.99), hanging[i].at(0.99),
				fmt.Sprintf("%.2f", without[i].over(hanging[i], 0.99)))
		}
	}
	fmt.Printf("\n## While the backend hangs\n\n%s", t)
	return missed, nil
}

var hangingMethods = []string{"PUT", "DELETE"}

// latencies are how long requests took.
type latencies []time.Duration

func (l latencies) quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(l))[int(q*float64(len(l)-1))]
}

func (l latencies) at(q float64) string {
	return fmt.Sprintf("%.2f", float64(l.quantile(q))/float64(time.Millisecond))
}

// over is how many times as long others took.
func (l latencies) over(others latencies, q float64) float64 {
	return float64(others.quantile(q)) / float64(l.quantile(q))
}

// measureHanging measures a collector without a backend and one with a hanging backend in turns.
func measureHanging(collector string, p exportPage, m mode, rounds int, turn time.Duration) (without, hanging [2]latencies, err error) {
	none, err := startExporting(collector, nowhere, m, 0)
	if err != nil {
		return without, hanging, err
	}
	defer none.stop()
	hung, err := startExporting(collector, remoteWrite, m, time.Hour)
	if err != nil {
		return without, hanging, err
	}
	defer hung.stop()
	for range rounds {
		for e, into := range map[*exporting]*[2]latencies{none: &without, hung: &hanging} {
			if err := e.alternate(p, turn, into); err != nil {
				return without, hanging, err
			}
		}
	}
	return without, hanging, nil
}

// alternate pushes groups and deletes them for a turn, over a few connections.
func (e *exporting) alternate(p exportPage, turn time.Duration, into *[2]latencies) error {
	l, err := newLoad(e.server.url, connections, p.groupsEach, p.body)
	if err != nil {
		return err
	}
	defer l.close()
	for i, c := range l {
		var both [][]byte
		for g, push := range c.requests {
			both = append(both, push, newRequest("DELETE", i*p.groupsEach+g, nil))
		}
		c.requests = both
	}
	var mu sync.Mutex
	end := time.Now().Add(turn)
	return l.each(func(c *client) error {
		for i := 0; time.Now().Before(end) || i%2 == 1; i++ {
			start := time.Now()
			if err := c.send(); err != nil {
				return err
			}
			took := time.Since(start)
			mu.Lock()
			into[i%2] = append(into[i%2], took)
			mu.Unlock()
		}
		return nil
	})()
}

// republished are numbers of groups whose republishing is measured.
var republished = []int{20_000, 100_000}

// printRepublishing measures what republishing costs in a minute in which nobody pushes.
func printRepublishing(collector string, p exportPage, matching *regexp.Regexp) (missed int, err error) {
	t := newTable("groups of "+p.name, "way out", "backend requests a minute", "CPU of the collector a minute, s", "MiB to the backend a minute")
	for _, n := range republished {
		if !matching.MatchString(fmt.Sprintf("republishing %d", n)) {
			continue
		}
		all, err := measureRepublishing(collector, p, n)
		if err != nil {
			return missed, err
		}
		for _, r := range all {
			var requests, cpu target
			if n == republished[0] && r.way.name == remoteWrite.name {
				requests, cpu = target{bound: 500}, target{bound: 3}
			}
			requestsText, met := requests.judgeAs("%.0f", float64(r.requests))
			cpuText, alsoMet := cpu.judgeAs("%.2f", r.cpu.Seconds())
			for _, ok := range []bool{met, alsoMet} {
				if !ok {
					missed++
				}
			}
			t.row(strconv.Itoa(n), r.way.name, requestsText, cpuText, fmt.Sprintf("%.1f", float64(r.bytes)/(1<<20)))
		}
	}
	fmt.Printf("\n## Republishing\n\n%s", t)
	return missed, nil
}

// republishing is what a collector has used and sent.
type republishing struct {
	way             way
	cpu             time.Duration
	requests, bytes int64
}

// measureRepublishing lets collectors of all ways republish at the same time. It returns what they used in a minute.
func measureRepublishing(collector string, p exportPage, groups int) (all []republishing, err error) {
	var running []*exporting
	for _, w := range []way{remoteWrite, remoteWrite2, otlpHTTP} {
		e, err := startExporting(collector, w, inMemory, backendDelay)
		if err != nil {
			return nil, err
		}
		defer e.stop()
		if err := e.fill(p, groups); err != nil {
			return nil, err
		}
		running = append(running, e)
	}
	time.Sleep(time.Minute) // The last changes have gone out, and the first round has begun.
	for _, e := range running {
		cpu, err := e.cpu()
		if err != nil {
			return nil, err
		}
		all = append(all, republishing{e.way, cpu, e.requests.Load(), e.bytes.Load()})
	}
	time.Sleep(time.Minute)
	for i, e := range running {
		cpu, err := e.cpu()
		if err != nil {
			return nil, err
		}
		all[i] = republishing{e.way, cpu - all[i].cpu, e.requests.Load() - all[i].requests, e.bytes.Load() - all[i].bytes}
	}
	return all, nil
}

// fill pushes that many groups, rounded down to whole clients.
func (e *exporting) fill(p exportPage, groups int) error {
	l, err := newLoad(e.server.url, exportClients, groups/exportClients, p.body)
	if err != nil {
		return err
	}
	defer l.close()
	return l.sendOnce()
}
