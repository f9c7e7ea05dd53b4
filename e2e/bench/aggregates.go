// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-pushgateway/pushgatewayreceiver"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pushtest"
)

const (
	fewPushers = 10 // in the aggregate with which the large one is compared
	// pushesPerSecond is the load on one aggregate, over loadClients connections, while each export takes exportTakes.
	pushesPerSecond = 2000
	loadClients     = 64
	exportTakes     = 100 * time.Millisecond
)

// printAggregates measures what pushers cost that contribute to one aggregate.
func printAggregates(pushers, rounds int, load time.Duration) (missed int, err error) {
	fmt.Printf("\n## Aggregates\n")
	err = printPushers(pushers)
	if err != nil {
		return 0, err
	}
	missed, err = printContributions(pushers, rounds)
	if err != nil {
		return missed, err
	}
	return missed, printAggregateLoad(load)
}

// pusherBodies are what pushers push. The series are those of the contributions.
var pusherBodies = []struct {
	name   string
	series int
	body   []byte
}{
	{"1 counter", 1, contributionOf(1, 0)},
	{"10 counters", 10, contributionOf(10, 0)},
	{"10 counters, 1 histogram of 11 bounds", 11, contributionOf(10, 11)},
}

// contributionOf is a push with as many counters, and with a histogram unless it has no bounds.
func contributionOf(counters, bounds int) []byte {
	var b strings.Builder
	for i := range counters {
		fmt.Fprintf(&b, "# TYPE rows_%d_total counter\nrows_%[1]d_total %d\n", i, 100+i)
	}
	if bounds > 0 {
		b.WriteString("# TYPE seconds histogram\n")
		for i := range bounds {
			fmt.Fprintf(&b, "seconds_bucket{le=\"%d\"} %d\n", i, 10*i)
		}
		fmt.Fprintf(&b, "seconds_bucket{le=\"+Inf\"} %d\nseconds_sum 12.5\nseconds_count %[1]d\n", 10*bounds)
	}
	return []byte(b.String())
}

// aggregating is a receiver in this process that aggregates by job_id.
type aggregating struct {
	url     string
	exports atomic.Int64
	stop    func() error
}

// startAggregating starts a receiver. Its exports take so long, and its storage is in a folder unless that is "".
func startAggregating(exports time.Duration, folder string) (*aggregating, error) {
	ctx := context.Background()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	_ = listener.Close()
	groups := map[string]any{"max_pushers": 0, "aggregate": []any{map[string]any{"without": []any{"job_id"}}}}
	host := storageHost{Host: componenttest.NewNopHost(), extensions: map[component.ID]component.Component{}}
	if folder != "" {
		groups["storage"] = "file_storage"
		err = host.open(ctx, folder)
	}
	if err != nil {
		return nil, err
	}
	a := &aggregating{url: "http://" + address}
	receiver, err := newAggregating(ctx, map[string]any{"endpoint": address, "groups": groups}, func(context.Context, pmetric.Metrics) error {
		a.exports.Add(1)
		time.Sleep(exports)
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.stop = func() error {
		err := receiver.Shutdown(ctx)
		for _, e := range host.extensions {
			err = errors.Join(err, e.Shutdown(ctx))
		}
		return err
	}
	return a, receiver.Start(ctx, host)
}

func newAggregating(ctx context.Context, settings map[string]any, export consumer.ConsumeMetricsFunc) (receiver.Metrics, error) {
	factory := pushgatewayreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(settings).Unmarshal(config); err != nil {
		return nil, err
	}
	next, err := consumer.NewMetrics(export)
	if err != nil {
		return nil, err
	}
	return factory.CreateMetrics(ctx, receivertest.NewNopSettings(factory.Type()), config, next)
}

// storageHost has a storage extension.
type storageHost struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h storageHost) GetExtensions() map[component.ID]component.Component { return h.extensions }

// open starts a storage extension with fsync in a folder.
func (h storageHost) open(ctx context.Context, folder string) error {
	factory := filestorage.NewFactory()
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(map[string]any{"directory": folder, "fsync": true}).Unmarshal(config); err != nil {
		return err
	}
	extension, err := factory.Create(ctx, extensiontest.NewNopSettings(factory.Type()), config)
	if err != nil {
		return err
	}
	h.extensions[component.NewID(factory.Type())] = extension
	return extension.Start(ctx, h)
}

// newPushers opens connections that push for pushers, in turns.
func (a *aggregating) newPushers(connections, pushers int, body []byte) (load, error) {
	l, err := newLoad(a.url, connections, 0, nil)
	if err != nil {
		return nil, err
	}
	for i, c := range l {
		for id := i; id < pushers; id += connections {
			head := fmt.Sprintf("PUT /metrics/job/nightly/job_id/%d HTTP/1.1\r\n"+
				"Host: localhost\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n", id, len(body))
			c.requests = append(c.requests, append([]byte(head), body...))
		}
	}
	return l, nil
}

// fill lets pushers push once. It returns when their requests are garbage.
func (a *aggregating) fill(pushers int, body []byte) error {
	l, err := a.newPushers(loadClients, pushers, body)
	if err != nil {
		return err
	}
	defer l.close()
	return l.sendOnce()
}

// printPushers prints the memory of remembered pushers.
func printPushers(pushers int) error {
	t := newTable("each pusher pushes", "pushers", "bytes per pusher", "bytes per contribution, less those of a pusher with 1")
	alone := 0.0
	for _, p := range pusherBodies {
		a, err := startAggregating(0, "")
		if err != nil {
			return err
		}
		if err := a.fill(1, p.body); err != nil { // The aggregate's own series are not the pushers'.
			return err
		}
		before := pushtest.SettledHeap()
		if err := a.fill(pushers, p.body); err != nil {
			return err
		}
		each := (float64(pushtest.SettledHeap()) - float64(before)) / float64(pushers)
		if err := a.stop(); err != nil {
			return err
		}
		contribution := "-"
		if p.series > 1 {
			contribution = fmt.Sprintf("%.1f", (each-alone)/float64(p.series-1))
		} else {
			alone = each
		}
		t.row(p.name, strconv.Itoa(pushers), fmt.Sprintf("%.0f", each), contribution)
	}
	fmt.Printf("\nHeap of the process, in memory only.\n\n%s", t)
	return nil
}

// printContributions compares a push to an aggregate of few pushers with one to an aggregate of many.
func printContributions(pushers, rounds int) (missed int, err error) {
	t := newTable("push", fmt.Sprintf("beside %d pushers, µs", fewPushers), fmt.Sprintf("beside %d pushers, µs", pushers), "ratio")
	for _, p := range pusherBodies {
		var turns [2]*client
		least := [2]time.Duration{1<<63 - 1, 1<<63 - 1}
		for i, n := range []int{fewPushers, pushers} {
			a, c, err := startFilled(n, p.body)
			if err != nil {
				return missed, err
			}
			defer func() { _ = a.stop() }()
			defer load{c}.close()
			turns[i] = c
		}
		for range rounds * fewPushers {
			for i, c := range turns {
				start := time.Now()
				if err := c.send(); err != nil {
					return missed, err
				}
				least[i] = min(least[i], time.Since(start))
			}
		}
		ratio, met := target{bound: 1.2}.judge(float64(least[1]) / float64(least[0]))
		if !met {
			missed++
		}
		t.row(p.name, micros(least[0]), micros(least[1]), ratio)
	}
	fmt.Printf("\nOne connection, text, PUT; the least time of a push in turns.\n\n%s", t)
	return missed, nil
}

// startFilled starts a receiver with pushers, and a connection that pushes for a few of them.
func startFilled(pushers int, body []byte) (*aggregating, *client, error) {
	a, err := startAggregating(0, "")
	if err != nil {
		return nil, nil, err
	}
	l, err := a.newPushers(1, fewPushers, body)
	if err != nil {
		return nil, nil, err
	}
	err = a.fill(pushers, body)
	return a, l[0], err
}

// printAggregateLoad pushes to one aggregate at a steady rate while exports are slow.
func printAggregateLoad(duration time.Duration) error {
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	t := newTable("storage", "pushes a second", "median, ms", "99th percentile, ms", "exports in ten seconds")
	for _, s := range []struct{ name, folder string }{{"none", ""}, {"file_storage, fsync", folder}} {
		a, err := startAggregating(exportTakes, s.folder)
		if err != nil {
			return err
		}
		took, err := a.steady(duration)
		exports := a.exports.Load()
		err = errors.Join(err, a.stop())
		if err != nil {
			return err
		}
		t.row(s.name, fmt.Sprintf("%.0f", float64(len(took))/duration.Seconds()), took.at(0.5), took.at(0.99),
			fmt.Sprintf("%.1f", float64(exports)*10/duration.Seconds()))
	}
	fmt.Printf("\nAs many pushers as pushes, each with 10 counters; an export takes %s. Times are from when a push was due.\n\n%s", exportTakes, t)
	return nil
}

// steady pushes at a steady rate, each push by another pusher.
func (a *aggregating) steady(duration time.Duration) (all latencies, err error) {
	pushes := int(pushesPerSecond * duration.Seconds())
	l, err := a.newPushers(loadClients, pushes, pusherBodies[1].body)
	if err != nil {
		return nil, err
	}
	defer l.close()
	took := make([]latencies, len(l))
	number := map[*client]int{}
	for i, c := range l {
		number[c] = i
	}
	start := time.Now()
	err = l.each(func(c *client) (err error) {
		n := number[c]
		for i := 0; i < len(c.requests) && err == nil; i++ {
			due := start.Add(time.Duration(i*len(l)+n) * time.Second / pushesPerSecond)
			time.Sleep(time.Until(due))
			err = c.send()
			took[n] = append(took[n], time.Since(due))
		}
		return err
	})()
	for _, times := range took {
		all = append(all, times...)
	}
	return all, err
}
