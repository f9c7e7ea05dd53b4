// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// acceptedOpenMetrics are bodies and their content, as written returns it.
var acceptedOpenMetrics = []struct{ name, body, want string }{
	{"nothing", "", ""},
	{"only EOF", "# EOF\n", ""},
	{"only EOF, without line feed", "# EOF", ""},
	{"no EOF", "a 1\n", "unknown a {} 1"},
	{"family without series", "# TYPE a gauge\n# EOF\n", ""},
	{"unknown by default", "a{x=\"1\",y=\"2\"} 5\n# EOF\n", `unknown a {x="1",y="2"} 5`},
	{"unknown by name", "# TYPE a unknown\na 5\n", "unknown a {} 5"},
	{"gauge with all metadata", "# TYPE a_bytes gauge\n# UNIT a_bytes bytes\n# HELP a_bytes h\na_bytes 17\n", `gauge a_bytes "h" [bytes] {} 17`},
	{"metadata in any order", "# HELP a_s h\n# UNIT a_s s\n# TYPE a_s gauge\na_s 17\n", `gauge a_s "h" [s] {} 17`},
	{"empty metadata", "# HELP a \n# UNIT a \na 1\n", "unknown a {} 1"},
	{"escapes in HELP", `# HELP a 1\n2\\3\"4"5\6` + "\na 1\n", `unknown a "1\n2\\3\"4\"5\\6" {} 1`},
	{"empty braces", "a{} 1\n", "unknown a {} 1"},
	{"comma at the end", "a{x=\"1\",} 1\n", `unknown a {x="1"} 1`},
	{"escapes in label value", `a{x="1\n2\\3\"4\5"} 1` + "\n", `unknown a {x="1\n2\\3\"4\\5"} 1`},
	{"NUL, tab, CR, braces and UTF-8 in label value", "a{x=\"\x00\t\r{},=é\"} 1\n", `unknown a {x="\x00\t\r{},=é"} 1`},
	{"colons in name", ":a:b 1\n", "unknown :a:b {} 1"},
	{"values", "a NaN\na +Inf\na -infinity\na 1e3\na .5\na 007\n", "unknown a {} NaN {} +Inf {} -Inf {} 1000 {} 0.5 {} 7"},
	{"timestamps in seconds", "a 1 0\na 2 -5.5\na 3 1520879607.789\na 4 1e3\n", "unknown a {} 1@0 {} 2@-5500 {} 3@1520879607789 {} 4@1000000"},
	{"timestamps lose what is less than a millisecond", "a 1 1.0019\na 2 -1.0019\n", "unknown a {} 1@1001 {} 2@-1001"},

	{"counter keeps its suffix", "# TYPE a counter\n# HELP a h\na_total 17\n", `counter a_total "h" {} 17`},
	{"counter with unit", "# TYPE a_s counter\n# UNIT a_s s\na_s_total 17\n", "counter a_s_total [s] {} 17"},
	{"counter without suffix", "# TYPE a counter\na 17\n", "counter a {} 17"},
	{"counter with suffix in its metadata", "# TYPE a_total counter\na_total 17\na_total_created 5\n", "counter a_total {} 17 created=5000000000"},
	{"counter with both names", "# TYPE a counter\na 1\na_total 2\na{x=\"1\"} 3\n", `counter a {} 1 {x="1"} 3; counter a_total {} 2`},
	{"counter's parts are no gauge's", "# TYPE a gauge\na 1\na_total 2\na_created 3\n", "gauge a {} 1; unknown a_total {} 2; unknown a_created {} 3"},
	{"info keeps its suffix", "# TYPE a info\na_info{v=\"1\"} 1\n", `info a_info {v="1"} 1`},
	{"info with another value", "# TYPE a info\na_info{v=\"1\"} 2\n", `info a_info {v="1"} 2`},
	{"info without suffix", "# TYPE a info\na 1\n", "info a {} 1"},
	{"stateset", "# TYPE a stateset\na{a=\"on\"} 1\na{a=\"off\"} 0\n", `stateset a {a="on"} 1 {a="off"} 0`},
	{"stateset with another value and label", "# TYPE a stateset\na{b=\"on\"} 2\n", `stateset a {b="on"} 2`},

	{"summary", "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"0.9\"} 2\ns_sum 3.5\ns_count 4.0\n", "summary s {} 0.5:1 0.9:2 sum=3.5 count=4"},
	{"summary of two series", "# TYPE s summary\ns_sum{a=\"1\"} 1\ns_sum{a=\"2\"} 2\ns_count{a=\"1\"} 3\n", `summary s {a="1"} sum=1 count=3 {a="2"} sum=2`},
	{"label order is no difference", "# TYPE s summary\ns{a=\"1\",quantile=\"1\",b=\"2\"} 1\ns_count{b=\"2\",a=\"1\"} 3\n", `summary s {a="1",b="2"} 1:1 count=3`},
	{"le is a label in a summary", "# TYPE s summary\ns_sum{le=\"x\"} 1\n", `summary s {le="x"} sum=1`},
	{"histogram", "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 4\nh_sum 9.5\nh_count 4\n", "histogram h {} le1:1 le+Inf:4 sum=9.5 count=4"},
	{"histogram with timestamps", "# TYPE h histogram\nh_bucket{le=\"1\"} 1 17\nh_count 1 17\n", "histogram h {}@17000 le1:1 count=1"},
	{"histogram without TYPE", "h_bucket{le=\"1\"} 1\nh_count 4\n", `unknown h_bucket {le="1"} 1; unknown h_count {} 4`},
	{"one fraction makes all counts floats", "# TYPE h histogram\nh_bucket{le=\"1\"} 1.5\nh_count 4\n", "histogram h {} le1:1.5f count=4f"},
	{"gauge histogram", "# TYPE h gaugehistogram\nh_bucket{le=\"1\"} 1\nh_gcount 1\nh_gsum -3\n", "gaugehistogram h (g) {} le1:1 sum=-3 count=1"},
	{"gauge histogram with a histogram's suffixes", "# TYPE h gaugehistogram\nh_bucket{le=\"1\"} 1\nh_sum -3\nh_count 1\n", "gaugehistogram h {} le1:1 sum=-3 count=1"},
	{"no gauge suffixes in a histogram", "# TYPE h histogram\nh_count 1\nh_gcount 1\n", "histogram h {} count=1; unknown h_gcount {} 1"},

	{
		"lines with the labels of the line before", "# TYPE h histogram\nh_bucket{x=\"a\",le=\"1\"} 1\nh_bucket{x=\"a\",le=\"2\"} 2 # {} 1\nh_sum{x=\"a\"} 3\nh_count{x=\"a\"} 4\nh_bucket{x=\"b\",le=\"1\"} 5\n",
		`histogram h {x="a"} le1:1 le2:2 sum=3 count=4 #{} 1 {x="b"} le1:5`,
	},
	{
		"labels of the line before in another family", "# TYPE h histogram\nh_bucket{x=\"a\",le=\"1\"} 1\n# TYPE a gauge\na{x=\"b\"} 2\n# TYPE h histogram\nh_bucket{x=\"b\",le=\"1\"} 3\n",
		`histogram h {x="a"} le1:1 {x="b"} le1:3; gauge a {x="b"} 2`,
	},
	{"labels of a line before that one", "# TYPE h histogram\nh_sum{x=\"a\"} 1\nh_sum 2\nh_count{x=\"a\"} 3\nh_count{} 4\n", `histogram h {x="a"} sum=1 count=3 {} sum=2 count=4`},
	{
		"bounds as in the series before, and others", "# TYPE h histogram\nh_bucket{x=\"a\",le=\"1\"} 1\nh_bucket{x=\"a\",le=\"2\"} 2\nh_bucket{x=\"a\",le=\"3\"} 3\nh_bucket{x=\"b\",le=\"1\"} 4\nh_bucket{x=\"b\",le=\"20\"} 5\nh_bucket{x=\"b\",le=\"3\"} 6\nh_bucket{x=\"b\",le=\"4\"} 7\nh_bucket{x=\"c\",le=\"1\"} 8\nh_bucket{x=\"c\",le=\"20\"} 9\n",
		`histogram h {x="a"} le1:1 le2:2 le3:3 {x="b"} le1:4 le20:5 le3:6 le4:7 {x="c"} le1:8 le20:9`,
	},
	{"le an ordinary label before", "a{le=\"1\"} 1\n# TYPE h histogram\nh_bucket{le=\"1\",x=\"a\"} 2\n", `unknown a {le="1"} 1; histogram h {x="a"} le1:2`},
	{"le before other labels", "# TYPE h histogram\nh_bucket{le=\"1\",x=\"a\"} 1\nh_count{} 2\nh_bucket{le=\"2\"} 3\n", `histogram h {x="a"} le1:1 {} le2:3 count=2`},
	{
		"labels as before, and others", "a{x=\"1\",y=\"2\"} 1\na{x=\"3\",y=\"4\"} 2\na{x=\"\\\\\",y=\"é\"} 3\na{x=\"5\"} 4\na{xy=\"6\"} 5\na{y=\"7\",x=\"8\",} 6\na{y=\"9\",x=\"10\",z=\"11\"} 7\n",
		`unknown a {x="1",y="2"} 1 {x="3",y="4"} 2 {x="\\",y="é"} 3 {x="5"} 4 {xy="6"} 5 {y="7",x="8"} 6 {y="9",x="10",z="11"} 7`,
	},
	{"labels as before and an exemplar", "a_total{x=\"1\"} 1 # {x=\"2\",y=\"3\"} 1\na_total{x=\"4\"} 2 # {x=\"5\",y=\"6\"} 2\n", `unknown a_total {x="1"} 1 #{x="2",y="3"} 1 {x="4"} 2 #{x="5",y="6"} 2`},
	{"names that begin alike", "a 1\nab 2\na:b 3\na{x=\"1\"} 4\n", `unknown a {} 1 {x="1"} 4; unknown ab {} 2; unknown a:b {} 3`},
	{"created after its series", "# TYPE a counter\na_total 1\na_created 1520430000.123\n", "counter a_total {} 1 created=1520430000123000000"},
	{"created before its series", "# TYPE a counter\na_created 5\na_total 1\n", "counter a_total {} 1 created=5000000000"},
	{
		"created after all series", "# TYPE a counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 2\na_created{x=\"1\"} 5\na_created{x=\"2\"} 6\n",
		`counter a_total {x="1"} 1 created=5000000000 {x="2"} 2 created=6000000000`,
	},
	{
		"created after all series in another order", "# TYPE a counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 2\na_total{x=\"3\"} 3\na_created{x=\"2\"} 6\na_created{x=\"1\"} 5\n",
		`counter a_total {x="1"} 1 created=5000000000 {x="2"} 2 created=6000000000 {x="3"} 3`,
	},
	{"created with labels in another order", "# TYPE s summary\ns_created{b=\"2\",a=\"1\"} 5\ns_count{a=\"1\",b=\"2\"} 1\n", `summary s {a="1",b="2"} count=1 created=5000000000`},
	{"created of a histogram", "# TYPE h histogram\nh_count 1\nh_created 5e-9\n", "histogram h {} count=1 created=5"},
	{"created of each point", "# TYPE a counter\na_total 1 1\na_created 5 1\na_total 2 2\na_created 6 2\n", "counter a_total {} 1@1000 created=5000000000 {} 2@2000 created=6000000000"},
	{"created without series", "# TYPE a counter\na_total 1\na_created{x=\"1\"} 5.5 6\n", `counter a_total {} 1; unknown a_created {x="1"} 5.5@6000`},
	{"created without family", "a_created 5\n", "unknown a_created {} 5"},
	{"created in nanoseconds", "# TYPE a counter\na_total 1\na_created 1604676851.1234567899\n", "counter a_total {} 1 created=1604676851123456789"},
	{"created with exponent", "# TYPE a counter\na_total 1\na_created 1.604676851123456789E+09\n", "counter a_total {} 1 created=1604676851123456789"},
	{"created before 1970", "# TYPE a counter\na_total 1\na_created -0.5\n", "counter a_total {} 1 created=-500000000"},
	{"created 0 is none", "# TYPE a counter\na_total 1\na_created 0e99999999999999999999\n", "counter a_total {} 1"},

	{"exemplar of a counter", "# TYPE a counter\na_total 1 # {trace_id=\"x\",y=\"\"} 0.5\n", `counter a_total {} 1 #{trace_id="x",y=""} 0.5`},
	{"exemplar with timestamp", "# TYPE a counter\na_total 1 2 # {} 0.5 1520879607.789123456\n", `counter a_total {} 1@2000 #{} 0.5@1520879607789123456`},
	{
		"exemplars of buckets", "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {a=\"1\"} 1\nh_bucket{le=\"2\"} 2\nh_bucket{le=\"3\"} 3 # {a=\"\\\\3\"} 3 3\n",
		`histogram h {} le1:1 le2:2 le3:3 #{a="1"} 1 #{a="\\3"} 3@3000000000`,
	},
	{"exemplars of others", "# TYPE h histogram\nh_count 1 # {a=\"1\"} 1\n# TYPE a gauge\na 2 # {a=\"2\"} 2\n", `histogram h {} count=1 #{a="1"} 1; gauge a {} 2 #{a="2"} 2`},

	{"HELP after samples", "a 1\n# HELP a late\n", `unknown a "late" {} 1`},
	{"last of repeated metadata", "# HELP a 1\n# HELP a 2\n# TYPE a counter\n# TYPE a gauge\na 1\n", `gauge a "2" {} 1`},
	{"TYPE after samples", "# HELP a h\na 1\n# TYPE a gauge\na 2\n", `unknown a "h" {} 1; gauge a "h" {} 2`},
	{"another family of the name", "# HELP a g\n# TYPE a gauge\na 1\n# HELP a c\n# TYPE a counter\na_total 2\n", `gauge a "g" {} 1; counter a_total "c" {} 2`},
	{"same TYPE after samples", "# TYPE a gauge\na 1\n# TYPE a gauge\na 2\n", "gauge a {} 1 {} 2"},
	{
		"interleaved families", "# TYPE a counter\n# TYPE s summary\na_total 1\ns_sum 2\na_total{x=\"1\"} 3\ns_count 4\na_created 5\n",
		`summary s {} sum=2 count=4; counter a_total {} 1 created=5000000000 {x="1"} 3`,
	},
	{"name that fits the current family", "# TYPE s_count gauge\ns_count 1\n# TYPE s summary\ns_count 2\n", "gauge s_count {} 1; summary s {} count=2"},
	{"name of a family before part of another", "# TYPE s summary\n# TYPE s_count gauge\n# TYPE a gauge\ns_count 1\n", "gauge s_count {} 1"},
}

// refusedOpenMetrics are bodies and the line, column and reason of their refusal.
var refusedOpenMetrics = []struct{ name, body, want string }{
	{"last line without line feed", "a 1\nb 2", `2:4: expected the end of the line, found the end of the body`},
	{"ends after name", "a", `1:2: expected a space and a value, found the end of the body`},
	{"ends in labels", "a{", `1:3: expected a label name, found the end of the body`},
	{"ends in label value", `a{x="1`, `1:7: expected the closing quote of the label value, found the end of the body`},
	{"TYPE without line feed", "# TYPE a gauge", `1:15: expected the end of the line, found the end of the body`},
	{"HELP without line feed", "# HELP a h", `1:11: expected the end of the line, found the end of the body`},
	{"samples after EOF", "a 1\n# EOF\nb 2\n", `3:1: expected nothing after "# EOF", found "b 2"`},
	{"line feed after EOF", "# EOF\n\n", `2:1: expected nothing after "# EOF", found the end of the line`},
	{"blank after EOF", "# EOF \n", `1:6: expected nothing after "# EOF", found " "`},

	{"empty line", "a 1\n\nb 1\n", `2:1: expected a metric name, found the end of the line`},
	{"CRLF", "a 1\r\n", `1:3: expected a value, found "1\r" (lines end with a line feed alone)`},
	{"comment", "# comment\n", `1:1: expected "# HELP ", "# TYPE ", "# UNIT " or "# EOF", since OpenMetrics has no other comments, found "# comment"`},
	{"long comment", "# " + strings.Repeat("x", 50) + "\n", `1:1: expected "# HELP ", "# TYPE ", "# UNIT " or "# EOF", since OpenMetrics has no other comments, found "# ` + strings.Repeat("x", 38) + `"...`},
	{"byte order mark", "\ufeffa 1\n", `1:1: expected a metric name, found "\ufeffa 1"`},
	{"blank first", " a 1\n", `1:1: expected a metric name, found " a 1"`},
	{"name starts with a digit", "1a 1\n", `1:1: expected a metric name, found "1a 1"`},

	{"no name in HELP", "# HELP  h\n", `1:8: expected a metric name, found " h"`},
	{"HELP without blank", "# HELP a\n", `1:9: expected a space after the metric name, found the end of the line`},
	{"HELP not UTF-8", "# HELP a \xff\n", `1:10: the HELP text of "a" is not valid UTF-8`},
	{"HELP ends in backslash", "# HELP a b\\\n", `1:12: expected a character after the backslash, found the end of the line`},
	{"untyped", "# TYPE a untyped\n", `1:10: expected unknown, counter, gauge, histogram, gaugehistogram, summary, info or stateset, found "untyped"`},
	{"type in capitals", "# TYPE a Gauge\n", `1:10: expected unknown, counter, gauge, histogram, gaugehistogram, summary, info or stateset, found "Gauge"`},
	{"unit is no suffix", "# UNIT a seconds\n", `1:10: the name "a" does not end in an underscore and the unit "seconds"`},
	{"unit without underscore", "# UNIT as s\n", `1:11: the name "as" does not end in an underscore and the unit "s"`},
	{"unit before _total", "# UNIT a_s_total s\n", `1:18: the name "a_s_total" does not end in an underscore and the unit "s"`},

	{"blank in labels", "a{x=\"1\", y=\"2\"} 1\n", `1:9: expected a label name, found " y=\"2\"} 1"`},
	{"no comma", "a{x=\"1\"y=\"2\"} 1\n", `1:8: expected "," or "}", found "y=\"2\"} 1"`},
	{"comma only", "a{,} 1\n", `1:3: expected a label name, found ",} 1"`},
	{"colon in label name", "a{x:y=\"1\"} 1\n", `1:4: expected "=" after the label name, found ":y=\"1\"} 1"`},
	{"label without quotes", "a{x=1} 1\n", `1:5: expected a label value in quotes, found "1} 1"`},
	{"line feed in label value", "a{x=\"1\n\"} 1\n", `1:7: expected the closing quote of the label value, found the end of the line`},
	{"label value not UTF-8", "a{x=\"\xff\"} 1\n", `1:5: the label value "\xff" is not valid UTF-8`},
	{"label twice", "a{x=\"1\",x=\"2\"} 1\n", `1:9: the label name "x" occurs twice`},
	{"label twice after a line with the same names", "a{x=\"1\",y=\"2\"} 1\na{x=\"1\",y=\"2\",x=\"3\"} 1\n", `2:15: the label name "x" occurs twice`},
	{"blank among labels as before", "a{x=\"1\",y=\"2\"} 1\na{x=\"1\", y=\"2\"} 1\n", `2:9: expected a label name, found " y=\"2\"} 1"`},
	{"ends among labels as before", "a{x=\"1\",y=\"2\"} 1\na{x=\"1\",", `2:9: expected a label name, found the end of the body`},
	{"letter after value", "a 12x\n", `1:3: expected a value, found "12x"`},
	{"reserved label", "a{__name__=\"b\"} 1\n", `1:3: the label name "__name__" is reserved`},
	{"no name", "{x=\"1\"} 1\n", `1:1: there is no metric name before or within the braces`},

	{"no value", "a\n", `1:2: expected a space and a value, found the end of the line`},
	{"no blank before value", "a{}1\n", `1:4: expected a space and a value, found "1"`},
	{"two blanks", "a  1\n", `1:3: expected a value, found " 1"`},
	{"tab", "a\t1\n", `1:2: expected a space and a value, found "\t1"`},
	{"word as value", "a b\n", `1:3: expected a value, found "b"`},
	{"hexadecimal value", "a 0x1p-2\n", `1:3: expected a value, found "0x1p-2"`},
	{"value out of range", "a 1e999\n", `1:3: expected a value, found "1e999"`},
	{"blank after value", "a 1 \n", `1:5: expected a timestamp or an exemplar, found the end of the line`},
	{"word as timestamp", "a 1 now\n", `1:5: expected a timestamp or an exemplar, found "now"`},
	{"NaN as timestamp", "a 1 NaN\n", `1:5: the timestamp "NaN" is not a valid time in seconds`},
	{"timestamp out of range", "a 1 1e17\n", `1:5: the timestamp "1e17" is not a valid time in seconds`},
	{"text after timestamp", "a 1 2 3\n", `1:6: expected the end of the line, found " 3"`},

	{"exemplar without labels", "a_total 1 # 5\n", `1:11: expected a timestamp or an exemplar, found "# 5"`},
	{"exemplar without value", "a_total 1 # {}\n", `1:15: expected a space and the value of the exemplar, found the end of the line`},
	{"exemplar with a word as timestamp", "a_total 1 # {} 1 now\n", `1:18: expected the timestamp of the exemplar, found "now"`},
	{"exemplar with infinite timestamp", "a_total 1 # {} 1 Inf\n", `1:18: the timestamp "Inf" is not a valid time in seconds`},
	{"exemplar out of time", "a_total 1 # {} 1 9223372036.854775808\n", `1:18: the timestamp "9223372036.854775808" is not a valid time in seconds`},
	{"exemplar with label twice", "a_total 1 # {x=\"1\",x=\"2\"} 1\n", `1:20: the label name "x" occurs twice`},
	{"two exemplars", "a_total 1 # {} 1 # {} 2\n", `1:18: expected the timestamp of the exemplar, found "# {} 2"`},

	{"histogram without suffix", "# TYPE h histogram\nh 1\n", `2:1: a sample of the histogram "h" must end in _bucket, _count, _sum or _created`},
	{"gauge histogram without suffix", "# TYPE h gaugehistogram\nh 1\n", `2:1: a sample of the gaugehistogram "h" must end in _bucket, _gcount or _gsum`},
	{"bucket without le", "# TYPE h histogram\nh_bucket 1\n", `2:1: "h_bucket" of a histogram has no label "le"`},
	{"count with le", "# TYPE h histogram\nh_count{le=\"1\"} 1\n", `2:1: "h_count" of a histogram has a label "le"`},
	{"le is no number", "# TYPE h histogram\nh_bucket{le=\"x\"} 1\n", `2:1: the label "le" of "h_bucket" is not a number: "x"`},
	{"le is NaN", "# TYPE h histogram\nh_bucket{le=\"NaN\"} 1\n", `2:1: the label "le" of "h_bucket" is not a number: "NaN"`},
	{"negative bucket", "# TYPE h histogram\nh_bucket{le=\"1\"} -1\n", `2:18: the count of a histogram must be a number of at least 0, not "-1"`},
	{"NaN count", "# TYPE h histogram\nh_count NaN\n", `2:9: the count of a histogram must be a number of at least 0, not "NaN"`},
	{"two sums", "# TYPE h histogram\nh_sum 1\nh_sum 1\n", `3:1: "h_sum" was already given for the series of line 2: a histogram has one`},
	{"two timestamps", "# TYPE h histogram\nh_sum 1\nh_count 1 5\n", `3:9: the timestamp differs from that in line 2, which has a sample of the same histogram`},
	{"gauge histogram with both suffixes", "# TYPE h gaugehistogram\nh_gsum 1\nh_count 1\n", `3:1: "h_count" does not match the other samples of its family: use _gcount and _gsum`},
	{"summary without quantile", "# TYPE s summary\ns 1\n", `2:1: "s" of a summary has no label "quantile"`},
	{"sum with quantile", "# TYPE s summary\ns_sum{quantile=\"1\"} 1\n", `2:1: "s_sum" of a summary has a label "quantile"`},
	{"summary with half a count", "# TYPE s summary\ns_count 1.5\n", `2:9: the count of a summary must be a whole number, not "1.5"`},
	{"two counts", "# TYPE s summary\ns_count{a=\"1\",b=\"2\"} 1\ns_count{b=\"2\",a=\"1\"} 1\n", `3:1: "s_count" was already given for the series of line 2: a summary has one`},
	{"created is no time", "# TYPE a counter\na_total 1\na_created NaN\n", `3:11: the created timestamp "NaN" is not a valid time in seconds`},
	{"created out of range", "# TYPE a counter\na_total 1\na_created 1844674407370955162\n", `3:11: the created timestamp "1844674407370955162" is not a valid time in seconds`},
	{"two created", "# TYPE a counter\na_total 1\na_created 5\na_created 6\n", `4:1: "a_created" was already given for a series with these labels`},
	{"two created before their series", "# TYPE a counter\na_created 5\na_created 6\na_total 1\n", `3:1: "a_created" was already given for a series with these labels`},
}

// utf8OpenMetrics are bodies with quoted names, and their content or refusal, by the option.
var utf8OpenMetrics = []struct{ name, body, want, refusal string }{
	{"metric name", "{\"my.metric\",a=\"v\"} 1\n", `unknown my.metric {a="v"} 1`, `1:2: the quoted name "my.metric" needs the setting utf8_names: true`},
	{"name that needs no quotes", "{\"a\"} 1\n", `unknown a {} 1`, `1:2: the quoted name "a" needs the setting utf8_names: true`},
	{"name after labels", "{x=\"1\",\"a.b\",} 1\n", `unknown a.b {x="1"} 1`, `1:8: the quoted name "a.b" needs the setting utf8_names: true`},
	{"label name", "a{\"my.label\"=\"v\"} 1\n", `unknown a {my.label="v"} 1`, `1:3: the quoted name "my.label" needs the setting utf8_names: true`},
	{"label name of an exemplar", "a 1 # {\"my.label\"=\"v\"} 1\n", `unknown a {} 1 #{my.label="v"} 1`, `1:8: the quoted name "my.label" needs the setting utf8_names: true`},
	{"escapes", `{"a\n\"\x"} 1` + "\n", "unknown a\n\"\\x {} 1", `1:2: the quoted name "a\n\"\\x" needs the setting utf8_names: true`},
	{
		"family", "# TYPE \"a.b\" counter\n# HELP \"a.b\" h\n{\"a.b_total\",x=\"1\"} 1\n{\"a.b_created\",x=\"1\"} 5\n",
		`counter a.b_total "h" {x="1"} 1 created=5000000000`, `1:8: the quoted name "a.b" needs the setting utf8_names: true`,
	},
	{"histogram with name after le", "# TYPE h histogram\n{le=\"1\",\"h_bucket\",x=\"y\"} 1\n", `histogram h {x="y"} le1:1`, `2:9: the quoted name "h_bucket" needs the setting utf8_names: true`},
}

// refusedUTF8OpenMetrics are bodies that are refused even with quoted names.
var refusedUTF8OpenMetrics = []struct{ name, body, want string }{
	{"label name without the quotes of the line before", "a{\"x.y\"=\"1\"} 1\na{x.y=\"1\"} 1\n", `2:4: expected "=" after the label name, found ".y=\"1\"} 1"`},
	{"metric name without the quotes of the line before", "{\"a.b\",x=\"1\"} 1\na.b{x=\"1\"} 1\n", `2:2: expected a space and a value, found ".b{x=\"1\"} 1"`},
	{"two names", "a{\"b\"} 1\n", `1:3: "b" is a second metric name`},
	{"two names in braces", "{\"a\",\"b\"} 1\n", `1:6: "b" is a second metric name`},
	{"name in an exemplar", "a 1 # {\"b\"} 1\n", `1:11: expected "=" after the label name, found "} 1"`},
	{"empty name", "{\"\"} 1\n", `1:2: the quoted name "" is empty or not valid UTF-8`},
	{"name not UTF-8", "{\"a\xff\"} 1\n", `1:2: the quoted name "a\xff" is empty or not valid UTF-8`},
	{"line feed in name", "{\"a\nb\"} 1\n", `1:4: expected the closing quote of the name, found the end of the line`},
	{"reserved label in quotes", "a{\"__name__\"=\"b\"} 1\n", `1:3: the label name "__name__" is reserved`},
	{"quoted before braces", "\"a\"{x=\"1\"} 1\n", `1:1: expected a metric name, found "\"a\"{x=\"1\"} 1"`},
}

func TestOpenMetricsAccepted(t *testing.T) {
	t.Parallel()
	for _, tt := range acceptedOpenMetrics {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, utf8Names := range []bool{false, true} {
				var b exposition.Batch
				require.NoError(t, b.Decode(exposition.OpenMetrics, []byte(tt.body), exposition.Options{UTF8Names: utf8Names}))
				assert.Equal(t, tt.want, written(&b))
				requireSameNames(t, &b)
			}
		})
	}
}

func TestSameNames(t *testing.T) {
	t.Parallel()
	const body = "a{x=\"1\",y=\"1\"} 1\na{x=\"2\",y=\"2\"} 2\na{x=\"3\"} 3\na{y=\"4\"} 4\nb{y=\"5\"} 5\nb{y=\"6\",z=\"6\"} 6\nb 7\n"
	for _, f := range []exposition.Format{exposition.Text, exposition.OpenMetrics} {
		var b exposition.Batch
		require.NoError(t, b.Decode(f, []byte(body), exposition.Options{}))
		var same []bool
		for i := range b.Series {
			same = append(same, b.Series[i].SameNames)
		}
		assert.Equal(t, []bool{false, true, false, false, true, false, false}, same)
	}
}

func TestOpenMetricsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range refusedOpenMetrics {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, refusal(t, exposition.OpenMetrics, tt.body, false))
		})
	}
	for _, tt := range refusedUTF8OpenMetrics {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, refusal(t, exposition.OpenMetrics, tt.body, true))
		})
	}
}

func TestOpenMetricsUTF8Names(t *testing.T) {
	t.Parallel()
	for _, tt := range utf8OpenMetrics {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b exposition.Batch
			require.NoError(t, b.Decode(exposition.OpenMetrics, []byte(tt.body), exposition.Options{UTF8Names: true}))
			assert.Equal(t, tt.want, written(&b))
			assert.Equal(t, tt.refusal, refusal(t, exposition.OpenMetrics, tt.body, false))
		})
	}
}

// TestOpenMetricsLines verifies the lines of series.
func TestOpenMetricsLines(t *testing.T) {
	t.Parallel()
	var b exposition.Batch
	body := "# TYPE h histogram\nh_count 1\na_created 5\n# TYPE a counter\nh_sum 1\na_total 1\n"
	require.NoError(t, b.Decode(exposition.OpenMetrics, []byte(body), exposition.Options{}))
	require.Len(t, b.Series, 3)
	assert.Equal(t, []int32{2, 3, 6}, []int32{b.Series[0].Line, b.Series[1].Line, b.Series[2].Line})
}

// TestOpenMetricsManyLabels matches more than fewLabels labels in any order.
func TestOpenMetricsManyLabels(t *testing.T) {
	t.Parallel()
	var labels, reversed []string
	for c := 'a'; c <= 'z'; c++ {
		labels = append(labels, fmt.Sprintf("%c=%q", c, "v"))
		reversed = append([]string{labels[len(labels)-1]}, reversed...)
	}
	one, other := strings.Join(labels, ","), strings.Join(reversed, ",")
	body := "# TYPE h histogram\nh_created{" + other + "} 5\nh_bucket{" + one + ",le=\"1\"} 1\nh_bucket{le=\"2\"," + other + "} 2\nh_sum 3\n"
	var b exposition.Batch
	require.NoError(t, b.Decode(exposition.OpenMetrics, []byte(body), exposition.Options{}))
	assert.Equal(t, "histogram h {"+one+"} le1:1 le2:2 created=5000000000 {} sum=3", written(&b))
}

// TestOpenMetricsReuse verifies that a reused Batch reads the same body without allocations.
func TestOpenMetricsReuse(t *testing.T) {
	body := openMetricsBody(100)
	var b exposition.Batch
	require.NoError(t, b.Decode(exposition.OpenMetrics, body, exposition.Options{UTF8Names: true}))
	want := written(&b)
	assert.Zero(t, testing.AllocsPerRun(20, func() {
		if err := b.Decode(exposition.OpenMetrics, body, exposition.Options{UTF8Names: true}); err != nil {
			panic(err)
		}
	}))
	assert.Equal(t, want, written(&b))
}

func BenchmarkOpenMetrics(b *testing.B) {
	body := openMetricsBody(1000)
	var batch exposition.Batch
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := batch.Decode(exposition.OpenMetrics, body, exposition.Options{UTF8Names: true}); err != nil {
			b.Fatal(err)
		}
	}
}

// openMetricsBody returns a body with that many counters, histograms and summaries that use all features.
func openMetricsBody(series int) []byte {
	var counters, histograms, summaries []byte
	for i := range series {
		labels := fmt.Sprintf(`method="GET",path="\\%d"`, i)
		counters = fmt.Appendf(counters, "c_total{%s} %d # {trace_id=\"%x\"} 1 1520879607.789\nc_created{%s} 1520430000.123\n", labels, i, i, labels)
		histograms = fmt.Appendf(histograms, "h_bucket{%s,le=\"0.5\"} %d\nh_bucket{%s,le=\"+Inf\"} %d\nh_sum{%s} 1\nh_count{%s} 7\n", labels, i, labels, i, labels, labels)
		summaries = fmt.Appendf(summaries, "{\"s\",%s,quantile=\"0.5\"} %d\ns_count{%s} %d\n", labels, i, labels, i)
	}
	body := append([]byte("# HELP c Some \\\"text\\\".\n# TYPE c counter\n"), counters...)
	body = append(append(body, "# TYPE h histogram\n"...), histograms...)
	body = append(append(body, "# TYPE s summary\n"...), summaries...)
	return append(body, "# EOF\n"...)
}

// writtenExtras describes a series' created timestamp and exemplars, which the text format does not have.
func writtenExtras(b *exposition.Batch, t exposition.Type, s *exposition.Series) (text string) {
	if s.CreatedNs != 0 {
		text += fmt.Sprintf(" created=%d", s.CreatedNs)
	}
	text += writtenExemplars(b, s.Exemplar)
	if t == exposition.Histogram || t == exposition.GaugeHistogram {
		for i := b.Histograms[s.ValueIndex].FirstBucket; i != exposition.NoIndex; i = b.Buckets[i].Next {
			text += writtenExemplars(b, b.Buckets[i].Exemplar)
		}
	}
	return text
}

func writtenExemplars(b *exposition.Batch, first int32) (text string) {
	for i := first; i != exposition.NoIndex; i = b.Exemplars[i].Next {
		e := b.Exemplars[i]
		var labels []string
		for l := range b.LabelsIn(e.Labels) {
			labels = append(labels, fmt.Sprintf("%s=%q", l.Name, l.Value))
		}
		text += fmt.Sprintf(" #{%s} %v", strings.Join(labels, ","), e.Value)
		if e.HasTimestamp {
			text += fmt.Sprintf("@%d", e.TimestampNs)
		}
	}
	return text
}
