// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorded is a case that was recorded with a Pushgateway. Only its requests are used here: the answers are asked for anew.
type recorded struct {
	ID, Title string
	Flags     []string
	Steps     []struct {
		Method, Target string
		Headers        [][2]string
		Body           string
		BodyB64        []byte `json:"body_b64"`
	}
}

// noFlags are the flags that are left out: the receiver checks every push, and nobody may end the Pushgateway meanwhile.
var noFlags = []string{"--push.disable-consistency-check", "--web.enable-lifecycle"}

// TestRecorded compares the requests of all recorded cases, those with several steps one after the other.
func TestRecorded(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "conformance", "pushgateway-cases.json"))
	require.NoError(t, err)
	var file struct{ Cases []*recorded }
	require.NoError(t, json.Unmarshal(data, &file))
	require.NotEmpty(t, file.Cases)
	byFlags := map[string][]*recorded{}
	for _, c := range file.Cases {
		c.Flags = slices.DeleteFunc(c.Flags, func(flag string) bool { return slices.Contains(noFlags, flag) })
		flags := strings.Join(c.Flags, " ")
		byFlags[flags] = append(byFlags[flags], c)
	}
	for flags, cases := range byFlags {
		t.Run(cmp.Or(flags, "no flags"), func(t *testing.T) {
			theirs, fresh, ours := startPushgateway(t, cases[0].Flags...), startPushgateway(t, cases[0].Flags...), startReceiver(t, cases[0].Flags...)
			for _, c := range cases {
				t.Run(c.ID+" "+c.Title, func(t *testing.T) { c.compare(t, theirs, fresh, ours) })
			}
		})
	}
}

func (c *recorded) compare(t *testing.T, theirs, fresh *pushgateway, ours *receiver) {
	defer theirs.wipe(t)
	for i, r := range c.requests() {
		x := &exchange{request: r, theirs: theirs.answer(t, r), ours: ours.answer(t, r), followed: i > 0}
		x.alone = func(r *request) *answer { return fresh.alone(t, r) }
		rows, rest := x.explain()
		assert.Empty(t, rest, "%s\nour answer: %s\nexplained by %q", r, x.ours.body, rows)
		if len(rows) > 0 {
			t.Logf("explained by %q", rows)
		}
	}
}

func (c *recorded) requests() (requests []*request) {
	for _, step := range c.Steps {
		r := &request{method: step.Method, target: step.Target, body: append([]byte(step.Body), step.BodyB64...)}
		for _, h := range step.Headers {
			r.headers = append(r.headers, header{h[0], h[1]})
		}
		r.plain = r.body
		if plain, err := snappy.Decode(nil, r.body); err == nil && r.header("Content-Encoding") == "snappy" {
			r.plain, r.encoded = plain, true
		}
		requests = append(requests, r)
	}
	return requests
}
