// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// The configuration of the collector whose CPU is measured: both receivers side by side, into nothing. Its own telemetry
// is on, as it is by default.
const httpConfig = `
receivers:
  pushgateway:
    endpoint: %[1]s
  pushgateway/page:
    endpoint: %[4]s
    page: {}
  otlp:
    protocols:
      http:
        endpoint: %[2]s
exporters:
  nop:
service:
  pipelines:
    metrics:
      receivers: [pushgateway, pushgateway/page, otlp]
      exporters: [nop]
  telemetry:
    metrics:
      readers:
        - pull:
            exporter:
              prometheus:
                host: 127.0.0.1
                port: %[3]s
`

const (
	// connections send requests at the same time.
	connections = 4
	// clockTick is the unit of CPU times in /proc on Linux.
	clockTick = 10 * time.Millisecond
)

// request is one way of sending a page to the collector.
type request struct {
	name        string
	url         string
	contentType string
	body        []byte
	target      float64 // times the CPU of the first request of the page; 0 without
	viewers     int     // who look at the page meanwhile
	cpu, wall   []time.Duration
}

// runHTTP measures whole requests over loopback: what one push costs the collector, next to the same metrics sent to its
// otlp receiver, in turns.
func runHTTP(collector string, rounds int, turn time.Duration) error {
	c, err := startCollector(collector)
	if err != nil {
		return err
	}
	defer c.stop()
	pages, err := loadPages()
	if err != nil {
		return err
	}
	t := newTable("page", "request", "KiB", "CPU of the collector per push, µs", "push/s", "CPU ÷ otlp receiver's")
	missed := 0
	for _, p := range pages {
		wanted, ok := map[string]float64{"job push": 1, "10,000 gauges": 0.8, "1000 counters × 5 labels": 0.8}[p.name]
		if !ok {
			continue
		}
		requests, err := c.requestsOf(p, wanted)
		if err != nil {
			return err
		}
		if err := c.measure(requests, rounds, turn); err != nil {
			return err
		}
		missed += t.addRequests(p, requests)
	}
	fmt.Printf("\n## Whole requests\n\n%s\n%d targets missed.\n", t, missed)
	return nil
}

func (t *table) addRequests(p page, requests []*request) (missed int) {
	reference := median(requests[0].cpu)
	for _, r := range requests {
		ratio, met := target{bound: r.target}.judge(float64(median(r.cpu)) / float64(reference))
		if !met {
			missed++
		}
		t.row(p.name, r.name, fmt.Sprintf("%.1f", float64(len(r.body))/1024),
			fmt.Sprintf("%.1f", float64(median(r.cpu))/float64(time.Microsecond)),
			fmt.Sprintf("%.0f", float64(time.Second)/float64(median(r.wall))), ratio)
	}
	return missed
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// collector is a running distribution.
type collector struct {
	*server
	folder string
	otlp   string
	page   string // a receiver with a page
}

// requestsOf are all ways of sending a page; that to the otlp receiver is the first.
func (c *collector) requestsOf(p page, wanted float64) ([]*request, error) {
	push, err := read(exposition.Text, p.body[exposition.Text])
	if err != nil {
		return nil, err
	}
	otlpBody, err := new(pmetric.ProtoMarshaler).MarshalMetrics(push.Metrics)
	if err != nil {
		return nil, err
	}
	requests := []*request{{name: "otlp", url: c.otlp + "/v1/metrics", contentType: "application/x-protobuf", body: otlpBody}}
	for _, f := range formats {
		if f.format != exposition.OpenMetrics {
			requests = append(requests, &request{
				name: f.title, url: c.url + "/metrics/job/nightly/instance/node1/shard/{n}",
				contentType: string(f.content), body: p.body[f.format], target: wanted,
			})
		}
	}
	if p.name == "job push" {
		text := requests[1]
		for _, viewers := range []int{0, mostViewers} {
			requests = append(requests, &request{
				name: fmt.Sprintf("%s, page with %d viewers", text.name, viewers), url: strings.Replace(text.url, c.url, c.page, 1),
				contentType: text.contentType, body: text.body, viewers: viewers,
			})
		}
	}
	return requests, nil
}

// mostViewers is how many can look at a page.
const mostViewers = 16

// look opens the streams of viewers and reads them until the returned function is called.
func (c *collector) look(viewers int) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var reading sync.WaitGroup
	stop = func() {
		cancel()
		reading.Wait()
	}
	for range viewers {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.page+"/ui/api/events", http.NoBody)
		if err != nil {
			return stop, err
		}
		response, err := c.client.Do(request)
		if err != nil {
			return stop, err
		}
		if response.StatusCode != http.StatusOK {
			_ = response.Body.Close()
			return stop, fmt.Errorf("events: %s", response.Status)
		}
		reading.Go(func() {
			defer response.Body.Close()
			_, _ = io.Copy(io.Discard, response.Body) // It ends with the context.
		})
	}
	return stop, nil
}

// measure sends all requests in turns.
func (c *collector) measure(requests []*request, rounds int, turn time.Duration) error {
	repeats := make([]int, len(requests))
	for i, r := range requests {
		_, wall, err := c.send(r, 20)
		if err != nil {
			return err
		}
		repeats[i] = int(turn/wall) + 20
	}
	for range rounds {
		for i, r := range requests {
			cpu, wall, err := c.send(r, repeats[i])
			if err != nil {
				return err
			}
			r.cpu, r.wall = append(r.cpu, cpu), append(r.wall, wall)
		}
	}
	return nil
}

// send sends a request n times and returns the collector's CPU time and the time passed, both for one of them.
func (c *collector) send(r *request, n int) (cpu, wall time.Duration, err error) {
	stop, err := c.look(r.viewers)
	defer stop()
	if err != nil {
		return 0, 0, err
	}
	before, err := c.cpu()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	var workers sync.WaitGroup
	failures := make([]error, connections)
	for w := range connections {
		workers.Go(func() {
			for i := w; i < n && failures[w] == nil; i += connections {
				failures[w] = c.sendOnce(r, i%groups)
			}
		})
	}
	workers.Wait()
	wall = time.Since(start)
	after, err := c.cpu()
	return (after - before) / time.Duration(n), wall / time.Duration(n), errors.Join(append(failures, err)...)
}

// groups is how many groups the pushes are of, since one group takes no more than a thousand pushes a second.
const groups = 64

func (c *collector) sendOnce(r *request, group int) error {
	url := strings.Replace(r.url, "{n}", strconv.Itoa(group), 1)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", r.contentType)
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", r.name, response.Status, text)
	}
	return err
}

// startCollector starts the distribution on free ports and waits until it is ready.
func startCollector(path string) (*collector, error) {
	var endpoints [3]string
	for i := range endpoints {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		endpoints[i] = listener.Addr().String()
		_ = listener.Close()
	}
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "config.yaml")
	var written error
	s, err := startServer(path, func(address string) []string {
		config := fmt.Sprintf(httpConfig, address, endpoints[0], strings.TrimPrefix(endpoints[1], "127.0.0.1:"), endpoints[2])
		written = os.WriteFile(file, []byte(config), 0o600)
		return []string{"--config", file}
	})
	return &collector{server: s, folder: folder, otlp: "http://" + endpoints[0], page: "http://" + endpoints[2]}, errors.Join(written, err)
}

func (c *collector) stop() {
	c.server.stop()
	_ = os.RemoveAll(c.folder)
}
