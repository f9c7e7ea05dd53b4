// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"maps"
	"slices"
)

// PlanOne is Plan with one set of all families.
func (s *Scrape) PlanOne(types map[string][]string) [][]string {
	s.firsts, s.times = []string{""}, []bool{s.options.PushTimes}
	return [][]string{append(slices.Collect(maps.Keys(types)), everyGroup)}
}
