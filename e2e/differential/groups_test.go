// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/otelcol-pushgateway/pushgatewayreceiver"
)

var steps = flag.Int("steps", 1500, "how many generated requests to groups are compared, one after the other")

// TestGroups sends the same random sequence of requests to a Pushgateway and to a receiver with groups, and compares the
// statuses and, after each request, what is read back. What the table of deviations says of groups is not generated: no two
// groups have a name with different types or with the suffix of the other's histogram, and no label is empty but by its key.
func TestGroups(t *testing.T) {
	theirs := startPushgateway(t)
	ours := startReceiverWith(t, groupsConfig())
	g := newGroupGenerator(*seed)
	answered := map[int]int{}
	for number := range *steps {
		r := g.request()
		answer, err := theirs.send(r)
		require.NoError(t, err, "%s", r)
		found := ours.answer(t, r)
		answered[found.status]++
		at := fmt.Sprintf("request %d of seed %d\n%s\nthe Pushgateway's answer: %s\nours: %s", number, *seed, r, answer.body, found.body)
		require.Equal(t, answer.status, found.status, at)
		held := scraped(t, &ours.connection)
		expected := scraped(t, &theirs.connection)
		for until := time.Now().Add(5 * time.Second); answer.status == http.StatusAccepted && time.Now().Before(until) && !slices.Equal(expected, held); {
			expected = scraped(t, &theirs.connection) // A Pushgateway answers so before it is done.
		}
		require.Equal(t, expected, held, at)
		if number%10 == 0 {
			require.Equal(t, queried(t, &theirs.connection), queried(t, &ours.connection), at)
		}
	}
	t.Logf("answers by status: %v", answered)
	for _, status := range []int{http.StatusOK, http.StatusAccepted, http.StatusBadRequest} {
		assert.NotZero(t, answered[status], status)
	}
}

func groupsConfig() *pushgatewayreceiver.Config {
	config := pushgatewayreceiver.NewFactory().CreateDefaultConfig().(*pushgatewayreceiver.Config)
	groups := *config.Groups.GetOrInsertDefault()
	groups.AdminAPI = true
	config.Groups = configoptional.Some(groups)
	return config
}

var (
	// ofServer are lines about the server itself.
	ofServer = regexp.MustCompile(`^(# (HELP|TYPE) )?(go_|process_|pushgateway_|promhttp_)`)
	// pushTimes are the values that depend on when a request came.
	pushTimes = regexp.MustCompile(`^(push_(failure_)?time_seconds\{.*\}) [1-9].*`)
)

// scraped lists the lines of the text exposition that are about groups, in alphabetical order.
func scraped(t *testing.T, c *connection) []string {
	t.Helper()
	a, err := c.send(&request{method: http.MethodGet, target: "/metrics"})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.status, a.body)
	lines := slices.DeleteFunc(strings.Split(a.body, "\n"), ofServer.MatchString)
	for i, line := range lines {
		lines[i] = pushTimes.ReplaceAllString(line, "$1 some time")
	}
	slices.Sort(lines)
	return lines
}

// queried is what the query API says, one line for each metric.
func queried(t *testing.T, c *connection) []string {
	t.Helper()
	a, err := c.send(&request{method: http.MethodGet, target: "/api/v1/metrics"})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.status, a.body)
	var query struct {
		Status string
		Data   []map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &query))
	lines := []string{query.Status}
	for _, group := range query.Data {
		labels := string(group["labels"])
		for _, name := range slices.Sorted(maps.Keys(group)) {
			if name == "labels" || name == "last_push_successful" {
				lines = append(lines, fmt.Sprintf("%s %s %s", labels, name, group[name]))
				continue
			}
			lines = append(lines, queriedFamily(t, labels+" "+name, group[name])...)
		}
	}
	slices.Sort(lines)
	return lines
}

func queriedFamily(t *testing.T, of string, raw json.RawMessage) (lines []string) {
	t.Helper()
	var family struct {
		Type, Help string
		Metrics    []map[string]any
	}
	require.NoError(t, json.Unmarshal(raw, &family))
	lines = append(lines, fmt.Sprintf("%s %s %q", of, family.Type, family.Help))
	for _, m := range family.Metrics {
		if value, ok := m["value"].(string); ok && strings.HasSuffix(of, "time_seconds") && value != "0" {
			m["value"] = "some time"
		}
		text, err := json.Marshal(m)
		require.NoError(t, err)
		lines = append(lines, of+" "+string(text))
	}
	return lines
}
