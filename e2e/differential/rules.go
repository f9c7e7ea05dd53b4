// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"bytes"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// rule explains differences that are meant.
type rule struct {
	row string // the first column of its row in docs/deviations.md, which has the reason too
	// expect turns the Pushgateway's answer into the one that is expected of the receiver. It reports whether the rule
	// has anything to say of the exchange.
	expect func(x *exchange) bool
}

// rules are applied in this order.
var rules = []rule{
	{"`Content-Encoding` without a body, on a request that needs none, or with another fault besides", codingBeside},
	{"path not clean: `//`, `/./`, `/../`, wrong case, `/metrics/job/`, `/metrics/job/%2F`", neverRedirect},
	{"GET `/status`, `/static/*`, `/-/quit`, `/debug/pprof`", notServed},
	{"HEAD `/-/healthy`, `/-/ready`", headOfHealth},
	{"`Content-Encoding` of other codings than gzip and framed snappy, or of several", otherCodings},
	{"OpenMetrics body", openMetrics},
	{"protobuf family that comes twice in a push", familyTwice},
	{"merging by family name with POST, consistency between groups", everyPushAlone},
	{"a metric of the gateway's own names (`go_goroutines`, `pushgateway_*`) with another type or help", ownNames},
	{"`push_failure_time_seconds`", pushFailureTime},
	{"grouping value that is not UTF-8, or a reserved name reached through `U__`", poisonKey},
	{"sample without a metric name, `{x=\"1\"} 1`, behind another sample", namelessSample},
	{"protobuf family without a name or with one that is not UTF-8, of an unknown type, or a gauge histogram without a histogram", impossibleFamily},
	{"`le` as a label of a histogram, in the grouping key or in protobuf, `quantile` in the grouping key of a summary", structuralLabel},
	{"histogram with native and classic buckets", nativeAndClassic},
	{"native histogram of a schema outside -4 to 8, or whose buckets contradict their spans", brokenNative},
	{"series that Prometheus sees as one: `a{x=\"\"}` beside `a`, the same `le` or quantile twice, `h_sum` beside a gauge histogram `h`", sameSeries},
	{"native histogram with fractional or negative populations, or with more than its count", fractionalNative},
	{"gauge histogram", gaugeHistogram},
	{"histogram whose buckets fall, whose counts are no whole numbers, that has buckets without `_count`, or whose `+Inf` differs from `_count`", flattenedHistogram},
	{"stale marker as the sum of a histogram or summary", staleSum},
	{"two series of a protobuf push that become one when names are escaped with underscores, `my.metric` beside `my_metric`", escapedToOne},
	{"text of consistency errors", consistencyText},
}

// notCompared are rows of docs/deviations.md that cannot show here, with the reason.
var notCompared = map[string]string{
	"DELETE": "the receiver is configured to serve it, so that Allow lists are the same",
	"more than 65,536 native buckets from the first to the last one of a side, a million empty ones between them in all, or grouping labels, names or help texts times series far beyond the size of the body": "the requests are small; translate's tests cover the bounds",
	"`WWW-Authenticate` of a 401": "there is no authentication; the tests of pushhttp and of clients with credentials cover it",
	"body size":                   "the requests are small; pushhttp's tests cover the limits",
	"GET `/`":                     "it is asked as one with the other pages that are not there: the receiver is a proxy without a page here",
	"PUT, POST or DELETE that a browser sends for a page of another origin": "there is no page; the tests of pushhttp and of the page in a browser cover it",
	"the quantile -0": "no client has it, so no request either; translate's tests cover it",

	"GET `/metrics`, `/api/v1/*`": "both are asked as one with the other pages that are not there",
	"one metric name in two groups with different types, or as a series of another group's histogram or summary": inGroups,
	"two groups whose keys differ in empty labels only, `/job/a` and `/job/a/x@base64/=`":                        inGroups,
	"PUT, POST or DELETE that cannot be stored":                                                                  inGroups,
	"the gateway's own metrics on GET `/metrics`: `go_*`, `process_*`, `promhttp_*`, `pushgateway_*`":            inGroups,
	"exemplars in protobuf on GET `/metrics`":                                                                    inGroups,
	"family without series in GET `/api/v1/metrics`":                                                             inGroups,
	"gauge histogram in GET `/api/v1/metrics`":                                                                   inGroups,
	"`Access-Control-Allow-Origin` of `/api/v1/*`":                                                               inGroups,
	"more than two that read all groups at once":                                                                 inGroups,
}

// inGroups is why what groups do does not show: each request is compared by itself, with a receiver that stores nothing.
const inGroups = "the receiver stores nothing here; TestGroups and the tests of gather and store cover it"

const notFound = "404 page not found\n"

// refusal is an answer that the receiver gives where a Pushgateway does not. The text of it must match.
func (x *exchange) refusal(status int, text string) bool {
	if x.request.method == http.MethodHead {
		text = "^$"
	}
	if x.ours.status != status || !regexp.MustCompile(text).MatchString(withoutHelp(x.ours.body)) {
		return false
	}
	x.theirs = &answer{status: status, body: x.ours.body, allow: x.ours.allow}
	return true
}

// replace expects what a Pushgateway that has stored nothing answers to another request.
func (x *exchange) replace(r *request) {
	x.request, x.theirs = r, x.alone(r)
}

var unserved = regexp.MustCompile(`^/(metrics/?|pgmetrics|api(/.*)?|status|static/.*|-/quit|debug/pprof/.*|)$`)

// path is the request's path as it was sent.
func (x *exchange) path() string {
	path, _, _ := strings.Cut(x.request.target, "?")
	return path
}

func notServed(x *exchange) bool {
	if !unserved.MatchString(x.path()) {
		return false
	}
	return x.refusal(http.StatusNotFound, notFound) || x.refusal(http.StatusMethodNotAllowed, "")
}

func headOfHealth(x *exchange) bool {
	if path := x.path(); path != "/-/healthy" && path != "/-/ready" || x.theirs.allow != "GET, OPTIONS" {
		return false
	}
	if x.request.method == http.MethodHead {
		x.theirs = &answer{status: http.StatusOK}
	} else {
		x.theirs.allow = "GET, HEAD, OPTIONS"
	}
	return true
}

// leadingSlashes are those that a base URL ends with, and the next one.
var leadingSlashes = regexp.MustCompile("^(/|%2[Ff])+")

var emptyJob = regexp.MustCompile("^/metrics/job(@base64)?//")

// neverRedirect expects what a Pushgateway answers to the same path in a spelling that it takes as it is.
func neverRedirect(x *exchange) bool {
	if slashes := leadingSlashes.FindString(x.path()); len(slashes) > 1 {
		other := *x.request
		other.target = "/" + strings.TrimPrefix(other.target, slashes)
		x.replace(&other)
		neverRedirect(x)
		return true
	}
	if decoded, err := url.PathUnescape(x.path()); err == nil && emptyJob.MatchString(decoded) {
		return x.refusal(http.StatusNotFound, notFound)
	}
	if x.theirs.status != http.StatusMovedPermanently && x.theirs.status != http.StatusTemporaryRedirect {
		return false
	}
	clean, ok := cleanTarget(x.path())
	switch {
	case x.refusal(http.StatusNotFound, notFound), !x.request.isPush() && x.refusal(http.StatusMethodNotAllowed, ""):
	case x.request.method == http.MethodOptions: // It is answered before the labels are looked at.
		x.theirs = &answer{status: http.StatusOK, allow: "DELETE, OPTIONS, POST, PUT"}
	case !ok:
		return x.refusal(http.StatusBadRequest, "^odd number of components in label string ")
	case x.refusal(http.StatusBadRequest, `^invalid base64 encoding for label \S+="\.\.?": `):
	default:
		other := *x.request
		other.target = clean
		x.replace(&other)
	}
	return true
}

func openMetrics(x *exchange) bool {
	mediaType, _, err := mime.ParseMediaType(x.request.header("Content-Type"))
	if err != nil || mediaType != "application/openmetrics-text" || !x.request.isPush() {
		return false
	}
	// What is no OpenMetrics is read as a Pushgateway reads it. If that is not text either, another fault is named.
	if new(exposition.Batch).Decode(exposition.OpenMetrics, x.request.plain, exposition.Options{UTF8Names: true}) != nil {
		return strings.HasPrefix(x.theirs.body, "text format parsing error") &&
			x.refusal(http.StatusBadRequest, "^OpenMetrics parsing error")
	}
	x.theirs = &answer{status: x.ours.status, body: x.ours.body, series: x.ours.series}
	return true
}

// decoded are the codings that the receiver decodes, and others those that it refuses. All other names are none.
var (
	decoded = []string{"gzip", "snappy", "zstd", "deflate", "zlib", "lz4", "x-snappy-framed"}
	others  = []string{"aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress"}
)

// codings are those that the receiver takes the request to have, each once.
func (x *exchange) codings() (codings []string) {
	for _, h := range x.request.headers {
		if !strings.EqualFold(h.name, "Content-Encoding") {
			continue
		}
		for name := range strings.SplitSeq(strings.ToLower(h.value), ",") {
			name = strings.Replace(strings.TrimSpace(name), "x-gzip", "gzip", 1)
			if !slices.Contains(codings, name) && (slices.Contains(decoded, name) || slices.Contains(others, name)) {
				codings = append(codings, name)
			}
		}
	}
	return codings
}

// otherCodings expects what a Pushgateway answers to the body without its coding, unless the coding is refused.
func otherCodings(x *exchange) bool {
	codings := x.codings()
	switch {
	case len(codings) == 0, len(x.request.body) == 0:
		return false
	case len(codings) > 1, slices.Contains(others, codings[0]):
		return x.refusal(http.StatusUnsupportedMediaType, "is not supported; supported: ")
	case strings.EqualFold(x.request.header("Content-Encoding"), "gzip"):
		return false
	case !x.request.encoded && x.refusal(http.StatusBadRequest, "^(unexpected EOF|(flate|gzip|snappy|zlib|zstd|lz4|invalid input|magic number mismatch)\\b.*)\n$"):
		return true
	}
	other := *x.request.withoutCoding()
	if other.encoded {
		other.body = other.plain
	}
	x.replace(&other)
	return true
}

// familyTwice expects what a Pushgateway answers to the same families of which each name comes once.
func familyTwice(x *exchange) bool {
	families, twice := joined(x.request.plain)
	if !twice || anyFamily(x.request, isOfUnknownType) || !x.request.isPush() || len(x.codings()) > 0 && !x.request.encoded {
		return false
	}
	if x.refusal(http.StatusBadRequest, ` is pushed twice, as |`+collectedBefore) {
		return true
	}
	r := *x.request.withoutCoding()
	r.plain, r.body = families, families
	x.replace(&r)
	return true
}

func everyPushAlone(x *exchange) bool {
	if !x.followed || !x.request.isPush() {
		return false
	}
	x.replace(x.request)
	return true
}

// renamed sends the request with a metric under another name of the same length, which is what the metric would be if the
// Pushgateway had none of that name.
func (x *exchange) renamed(name, other string) bool {
	if !bytes.Contains(x.request.plain, []byte(name)) || !x.request.isPush() || len(x.codings()) > 0 && !x.request.encoded {
		return false
	}
	r := *x.request.withoutCoding()
	r.body = bytes.ReplaceAll(r.plain, []byte(name), []byte(other))
	x.replace(&r)
	x.theirs.body = strings.ReplaceAll(x.theirs.body, other, name)
	for _, family := range x.theirs.families {
		family.Name = new(strings.ReplaceAll(family.GetName(), other, name))
	}
	return true
}

func ownNames(x *exchange) bool {
	return x.renamed("go_goroutines", "xx_goroutines") || x.renamed("pushgateway_http_requests_total", "xxxxgateway_http_requests_total")
}

// pushFailureTime renames a pushed metric of that name, so that the Pushgateway's own is not mixed up with it.
func pushFailureTime(x *exchange) bool {
	renamed := x.renamed("push_failure_time_seconds", "xxxx_failure_time_seconds")
	families := len(x.theirs.families)
	x.theirs.families = slices.DeleteFunc(x.theirs.families, isAdded)
	return renamed || len(x.theirs.families) < families
}

func poisonKey(x *exchange) bool {
	return x.theirs.status == http.StatusBadRequest &&
		x.refusal(http.StatusBadRequest, `: grouping key has a label |^improper label name|^label named`)
}

func namelessSample(x *exchange) bool {
	return x.refusal(http.StatusBadRequest, "^text format parsing error in line [0-9]+: invalid metric name\n$") &&
		bytes.Contains(x.request.plain, []byte("{"))
}

func impossibleFamily(x *exchange) bool {
	return anyFamily(x.request, isImpossible) &&
		x.refusal(http.StatusBadRequest, ": metric family (without a name|whose name is not utf8: .*)\n$| is not a [A-Z_]+\n$| has an unknown type: -?[0-9]+\n$")
}

func structuralLabel(x *exchange) bool {
	return x.refusal(http.StatusBadRequest, `: the grouping key sets the label "(le|quantile)", which the series of the|must not have an explicit "le" label`)
}

// escapedToOne may be found behind another fault, which a Pushgateway names.
func escapedToOne(x *exchange) bool {
	return x.refusal(http.StatusBadRequest, " become one series, .* when names are escaped with underscores; ")
}

const collectedBefore = "was collected before with the same name and label values\n$"

func sameSeries(x *exchange) bool {
	return x.refusal(http.StatusBadRequest, ": collected metric named .* collides with previously collected gauge histogram named ") ||
		(hasTwice(x.theirs) || hasTwins(x.theirs)) && x.refusal(http.StatusBadRequest, collectedBefore)
}

// inconsistent is how the answers begin whose rest names a series in protobuf's debug form, which is not stable.
const inconsistent = "pushed metrics are invalid or inconsistent with existing metrics: "

// consistencyText leaves of the text what is stable. Of several faults, either side may name another one first.
func consistencyText(x *exchange) bool {
	if x.theirs.status != http.StatusBadRequest ||
		!strings.HasPrefix(x.theirs.body, inconsistent) || !strings.HasPrefix(x.ours.body, inconsistent) {
		return false
	}
	x.theirs.body = x.ours.body
	return true
}

var codingFault = regexp.MustCompile("^(EOF|unexpected EOF|(gzip|flate|snappy): .*)\n$")

// codingBeside expects what a Pushgateway answers to the request without its coding, where that is not looked at here: a
// Pushgateway undoes gzip before it looks at anything else. Of a body that is cut off, the receiver reads nothing.
func codingBeside(x *exchange) bool {
	coding := strings.ToLower(x.request.header("Content-Encoding"))
	switch {
	case coding != "gzip" && coding != "snappy" || len(x.codings()) > 1 && len(x.request.body) > 0 || x.theirs.status != http.StatusBadRequest:
		return false
	case codingFault.MatchString(withoutHelp(x.ours.body)):
		return x.refusal(http.StatusBadRequest, "")
	case coding == "gzip" && (codingFault.MatchString(x.theirs.body) || x.request.method == http.MethodHead):
		x.replace(x.request.withoutCoding())
		return true
	default:
		return false
	}
}
