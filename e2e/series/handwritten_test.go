// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package series

// handwritten pages have what clients rarely send and scripts do.
var handwritten = []page{
	{name: "odd names and values", format: text, body: []byte(`
# HELP plain Two lines\nand a \\ backslash.
# TYPE plain counter
plain 3
no_type{a="1"} 4
_lead{_x="1",a__b="3",Z="4"} 1
:record:rule: 2
__double__ 3
UPPER_total_total{total="x"} 4
seconds_seconds_ratio 5
requests_count 6
target_info{version="1"} 1
values{is="nan"} NaN
values{is="inf"} +Inf
values{is="negative inf"} -Inf
values{is="negative zero"} -0
values{is="largest"} 1.7976931348623157e308
values{is="smallest"} 5e-324
values{is="third"} 0.3333333333333333
values{is="beyond 2^53"} 9007199254740993
text{of="quote \" backslash \\ line\nend"} 1
text{of="København 東京 🚀"} 1
text{of=" blanks  "} 1
# TYPE empty_label gauge
empty_label{a="",b="x"} 1
# TYPE no_samples counter
`)},
	{name: "UTF-8 names", format: text, utf8Names: true, body: []byte(`
# HELP "disk.used" Quoted.
# TYPE "disk.used" gauge
{"disk.used","disk.name"="sda",plain="x"} 1
# TYPE "jobs.done_total" counter
{"jobs.done_total"} 2
plain_metric{"with.dot"="y"} 3
`)},
	{name: "names of underscores only", format: text, body: []byte("_ 1\n__ 2\nplain_name{_=\"1\"} 3\n")},
	{
		name: "labels of the group", format: text,
		grouping: "/instance/host-1/zone/eu/_lead/x/dou__ble/y/path@base64/L3Zhci9saWI/none@base64/=",
		body:     []byte("of_body{zone=\"us\",job=\"mine\",instance=\"host-2\",other=\"kept\"} 1\nbare 2\n"),
	},
	{name: "instances of the body", format: text, body: []byte(`
up_to{instance="a"} 1
up_to{instance="b"} 2
up_to{instance=""} 3
up_to_seconds_count{instance="a"} 4
`)},
	{name: "odd histograms and summaries", format: text, body: []byte(`
# TYPE many_bounds histogram
many_bounds_bucket{le="-1e+06"} 0
many_bounds_bucket{le="-0.5"} 1
many_bounds_bucket{le="0"} 2
many_bounds_bucket{le="1e-07"} 3
many_bounds_bucket{le="0.0001"} 3
many_bounds_bucket{le="0.30000000000000004"} 4
many_bounds_bucket{le="1"} 5
many_bounds_bucket{le="10.0"} 6
many_bounds_bucket{le="1e3"} 7
many_bounds_bucket{le="2.62144e+07"} 8
many_bounds_bucket{le="1e+21"} 9
many_bounds_bucket{le="+Inf"} 10
many_bounds_sum -12.5
many_bounds_count 10
# TYPE unordered histogram
unordered_bucket{le="+Inf"} 10
unordered_bucket{le="5"} 7
unordered_bucket{le="1"} 3
unordered_count 10
unordered_sum 30
# TYPE no_infinity histogram
no_infinity_bucket{le="1"} 3
no_infinity_sum 4
no_infinity_count 5
# TYPE only_count histogram
only_count_count 5
only_count_sum 6
# TYPE nan_sum histogram
nan_sum_bucket{le="+Inf"} 1
nan_sum_sum NaN
nan_sum_count 1
# TYPE falling histogram
falling_bucket{le="1"} 5
falling_bucket{le="2"} 3
falling_bucket{le="+Inf"} 6
falling_sum 7
falling_count 6
# TYPE no_count histogram
no_count_bucket{le="1"} 3
no_count_bucket{le="+Inf"} 5
# TYPE other_infinity histogram
other_infinity_bucket{le="1"} 3
other_infinity_bucket{le="+Inf"} 5
other_infinity_sum 1
other_infinity_count 6
# TYPE fractional histogram
fractional_bucket{le="1"} 2.5
fractional_bucket{le="+Inf"} 4.5
fractional_sum 1
fractional_count 4.5
# TYPE no_sum histogram
no_sum_bucket{le="1"} 3
no_sum_bucket{le="+Inf"} 5
no_sum_count 5
# TYPE quantiles summary
quantiles{quantile="0"} -1
quantiles{quantile="0.5"} NaN
quantiles{quantile="0.999"} 3
quantiles{quantile="1"} 4
quantiles_sum 5
quantiles_count 6
# TYPE no_quantiles summary
no_quantiles_sum{a="1"} 5
no_quantiles_count{a="1"} 6
# TYPE only_quantiles summary
only_quantiles{quantile="0.5"} 1
`)},
	{name: "instrumentation scope", format: text, scoped: true, body: []byte(`
# TYPE scoped_total counter
scoped_total{otel_scope_name="my.library",otel_scope_version="1.2",a="x"} 1
scoped_total{otel_scope_name="my.library",otel_scope_version="1.2",a="y"} 2
# TYPE unscoped_total counter
unscoped_total{a="x"} 3
`)},
}
