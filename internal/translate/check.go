// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// The checks of client_golang's registry in a Pushgateway: checkMetricConsistency and checkSuffixCollisions. The checks
// of labels are in labels.go. Only the first fault is reported.

// checkFamilies refuses families that conflict with each other or with the grouping key.
func (t *translator) checkFamilies() error {
	for _, f := range t.families {
		if err := t.checkFamily(f.Family); err != nil {
			return err
		}
	}
	if t.batch.SharedName {
		if err := t.checkNames(); err != nil {
			return err
		}
	}
	if !t.mayCollide() {
		return nil
	}
	for _, f := range t.families {
		if hasSuffixes(f.Type) {
			t.owners[f.Name] = f.Type
		}
	}
	for _, f := range t.families {
		if err := t.checkCollision(f.Name); err != nil {
			return err
		}
	}
	return nil
}

// checkFamily refuses an invalid family name, and a family whose structural label is in the grouping key.
func (t *translator) checkFamily(f *exposition.Family) error {
	switch {
	case isLegacyName(f.Name, true):
	case f.Name == "":
		return inconsistent("metric family without a name")
	case !utf8.ValidString(f.Name):
		return inconsistent("metric family whose name is not utf8: %s", quote(f.Name))
	default:
		t.unusual = true
	}
	label := quantileLabel
	if f.Type != exposition.Summary {
		label = boundLabel
	}
	if hasSuffixes(f.Type) && t.grouping.overrides(label) {
		return inconsistent("the grouping key sets the label %q, which the series of the %s %s use themselves",
			label, typeName(f.Type), quote(f.Name))
	}
	return nil
}

// checkNames refuses two families of one name, because their series could be equal.
func (t *translator) checkNames() error {
	types := make(map[string]exposition.Type, len(t.families))
	for _, f := range t.families {
		if other, ok := types[f.Name]; ok {
			return inconsistent("metric family %s is pushed twice, as %s and as %s", quote(f.Name), typeName(other), typeName(f.Type))
		}
		types[f.Name] = f.Type
	}
	return nil
}

// typeName returns a type's name for an error.
func typeName(t exposition.Type) string {
	if t == exposition.GaugeHistogram {
		return "gauge histogram"
	}
	return t.String()
}

// hasSuffixes reports whether a type's series are named with suffixes.
func hasSuffixes(t exposition.Type) bool {
	return t == exposition.Summary || t == exposition.Histogram || t == exposition.GaugeHistogram
}

// mayCollide reports whether any family name ends in a suffix, which a collision needs.
func (t *translator) mayCollide() bool {
	suffixed, owned := false, false
	for _, f := range t.families {
		owned = owned || hasSuffixes(f.Type)
		suffixed = suffixed || strings.HasSuffix(f.Name, "_bucket") ||
			strings.HasSuffix(f.Name, "sum") || strings.HasSuffix(f.Name, "count")
	}
	return suffixed && owned
}

// checkCollision refuses a family named like a series of another family. Like a registry, it goes by names in order,
// where the shorter name is first.
func (t *translator) checkCollision(name string) error {
	for _, suffix := range [...]string{"_bucket", "_sum", "_count", "_gsum", "_gcount"} {
		base, ok := strings.CutSuffix(name, suffix)
		if owner, known := t.owners[base]; ok && known && emits(owner, suffix) {
			return inconsistent("collected metric named %s collides with previously collected %s named %s",
				quote(name), typeName(owner), quote(base))
		}
	}
	return nil
}

// emits reports whether a type has series with that suffix. For gauge histograms, which depend on the format, it assumes
// all.
func emits(t exposition.Type, suffix string) bool {
	switch suffix {
	case "_bucket":
		return t != exposition.Summary
	case "_gsum", "_gcount":
		return t == exposition.GaugeHistogram
	default:
		return true
	}
}

// sumSuffix returns the suffix of sum series. For gauge histograms it depends on the format.
func sumSuffix(f *exposition.Family) string {
	if f.GaugeSuffixes {
		return "_gsum"
	}
	return "_sum"
}

func countSuffix(f *exposition.Family) string {
	if f.GaugeSuffixes {
		return "_gcount"
	}
	return "_count"
}

// protobufTypes are the type names in client_golang's errors.
var protobufTypes = map[exposition.Type]string{
	exposition.Untyped: "UNTYPED", exposition.Counter: "COUNTER", exposition.Gauge: "GAUGE",
	exposition.Summary: "SUMMARY", exposition.Histogram: "HISTOGRAM", exposition.GaugeHistogram: "GAUGE_HISTOGRAM",
}

// checkSeries refuses values of other types, and timestamps that pdata cannot represent: 0, which means unknown, and
// those beyond 64-bit nanoseconds.
func (t *translator) checkSeries(f *exposition.Family, s *exposition.Series) error {
	const maxMs = math.MaxInt64 / int64(time.Millisecond)
	switch {
	case s.Mismatched || hasSuffixes(f.Type) && s.ValueIndex == exposition.NoIndex:
		return t.refuse(f, s, "is not a %s", protobufTypes[f.Type])
	case t.honors(s) && (s.TimestampMs <= 0 || s.TimestampMs > maxMs):
		return t.refuse(f, s, "has a timestamp that cannot be forwarded: %d; it must be from 1 to %d milliseconds since 1970",
			s.TimestampMs, maxMs)
	default:
		return nil
	}
}
