// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/memory"
)

// FuzzRecord restores a record that holds anything, as it is or with a proper frame, as that of a group or of a slot of one.
// Whatever becomes of it, the store goes on.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(nil), []byte(nil), false)
	f.Add([]byte(`{"id":1,"job":"j","alive":true,"used":"Aw=="}`), []byte("\x08{\"id\":1}\n\x00"), true)
	f.Add([]byte(`{"id":1,"job":"j","used":"/////w=="}`), []byte("\x1b{\"id\":1,\"name\":\"a\",\"type\":1}"), true)
	f.Add([]byte(`{"id":1,"job":"j","labels":[["b","\ud800"],["a",""],["a"]],"alive":true,"pushed":-9223372036854775808}`), []byte{255}, true)
	f.Add([]byte(`{"id":-1,"written":-5}`), []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01{}"), true)
	f.Add([]byte{1, 0, 0, 0, 0}, []byte{1, 0, 0, 0}, false)
	f.Add([]byte(`null`), []byte(`[]`), true)
	f.Fuzz(func(t *testing.T, group, content []byte, framed bool) {
		if framed {
			group, content = memory.Frame(group), memory.Frame(content)
		}
		c := newClient(map[string][]byte{
			memory.NumbersName:  memory.Frame([]byte(`{"end":256}`)),
			memory.GroupName(3): group, memory.SlotName(3, 0): content, memory.SlotName(3, 1): content,
		})
		s, _ := restored(t, c)
		requireSound(t, s)
		for _, snapshot := range snapshotsOf(t, s) {
			for _, family := range snapshot.Families {
				family.Metrics()
			}
			require.NoError(t, s.Fail(t.Context(), snapshot.Key, at(1)))
		}
		require.NoError(t, do(t, s, 1, "PUT job/new/x/1 a b"))
		requireSound(t, s)
		s.Pass(memory.FirstRound)
		exportValues(t, s)
		requireSound(t, s)
		again, _ := restored(t, c)
		requireSound(t, again)
	})
}

// FuzzAggregateRecord restores records that hold anything, with a proper frame, as those of a group with an aggregate, of its chunk and of a
// pusher. Whatever becomes of it, the store goes on.
func FuzzAggregateRecord(f *testing.F) {
	c := newClient(map[string][]byte{})
	s, _ := restoredWith(f, c, aggregating())
	require.NoError(f, contribute(f, s, "PUT a c 5; g 1; h:1=4,+Inf=5 6"))
	payload := func(name string) []byte {
		b, err := memory.Unframe(c.records[name])
		require.NoError(f, err)
		return b
	}
	group, pusher := payload(memory.GroupName(0)), payload(memory.PusherName(0))
	for slot := range 3 {
		f.Add(group, payload(memory.SlotName(0, slot)), pusher)
	}
	f.Fuzz(func(t *testing.T, group, chunk, pusher []byte) {
		c := newClient(map[string][]byte{
			memory.NumbersName: memory.Frame([]byte(`{"end":256}`)), memory.PushersName: memory.Frame([]byte(`{"end":256}`)),
			memory.GroupName(0): memory.FrameAs(2, group), memory.PusherName(0): memory.Frame(pusher),
			memory.SlotName(0, 0): memory.FrameAs(2, chunk), memory.SlotName(0, 1): memory.FrameAs(2, chunk),
		})
		s, _ := restoredWith(t, c, aggregating())
		for _, snapshot := range snapshotsOf(t, s) {
			for _, family := range snapshot.Families {
				family.Metrics()
			}
		}
		_, err := s.Recount()
		require.NoError(t, err)
		_ = contribute(t, s, "PUT b c 5; g 1; h:1=4,+Inf=5 6")
		_ = contribute(t, s, "DELETE a")
		require.NoError(t, s.Wipe(t.Context()))
		requireSound(t, s)
	})
}
