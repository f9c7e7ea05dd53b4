// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package exposition_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/exposition"
)

// acceptedTexts are bodies and their content in a Pushgateway, with and without UTF-8 names.
var acceptedTexts = []struct{ name, body, want string }{
	{
		"bounds as in the series before, and others", "# TYPE h histogram\nh_bucket{x=\"a\",le=\"1\"} 1\nh_bucket{x=\"a\",le=\"2\"} 2\nh_bucket{x=\"a\",le=\"3\"} 3\nh_bucket{x=\"b\",le=\"1\"} 4\nh_bucket{x=\"b\",le=\"20\"} 5\nh_bucket{x=\"b\",le=\"3\"} 6\nh_bucket{x=\"b\",le=\"4\"} 7\nh_bucket{x=\"c\",le=\"1\"} 8\nh_bucket{x=\"c\",le=\"20\"} 9\n",
		`histogram h {x="a"} le1:1 le2:2 le3:3 {x="b"} le1:4 le20:5 le3:6 le4:7 {x="c"} le1:8 le20:9`,
	},
	{"only a suffix for a name", "_count 1\n", "unknown _count {} 1"},
	{"nothing", "", ""},
	{"only blanks, without line feed", " \t", ""},
	{"empty lines", "\n\n \n", ""},
	{"comments", "#\n# \n#comment\n#  \tTYPE\n# HELP\n# HELP \n# type a b\n# foo\r\n", ""},
	{"family without series", "# HELP x y\n# TYPE x counter\n", ""},
	{"plain sample", "some_metric 3.14\n", "unknown some_metric {} 3.14"},
	{"all name bytes", ":aZ_09 1\n", "unknown :aZ_09 {} 1"},
	{"blanks everywhere", "\n  a\t{ x = \"1\" , } \t 5\n\n\tb 2\n", `unknown a {x="1"} 5; unknown b {} 2`},
	{"no blanks", "a{x=\"1\",y=\"2\"}5\n", `unknown a {x="1",y="2"} 5`},
	{"no blank after name", "a+1\nb.5\n\"c\"7\n", "unknown a {} 1; unknown b {} 0.5; unknown c {} 7"},
	{"empty braces", "a{} 1\n", "unknown a {} 1"},
	{"trailing comma", "a{x=\"1\",} 1\n", `unknown a {x="1"} 1`},
	{"empty value and name of one byte", "a{_=\"\"} 1\n", `unknown a {_=""} 1`},
	{"escapes in label value", `a{x="q\"n\nb\\"} 1` + "\n", `unknown a {x="q\"n\nb\\"} 1`},
	{"two escaped values", `a{x="\\",y="\n"} 1` + "\n", `unknown a {x="\\",y="\n"} 1`},
	{"CR, tab and UTF-8 in label value", "a{x=\"\r\t\u00e9\"} 1\n", "unknown a {x=\"\\r\\té\"} 1"},
	{"names that begin alike", "a 1\na\"b\" 2\nab 3\n\"a\" 4\n", "unknown a {} 1 {} 4; unknown ab {} 2 {} 3"},
	{
		"labels as before, and others", "a{x=\"1\",y=\"2\"} 1\na{x=\"3\",y=\"4\"} 2\na{x=\"5\"} 3\na{xy=\"6\"} 4\na{y=\"7\",x=\"8\"} 5\n",
		`unknown a {x="1",y="2"} 1 {x="3",y="4"} 2 {x="5"} 3 {xy="6"} 4 {y="7",x="8"} 5`,
	},
	{
		"labels as before, written otherwise", "a{x=\"1\",y=\"2\"} 1\na{x=\"1\", y=\"2\"} 2\na{x=\"\\\\\",y=\"\u00e9\"} 3\na{x=\"1\" ,y=\"2\",} 4\na{\"x\"=\"1\",y=\"2\"} 5\na{x=\"1\",y=\"2\",z=\"3\"} 6\n",
		`unknown a {x="1",y="2"} 1 {x="1",y="2"} 2 {x="\\",y="é"} 3 {x="1",y="2"} 4 {x="1",y="2"} 5 {x="1",y="2",z="3"} 6`,
	},
	{"labels as before in braces", "a{x=\"1\",y=\"2\"} 1\n{x=\"3\",y=\"4\",b} 2\n{x=\"5\",a,y=\"6\"} 3\n", `unknown a {x="1",y="2"} 1 {x="5",y="6"} 3; unknown b {x="3",y="4"} 2`},
	{"label that becomes structure", "a{le=\"1\"} 1\n# TYPE h histogram\nh_bucket{le=\"2\"} 3\n", `unknown a {le="1"} 1; histogram h {} le2:3`},
	{"le and quantile without structure", "a{le=\"x\",quantile=\"y\"} 1\n", `unknown a {le="x",quantile="y"} 1`},
	{
		"values", "a NaN\na +Inf\na -inf\na 1e3\na Infinity\na nan\na 1E-400\na 007\na +.5e+1\n",
		"unknown a {} NaN {} +Inf {} -Inf {} 1000 {} +Inf {} NaN {} 0 {} 7 {} 5",
	},
	{"negative zero", "a -0\n", "unknown a {} -0"},
	{"more digits than a float has", "a 12345678901234567890.123456789\n", "unknown a {} 1.2345678901234567e+19"},
	{"decimals", "a 123456789012.345\na -0.1\na 5.\na .5\na 999999999999999\na 71307554181721.740\n", "unknown a {} 1.23456789012345e+11 {} -0.1 {} 5 {} 0.5 {} 9.99999999999999e+14 {} 7.130755418172173e+13"},
	{"decimals and others alike", "a 1e3\na 1.5E-1\na 1234567890123456\na 123456789012345.6\na 0.000000000000001\na -.5\na -0.0\na 00000000000000000000012\na 1.2\t3\n", "unknown a {} 1000 {} 0.15 {} 1.234567890123456e+15 {} 1.234567890123456e+14 {} 1e-15 {} -0.5 {} -0 {} 12 {} 1.2@3"},
	{"decimals as bounds", "# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"1e3\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_bucket{le=\"-.5\"} 0\n", "histogram h {} le0.5:1 le1000:2 le+Inf:3 le-0.5:0"},
	{"timestamps", "a 1 0\na 2 -5\na 3\t+7\n", "unknown a {} 1@0 {} 2@-5 {} 3@7"},
	{"HELP", "# HELP a one \\\\ two\\nthree \\\" \xff\r\na 1\n", "unknown a \"one \\\\ two\\nthree \\\" \\xff\\r\" {} 1"},
	{"HELP and TYPE without text", "# HELP a\n# TYPE a\n# HELP a \n# TYPE a \t\na 1\n", "unknown a {} 1"},
	{"HELP after samples", "a 1\n# HELP a late\n", `unknown a "late" {} 1`},
	{"no blank after #", "#TYPE a gauge\n#HELP a h\na 1\n", `gauge a "h" {} 1`},
	{"types in any case", "# TYPE a Counter\na 1\n# TYPE b GAUGE\nb 1\n# TYPE c unTyped\nc 1\n", "counter a {} 1; gauge b {} 1; unknown c {} 1"},
	{"type with a backslash", "# TYPE a ga\\uge\na 1\n", "gauge a {} 1"},
	{"type with a letter that is S in upper case", "# TYPE a \u017fummary\na_sum 1\n", "summary a {} sum=1"},
	{"negative counter", "# TYPE a counter\na -1\n", "counter a {} -1"},
	{"split family", "# TYPE a gauge\na{x=\"1\"} 1\nb 1\na{x=\"2\"} 2\n", `gauge a {x="1"} 1 {x="2"} 2; unknown b {} 1`},
	{"duplicate series", "a 1\na 2\n", "unknown a {} 1 {} 2"},
	{"TYPE of the name without _total", "# TYPE c counter\n# HELP c help\nc_total 1\n", "unknown c_total {} 1"},

	{"summary", "# HELP s h\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"0.9\"} 2\ns_sum 3\ns_count 4\n", `summary s "h" {} 0.5:1 0.9:2 sum=3 count=4`},
	{"summary with odd counts", "# TYPE s summary\ns_count 4.7\n", "summary s {} count=4"},
	{"summary without structure", "# TYPE s summary\ns 1\ns{quantile=\"NaN\"} 2\n", "summary s {}"},
	{"summary takes no bucket", "# TYPE s summary\ns_bucket{le=\"1\"} 1\n", `unknown s_bucket {le="1"} 1`},
	{"le is a label in a summary", "# TYPE s summary\ns_sum{le=\"x\"} 1\n", `summary s {le="x"} sum=1`},
	{"series by label", "# TYPE s summary\ns_sum{a=\"1\"} 1\ns_sum{a=\"2\"} 2\ns_count{a=\"1\"} 3\n", `summary s {a="1"} sum=1 count=3 {a="2"} sum=2`},
	{"label order is no difference", "# TYPE s summary\ns_sum{a=\"1\",b=\"2\"} 1\ns_count{b=\"2\",a=\"1\"} 3\n", `summary s {a="1",b="2"} sum=1 count=3`},
	{"an empty label is a difference", "# TYPE s summary\ns_sum{a=\"\"} 1\ns_count 3\n", `summary s {a=""} sum=1 {} count=3`},
	{"last sum and timestamp count", "# TYPE s summary\ns_sum 1 5\ns_sum 2 6\ns_sum 3\n", "summary s {}@6 sum=3"},

	{"histogram", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 4\nh_sum 9.5\nh_count 4\n", "histogram h {} le1:1 le+Inf:4 sum=9.5 count=4"},
	{"histogram without TYPE", "h_bucket{le=\"1\"} 1\nh_count 4\n", `unknown h_bucket {le="1"} 1; unknown h_count {} 4`},
	{"gauge histogram", "# TYPE h gaugehistogram\nh_bucket{le=\"1\"} 1\n# TYPE i GAUGE_HISTOGRAM\ni_sum 1\n", "gaugehistogram h {} le1:1; gaugehistogram i {} sum=1"},
	{"two series of a histogram", "# TYPE h histogram\nh_bucket{x=\"a\",le=\"1\"} 1\nh_bucket{le=\"1\",x=\"b\"} 2\nh_sum{x=\"a\"} 3\n", `histogram h {x="a"} le1:1 sum=3 {x="b"} le1:2`},
	{
		"lines with the labels of the line before", "# TYPE h histogram\nh_bucket{x=\"a\",le=\"1\"} 1\nh_bucket{x=\"a\",le=\"2\"} 2\nh_sum{x=\"a\"} 3\nh_count{x=\"a\"}4\nh_bucket{x=\"b\",le=\"1\"}\t5 6\nh_bucket{x=\"b\"} 7\n",
		`histogram h {x="a"} le1:1 le2:2 sum=3 count=4 {x="b"}@6 le1:5`,
	},
	{
		"labels of the line before, written otherwise", "# TYPE s summary\ns{x=\"a\",quantile=\"0\"} 1\ns{x=\"a\",quantile=\"0.5\" } 2\ns{x=\"a\", quantile=\"0.7\"} 3\ns{x=\"a\",quantile=\"1\",} 4\ns_sum{x=\"a\" ,} 5\n",
		`summary s {x="a"} 0:1 0.5:2 0.7:3 1:4 sum=5`,
	},
	{
		"labels of the line before in another family", "# TYPE h histogram\n# TYPE i histogram\nh_bucket{x=\"a\",le=\"1\"} 1\na{x=\"b\"} 2\nh_bucket{x=\"b\",le=\"1\"} 3\ni_bucket{x=\"b\",le=\"1\"} 4\n",
		`histogram h {x="a"} le1:1 {x="b"} le1:3; histogram i {x="b"} le1:4; unknown a {x="b"} 2`,
	},
	{"labels of a line before that one", "# TYPE h histogram\nh_sum{x=\"a\"} 1\nh_sum 2\nh_count{x=\"a\"} 3\nh_count{} 4\n", `histogram h {x="a"} sum=1 count=3 {} sum=2 count=4`},
	{"le before other labels", "# TYPE h histogram\nh_bucket{le=\"1\",x=\"a\"} 1\nh_count{} 2\nh_bucket{le=\"2\"} 3\n", `histogram h {x="a"} le1:1 {} le2:3 count=2`},
	{"le once after twice", "# TYPE h histogram\nh_bucket{le=\"1\",le=\"2\"} 3\nh_bucket{le=\"1\"} 4\nh_bucket{le=\"3\"} 5\n", "histogram h {} le2:3 le1:4 le3:5"},
	{"bucket by plain name, others dropped", "# TYPE h histogram\nh{le=\"2\"} 3\nh 5\nh_bucket 6\nh_bucket{le=\"NaN\"} -7\n", "histogram h {} le2:3"},
	{"dropped values make a series", "# TYPE h histogram\nh 5\n", "histogram h {}"},
	{"second le counts", "# TYPE h histogram\nh_bucket{le=\"1\",le=\"2\"} 3\n", "histogram h {} le2:3"},
	{"one float makes all floats", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 1.5\nh_count 4\n", "histogram h {} le1:1f le2:1.5f count=4f"},
	{"infinite and NaN counts", "# TYPE h histogram\nh_bucket{le=\"1\"} NaN\nh_count Inf\n", "histogram h {} le1:NaNf count=+Inff"},
	{"family of that very name comes first", "h_count 1\n# TYPE h histogram\nh_sum 3\nh_count 4\n", "unknown h_count {} 1 {} 4; histogram h {} sum=3"},
	{"HELP makes a family", "# TYPE h histogram\nh_sum 3\n# HELP h_count to h\nh_count 1\n", `histogram h "to h" {} sum=3 count=1`},
	{"histogram or summary by the end of the name", "# TYPE h_count summary\n# TYPE h histogram\nh_count_sum 1\nh_count{quantile=\"0\"} 2\n", "summary h_count {} 0:2 sum=1"},

	{"quoted name", "\"a\" 1\n\"a\"{\"x\"=\"1\"} 2\n", `unknown a {} 1 {x="1"} 2`},
	{"name that ends quoted", "a\"b\" 1\na{x\"y\"=\"1\"} 2\n", `unknown ab {} 1; unknown a {xy="1"} 2`},
	{"quoted in comments", "# TYPE \"a\" gauge\n# HELP \"a\" h\na 1\n", `gauge a "h" {} 1`},
	{"name in braces", "{a} 1\n{\"a\",x=\"1\"} 2\n{x=\"2\",a} 3\n{ a , } 4\n", `unknown a {} 1 {x="1"} 2 {x="2"} 3 {} 4`},
	{"histogram in braces", "# TYPE h histogram\n{h_bucket,le=\"1\"} 1\n{le=\"2\",h_bucket} 2\n{h_sum} 3\n", "histogram h {} le1:1 le2:2 sum=3"},
	{"line in braces by itself", "# TYPE h histogram\nh_sum{x=\"1\"} 1\na 1\n{h_count} 2\n", `histogram h {x="1"} sum=1 {} count=2; unknown a {} 1`},
	{"line in braces with the structure of the family before", "# TYPE h histogram\n{le=\"1\",a} 1\n# TYPE s summary\n{quantile=\"1\",h_bucket} 2\n", "histogram h {}; unknown a {} 1"},
}

// refusedTexts are bodies that a Pushgateway refuses: line, column and its message.
var refusedTexts = []struct{ name, body, want string }{
	{"no line feed at the end", "a 1\nb 2", "2:4: unexpected end of input stream"},
	{"two commas after the labels of the line before", "# TYPE s summary\ns{x=\"a\",} 1\ns{x=\"a\",,quantile=\"1\"} 2\n", "3:9: invalid label name for metric \"s\""},
	{"le no number after the labels of the line before", "# TYPE h histogram\nh_sum{x=\"a\"} 1\nh_bucket{x=\"a\",le=\"y\"} 2\n", "3:19: expected float as value for 'le' label, got \"y\""},
	{"comment without line feed", "# comment", "1:10: unexpected end of input stream"},
	{"TYPE without line feed", "# TYPE a gauge", "1:15: unexpected end of input stream"},
	{"HELP without line feed", "# HELP a b\\", "1:12: unexpected end of input stream"},
	{"ends in name", "abc", "1:4: unexpected end of input stream"},
	{"ends in quoted name", `"abc"`, "1:6: unexpected end of input stream"},
	{"ends in labels", "a{", "1:3: unexpected end of input stream"},
	{"ends after label name", "a{x ", "1:5: unexpected end of input stream"},
	{"ends after =", "a{x=", "1:5: unexpected end of input stream"},
	{"ends in label value", `a{x="1`, "1:7: unexpected end of input stream"},
	{"ends in an escape", `a{x="\`, "1:7: unexpected end of input stream"},
	{"ends after label value", `a{x="1" `, "1:9: unexpected end of input stream"},
	{"ends after labels", `a{x="1"} `, "1:10: unexpected end of input stream"},
	{"ends after value", "a 1 ", "1:5: unexpected end of input stream"},
	{"ends after timestamp", "a 1 2", "1:6: unexpected end of input stream"},
	{"ends in spurious string", "a 1 2 3", "1:8: unexpected end of input stream"},

	{"CRLF", "some_metric 3.14\r\n", `1:13: expected float as value, got "3.14\r"`},
	{"empty line with CR", "\r\n", "1:1: invalid metric name"},
	{"byte order mark", "\ufeffsome_metric 3.14\n", "1:1: invalid metric name"},
	{"name starts with a digit", "a 1\n 1a 1\n", "2:2: invalid metric name"},
	{"empty quoted name", "\"\" 1\n", "1:1: invalid metric name"},
	{"hyphen in name", "a-b 1\n", `1:2: expected float as value, got "-b"`},
	{"line feed in quoted name", "\"a\nb\" 1\n", `1:3: metric name "a" contains unescaped new-line`},
	{"line feed in the quoted end of a name", "a\"b\\\\\nb\" 1\n", `1:6: metric name "ab\\" contains unescaped new-line`},
	{"line feed in quoted label name", "a{\"x\n", `1:5: label name "x" contains unescaped new-line`},
	{"bad escape in name", `"a\t" 1` + "\n", `1:3: invalid escape sequence '\t'`},
	{"bad escape in label name", `a{"\` + "\xff\"", `1:4: invalid escape sequence '\ÿ'`},

	{"empty name in comment", "# HELP \"\" h\n", `1:8: invalid metric name ""`},
	{"bad name in comment", "# TYPE 1a gauge\n", "1:8: invalid metric name in comment"},
	{"name in comment with labels", "# HELP a{} gauge\n", "1:8: invalid metric name in comment"},
	{"bad escape in HELP", "# HELP a x\\ty\n", `1:11: invalid escape sequence '\t'`},
	{"escaped line feed in HELP", "# HELP a x\\\n", "1:11: invalid escape sequence '\\\n'"},
	{"second HELP", "# HELP a x\n# HELP a y\n", `2:10: second HELP line for metric name "a"`},
	{"second HELP by a part", "# TYPE h histogram\n# HELP h x\n# HELP h_sum y\n", `3:14: second HELP line for metric name "h"`},
	{"second TYPE", "# TYPE a gauge\n# TYPE a gauge\n", `2:10: second TYPE line for metric name "a", or TYPE reported after samples`},
	{"TYPE after samples", "a 1\n# TYPE a gauge\n", `2:10: second TYPE line for metric name "a", or TYPE reported after samples`},
	{"unknown type", "# TYPE a unknown\n", `1:10: unknown metric type "unknown"`},
	{"type with CR", "# TYPE a gauge\r\n", `1:10: unknown metric type "gauge\r"`},
	{"type with blank", "# TYPE a gauge \n", `1:10: unknown metric type "gauge "`},
	{"type with a letter that is i in lower case", "# TYPE a h\u0130stogram\n", "1:10: unknown metric type \"h\u0130stogram\""},

	{"only labels", "{x=\"1\"} 1\n", "1:7: invalid metric name"},
	{"empty braces only", "{} 1\n", "1:2: invalid metric name"},
	{"two names in braces", "{a,b} 1\n", `1:4: multiple metric names for metric "a"`},
	{"colon in braces", "{a:b} 1\n", "1:3: unexpected end of metric name ':'"},
	{"bad name in braces", "{\"a b\"} 1\n", `1:2: invalid metric name "a b"`},
	{"labels twice", "{a}{x=\"1\"} 1\n", `1:4: expected float as value, got "{x=\"1\"}"`},
	{"no label name", "{=\"1\"} 1\n", `1:2: invalid label name for metric ""`},
	{"comma only", "a{,} 1\n", `1:3: invalid label name for metric "a"`},
	{"two commas", "a{x=\"1\",,} 1\n", `1:9: invalid label name for metric "a"`},
	{"line feed in labels", "a{\n", `1:3: invalid label name for metric "a"`},
	{"colon in label name", "a{x:y=\"1\"} 1\n", "1:4: expected '=' after label name, found ':'"},
	{"label without value", "a{x} 1\n", "1:4: expected '=' after label name, found '}'"},
	{"value without quotes", "a{x=1} 1\n", "1:5: expected '\"' at start of label value, found '1'"},
	{"odd byte for quote", "a{x=\xff\"1\"} 1\n", "1:5: expected '\"' at start of label value, found 'ÿ'"},
	{"no comma", "a{x=\"1\" y=\"2\"} 1\n", `1:9: unexpected end of label value "1"`},
	{"reserved label", "a{__name__=\"b\"} 1\n", `1:3: label name "__name__" is reserved`},
	{"reserved label in quotes", "a{\"__name__\"=\"b\"} 1\n", `1:3: label name "__name__" is reserved`},
	{"label twice", "a{x=\"1\",x=\"2\"} 1\n", `1:9: duplicate label names for metric "a"`},
	{"label twice after a line with the same names", "a{x=\"1\",y=\"2\"} 1\na{x=\"1\",y=\"2\",x=\"3\"} 1\n", `2:15: duplicate label names for metric "a"`},
	{"label twice among those as before", "a{x=\"1\",y=\"2\"} 1\na{x=\"1\",x=\"2\"} 1\n", `2:9: duplicate label names for metric "a"`},
	{"no comma among labels as before", "a{x=\"1\",y=\"2\"} 1\na{x=\"1\"y=\"2\"} 1\n", `2:8: unexpected end of label value "1"`},
	{"ends among labels as before", "a{x=\"1\",y=\"2\"} 1\na{x=\"1\"", "2:8: unexpected end of input stream"},
	{"ends after = as before", "a{x=\"1\",y=\"2\"} 1\na{x=", "2:5: unexpected end of input stream"},
	{"ends after a quote as before", "a{x=\"1\",y=\"2\"} 1\na{x=\"", "2:6: unexpected end of input stream"},
	{"label twice before the name", "b 1\n{x=\"1\",x=\"2\",a} 1\n", `2:8: duplicate label names for metric "b"`},
	{"bad escape in label value", `a{x="\t"} 1` + "\n", `1:6: invalid escape sequence '\t'`},
	{"line feed in label value", "a{x=\"1\n\"} 1\n", `1:7: label value "1" contains unescaped new-line`},
	{"line feed after escapes in label value", "a{x=\"\\n1\n\"} 1\n", `1:9: label value "\n1" contains unescaped new-line`},
	{"invalid UTF-8 in label value", "a{x=\"\xff\"} 1\n", `1:5: invalid label value "\xff"`},
	{"bad le", "# TYPE h histogram\nh_bucket{le=\"x\"} 1\n", `2:13: expected float as value for 'le' label, got "x"`},
	{"le out of range", "# TYPE h histogram\nh_bucket{le=\"1e999\"} 1\n", `2:13: expected float as value for 'le' label, got "1e999"`},
	{"bad quantile", "# TYPE s summary\ns{quantile=\"\"} 1\n", `2:12: expected float as value for 'quantile' label, got ""`},

	{"no value", "a\n", `1:2: expected float as value, got ""`},
	{"point as value", "a .\n", `1:3: expected float as value, got "."`},
	{"sign as value", "a -\n", `1:3: expected float as value, got "-"`},
	{"two points in value", "a 1.2.3\n", `1:3: expected float as value, got "1.2.3"`},
	{"letter after value", "a 12x\n", `1:3: expected float as value, got "12x"`},
	{"ends after digits", "a 12", "1:5: unexpected end of input stream"},
	{"letter after le", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2x\"} 1\n", `3:13: expected float as value for 'le' label, got "2x"`},
	{"word as value", "a b\n", `1:3: expected float as value, got "b"`},
	{"hexadecimal value", "a 0x1p-2\n", `1:3: expected float as value, got "0x1p-2"`},
	{"underscores in value", "a 1_0\n", `1:3: expected float as value, got "1_0"`},
	{"value out of range", "a 1e999\n", `1:3: expected float as value, got "1e999"`},
	{"bad value after good line", "a 1\nb x\n", `2:3: expected float as value, got "x"`},
	{"blank after value", "a 1 \n", `1:5: expected integer as timestamp, got ""`},
	{"float as timestamp", "a 1 2.5\n", `1:5: expected integer as timestamp, got "2.5"`},
	{"timestamp out of range", "a 1 9223372036854775808\n", `1:5: expected integer as timestamp, got "9223372036854775808"`},
	{"exemplar", "# TYPE c counter\nc_total 1 # {trace_id=\"abc\"} 1\n", `2:11: expected integer as timestamp, got "#"`},
	{"blank after timestamp", "a 1 2 \n", `1:6: spurious string after timestamp: " "`},
	{"text after timestamp", "a 1 2 \\x\n", `1:6: spurious string after timestamp: " x"`},
	{"negative count", "# TYPE h histogram\nh_count -1\n", `2:9: negative count for histogram "h"`},
	{"negative bucket", "# TYPE h histogram\nh_bucket{le=\"1\"} -0.5\n", `2:18: negative bucket population for histogram "h"`},
}

// utf8Texts are bodies that need UTF-8 names, and the message without the option.
var utf8Texts = []struct{ name, body, want, refusal string }{
	{"metric name", "{\"my.metric\",\"my.label\"=\"v\"} 1\n", `unknown my.metric {my.label="v"} 1`, `1:2: invalid metric name "my.metric"`},
	{"metric name before braces", "\"é b\"{x=\"1\"} 1\n", `unknown é b {x="1"} 1`, `1:1: invalid metric name "é b"`},
	{"escapes in names", `{"a\n\"",b="1","c\\"="2"} 1` + "\n", "unknown a\n\" {b=\"1\",c\\=\"2\"} 1", `1:2: invalid metric name "a\n\""`},
	{"line feed and digit in label name", `a{"\n1"="1"} 1` + "\n", "unknown a {\n1=\"1\"} 1", `1:3: invalid label name "\n1"`},
	{"TYPE and HELP", "# TYPE \"a.b\" gauge\n# HELP \"a.b\" h\n{\"a.b\"} 1\n", `gauge a.b "h" {} 1`, `1:8: invalid metric name "a.b"`},
	{"histogram", "# TYPE \"a.b\" histogram\n{\"a.b_bucket\",le=\"1\"} 2\n{\"a.b_sum\"} 3\n", "histogram a.b {} le1:2 sum=3", `1:8: invalid metric name "a.b"`},
	{"longer name after a bare one", "a 1\n\"a.b\" 2\na.5\n", "unknown a {} 1 {} 0.5; unknown a.b {} 2", `2:1: invalid metric name "a.b"`},
}

func TestTextAccepted(t *testing.T) {
	t.Parallel()
	for _, tt := range acceptedTexts {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, utf8Names := range []bool{false, true} {
				var b exposition.Batch
				require.NoError(t, b.Decode(exposition.Text, []byte(tt.body), exposition.Options{UTF8Names: utf8Names}))
				assert.Equal(t, tt.want, written(&b))
				requireSameNames(t, &b)
			}
		})
	}
}

func TestTextRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range refusedTexts {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, refusal(t, exposition.Text, tt.body, false))
		})
	}
}

func TestTextUTF8Names(t *testing.T) {
	t.Parallel()
	for _, tt := range utf8Texts {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b exposition.Batch
			require.NoError(t, b.Decode(exposition.Text, []byte(tt.body), exposition.Options{UTF8Names: true}))
			assert.Equal(t, tt.want, written(&b))
			assert.Equal(t, tt.refusal, refusal(t, exposition.Text, tt.body, false))
		})
	}
	assert.Equal(t, `1:2: invalid metric name "\xff"`, refusal(t, exposition.Text, "{\"\xff\"} 1\n", true))
	assert.Equal(t, "2:4: expected '=' after label name, found '.'", refusal(t, exposition.Text, "a{\"x.y\"=\"1\"} 1\na{x.y=\"1\"} 1\n", true))
	assert.Equal(t, `1:3: invalid label name "\xff"`, refusal(t, exposition.Text, "a{\"\xff\"=\"1\"} 1\n", true))
}

// refusal decodes a body that must be refused and returns the error.
func refusal(t *testing.T, format exposition.Format, body string, utf8Names bool) string {
	t.Helper()
	var b exposition.Batch
	var err *exposition.ParseError
	require.ErrorAs(t, b.Decode(format, []byte(body), exposition.Options{UTF8Names: utf8Names}), &err)
	assert.Equal(t, format, err.Format)
	return fmt.Sprintf("%d:%d: %s", err.Line, err.Column, err.Msg)
}

// written describes the families that have series.
func written(b *exposition.Batch) string {
	var families []string
	for _, f := range b.Families {
		if f.First == exposition.NoIndex {
			continue
		}
		s := f.Type.String() + " " + f.Name
		if f.Help != "" {
			s += fmt.Sprintf(" %q", f.Help)
		}
		if f.Unit != "" {
			s += " [" + f.Unit + "]"
		}
		if f.GaugeSuffixes {
			s += " (g)"
		}
		for i := f.First; i != exposition.NoIndex; i = b.Series[i].Next {
			s += " " + writtenSeries(b, f.Type, &b.Series[i]) + writtenExtras(b, f.Type, &b.Series[i])
		}
		families = append(families, s)
	}
	return strings.Join(families, "; ")
}

func writtenSeries(b *exposition.Batch, t exposition.Type, s *exposition.Series) string {
	var labels, parts []string
	for l := range b.LabelsIn(s.Labels) {
		labels = append(labels, fmt.Sprintf("%s=%q", l.Name, l.Value))
	}
	parts = append(parts, "{"+strings.Join(labels, ",")+"}")
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch t {
	case exposition.Histogram, exposition.GaugeHistogram:
		h := b.Histograms[s.ValueIndex]
		for i := h.FirstBucket; i != exposition.NoIndex; i = b.Buckets[i].Next {
			add("le%v:%s", b.Buckets[i].UpperBound, writtenCount(b.Buckets[i].Count, b.Buckets[i].CountFloat))
		}
		if h.HasSum {
			add("sum=%v", h.Sum)
		}
		if h.HasCount {
			add("count=%s", writtenCount(h.Count, h.CountFloat))
		}
	case exposition.Summary:
		v := b.Summaries[s.ValueIndex]
		for i := v.FirstQuantile; i != exposition.NoIndex; i = b.Quantiles[i].Next {
			add("%v:%v", b.Quantiles[i].Quantile, b.Quantiles[i].Value)
		}
		if v.HasSum {
			add("sum=%v", v.Sum)
		}
		if v.HasCount {
			add("count=%d", v.Count)
		}
	default:
		add("%v", s.Value)
	}
	if s.HasTimestamp {
		at := min(1, len(parts)-1)
		if s.ValueIndex != exposition.NoIndex {
			at = 0
		}
		parts[at] += fmt.Sprintf("@%d", s.TimestampMs)
	}
	return strings.Join(parts, " ")
}

func writtenCount(whole uint64, float float64) string {
	if float != 0 {
		return fmt.Sprintf("%vf", float)
	}
	return strconv.FormatUint(whole, 10)
}

// TestTextConformance decodes the recorded pushes whose response depends on the body only.
func TestTextConformance(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../testdata/conformance/pushgateway-cases.json")
	require.NoError(t, err)
	var recorded struct {
		Cases []struct {
			ID, Class string
			Flags     []string
			Steps     []struct {
				Body    string
				Base64  string `json:"body_b64"`
				Headers [][2]string
				Expect  struct {
					Status int
					Body   string
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(data, &recorded))
	for _, c := range recorded.Cases {
		for _, step := range c.Steps {
			contentType, coded := "", false
			for _, h := range step.Headers {
				coded = coded || strings.EqualFold(h[0], "Content-Encoding")
				if strings.EqualFold(h[0], "Content-Type") && contentType == "" {
					contentType = h[1]
				}
			}
			format := exposition.Negotiate(contentType)
			body := step.Body
			if step.Base64 != "" {
				raw, err := base64.StdEncoding.DecodeString(step.Base64)
				require.NoError(t, err)
				body = string(raw)
			}
			if c.Class != "exact" || format != exposition.Text || coded || body == "" {
				continue
			}
			var b exposition.Batch
			err := b.Decode(format, []byte(body), exposition.Options{UTF8Names: len(c.Flags) > 0})
			switch {
			case step.Expect.Status == 200:
				assert.NoError(t, err, c.ID)
			case strings.HasPrefix(step.Expect.Body, "text format parsing error"):
				assert.EqualError(t, err, strings.TrimSuffix(step.Expect.Body, "\n"), c.ID)
			}
		}
	}
}

// TestTextDuplicateAmongMany repeats a label after many others.
func TestTextDuplicateAmongMany(t *testing.T) {
	t.Parallel()
	var labels strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&labels, `l%d="",`, i)
	}
	assert.Equal(t, fmt.Sprintf(`1:%d: duplicate label names for metric "a"`, 3+labels.Len()), refusal(t, exposition.Text, "a{"+labels.String()+"l5=\"\"} 1\n", false))
}

// TestTextManyLabels reads series with more than fewLabels labels.
func TestTextManyLabels(t *testing.T) {
	t.Parallel()
	var labels, reversed string
	for i := range 20 {
		labels += fmt.Sprintf("l%d=\"%d\",", i, i)
		reversed = fmt.Sprintf("l%d=\"%d\",", i, i) + reversed
	}
	short := strings.TrimSuffix(labels, `l19="19",`)
	var b exposition.Batch
	read := func(body string) string {
		require.NoError(t, b.Decode(exposition.Text, []byte(body), exposition.Options{}))
		return strings.ReplaceAll(strings.ReplaceAll(written(&b), labels[:len(labels)-1], "20"), short[:len(short)-1], "19")
	}
	assert.Equal(t, `unknown a {20} 1 {20,n="1"} 2 {19,n="1"} 3 {n="1",20} 4`,
		read("a{"+labels+"} 1\na{"+labels+"n=\"1\"} 2\na{"+short+"n=\"1\"} 3\na{n=\"1\","+labels+"} 4\n"))
	assert.Equal(t, `summary s {20} sum=1 count=2 {19,l19="x"} sum=3 {19} sum=4 {19,x="19"} sum=5`,
		read("# TYPE s summary\ns_sum{"+labels+"} 1\ns_count{"+reversed+"} 2\ns_sum{"+short+"l19=\"x\"} 3\ns_sum{"+short+"} 4\ns_sum{"+short+"x=\"19\"} 5\n"))
	for _, name := range []string{"l0", "l16", "l19"} {
		again := name + `="1"`
		assert.Contains(t, refusal(t, exposition.Text, "a{"+labels+"} 1\na{"+labels+again+"} 1\n", false), `duplicate label names for metric "a"`)
	}
}

// TestTextReuse verifies that a reused Batch reads the same body without allocations, including escapes.
func TestTextReuse(t *testing.T) {
	body := append(textBody(100), "# HELP h a\\\\b\n# TYPE h Histogram\nh_bucket{x=\"\\n\",le=\"1\"} 1\nh_sum{x=\"\\n\"} 2\n"...)
	var b exposition.Batch
	require.NoError(t, b.Decode(exposition.Text, body, exposition.Options{}))
	want := written(&b)
	assert.LessOrEqual(t, testing.AllocsPerRun(20, func() {
		if err := b.Decode(exposition.Text, body, exposition.Options{}); err != nil {
			panic(err)
		}
	}), 1.0, "only the upper-case form of an unusual type name")
	assert.Equal(t, want, written(&b))
}

// TestPool verifies that pooled Batches are empty and that giant ones are not pooled.
func TestPool(t *testing.T) {
	t.Parallel()
	for _, series := range []int{10, 100_000} {
		b := exposition.GetBatch()
		require.NoError(t, b.Decode(exposition.Text, textBody(series), exposition.Options{}))
		exposition.PutBatch(b)
		for range 10 {
			again := exposition.GetBatch()
			assert.Empty(t, again.Series)
			assert.LessOrEqual(t, cap(again.Series), 50_000)
		}
	}
}

// textBody returns a body with that many counters of five labels.
func textBody(series int) []byte {
	body := []byte("# HELP http_requests_total Requests served.\n# TYPE http_requests_total counter\n")
	names := []string{"method", "code", "handler", "pod", "region"}
	for i := range series {
		body = append(body, "http_requests_total{"...)
		for j, name := range names {
			body = fmt.Appendf(body, "%s=%q,", name, fmt.Sprintf("value-%d-%d", j, i*(j+1)%1000))
		}
		body = fmt.Appendf(body[:len(body)-1], "} %d\n", i*7919)
	}
	return body
}

func BenchmarkText(b *testing.B) {
	body := textBody(1000)
	var batch exposition.Batch
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := batch.Decode(exposition.Text, body, exposition.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/series")
}
