// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"fmt"
	"strconv"
	"strings"
)

// text draws a body in the text format: mostly valid, in odd spellings.
func (g generator) text() string {
	var lines []string
	for range 1 + g.IntN(3) {
		lines = append(lines, g.textFamily()...)
	}
	if g.often(5) {
		g.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	}
	if g.often(3) {
		lines = append(lines, lines[g.IntN(len(lines))])
	}
	if g.often(3) {
		return ""
	}
	end := g.rarely(2, "\n", "\r\n", "\n\n", " \n", "\n \t\n")
	body := strings.Join(lines, end) + g.rarely(2, "\n", "", "\n\n", " ", "\n# EOF\n", "\x00")
	return g.rarely(1, "", "\ufeff", " ", "\n", "\xff") + body
}

// metricName draws a name; there are few, so that they collide now and then.
func (g generator) metricName() string {
	return g.rarely(8, g.oneOf("a", "b", "http_requests_total", "h", "s", "temperature_celsius", "c", "d", "e", "f"),
		"h_bucket", "h_sum", "h_count", "s_count", "a:b", "_", "A", "push_time_seconds", "push_failure_time_seconds", "go_goroutines", "1a", "a.b", "é", "",
		"target_info", "a_created", "otel_scope_info", `"a"`)
}

func (g generator) textFamily() []string {
	name := g.metricName()
	kind := g.oneOf("counter", "gauge", "untyped", "histogram", "summary", "histogram", "")
	if g.often(2) {
		kind = g.oneOf("gaugehistogram", "gauge_histogram", "info", "unknown", "Counter", "GAUGE", "x", "counter counter")
	}
	var lines []string
	if g.often(50) {
		lines = append(lines, "# HELP"+g.blank()+name+g.blank()+g.help())
	}
	if kind != "" {
		lines = append(lines, "# TYPE"+g.blank()+name+g.blank()+kind+g.rarely(2, "", " ", "\t"))
	}
	if g.often(4) {
		lines = append(lines, g.oneOf("", "#", "# comment", "#HELP a b", "  ", "# TYPE", "# HELP", "# TYPE a", "\t# x", "# HELP a", "## x"))
	}
	g.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	for range 1 + g.IntN(3)*g.IntN(2) {
		labels := g.textLabels()
		switch kind {
		case "histogram", "gaugehistogram", "gauge_histogram":
			lines = append(lines, g.textHistogram(name, labels)...)
		case "summary":
			lines = append(lines, g.textSummary(name, labels)...)
		default:
			lines = append(lines, g.sample(name, labels, g.number()))
		}
	}
	return lines
}

func (g generator) help() string {
	return g.rarely(25, "Some help.", "", " leading", `back\\slash`, `new\nline`, `bad\t`, `ends\`, "Ünïcode", `"quoted"`, "trailing ", "\xff", "a\tb")
}

// blank draws the space between two tokens.
func (g generator) blank() string { return g.rarely(4, " ", "  ", "\t", " \t ", "") }

// textLabels draws the labels of a series, each spelled as it will be written.
func (g generator) textLabels() []string {
	var labels []string
	for range g.IntN(3) {
		name := g.rarely(12, g.oneOf("x", "y", "z", "instance", "job", "a", "code"),
			"le", "quantile", "__x", "__name__", "1x", "x-y", "", "otel_scope_name", "otel_scope_version", "é", `"x"`, `"x.y"`, "X")
		value := g.rarely(12, strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(g.value()), "", `\x`, `"`, "\xff", "\n", `\`, `\\`, " ", "\u0000")
		labels = append(labels, g.edge()+name+g.edge()+g.rarely(1, "=", "", "==", "!=")+g.edge()+`"`+value+`"`+g.edge())
	}
	return labels
}

// edge draws the space where none is needed.
func (g generator) edge() string { return g.rarely(3, "", " ", "\t", "  ") }

func (g generator) sample(name string, labels []string, value string) string {
	set := ""
	if len(labels) > 0 || g.often(10) {
		set = g.edge() + "{" + strings.Join(labels, ",") + g.rarely(6, "", ",", " ", ",,", ", ") + g.rarely(1, "}", "", "}}", ")")
	}
	blank := g.blank()
	if set != "" {
		blank = g.rarely(10, " ", "", "\t")
	}
	timestamp := g.rarely(1, "", " 1700000000000", " 0", " -1", " 1.5", " x", " 1 1")
	return g.edge() + name + set + blank + value + timestamp + g.rarely(1, "", " ", "\t", " # {} 1")
}

// number draws a sample value.
func (g generator) number() string {
	return g.rarely(25, g.oneOf("1", "2", "42", "3.14", "0", "100"),
		"-1", "1e3", "1E-3", "NaN", "+Inf", "-Inf", "Inf", "inf", "nan", "+NaN", "infinity", "-infinity", "1.", ".5", "0x1p-2", "0x1F", "1_000", "0b1", "1e400", "-1e400",
		"1e-400", "-0", "+1", "--1", "abc", "1,5", "", "9007199254740993", "18446744073709551615", "18446744073709551616", "١", "1e", "0x", "1d", "١٢", "1.7976931348623157e308", "4.9e-324")
}

// textHistogram draws a histogram's lines, some of them missing, odd or out of order.
func (g generator) textHistogram(name string, labels []string) []string {
	var lines []string
	bucket := func(bound, count string) {
		le := g.rarely(2, fmt.Sprintf(`le=%q`, bound), `le=""`, "", `le="x"`, `le="1",le="1"`)
		all := append([]string{}, labels...)
		if le != "" {
			all = append(all, le)
		}
		lines = append(lines, g.sample(name+"_bucket", all, count))
	}
	total := 0
	for _, bound := range []string{"0.1", "1", "1.0", "2.5", "10"}[g.IntN(3) : 3+g.IntN(3)] {
		total += g.IntN(4)
		if bound != "1.0" || g.often(5) {
			bucket(g.rarely(4, bound, "-1", "NaN", "-Inf", "1e3", "0", "-0", "0x1p3", "inf"), g.rarely(4, strconv.Itoa(total), "0", "0.5", "-1", "NaN", "+Inf", "1e30", "7"))
		}
	}
	total += g.IntN(4)
	if !g.often(10) {
		bucket(g.rarely(10, "+Inf", "Inf", "inf", "+inf"), g.rarely(4, strconv.Itoa(total), "0", "100", "1.5"))
	}
	if !g.often(8) {
		lines = append(lines, g.sample(name+g.rarely(2, "_sum", "_gsum", "", "_created", "_Sum"), labels, g.number()))
	}
	if !g.often(8) {
		lines = append(lines, g.sample(name+g.rarely(2, "_count", "_gcount"), labels, g.rarely(5, strconv.Itoa(total), "1", "1.5", "-2", "NaN", "1e20", "x")))
	}
	if g.often(8) {
		g.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	}
	return lines
}

// textSummary draws a summary's lines.
func (g generator) textSummary(name string, labels []string) []string {
	var lines []string
	for _, q := range []string{"0.5", "0.9", "0.99"}[:g.IntN(4)] {
		label := g.rarely(3, fmt.Sprintf(`quantile=%q`, g.rarely(4, q, "0.5", "1", "NaN", "2", "-1", "5e-1", "+Inf")), "", `quantile=""`, `quantile="x"`)
		all := append([]string{}, labels...)
		if label != "" {
			all = append(all, label)
		}
		lines = append(lines, g.sample(name, all, g.number()))
	}
	if !g.often(8) {
		lines = append(lines, g.sample(name+"_sum", labels, g.number()))
	}
	if !g.often(8) || len(lines) == 0 {
		lines = append(lines, g.sample(name+"_count", labels, g.rarely(10, "3", "1.5", "-1", "NaN", "1e20", "x", "1e19")))
	}
	if g.often(8) {
		g.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	}
	return lines
}
