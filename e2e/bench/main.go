// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench compares this receiver's decoders with other ways of reading the same metrics, and with the least that
// pdata costs, what groups cost with what they cost a Pushgateway, and what pushers of aggregates cost. It prints Markdown: a table
// for each format, whose ratios are of times measured in turns in one run, one of the memory that large pushes take, two of groups and
// three of aggregates. What it tells is the ratios; the times depend on the machine.
//
//	cd e2e && go run ./bench -pushgateway ../.tools/pushgateway
//	cd e2e && go run ./bench -collector ../_build/otelcol-pushgateway
//	cd e2e && go run ./bench -export ../_build/otelcol-pushgateway
//	cd e2e && go run ./bench -stores ../_build/otelcol-pushgateway
//
// The second form measures whole requests, as the collector's CPU time for each. The third one measures them on the whole way
// to a backend, which it serves itself. The last one compares the stores of groups, with a PostgreSQL server that it starts.
//
// See [column] for what is compared.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 20, "turns of each column on each page")
	turn := flag.Duration("turn", 10*time.Millisecond, "least duration of the floor's turns, which all columns read the page as often in")
	pages := flag.String("pages", "", "regular expression of the pages, or of the parts of -export, to measure; all if empty")
	size := flag.Int("memory", 20<<20, "size in bytes of the push whose memory is measured; 0 measures none")
	export := flag.String("export", "", "measure pushes on their way through this distribution to a backend instead, in rounds of at least a second")
	stores := flag.String("stores", "", "compare the stores of groups of this distribution instead, in rounds of at least a second")
	held := flag.Int("held", heldOfStores, "groups that each store holds in -stores")
	round := flag.Duration("round", time.Minute, "republish interval of these groups")
	collector := flag.String("collector", "", "measure whole requests to this distribution instead, in rounds of at least a second")
	pushgateway := flag.String("pushgateway", "", "compare what groups cost with this Pushgateway, too")
	pushers := flag.Int("pushers", 100_000, "pushers of the aggregates that are measured; 0 measures none")
	load := flag.Duration("load", 30*time.Second, "how long the load on one aggregate takes")
	address := flag.String("serve", "", "serve a receiver with groups there, which is what the comparison of groups starts")
	flag.Parse()
	var err error
	switch {
	case *address != "":
		err = serve(*address)
	case *export != "":
		err = runExport(*export, min(*rounds, 3), max(*turn, time.Second), *pages)
	case *stores != "":
		err = runStores(*stores, min(*rounds, 3), max(*turn, time.Second), *held, *round)
	case *collector != "":
		err = runHTTP(*collector, min(*rounds, 7), max(*turn, time.Second))
	default:
		err = run(*rounds, *turn, *pages, *size, *pushgateway, aggregateSize{*pushers, *load})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// aggregateSize is how much of aggregates is measured.
type aggregateSize struct {
	pushers int
	load    time.Duration
}

func run(rounds int, turn time.Duration, pattern string, size int, pushgateway string, aggregates aggregateSize) error {
	matching, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s/%s, %d processors\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	missed, err := printResults(matching, rounds, turn)
	if err != nil {
		return err
	}
	if size > 0 {
		m, err := printMemory(size)
		if err != nil {
			return err
		}
		missed += m
	}
	if pushgateway != "" {
		m, err := printGroups(pushgateway, rounds)
		if err != nil {
			return err
		}
		missed += m
	}
	if aggregates.pushers > 0 {
		m, err := printAggregates(aggregates.pushers, rounds, aggregates.load)
		if err != nil {
			return err
		}
		missed += m
	}
	fmt.Printf("\n%d targets missed.\n", missed)
	return nil
}

// printResults prints a table for each format.
func printResults(matching *regexp.Regexp, rounds int, turn time.Duration) (missed int, err error) {
	pages, err := loadPages()
	if err != nil {
		return 0, err
	}
	for _, f := range formats {
		t := newResultTable()
		for _, p := range pages {
			if _, ok := p.body[f.format]; !ok || !matching.MatchString(p.name) {
				continue
			}
			s, err := newSubject(p, f.format, f.content)
			if err != nil {
				return missed, fmt.Errorf("%s: %w", f.title, err)
			}
			missed += t.addResult(f.format, s, measure(s, rounds, turn))
		}
		fmt.Printf("\n## %s\n\n%s", f.title, t)
	}
	return missed, nil
}

// printMemory prints the memory of a large push with five labels a series and of the worst shape.
func printMemory(size int) (missed int, err error) {
	t := newTable("text push", "MB", "peak of the heap ÷ body", "the same, garbage collected at once", "pdata ÷ body")
	for _, shape := range []struct {
		name   string
		body   func(size int) []byte
		target target
	}{
		{"counters × 5 labels", fiveLabels, target{bound: 8}},
		{"one short sample of a family of its own a line", shortLines, target{}},
	} {
		usual, err := weigh(shape.body, size, 100)
		if err != nil {
			return missed, err
		}
		eager, err := weigh(shape.body, size, 1)
		if err != nil {
			return missed, err
		}
		multiple := func(bytes uint64) float64 { return float64(bytes) / float64(usual.body) }
		judged, met := shape.target.judge(multiple(usual.peak))
		if !met {
			missed++
		}
		t.row(shape.name, fmt.Sprintf("%.1f", float64(usual.body)/1e6), judged,
			fmt.Sprintf("%.2f", multiple(eager.peak)), fmt.Sprintf("%.2f", multiple(eager.result)))
	}
	fmt.Printf("\n## Memory\n\nThe body counts once among what the heap holds.\n\n%s", t)
	return missed, nil
}
