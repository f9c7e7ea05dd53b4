// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/pgtest"
)

const (
	// storeClients is how many clients push to a store at once.
	storeClients = 32
	// heldOfStores is how many groups a store holds while its memory and its rounds are measured.
	heldOfStores = 20_000
)

// storeTargets are what PostgreSQL is to reach on a machine with two cores that it shares with the collector. The CPU time is that
// of collector and database together, for a minute of heldOfStores groups.
var storeTargets = struct{ rate, median, loneMedian, cpu target }{
	rate: target{bound: 4000, least: true}, median: target{bound: 8}, loneMedian: target{bound: 1}, cpu: target{bound: 6},
}

// storing is a collector with groups in one of the stores.
type storing struct {
	*exporting
	database *pgtest.Server // nil for other stores than PostgreSQL

	before     int64 // resident memory without groups, in bytes
	many, lone []pushing
}

// pushing is what pushes of one turn took.
type pushing struct {
	perSecond         float64
	took              latencies
	receiver, storage time.Duration // CPU time of the collector and of the database for a push
}

// runStores measures pushes into each store, and what groups cost that it holds.
func runStores(collector string, rounds int, turn time.Duration, held int, round time.Duration) error {
	fmt.Printf("%s %s/%s, %d processors, %s, load average %s before\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), processor(), loadAverage())
	pages, err := exportPages()
	if err != nil {
		return err
	}
	missed, err := printStorePushes(collector, pages[0], rounds, turn)
	if err != nil {
		return err
	}
	m, err := printStoresHeld(collector, pages[0], held, round)
	if err != nil {
		return err
	}
	fmt.Printf("\n%d targets missed.\n", missed+m)
	return nil
}

// inPostgres gets its datasource when its database is started.
var (
	inPostgres = mode{name: "groups, PostgreSQL", groups: true}
	storeModes = []mode{inMemory, withStorage, withFsync, inPostgres}
)

// startStores starts a collector for each store. All of them run at the same time, and are measured in turns.
func startStores(collector string, w way, interval time.Duration) (all []*storing, err error) {
	for _, m := range storeModes {
		m.interval = interval
		s := &storing{}
		all = append(all, s)
		if err = s.start(collector, w, m); err != nil {
			stopStores(all)
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return all, nil
}

// start starts a collector, and the database that it needs.
func (s *storing) start(collector string, w way, m mode) (err error) {
	if m.name == inPostgres.name {
		if s.database, err = pgtest.Start(pgtest.Durable...); err != nil {
			return err
		}
		m.datasource = pgtest.URL(s.database.Endpoint(), "bench")
	}
	if s.exporting, err = startExporting(collector, w, m, backendDelay); err != nil {
		return err
	}
	if err = s.awaitStore(); err == nil {
		s.before, err = s.resident()
	}
	return err
}

func stopStores(all []*storing) {
	for _, s := range all {
		if s.exporting != nil {
			s.stop()
		}
		if s.database != nil {
			s.database.Stop()
		}
	}
}

// cpuOfBoth is the CPU time that collector and database have used.
func (s *storing) cpuOfBoth() (receiver, storage time.Duration, err error) {
	receiver, err = s.cpu()
	if s.database != nil && err == nil {
		storage, err = s.database.CPU()
	}
	return receiver, storage, err
}

func printStorePushes(collector string, p exportPage, rounds int, turn time.Duration) (missed int, err error) {
	all, err := startStores(collector, nowhere, time.Minute)
	if err != nil {
		return 0, err
	}
	defer stopStores(all)
	for range rounds {
		for _, s := range all {
			many, err := s.push(p, storeClients, turn)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", s.mode.name, err)
			}
			lone, err := s.push(p, 1, turn)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", s.mode.name, err)
			}
			s.many, s.lone = append(s.many, many), append(s.lone, lone)
		}
	}
	t := newTable("receiver", fmt.Sprintf("push/s of %d clients", storeClients), "median, ms", "99th percentile, ms",
		"CPU of the collector per push, µs", "CPU of the database per push, µs", "median of a lone client, ms", "99th percentile, ms")
	for _, s := range all {
		missed += t.addPushes(s)
	}
	fmt.Printf("\n## Stores\n\nPushes of %s, into nothing:\n\n%s", p.name, t)
	return missed, nil
}

// addPushes adds the row of a store.
func (t *table) addPushes(s *storing) (missed int) {
	wanted := storeTargets
	if s.database == nil {
		wanted.rate, wanted.median, wanted.loneMedian = target{}, target{}, target{}
	}
	judge := func(value float64, wanted target, format string) string {
		text, met := wanted.judgeAs(format, value)
		if !met {
			missed++
		}
		return text
	}
	quantile := func(of []pushing, q float64) float64 {
		return medianOf(of, func(p pushing) float64 { return float64(p.took.quantile(q)) / float64(time.Millisecond) })
	}
	database := ""
	if s.database != nil {
		database = fmt.Sprintf("%.0f", medianOf(s.many, func(p pushing) float64 { return float64(p.storage.Microseconds()) }))
	}
	t.row(s.mode.name,
		judge(medianOf(s.many, func(p pushing) float64 { return p.perSecond }), wanted.rate, "%.0f"),
		judge(quantile(s.many, 0.5), wanted.median, "%.2f"), fmt.Sprintf("%.2f", quantile(s.many, 0.99)),
		fmt.Sprintf("%.0f", medianOf(s.many, func(p pushing) float64 { return float64(p.receiver.Microseconds()) })), database,
		judge(quantile(s.lone, 0.5), wanted.loneMedian, "%.2f"), fmt.Sprintf("%.2f", quantile(s.lone, 0.99)))
	return missed
}

func medianOf(of []pushing, figure func(pushing) float64) float64 {
	figures := make([]float64, 0, len(of))
	for _, p := range of {
		figures = append(figures, figure(p))
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

// push lets clients push for a turn.
func (s *storing) push(p exportPage, clients int, turn time.Duration) (pushing, error) {
	l, err := newLoad(s.server.url, clients, p.groupsEach, p.body)
	if err != nil {
		return pushing{}, err
	}
	defer l.close()
	if failed := l.sendOnce(); failed != nil { // New groups cost more.
		return pushing{}, failed
	}
	receiver, storage, err := s.cpuOfBoth()
	if err != nil {
		return pushing{}, err
	}
	start := time.Now()
	took, err := l.timed(start.Add(turn))
	passed := time.Since(start)
	if err != nil {
		return pushing{}, err
	}
	receiverAfter, storageAfter, err := s.cpuOfBoth()
	n := time.Duration(len(took))
	return pushing{float64(n) / passed.Seconds(), took, (receiverAfter - receiver) / n, (storageAfter - storage) / n}, err
}

// timed lets all clients send until that time, and returns how long each request took.
func (l load) timed(end time.Time) (all latencies, err error) {
	var mu sync.Mutex
	err = l.each(func(c *client) error {
		var own latencies
		for time.Now().Before(end) {
			start := time.Now()
			if failed := c.send(); failed != nil {
				return failed
			}
			own = append(own, time.Since(start))
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, own...)
		return nil
	})()
	if err == nil && len(all) == 0 {
		err = errors.New("nothing was pushed")
	}
	return all, err
}

// printStoresHeld measures the memory that groups take, and a round in which nobody pushes.
func printStoresHeld(collector string, p exportPage, held int, round time.Duration) (missed int, err error) {
	all, err := startStores(collector, remoteWrite, round)
	if err != nil {
		return 0, err
	}
	defer stopStores(all)
	for _, s := range all {
		if err = s.fill(p, held); err != nil {
			return 0, fmt.Errorf("%s: %w", s.mode.name, err)
		}
	}
	time.Sleep(round) // The last changes have gone out, and the first round has begun.
	type used struct{ receiver, storage time.Duration }
	before := make([]used, len(all))
	for i, s := range all {
		if before[i].receiver, before[i].storage, err = s.cpuOfBoth(); err != nil {
			return 0, err
		}
	}
	time.Sleep(round)
	t := newTable("receiver", "resident memory without groups, MB", fmt.Sprintf("with %d groups, MB", held),
		fmt.Sprintf("CPU of the collector for a round of %s, s", round), "CPU of the database, s", "together, s")
	for i, s := range all {
		receiver, storage, err := s.cpuOfBoth()
		if err != nil {
			return missed, err
		}
		m, err := t.addHeld(s, receiver-before[i].receiver, storage-before[i].storage, held == heldOfStores && round == time.Minute)
		if err != nil {
			return missed, err
		}
		missed += m
	}
	fmt.Printf("\nHeld groups of %s, republished by remote write:\n\n%s", p.name, t)
	return missed, nil
}

// addHeld adds the row of a store. The target is for the usual number of groups.
func (t *table) addHeld(s *storing, receiver, storage time.Duration, usual bool) (missed int, err error) {
	resident, err := s.resident()
	if err != nil {
		return 0, err
	}
	megabytes := func(bytes int64) string { return strconv.FormatInt(bytes/1_000_000, 10) }
	wanted, database := target{}, ""
	if s.database != nil {
		database = fmt.Sprintf("%.2f", storage.Seconds())
		if usual {
			wanted = storeTargets.cpu
		}
	}
	together, met := wanted.judge((receiver + storage).Seconds())
	if !met {
		missed++
	}
	t.row(s.mode.name, megabytes(s.before), megabytes(resident), fmt.Sprintf("%.2f", receiver.Seconds()), database, together)
	return missed, nil
}

// awaitStore waits until the receiver accepts pushes: the server answers before its groups are restored.
func (s *storing) awaitStore() error {
	for range 300 {
		if err := s.put("/metrics/job/ready", nil); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the receiver did not become ready")
}
