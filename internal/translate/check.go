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

// What a Pushgateway checks with client_golang's registry (checkMetricConsistency and checkSuffixCollisions) is checked
// here and, for what concerns labels, in labels.go. Only the first fault is reported.

// checkFamilies refuses families that cannot stand beside each other or under the grouping key.
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

// checkFamily refuses a family without a proper name, and one whose structural label the grouping key would set.
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
		return inconsistent("the grouping key sets the label %q, which the series of the %s %s need for themselves",
			label, typeName(f.Type), quote(f.Name))
	}
	return nil
}

// checkNames refuses two families of one name: their series could be the same.
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

// typeName is a type in a sentence.
func typeName(t exposition.Type) string {
	if t == exposition.GaugeHistogram {
		return "gauge histogram"
	}
	return t.String()
}

// hasSuffixes tells whether the series of a type are named by the family's name with suffixes.
func hasSuffixes(t exposition.Type) bool {
	return t == exposition.Summary || t == exposition.Histogram || t == exposition.GaugeHistogram
}

// mayCollide is a quick look: only a family whose name ends in a suffix can collide.
func (t *translator) mayCollide() bool {
	suffixed, owned := false, false
	for _, f := range t.families {
		owned = owned || hasSuffixes(f.Type)
		suffixed = suffixed || strings.HasSuffix(f.Name, "_bucket") ||
			strings.HasSuffix(f.Name, "sum") || strings.HasSuffix(f.Name, "count")
	}
	return suffixed && owned
}

// checkCollision refuses a family that is named like a series of another one. A registry looks at families in the order of
// their names, in which the shorter one always comes first.
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

// emits tells whether series of a type have that suffix. Those of a gauge histogram depend on the format, so that all are
// taken to be its own.
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

// The suffixes of a histogram's sum and count. OpenMetrics names those of gauge histograms differently.
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

// protobufTypes spells types as client_golang's sentences do.
var protobufTypes = map[exposition.Type]string{
	exposition.Untyped: "UNTYPED", exposition.Counter: "COUNTER", exposition.Gauge: "GAUGE",
	exposition.Summary: "SUMMARY", exposition.Histogram: "HISTOGRAM", exposition.GaugeHistogram: "GAUGE_HISTOGRAM",
}

// checkSeries refuses a value of another type, and a timestamp that pdata cannot hold: it counts nanoseconds, and reads 0
// as unknown.
func (t *translator) checkSeries(f *exposition.Family, s *exposition.Series) error {
	const maxMs = math.MaxInt64 / int64(time.Millisecond)
	switch {
	case s.Mismatched || hasSuffixes(f.Type) && s.Complex == exposition.None:
		return t.refuse(f, s, "is not a %s", protobufTypes[f.Type])
	case t.honors(s) && (s.TimestampMs <= 0 || s.TimestampMs > maxMs):
		return t.refuse(f, s, "has a timestamp that cannot be forwarded: %d; it must be from 1 to %d milliseconds since 1970",
			s.TimestampMs, maxMs)
	default:
		return nil
	}
}
