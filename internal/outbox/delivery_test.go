// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"errors"
	"maps"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
)

var (
	errTransient = errors.New("transient")
	errPermanent = consumererror.NewPermanent(errors.New("permanent"))
)

// trial is a delivery of the parts 0 to n-1 to a consumer that refuses some.
type trial struct {
	n         int
	permanent []int // parts that make the consumer refuse a call permanently
	transient []int // and transiently
	outage    int   // Calls from this one on are refused transiently; 0 for none.
	groups    bool  // as groups are delivered, or as pushes are

	calls   [][]int
	taken   bool
	settled map[int]error
}

func (tr *trial) call(parts []int) error {
	tr.calls = append(tr.calls, slices.Clone(parts))
	among := func(bad []int) bool {
		return slices.ContainsFunc(bad, func(b int) bool { return slices.Contains(parts, b) })
	}
	switch {
	case tr.outage > 0 && len(tr.calls) >= tr.outage, among(tr.transient):
		return errTransient
	case among(tr.permanent):
		return errPermanent
	}
	tr.taken = true
	return nil
}

// run delivers, and holds the delivery to settle each part once.
func (tr *trial) run(t *testing.T) {
	t.Helper()
	tr.settled = map[int]error{}
	d := delivery[int]{
		call: tr.call,
		settle: func(parts []int, err error) {
			for _, p := range parts {
				if _, twice := tr.settled[p]; twice {
					t.Errorf("part %d is settled twice", p)
				}
				tr.settled[p] = err
			}
		},
		divide: func(p int) []int { return []int{p} },
		splits: isPermanent,
		stops:  func() bool { return false },
		taken:  func() bool { return tr.taken },
		depth:  1,
	}
	if tr.groups {
		d.splits, d.depth = func(error) bool { return false }, 1<<10
	}
	d.run(upTo(tr.n))
	require.Len(t, tr.settled, tr.n)
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// refused lists the parts that were not accepted.
func (tr *trial) refused() []int {
	var parts []int
	for _, p := range slices.Sorted(maps.Keys(tr.settled)) {
		if tr.settled[p] != nil {
			parts = append(parts, p)
		}
	}
	return parts
}

// levels is how often n parts can be halved.
func levels(n int) int { return bits.Len(uint(n - 1)) }

func TestDelivery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trial
		refused []int
		calls   int
	}{
		"all accepted":                             {trial{n: 1000}, nil, 1},
		"one part":                                 {trial{n: 1}, nil, 1},
		"one part, refused":                        {trial{n: 1, transient: []int{0}}, []int{0}, 1},
		"the first of two":                         {trial{n: 2, permanent: []int{0}}, []int{0}, 3},
		"a permanent one of eight":                 {trial{n: 8, permanent: []int{5}}, []int{5}, 7},
		"a transient one of eight":                 {trial{n: 8, transient: []int{5}}, []int{5}, 7},
		"the first one is transient":               {trial{n: 8, transient: []int{0}}, []int{0}, 7},
		"both kinds":                               {trial{n: 8, transient: []int{7}, permanent: []int{5}}, []int{5, 7}, 9},
		"all are permanent":                        {trial{n: 4, permanent: upTo(4)}, upTo(4), 7},
		"transient ones in both halves":            {trial{n: 8, transient: []int{0, 7}}, upTo(8), 3},
		"transient ones in both halves, groups":    {trial{n: 8, transient: []int{0, 7}, groups: true}, []int{0, 7}, 11},
		"outage":                                   {trial{n: 1000, outage: 1}, upTo(1000), 3},
		"outage, groups":                           {trial{n: 1024, outage: 1, groups: true}, upTo(1024), 21},
		"everything refused permanently, groups":   {trial{n: 1024, permanent: upTo(1024), groups: true}, upTo(1024), 21},
		"the first parts are permanent, groups":    {trial{n: 4, permanent: []int{0, 1, 3}, groups: true}, upTo(4), 5},
		"outage after a part was accepted":         {trial{n: 4, permanent: []int{3}, outage: 3}, []int{2, 3}, 5},
		"outage after a part was accepted, groups": {trial{n: 4, permanent: []int{3}, outage: 3, groups: true}, []int{2, 3}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := c.trial
			tr.run(t)
			assert.Equal(t, c.refused, tr.refused())
			assert.Len(t, tr.calls, c.calls)
		})
	}
}

// TestDeliveryInAnOutage forwards no part more than once again.
func TestDeliveryInAnOutage(t *testing.T) {
	t.Parallel()
	for n := range 100 {
		tr := trial{n: n + 1, outage: 1}
		tr.run(t)
		times := make([]int, tr.n)
		for _, call := range tr.calls {
			for _, p := range call {
				times[p]++
			}
		}
		assert.LessOrEqual(t, slices.Max(times), 2)
	}
}

// TestOutageDuringADelivery begins after something was accepted: then a refusal tells less and less.
func TestOutageDuringADelivery(t *testing.T) {
	t.Parallel()
	for _, groups := range []bool{false, true} {
		for n := 2; n < 2000; n = 3*n/2 + 1 {
			for outage := 3; outage < 12; outage++ {
				tr := trial{n: n, transient: []int{n - 1}, outage: outage, groups: groups}
				tr.run(t)
				most := 2*bits.Len(uint(n)) + 2
				assert.LessOrEqual(t, len(tr.calls), outage+most+2*levels(n), "%d parts, outage from call %d", n, outage)
			}
		}
	}
}

// TestStoppedDelivery halves no further when it takes too long.
func TestStoppedDelivery(t *testing.T) {
	t.Parallel()
	calls := 0
	d := delivery[int]{
		call:   func([]int) error { calls++; return errTransient },
		settle: func([]int, error) {},
		divide: func(p int) []int { return []int{p} },
		splits: isPermanent, stops: func() bool { return true }, taken: func() bool { return true }, depth: 1,
	}
	d.run(upTo(100))
	assert.Equal(t, 1, calls)
}

// TestDivision goes on below a part that consists of several.
func TestDivision(t *testing.T) {
	t.Parallel()
	var accepted, refused []string
	d := delivery[string]{
		call: func(parts []string) error {
			if slices.ContainsFunc(parts, func(p string) bool { return slices.Contains([]byte(p), 'x') }) {
				return errTransient
			}
			return nil
		},
		settle: func(parts []string, err error) {
			if err == nil {
				accepted = append(accepted, parts...)
			} else {
				refused = append(refused, parts...)
			}
		},
		divide: func(p string) []string {
			if len(p) < 2 {
				return []string{p}
			}
			return []string{p[:len(p)/2], p[len(p)/2:]}
		},
		splits: func(error) bool { return false },
		stops:  func() bool { return false },
		taken:  func() bool { return len(accepted) > 0 },
		depth:  1 << 10,
	}
	d.run([]string{"a", "bcxde", "f"})
	assert.Equal(t, []string{"x"}, refused)
	assert.ElementsMatch(t, []string{"a", "bc", "de", "f"}, accepted)
}

// FuzzDelivery has random parts at fault. Each part is settled once. All innocent parts are accepted if the consumer accepts either half, and no more
// than three parts are at fault transiently. There are 1 + 2 k levels(n) calls at most, where k is the number of parts at fault.
func FuzzDelivery(f *testing.F) {
	for seed := range uint64(500) {
		f.Add(seed, uint16(1+seed%300), seed%3 == 0, uint8(seed%4), uint8(seed/4%6))
	}
	f.Fuzz(func(t *testing.T, seed uint64, n uint16, groups bool, transient, permanent uint8) {
		tr := trial{n: 1 + int(n%2000), groups: groups}
		order := rand.New(rand.NewPCG(seed, 1)).Perm(tr.n)
		k := min(int(transient), tr.n)
		tr.transient = order[:k]
		tr.permanent = order[k:min(k+int(permanent), tr.n)]
		tr.run(t)

		bad := slices.Concat(tr.transient, tr.permanent)
		slices.Sort(bad)
		assert.LessOrEqual(t, len(tr.calls), 1+2*len(bad)*levels(tr.n))
		for _, p := range bad {
			assert.Error(t, tr.settled[p])
		}
		if groups && len(bad) > 3 || len(tr.transient) > 3 {
			return
		}
		for _, half := range [][]int{upTo(tr.n)[:tr.n/2], upTo(tr.n)[tr.n/2:]} {
			if len(half) > 0 && !slices.ContainsFunc(bad, func(p int) bool { return slices.Contains(half, p) }) {
				assert.Equal(t, append([]int(nil), bad...), tr.refused())
			}
		}
	})
}
