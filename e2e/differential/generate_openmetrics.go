// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"fmt"
	"strings"
)

// openMetrics draws a body in OpenMetrics, in half of the cases with faults. A Pushgateway reads all of them as text.
func (g generator) openMetrics() string {
	var lines []string
	for _, name := range []string{"reqs", "temp_celsius", "lat_seconds"}[:1+g.IntN(3)] {
		lines = append(lines, g.openMetricsFamily(name)...)
	}
	lines = append(lines, "# EOF")
	if g.often(50) {
		for range 1 + g.IntN(2) {
			lines = g.openMetricsFault(lines)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// openMetricsFamily draws a family as a client library writes it.
func (g generator) openMetricsFamily(name string) []string {
	kind := g.oneOf("counter", "gauge", "unknown", "histogram", "summary", "gaugehistogram", "info", "stateset")
	lines := []string{"# HELP " + name + " Some help.", "# TYPE " + name + " " + kind}
	if strings.HasSuffix(name, "_seconds") && kind != "info" && kind != "stateset" && g.often(30) {
		lines = append(lines, "# UNIT "+name+" seconds")
	}
	labels := g.oneOf("", `x="1"`, `x="a b",y="\"q\""`)
	created := kind != "gauge" && g.often(30)
	switch kind {
	case "counter":
		lines = append(lines, name+"_total"+braces(labels)+" 3"+g.rarely(20, "", ` # {trace_id="abc"} 1`, ` # {} 0.5 1700000000.5`))
	case "info":
		return append(lines, name+"_info"+braces(labels, `version="1"`)+" 1")
	case "stateset":
		return append(lines, name+braces(labels, fmt.Sprintf("%s=%q", name, "on"))+" 1", name+braces(labels, fmt.Sprintf("%s=%q", name, "off"))+" 0")
	case "histogram", "gaugehistogram":
		sum, count := "_sum", "_count"
		if kind == "gaugehistogram" {
			sum, count, created = "_gsum", "_gcount", false
		}
		lines = append(lines, name+"_bucket"+braces(labels, `le="0.5"`)+" 1", name+"_bucket"+braces(labels, `le="+Inf"`)+" 2")
		if !g.often(20) {
			lines = append(lines, name+sum+braces(labels)+" 1.5", name+count+braces(labels)+" 2")
		}
	case "summary":
		lines = append(lines, name+braces(labels, `quantile="0.5"`)+" 1", name+"_count"+braces(labels)+" 2")
		if !g.often(20) {
			lines = append(lines, name+"_sum"+braces(labels)+" 1.5")
		}
	default:
		return append(lines, name+braces(labels)+" "+g.oneOf("1", "2.5", "NaN"))
	}
	if created {
		lines = append(lines, name+"_created"+braces(labels)+" 1700000000.25")
	}
	return lines
}

// braces writes labels, each spelled as it stands; none needs no braces.
func braces(labels ...string) string {
	var all []string
	for _, l := range labels {
		if l != "" {
			all = append(all, l)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "{" + strings.Join(all, ",") + "}"
}

// openMetricsFault breaks what the OpenMetrics grammar demands and the text format often does not.
func (g generator) openMetricsFault(lines []string) []string {
	at := g.IntN(len(lines))
	insert := func(line string) []string {
		return append(append(append([]string{}, lines[:at]...), line), lines[at:]...)
	}
	replace := func(from, to string) []string {
		broken := append([]string{}, lines...)
		for i := range broken {
			if line := broken[(at+i)%len(lines)]; strings.Contains(line, from) {
				broken[(at+i)%len(lines)] = strings.Replace(line, from, to, 1)
				break
			}
		}
		return broken
	}
	switch g.IntN(14) {
	case 0:
		return insert(g.oneOf("", "", " ", "\t"))
	case 1:
		return append(lines, g.oneOf("", "# behind", "late 1", "# EOF", " "))
	case 2:
		return insert(g.oneOf("# a comment", "#", "#no blank", "  # indented"))
	case 3:
		return replace("# TYPE", g.oneOf("#  TYPE", "# TYPE ", " # TYPE", "#\tTYPE"))
	case 4:
		kind := g.oneOf("counter", "gauge", "histogram", "summary", "info")
		return replace(" "+kind, " "+g.oneOf(strings.ToUpper(kind), strings.ToUpper(kind[:1])+kind[1:]))
	case 5:
		return replace("Some help.", g.oneOf("not UTF-8: \xff", `half an escape \`, `a \t`, ""))
	case 6:
		return replace(`le="`+g.oneOf("0.5", "+Inf")+`"`, g.oneOf("", `le=""`, `LE="1"`))
	case 7:
		return lines[:len(lines)-1]
	case 8:
		return replace("} ", g.oneOf("}  ", "}\t", "}", " } ", ",} "))
	case 9:
		return replace(",", g.oneOf(", ", " ,", ",,"))
	case 10:
		return replace(" 1", g.oneOf(" 1 ", "  1", "\t1", " 1\r", " 1_0", " 0x1", " +Inf", " 1e3"))
	case 11:
		return replace("_total", g.oneOf("", "_count", "_sum"))
	case 12:
		return replace("# EOF", g.oneOf("# EOF ", "#EOF", "# eof", "# EOF\r", " # EOF"))
	default:
		return insert(lines[g.IntN(len(lines))])
	}
}
