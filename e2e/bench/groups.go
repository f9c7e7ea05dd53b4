// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// What the full servers hold.
const (
	heldGroups       = 1000
	seriesPerGroup   = 200
	familiesPerGroup = 10
)

// kept is a server that keeps groups, twice: one holds nothing but what is measured, the other one a lot.
type kept struct {
	name        string
	empty, full *server
	before      int64 // memory of the full one before it was filled, in bytes
	repeats     int   // pushes in a turn
	target      target
	folder      string // of what the full one persists; removed when it has ended
}

// printGroups measures what a push costs a server that keeps groups while it holds little and while it holds much, and what
// it holds takes, for this receiver and for a real Pushgateway.
func printGroups(pushgateway string, rounds int) (missed int, err error) {
	receiver, err := keepReceivers()
	if err != nil {
		return 0, err
	}
	defer receiver.stop()
	other, err := keepPushgateways(pushgateway)
	if err != nil {
		return 0, err
	}
	defer other.stop()
	all := []*kept{receiver, other}
	missed, err = printPushes(all, rounds)
	if err != nil {
		return missed, err
	}
	m, err := printHeld(all)
	return missed + m, err
}

// printPushes measures pushes of the same group again and again.
func printPushes(all []*kept, rounds int) (missed int, err error) {
	pages, err := loadPages()
	if err != nil {
		return 0, err
	}
	t := newTable("page", "server", "push while nothing else is held, µs", fmt.Sprintf("push beside %d series in %d groups, µs", heldGroups*seriesPerGroup, heldGroups), "ratio")
	for _, p := range pages {
		if p.name != "job push" && p.name != "1000 counters × 5 labels" {
			continue
		}
		for _, k := range all {
			empty, full, err := k.measure(p.body[exposition.Text], rounds)
			if err != nil {
				return missed, err
			}
			ratio, met := k.target.judge(float64(full) / float64(empty))
			if !met {
				missed++
			}
			t.row(p.name, k.name, micros(empty), micros(full), ratio)
		}
	}
	fmt.Printf("\n## Groups\n\nOne connection, text, PUT; the least time of a push in %d turns.\n\n%s", rounds, t)
	return missed, nil
}

func micros(d time.Duration) string {
	return fmt.Sprintf("%.0f", float64(d)/float64(time.Microsecond))
}

// measure pushes to both servers in turns.
func (k *kept) measure(body []byte, rounds int) (empty, full time.Duration, err error) {
	empty, full = 1<<63-1, 1<<63-1
	for range rounds {
		for range k.repeats {
			for _, turn := range []struct {
				server *server
				least  *time.Duration
			}{{k.empty, &empty}, {k.full, &full}} {
				start := time.Now()
				if err := turn.server.put("/metrics/job/measured", body); err != nil {
					return 0, 0, err
				}
				*turn.least = min(*turn.least, time.Since(start))
			}
		}
	}
	return empty, full, nil
}

// printHeld prints the memory that a series takes that is held. The Pushgateway, which the others are compared with, comes
// last.
func printHeld(all []*kept) (missed int, err error) {
	t := newTable("server", "resident memory of the process, MB", "bytes per series", "÷ Pushgateway's")
	residents, perSeries := make([]int64, len(all)), make([]float64, len(all))
	for i, k := range all {
		if residents[i], err = k.full.resident(); err != nil {
			return 0, err
		}
		perSeries[i] = float64(residents[i]-k.before) / (heldGroups * seriesPerGroup)
	}
	reference := len(all) - 1
	for i, k := range all {
		ratio, met := "", true
		if i != reference {
			ratio, met = target{bound: 1}.judge(perSeries[i] / perSeries[reference])
		}
		if !met {
			missed++
		}
		t.row(k.name, fmt.Sprintf("%.0f", float64(residents[i])/1e6), fmt.Sprintf("%.0f", perSeries[i]), ratio)
	}
	fmt.Printf("\n%s", t)
	return missed, nil
}

func keepReceivers() (*kept, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	k := &kept{name: "this receiver", repeats: 20, target: target{bound: 1.2}}
	for _, s := range []**server{&k.empty, &k.full} {
		*s, err = startServer(self, func(address string) []string { return []string{"-serve", address} })
		if err != nil {
			return nil, err
		}
	}
	if k.before, err = k.full.resident(); err != nil {
		return nil, err
	}
	return k, k.full.fill()
}

// keepPushgateways fills the one Pushgateway without its check, which would take minutes, and starts it again with it.
func keepPushgateways(path string) (*kept, error) {
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	arguments := func(more ...string) func(string) []string {
		return func(address string) []string {
			return append(more, "--web.listen-address="+address, "--log.level=error")
		}
	}
	persistent := "--persistence.file=" + filepath.Join(folder, "groups")
	k := &kept{name: "Pushgateway", repeats: 1, folder: folder}
	if k.empty, err = startServer(path, arguments()); err != nil {
		return nil, err
	}
	if k.before, err = k.empty.resident(); err != nil {
		return nil, err
	}
	filled, err := startServer(path, arguments(persistent, "--push.disable-consistency-check"))
	if err != nil {
		return nil, err
	}
	err = filled.fill()
	filled.stop()
	if err != nil {
		return nil, err
	}
	k.full, err = startServer(path, arguments(persistent))
	return k, err
}

func (k *kept) stop() {
	k.empty.stop()
	k.full.stop()
	_ = os.RemoveAll(k.folder) // Nothing, if it is empty.
}

// fill pushes groups of gauges with five labels, the grouping labels included.
func (s *server) fill() error {
	for g := range heldGroups {
		var body bytes.Buffer
		for f := range familiesPerGroup {
			fmt.Fprintf(&body, "# TYPE held_%d gauge\n", f)
			for i := range seriesPerGroup / familiesPerGroup {
				fmt.Fprintf(&body, "held_%d{shard=%q,path=%q,code=%q} %d\n", f, strconv.Itoa(i), fmt.Sprintf("/data/set/%d", i), "200", i)
			}
		}
		if err := s.put(fmt.Sprintf("/metrics/job/nightly/instance/node%d", g), body.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) put(path string, body []byte) error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPut, s.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return err
}

// resident is the memory that the process has, in bytes (proc_pid_status(5), VmRSS).
func (s *server) resident() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(status), "VmRSS:")
	fields := strings.Fields(rest)
	if !ok || len(fields) == 0 {
		return 0, errors.New("no VmRSS in the status of the process")
	}
	kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
	return kilobytes << 10, err
}
