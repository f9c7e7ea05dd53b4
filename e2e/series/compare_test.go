// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// comparison is how the series of one page differ between both ways.
type comparison struct {
	scraped     int            // series through the Pushgateway
	same        int            // of them, the same name, labels and value here
	respelled   int            // of those, with another spelling of le or quantile
	exceptions  map[string]int // series on one way only or with another value, by the reason that the documentation gives
	differences []string       // what nothing explains
}

// compare compares what was scraped of a page with what was received.
func compare(l lane, p page, scraped, received []stored) comparison {
	c := comparison{scraped: len(scraped), exceptions: map[string]int{}}
	if status := l.status(p); status != http.StatusOK {
		c.exceptions[fmt.Sprint("refused with ", status)] = len(scraped)
		scraped = nil
	}
	rest := c.index("received", received)
	for key, want := range c.index("scraped", scraped) {
		got, ok := rest[key]
		if !ok && p.scoped {
			key = want.labels.normal().unscoped().String()
			got, ok = rest[key]
		}
		if !ok && l.escapes && p.utf8Names {
			key = want.labels.normal().escaped().String()
			got, ok = rest[key]
		}
		delete(rest, key)
		c.match(l, p, want, got, ok)
	}
	for _, got := range rest {
		c.differ(l, p, got.labels, "only here: "+got.labels.String()+" "+got.value)
	}
	slices.Sort(c.differences)
	return c
}

// index finds series by their labels. The same series twice, as two spellings of one bound would be, is a difference.
func (c *comparison) index(way string, all []stored) map[string]stored {
	index := make(map[string]stored, len(all))
	for _, series := range all {
		key := series.labels.normal().String()
		if _, ok := index[key]; ok {
			c.differences = append(c.differences, way+" twice: "+key)
		}
		index[key] = series
	}
	return index
}

// match judges one scraped series and the received one that has its labels, if there is one.
func (c *comparison) match(l lane, p page, want, got stored, found bool) {
	same := sameValue(want.value, got.value) || want.labels["__name__"] == "push_time_seconds"
	switch {
	case !found:
		c.differ(l, p, want.labels, "missing here: "+want.labels.String()+" "+want.value)
	case l.zeroThresholdFixed && !same && want.populations != "" && want.populations == got.populations:
		c.exceptions["zero threshold"]++
	case !same:
		c.differ(l, p, want.labels, fmt.Sprintf("%s is %s here, %s through a Pushgateway", want.labels, got.value, want.value))
	case len(want.labels) != len(got.labels):
		c.exceptions["without otel_scope_*"]++
	case want.labels.normal().String() != got.labels.normal().String():
		c.exceptions["escaped"]++
	default:
		c.same++
		if want.labels.String() != got.labels.String() {
			c.respelled++
		}
	}
}

// differ counts a difference by the exception that explains it, or keeps it.
func (c *comparison) differ(way lane, p page, l labels, text string) {
	name := l["__name__"]
	family := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
	switch {
	case name == "push_failure_time_seconds":
		c.exceptions[name]++
	case p.format == openMetrics && strings.HasSuffix(name, "_created"):
		c.exceptions["_created"]++
	case way.escapes && p.utf8Names && !strings.ContainsFunc(name, isASCIILetter):
		c.exceptions["no ASCII letter"]++
	case l.underscoresOnly():
		c.exceptions["label of underscores"]++
	case way.scraped(p) == classic && slices.Contains(p.onlyNative, family):
		c.exceptions["native"]++
	case slices.Contains(p.beyondOTLP, family):
		c.exceptions["OTLP cannot hold"]++
	default:
		c.differences = append(c.differences, text)
	}
}

// sameValue compares numbers as such: the text format writes 0 for a negative zero. Histograms are compared as they are written.
func sameValue(a, b string) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return a == b || errX == nil && errY == nil && x == y
}
