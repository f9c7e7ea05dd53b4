// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"slices"
	"strings"
)

// CheckCollisions refuses a POST whose family is named like a series of a kept family, or the reverse. Readers of the
// exposition could not tell them apart, even with other labels. Kept returns the type of a family that the push keeps,
// or "". The error is a *ConflictError.
func CheckCollisions(added []*Family, kept func(name string) (typ string)) error {
	for _, f := range added {
		for _, suffix := range suffixesOf("gaugehistogram") {
			base, ok := strings.CutSuffix(f.Name, suffix)
			if ok && slices.Contains(suffixesOf(kept(base)), suffix) {
				return collision(f.Name, kept(base), base)
			}
		}
		for _, suffix := range suffixesOf(f.Type) {
			if kept(f.Name+suffix) != "" {
				return collision(f.Name+suffix, f.Type, f.Name)
			}
		}
	}
	return nil
}

// collision returns the error for families of one group that share series names.
func collision(name, ownerType, owner string) error {
	return &ConflictError{fmt.Sprintf("collected metric named %q collides with previously collected %s named %q", name, ownerType, owner)}
}

// suffixesOf returns the suffixes of a type's series.
func suffixesOf(typ string) []string {
	switch typ {
	case "gaugehistogram": // OpenMetrics has other suffixes than the other formats.
		return []string{"_bucket", "_sum", "_count", "_gsum", "_gcount"}
	case "histogram":
		return []string{"_bucket", "_sum", "_count"}
	case "summary":
		return []string{"_sum", "_count"}
	default:
		return nil
	}
}
