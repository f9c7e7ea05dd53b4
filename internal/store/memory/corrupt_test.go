// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// written are the records of three groups: one that owes, one with several families and one that was deleted. Those that no
// longer count are left out.
func written(t *testing.T) map[string][]byte {
	t.Helper()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	for i, step := range []string{"PUT job/a p q", "PUT job/a q r", "PUT job/b h:1 s|0.5", "FAIL job/b", "PUT job/c p", "DELETE job/c"} {
		require.NoError(t, do(t, s, i, step))
	}
	records := c.crashed()
	c.forget()
	restored(t, c)
	maps.DeleteFunc(records, func(key string, _ []byte) bool { return !slices.Contains(c.read, key) })
	return records
}

// damage is one way in which a record can be damaged.
type damage struct {
	name   string
	record []byte // nil if it is gone
}

func damages(record []byte) (all []damage) {
	for i := range record {
		flipped := bytes.Clone(record)
		flipped[i] ^= 1 << (i % 8)
		all = append(all, damage{fmt.Sprintf("byte %d flipped", i), flipped})
		if i < 8 || i%8 == 0 {
			all = append(all, damage{fmt.Sprintf("cut off at %d", i), record[:i:i]})
		}
	}
	return append(all, damage{"a byte more", append(bytes.Clone(record), 0)})
}

// TestDamage damages each record in each way. All else comes back, and one failure is reported.
func TestDamage(t *testing.T) {
	t.Parallel()
	records := written(t)
	whole := reopened(t, records)
	for key, record := range records {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			for _, d := range damages(record) {
				damaged := maps.Clone(records)
				damaged[key] = d.record
				s, failed := restored(t, walker{newClient(damaged)})
				require.Len(t, failed.All, 1, d.name)
				require.True(t, strings.HasPrefix(failed.All[0], "corrupt "+key+": "), failed.All[0])
				requireRest(t, key, whole, stateOf(t, s))
			}
		})
	}
}

// requireRest holds what came back to all but what is damaged.
func requireRest(t *testing.T, key string, whole, got state) {
	t.Helper()
	if key == memory.NumbersName {
		require.Equal(t, whole, got)
		return
	}
	group := "/metrics/job/" + string("abc"[numberOf(key)[0]-'0'])
	damaged, rest := whole.Groups[group], whole
	rest.Groups, rest.Pending = maps.Clone(whole.Groups), maps.Clone(whole.Pending)
	left, pending := got.Groups[group], got.Pending[group]
	for _, s := range []state{rest, got} {
		delete(s.Groups, group)
		delete(s.Pending, group)
	}
	require.Equal(t, rest, got)
	if strings.Count(key, "/") == 1 || damaged.Pushed == 0 {
		require.Zero(t, left)
		require.Empty(t, pending)
		return
	}
	lost := len(damaged.Families) - len(left.Families) + min(1, len(whole.Pending[group])) - min(1, len(pending))
	require.Equal(t, 1, lost, "one content of the group")
	require.Subset(t, damaged.Families, left.Families)
}

// TestMissing has each record go. A group that is gone cannot be told from one that never was.
func TestMissing(t *testing.T) {
	t.Parallel()
	records := written(t)
	whole := reopened(t, records)
	for key := range records {
		left := maps.Clone(records)
		delete(left, key)
		s, failed := restored(t, newClient(left))
		requireRest(t, key, whole, stateOf(t, s))
		if strings.Count(key, "/") == 1 && key != memory.NumbersName {
			assert.Empty(t, failed.All)
		} else {
			assert.Equal(t, []string{"corrupt " + key + ": missing or unreadable"}, failed.All)
		}
	}
}

// TestUnreadable has each record fail to be read, for now.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	records := written(t)
	whole := reopened(t, records)
	for key := range records {
		if key == memory.NumbersName {
			continue // See TestNumbersThatCannotBeReadForNow.
		}
		c := newClient(maps.Clone(records))
		c.unreadable = map[string]bool{key: true}
		s, failed := restored(t, c)
		requireRest(t, key, whole, stateOf(t, s))
		require.Equal(t, []string{"read " + key + ": the storage has failed"}, failed.All)
		c.unreadable = nil
		s, failed = restored(t, c)
		require.Empty(t, failed.All)
		require.Equal(t, whole, stateOf(t, s), "nothing was overwritten")
	}
}

// TestUnreadableGroupsKeepTheirRecords while others come and go.
func TestUnreadableGroupsKeepTheirRecords(t *testing.T) {
	t.Parallel()
	records := written(t)
	key := memory.GroupName(1)
	corrupt := maps.Clone(records)
	corrupt[key] = []byte("neither a checksum nor JSON")
	unreadable := newClient(maps.Clone(records))
	unreadable.unreadable = map[string]bool{key: true}
	for _, c := range []*client{newClient(corrupt), unreadable} {
		s, _ := restored(t, c)
		c.forget()
		for i := range 300 {
			require.NoError(t, do(t, s, i, fmt.Sprintf("PUT job/new%d a", i)))
		}
		for _, touched := range c.touched {
			require.NotEqual(t, "1", numberOf(touched))
		}
	}
}

// TestUnreadableFamiliesKeepTheirRecords until their group has changed, and not only tried to.
func TestUnreadableFamiliesKeepTheirRecords(t *testing.T) {
	t.Parallel()
	c := newClient(written(t))
	whole := reopened(t, c.crashed())
	c.unreadable = map[string]bool{memory.SlotName(1, 0): true}
	s, _ := restored(t, c)
	c.fault = failing(1, before)
	require.Error(t, do(t, s, 100, "POST job/b new"))
	c.unreadable, c.fault = nil, nil
	assert.Equal(t, whole, reopened(t, c.crashed()))
	require.NoError(t, do(t, s, 101, "POST job/b new"))
	assert.Equal(t, stateOf(t, s), reopened(t, c.crashed()))
}

// TestNewestGroupOfAKey has a group that could not be read once, and was made again meanwhile.
func TestNewestGroupOfAKey(t *testing.T) {
	t.Parallel()
	c := newClient(written(t))
	c.unreadable = map[string]bool{memory.GroupName(1): true}
	s, _ := restored(t, c)
	require.NoError(t, do(t, s, 100, "PUT job/b new"))
	want := stateOf(t, s)
	c.unreadable = nil

	s, failed := restored(t, c)
	assert.Equal(t, want, stateOf(t, s), "what was acknowledged last")
	assert.Equal(t, []string{"corrupt pushgateway/1: corrupt: its group exists twice, and this record is the older one"}, failed.All)
	require.NoError(t, do(t, s, 101, "DELETE job/b"))
	require.NoError(t, do(t, s, 102, "SETTLE job/b"))
	again := reopened(t, c.crashed())
	assert.NotContains(t, again.Groups, "/metrics/job/b", "the older one does not come back")
	assert.NotContains(t, again.Pending, "/metrics/job/b")
}

// TestSeriesTwice has a family that could not be read once, and whose series went to another group meanwhile.
func TestSeriesTwice(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	require.NoError(t, do(t, s, 1, `PUT job/a p{x="1"} q`))
	require.NoError(t, do(t, s, 2, `PUT job/b r{x="1"}`))
	require.NoError(t, do(t, s, 3, `PUT job/b`))
	records := maps.Clone(c.records)
	c.unreadable = map[string]bool{}
	for key := range records {
		if strings.Count(key, "/") == 2 {
			c.unreadable[key] = true
		}
	}
	s, _ = restored(t, c)
	require.NoError(t, do(t, s, 4, "PUT job/a/x/1 p"))
	require.NoError(t, do(t, s, 4, "PUT job/b/x/1 r"))
	c.unreadable = nil

	s, failed := restored(t, c)
	assert.Equal(t, []string{"job/a lives q", "job/a/x/1 lives p", "job/b lives", "job/b/x/1 lives r"}, shown(t, s))
	require.Len(t, failed.All, 1, "a marker may have been dropped since its series was taken over")
	assert.Contains(t, failed.All[0], "another group has some of its series")
}

// lostNumbers are ways in which the record of where groups end can be of no use.
var lostNumbers = [][]byte{nil, {}, {1, 2, 3}, memory.Frame([]byte(`{"end":-5}`)), memory.Frame([]byte(`{"end":9e9}`)), {9, 0, 0, 0, 0}}

// TestLostNumbers finds all groups without knowing where they end, and writes that down again.
func TestLostNumbers(t *testing.T) {
	t.Parallel()
	c := newClient(map[string][]byte{})
	s, _ := restored(t, c)
	for i := range 600 {
		require.NoError(t, do(t, s, i, fmt.Sprintf("PUT job/j%d a", i)))
	}
	for i := range 300 {
		require.NoError(t, do(t, s, i, fmt.Sprintf("DELETE job/j%d", i+1)))
		require.NoError(t, do(t, s, i, fmt.Sprintf("SETTLE job/j%d", i+1)))
	}
	want := stateOf(t, s)
	for _, lost := range lostNumbers {
		for _, client := range []storage.Client{c, walker{c}} {
			c.records[memory.NumbersName] = lost
			s, failed := restored(t, client)
			require.Len(t, failed.All, 1)
			require.Equal(t, want, stateOf(t, s))
			require.NoError(t, do(t, s, 1000, "POST job/j0"))
			want = stateOf(t, s)
			s, failed = restored(t, client)
			require.Empty(t, failed.All, "written down again")
			require.Equal(t, want, stateOf(t, s))
		}
	}
}

// onlyHigh is a storage whose groups have numbers from 17,000 on, since those below were deleted.
func onlyHigh(t *testing.T) *client {
	t.Helper()
	c := newClient(written(t))
	high := newClient(map[string][]byte{memory.NumbersName: memory.Frame([]byte(`{"end":17152}`))})
	delete(c.records, memory.NumbersName)
	for name, record := range c.records {
		number, err := strconv.Atoi(numberOf(name))
		require.NoError(t, err)
		slot := strings.TrimPrefix(name, memory.GroupName(number))
		high.records[memory.GroupName(17_000+number)+slot] = record
	}
	return high
}

// TestLostNumbersOfHighGroups finds groups that stand behind many numbers without one.
func TestLostNumbersOfHighGroups(t *testing.T) {
	t.Parallel()
	want := reopened(t, onlyHigh(t).records)
	require.Len(t, want.Groups, 2)
	require.Len(t, want.Pending, 2)
	for name, client := range map[string]func(*client) storage.Client{
		"blindly":                 func(c *client) storage.Client { return c },
		"with a list":             func(c *client) storage.Client { return walker{c} },
		"with a list that failed": func(c *client) storage.Client { c.fault = failing(2, before); return walker{c} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := onlyHigh(t)
			c.records[memory.NumbersName] = []byte("corrupt")
			s, failed := restored(t, client(c))
			assert.Contains(t, failed.All, "corrupt "+memory.NumbersName+": written in an encoding that is unknown to this version of the receiver")
			assert.Equal(t, want, stateOf(t, s))
			require.NoError(t, do(t, s, 100, "PUT job/new a"))
			assert.Equal(t, stateOf(t, s), reopened(t, c.crashed()), "found again")
		})
	}
	c := onlyHigh(t)
	delete(c.records, memory.NumbersName)
	s, _ := restored(t, walker{c})
	assert.Equal(t, want, stateOf(t, s), "a list finds them without any record of where they end")
}

// TestNumbersThatCannotBeReadForNow are waited for, since nothing can be restored without them.
func TestNumbersThatCannotBeReadForNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, tries := onlyHigh(t), 0
		want := reopened(t, c.records)
		c.fault = func() fault {
			tries++
			if tries <= 3 {
				return before
			}
			return works
		}
		s, failed := restored(t, c)
		assert.Equal(t, slices.Repeat([]string{"read " + memory.NumbersName + ": the storage has failed"}, 3), failed.All)
		assert.Equal(t, want, stateOf(t, s))

		c.fault = func() fault { return before }
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		o := options()
		o.StorageFailed = failed.Report
		require.ErrorIs(t, newStoreOn(c, o).Restore(ctx), context.DeadlineExceeded, "the receiver is shut down")
	})
}

// TestReadOneByOne has a storage that fails to give several records at once.
func TestReadOneByOne(t *testing.T) {
	t.Parallel()
	c := newClient(written(t))
	want := reopened(t, c.crashed())
	o, failed := options(), &failures{}
	o.StorageFailed = failed.Report
	s := newStoreOn(oneByOne{c}, o)
	require.NoError(t, s.Restore(t.Context()))
	assert.Empty(t, failed.All)
	assert.Equal(t, want, stateOf(t, s))
}

type oneByOne struct{ *client }

func (c oneByOne) Batch(ctx context.Context, ops ...*storage.Operation) error {
	if len(ops) > 1 {
		return errStorage
	}
	return c.client.Batch(ctx, ops...)
}

// TestRestoreEndsWithItsContext without taking what it could not read for corrupt.
func TestRestoreEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c, failed := newClient(written(t)), &failures{}
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	c.fault = func() fault {
		reads++
		if reads == 3 {
			cancel()
		}
		return works
	}
	o := options()
	o.StorageFailed = failed.Report
	s := newStoreOn(c, o)
	require.ErrorIs(t, s.Restore(ctx), context.Canceled)
	assert.Empty(t, failed.All)
	assert.Empty(t, snapshotsOf(t, s))
}
