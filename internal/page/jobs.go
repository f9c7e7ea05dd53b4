// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"hash/maphash"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	jobShards = 64
	// maxJobName bounds the names in the table, in bytes.
	maxJobName = 256
	// forgetAfter is the time after which a silent job leaves the table.
	forgetAfter = 7 * 24 * time.Hour
	// sweepInterval is the minimum time between two searches of a full table for silent jobs.
	sweepInterval = time.Minute
	// pushesForGap is the number of pushes after which the usual gap is known.
	pushesForGap = 3
	// lateGaps is the number of usual gaps after which a silent job is late.
	lateGaps = 3
	// minGap is the smallest usual gap: a job may push several times in a row.
	minGap = time.Second
	// gapWeight is the weight of a new gap, once so many were seen: it makes the usual gap follow the schedule of the job.
	gapWeight = 8
)

// jobTable remembers when each job pushed. A push locks one shard. If the table is full, new jobs are not admitted: dropping the least
// recent would drop exactly the jobs that stopped.
type jobTable struct {
	limit  int64
	count  atomic.Int64
	shards [jobShards]jobShard
	seed   maphash.Seed

	missing sketch
	swept   atomic.Int64 // Unix nanoseconds
}

type jobShard struct {
	mu   sync.Mutex
	jobs map[string]*job
}

// job is what is known about a job.
type job struct {
	pushes  int64     // accepted
	last    time.Time // accepted push; zero if there was none
	seen    time.Time // any push
	gap     time.Duration
	outcome string // of the last push
	status  int
}

func newJobTable(limit int) *jobTable {
	t := &jobTable{limit: int64(limit), seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].jobs = make(map[string]*job)
	}
	return t
}

// pushed records a push.
func (t *jobTable) pushed(name string, now time.Time, accepted bool, outcome string, status int) {
	hash := maphash.String(t.seed, name)
	shard := &t.shards[hash%jobShards]
	shard.mu.Lock()
	j := shard.jobs[name]
	if j == nil {
		if len(name) > maxJobName || !t.admit() {
			shard.mu.Unlock()
			t.missed(hash, now)
			return
		}
		j = &job{}
		shard.jobs[strings.Clone(name)] = j
	}
	defer shard.mu.Unlock()
	j.seen, j.outcome, j.status = now, outcome, status
	if accepted {
		j.accepted(now)
	}
}

func (j *job) accepted(now time.Time) {
	if j.pushes > 0 {
		weight := min(j.pushes, gapWeight)
		j.gap += (now.Sub(j.last) - j.gap) / time.Duration(weight)
	}
	j.pushes++
	j.last = now
}

// usualGap returns the usual time between pushes, or 0 while it is unknown.
func (j *job) usualGap() time.Duration {
	if j.pushes < pushesForGap {
		return 0
	}
	return max(j.gap, minGap)
}

// isLate reports whether the job should have pushed again.
func (j *job) isLate(now time.Time) bool {
	gap := j.usualGap()
	return gap > 0 && now.Sub(j.last) > lateGaps*gap
}

// admit takes a place for a new job.
func (t *jobTable) admit() bool {
	if t.count.Add(1) <= t.limit {
		return true
	}
	t.count.Add(-1)
	return false
}

// missed counts a job that was not admitted, and makes room for its next push if jobs are silent for long.
func (t *jobTable) missed(hash uint64, now time.Time) {
	t.missing.add(hash)
	last := t.swept.Load()
	if now.UnixNano()-last < int64(sweepInterval) || !t.swept.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	if t.sweep(now) {
		t.missing.clear() // Missing jobs that still push are admitted now, or counted again.
	}
}

// sweep removes jobs that are silent for long.
func (t *jobTable) sweep(now time.Time) (removed bool) {
	for i := range t.shards {
		shard := &t.shards[i]
		shard.mu.Lock()
		for name, j := range shard.jobs {
			if now.Sub(j.seen) > forgetAfter {
				delete(shard.jobs, name)
				t.count.Add(-1)
				removed = true
			}
		}
		shard.mu.Unlock()
	}
	return removed
}

// get returns what is known about a job.
func (t *jobTable) get(name string) (job, bool) {
	shard := &t.shards[maphash.String(t.seed, name)%jobShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if j := shard.jobs[name]; j != nil {
		return *j, true
	}
	return job{}, false
}

// each calls do for each job that pushed in the last days.
func (t *jobTable) each(now time.Time, do func(name string, j job)) {
	for i := range t.shards {
		shard := &t.shards[i]
		shard.mu.Lock()
		for name, j := range shard.jobs {
			if now.Sub(j.seen) <= forgetAfter {
				do(name, *j)
			}
		}
		shard.mu.Unlock()
	}
}

// sketchBits is the size of a sketch: it estimates some hundred thousand names within a few percent.
const sketchBits = 1 << 16

// sketch estimates the number of distinct names by linear counting.
type sketch struct {
	words [sketchBits / 64]atomic.Uint64
}

func (s *sketch) add(hash uint64) {
	bit := hash >> 6 % sketchBits // The lowest bits select the shard.
	s.words[bit/64].Or(1 << (bit % 64))
}

func (s *sketch) clear() {
	for i := range s.words {
		s.words[i].Store(0)
	}
}

// estimate returns the approximate number of names.
func (s *sketch) estimate() int {
	zeros := 0
	for i := range s.words {
		for word := ^s.words[i].Load(); word != 0; word &= word - 1 {
			zeros++
		}
	}
	if zeros == sketchBits {
		return 0
	}
	return int(math.Round(sketchBits * math.Log(sketchBits/math.Max(1, float64(zeros)))))
}
