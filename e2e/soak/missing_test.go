// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"fmt"
	"time"
)

const pollInterval = 100 * time.Millisecond

// missing names the values that were answered 200, from a number on, and are not where all values are.
func missing(values func(series string) map[float64]bool, pushers []*client, from func(*client) int) []string {
	var missing []string
	for _, pusher := range pushers {
		for _, name := range pusher.series() {
			there := values(name)
			for value := max(1, from(pusher)); value <= pusher.answered; value++ {
				if !there[float64(value)] {
					missing = append(missing, fmt.Sprintf("%s %d", name, value))
				}
			}
		}
	}
	return missing
}

// The first number that must have arrived.
func everything(*client) int  { return 1 }
func theNewest(c *client) int { return c.answered }
