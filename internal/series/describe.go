// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// maxDescription limits a description in bytes, because it ends up in a client's log.
const maxDescription = 300

// Describe identifies the series of md with hash h for an error, such as: "a" {instance="i",job="j"}.
func Describe(md pmetric.Metrics, ownScope string, h Hash) string {
	return Space{OwnScope: ownScope}.Describe(md, h)
}

// Describe identifies a series like the function of that name.
func (s Space) Describe(md pmetric.Metrics, h Hash) string {
	only := slices.Values([]pmetric.Metrics{md})
	for marker := range s.Markers(only, func(other Hash) bool { return other == h }, 1) {
		return describe(marker)
	}
	return "a series"
}

// describe identifies the series of a marker.
func describe(marker pmetric.Metrics) string {
	rm := marker.ResourceMetrics().At(0)
	m := rm.ScopeMetrics().At(0).Metrics().At(0)
	labels := append(pairs(rm.Resource().Attributes()), pairs(attributes(m))...)
	slices.Sort(labels)
	text := fmt.Sprintf("%q {%s}", m.Name(), strings.Join(labels, ","))
	if len(text) > maxDescription {
		text = strings.ToValidUTF8(text[:maxDescription], "") + "…"
	}
	return text
}

// attributes returns the first point's attributes.
func attributes(m pmetric.Metric) pcommon.Map {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().At(0).Attributes()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().At(0).Attributes()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().At(0).Attributes()
	case pmetric.MetricTypeSummary:
		return m.Summary().DataPoints().At(0).Attributes()
	default:
		return m.Gauge().DataPoints().At(0).Attributes()
	}
}

func pairs(attributes pcommon.Map) []string {
	var labels []string
	for k, v := range attributes.All() {
		switch k {
		case "service.name":
			k = jobLabel
		case "service.instance.id":
			k = instanceLabel
		}
		labels = append(labels, fmt.Sprintf("%s=%q", k, v.Str()))
	}
	return labels
}
