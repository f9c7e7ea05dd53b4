// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dashboard is what is read of deploy/grafana/dashboard.json.
type dashboard struct {
	SchemaVersion int
	Templating    struct{ List []variable }
	Panels        []*panel
}

type variable struct {
	Name, Type string
	Definition string // of a variable of type query
	Current    struct{ Value any }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ H, W, X, Y int }
	Datasource               struct{ UID string }
	Targets                  []struct {
		Expr, RefID, LegendFormat string
		Datasource                struct{ UID string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	content, err := os.ReadFile("../deploy/grafana/dashboard.json")
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.Unmarshal(content, &d))
	require.NotEmpty(t, d.Panels)
	return d
}

// substitute puts values in place of Grafana's variables, its own ones and those of the dashboard.
func (dashboard) substitute(expr string) string {
	return strings.NewReplacer(
		"$__rate_interval", "5s", "$__range", "1h",
		"$job", scrapeJob, "$instance", ".+", "$in_flight_bytes", "134217728",
	).Replace(expr)
}

// TestDashboard checks what Grafana would show wrongly without a word.
func TestDashboard(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	assert.Equal(t, 42, d.SchemaVersion, "the last version of this format")
	ids, cells := map[int]string{}, map[[2]int]string{}
	for _, p := range d.Panels {
		assert.Empty(t, ids[p.ID], "%s has the id of another panel", p.Title)
		ids[p.ID] = p.Title
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, "%s is wider than the page", p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, cells[[2]int{x, y}], "%s covers another panel", p.Title)
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type != "row" {
			d.assertPanel(t, p)
		}
	}
}

var grafanaVariable = regexp.MustCompile(`\$\{?(\w+)`)

func (d dashboard) assertPanel(t *testing.T, p *panel) {
	t.Helper()
	const datasource = "${datasource}"
	known := []string{"__rate_interval", "__range"}
	for _, v := range d.Templating.List {
		known = append(known, v.Name)
	}
	assert.NotEmpty(t, p.Description, p.Title)
	assert.Equal(t, datasource, p.Datasource.UID, p.Title)
	require.NotEmpty(t, p.Targets, p.Title)
	refs := map[string]bool{}
	for _, target := range p.Targets {
		assert.Equal(t, datasource, target.Datasource.UID, p.Title)
		assert.False(t, refs[target.RefID], "%s has two queries %s", p.Title, target.RefID)
		refs[target.RefID] = true
		for _, name := range grafanaVariable.FindAllStringSubmatch(target.Expr, -1) {
			assert.Contains(t, known, name[1], p.Title)
		}
	}
}
