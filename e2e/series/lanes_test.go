// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"net/http"
	"slices"
	"strings"
)

// lane is one way from the distribution into a Prometheus.
type lane struct {
	title    string
	release  release
	flags    []string // further ones of the Prometheus that receives
	config   string   // of the Prometheus that receives
	example  string   // configuration of the distribution, in configs
	gates    string   // feature gates of the distribution
	endpoint string   // environment variable of the example that says where to send
	path     string   // of the URL there

	histograms string // the setting of the receiver; "" is that of the example, which is classic

	escapes   bool // names of other characters than letters, digits and underscores are escaped
	utf8Names bool // the example reads quoted names in text
	// Prometheus's OTLP endpoint gives every native histogram the same zero threshold, whatever was sent.
	zeroThresholdFixed bool
	// The Prometheus that receives has no native histograms, and answers 500 to a request that holds one.
	withoutNative bool
	ofHistograms  bool // compares the pages of histograms alone
}

var lanes = slices.Concat(
	[]lane{
		remoteWrite(prometheus3, ""),
		remoteWrite2(),
		remoteWrite(debians, "--enable-feature=native-histograms"),
		{
			title:   "OTLP into " + prometheus3.name,
			release: prometheus3,
			flags:   []string{"--web.enable-otlp-receiver"},
			config:  "otlp:\n  translation_strategy: NoTranslation\n",
			example: "otlp.yaml", endpoint: "OTLP_ENDPOINT", path: "/api/v1/otlp",
			zeroThresholdFixed: true,
		},
	},
	ofHistograms(remoteWrite(prometheus3, "")),
	ofHistograms(withoutNativeHistograms(remoteWrite(debians, ""))),
)

func remoteWrite(r release, flag string) lane {
	l := lane{
		title:   "Remote write into " + r.name,
		release: r,
		example: "remote-write.yaml", endpoint: "REMOTE_WRITE_ENDPOINT", path: "/api/v1/write",
		gates:   "pkg.translator.prometheus.PermissiveLabelSanitization",
		escapes: true,
	}
	if flag != "" {
		l.flags = []string{flag}
	}
	return l
}

func remoteWrite2() lane {
	return lane{
		title:   "Remote write 2.0 into " + prometheus3.name,
		release: prometheus3,
		flags:   []string{receiving2},
		example: "prometheus3.yaml", endpoint: "REMOTE_WRITE_ENDPOINT", path: "/api/v1/write",
		gates:     "exporter.prometheusremotewritexporter.enableSendingRW2",
		utf8Names: true,
	}
}

func withoutNativeHistograms(l lane) lane {
	l.title += " without native histograms"
	l.withoutNative = true
	return l
}

// ofHistograms are the lanes of one way under each setting for histograms.
func ofHistograms(l lane) []lane {
	var settings []lane
	for _, setting := range []string{classic, native, both} {
		with := l
		with.title += ", histograms: " + setting
		with.histograms, with.ofHistograms = setting, true
		settings = append(settings, with)
	}
	return settings
}

// The settings for histograms.
const (
	classic = "classic"
	native  = "native"
	both    = "both"
)

// scraped is which buckets the Prometheus that a page is compared in scrapes. In text there are the classic ones alone. In
// protobuf there are those that the distribution is to send: of a histogram with both those of the setting, and native ones
// where a histogram has no others. Prometheus 3 asks for names without escapes in text alone.
func (l lane) scraped(p page) string {
	switch {
	case p.format != protobuf || p.utf8Names || l.withoutNative:
		return classic
	case l.histograms == native || l.histograms == both:
		return l.histograms
	case len(p.alsoNative) > 0:
		return classic
	default:
		return native
	}
}

// status is what the distribution must answer to a page.
func (l lane) status(p page) int {
	sendsNative := len(p.onlyNative) > 0 || len(p.alsoNative) > 0 && (l.histograms == native || l.histograms == both)
	switch {
	case p.utf8Names && p.format == text && !l.utf8Names:
		return http.StatusBadRequest
	case sendsNative && l.withoutNative:
		return http.StatusServiceUnavailable
	default:
		return http.StatusOK
	}
}

// further is what the document says of a lane beside its example and gates.
func (l lane) further() string {
	var text string
	if l.histograms != "" {
		text = ", and `histograms: " + l.histograms + "` in the receiver"
	}
	if len(l.flags) > 0 {
		text += ". Prometheus runs with `" + strings.Join(l.flags, " ") + "`"
	}
	return text
}

// pagesOf are the pages that are compared.
func (l lane) pagesOf(pages []page) []page {
	if !l.ofHistograms {
		return pages
	}
	return slices.DeleteFunc(slices.Clone(pages), func(p page) bool { return !p.histograms })
}
