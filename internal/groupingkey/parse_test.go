// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package groupingkey_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
)

type label = groupingkey.Label

func key(job string, labels ...label) groupingkey.Key {
	return groupingkey.Key{Job: job, Labels: labels}
}

// Names in brackets are the recorded cases of a Pushgateway.
func TestParseAccepted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		path string
		want groupingkey.Key
	}{
		{"job alone [R01]", "job/j", key("j")},
		{"slash after the job [R15]", "job/j/", key("j")},
		{"two labels [K01]", "job/j/instance/i1/zone/z1", key("j", label{"instance", "i1"}, label{"zone", "z1"})},
		{"labels are sorted [K55]", "job/j/b/2/a/1", key("j", label{"a", "1"}, label{"b", "2"})},
		{"empty value at the end [R19]", "job/j/a/", key("j", label{"a", ""})},
		{"empty value in the middle [K37]", "job/j/path//var/tmp", key("j", label{"path", ""}, label{"var", "tmp"})},
		{"an encoded slash separates [K36]", "job/a/b/c", key("a", label{"b", "c"})},
		{"dots are a value [R23]", "job/j/a/..", key("j", label{"a", ".."})},
		{"plus is a plus [L07]", "job/my+job/a/b+c", key("my+job", label{"a", "b+c"})},
		{"job named job [K62]", "job/job", key("job")},
		{"separators of other URLs [R42]", "job/j;v=1/a/b;c", key("j;v=1", label{"a", "b;c"})},
		{"any character in a value [K47]", "job/j/a/\n\"\\", key("j", label{"a", "\n\"\\"})},
		{"NUL in a value [K48]", "job/j/a/\x00", key("j", label{"a", "\x00"})},
		{"blank value [K72]", "job/j/a/ ", key("j", label{"a", " "})},
		{"non-ASCII value [K45]", "job/titan/name/Προμηθεύς", key("titan", label{"name", "Προμηθεύς"})},
		{"one underscore in front [K27]", "job/j/_x/y", key("j", label{"_x", "y"})},
		{"job in base64, URL alphabet [K08]", "job@base64/Pj4-", key(">>>")},
		{"job in base64, padded", "job@base64/ag==", key("j")},
		{"job in base64 is a blank [K76]", "job@base64/IA", key(" ")},
		{"any number of padding", "job@base64/ag=====", key("j")},
		{"value in base64 [K46]", "job/titan/name@base64/zqDPgc6_zrzOt864zrXPjc-C", key("titan", label{"name", "Προμηθεύς"})},
		{"slashes in base64 [L08]", "job@base64/ai8y/a@base64/L3Zhci90bXA", key("j/2", label{"a", "/var/tmp"})},
		{"empty value in base64 [K54]", "job/j/instance@base64/=", key("j", label{"instance", ""})},
		{"empty value in base64 without padding", "job/j/a@base64/", key("j", label{"a", ""})},
		{"line breaks inside base64 [K17]", "job/j/a@base64/Z\r\nm8", key("j", label{"a", "fo"})},
		{"trailing bits in base64 [K15]", "job/j/a@base64/MR", key("j", label{"a", "1"})},
		{"the last of a name counts [K21]", "job/j/a/1/a/2", key("j", label{"a", "2"})},
		{"the last counts in any spelling [K24]", "job/j/a@base64/MQ/a/2", key("j", label{"a", "2"})},
		{"a job label is ignored [K22]", "job/j/job/other", key("j")},
		{"a job label in base64 is ignored [K23]", "job/j/job@base64/b3RoZXI", key("j")},
		{"an escaped name is a legal name [K63]", "job/j/U__a_2e_b/c", key("j", label{"U__a_2e_b", "c"})},
		{"what is overwritten may be anything", "job/j/a/\xff/a/2", key("j", label{"a", "2"})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok, err := groupingkey.Parse(tt.path, false)
			require.NoError(t, err)
			assert.True(t, ok)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestParseRefused(t *testing.T) {
	t.Parallel()
	const poison = "pushed metrics are invalid or inconsistent with existing metrics: grouping key has a label "
	for _, tt := range []struct {
		name string
		path string
		want string
	}{
		{"label without value [K19]", "job/j/instance", `odd number of components in label string "/instance"`},
		{"second label without value [K20]", "job/j/instance/i/zone", `odd number of components in label string "/instance/i/zone"`},
		{"slash after a label [K69]", "job/j/a/1/", `odd number of components in label string "/a/1/"`},
		{"encoded slash in a value [L11]", "job/my job/a/x y/z/e/", `odd number of components in label string "/a/x y/z/e/"`},
		{"two slashes after the job", "job/j//", `improper label name ""`},
		{"empty name in base64", "job/j/@base64/MQ", `improper label name ""`},
		{"name is reserved [K25]", "job/j/__name__/x", `improper label name "__name__"`},
		{"name has the reserved prefix [K26]", "job/j/__x/y", `improper label name "__x"`},
		{"reserved name in base64", "job/j/__x@base64/eQ", `improper label name "__x"`},
		{"dash in a name [K28]", "job/j/a-b/c", `improper label name "a-b"`},
		{"digit in front of a name [K29]", "job/j/1a/c", `improper label name "1a"`},
		{"colon in a name [K31]", "job/j/a:b/c", `improper label name "a:b"`},
		{"non-ASCII name", "job/j/é/c", `improper label name "é"`},
		{"suffix written twice", "job/j/a@base64@base64/MQ", `improper label name "a@base64"`},
		{"job not in base64 [K06]", "job@base64/foo.bar", `invalid base64 encoding in job name "": illegal base64 data at input byte 3`},
		{"job in the other alphabet [K07]", "job@base64/Pj4+", `invalid base64 encoding in job name "": illegal base64 data at input byte 3`},
		{"job half in base64", "job@base64/Zm9vYmFyZm9v.", `invalid base64 encoding in job name "foobarfoo": illegal base64 data at input byte 12`},
		{"value too short for base64 [K16]", "job/j/a@base64/Q", `invalid base64 encoding for label a="Q": illegal base64 data at input byte 0`},
		{"padding inside [K18]", "job/j/a@base64/Zm8=Zm8=", `invalid base64 encoding for label a="Zm8=Zm8=": illegal base64 data at input byte 3`},
		{"empty job in base64 [K09]", "job@base64/=", `job name is required`},
		{"labels are looked at before the job", "job@base64/=/a-b/c", `improper label name "a-b"`},
		{"the job's coding is looked at before the labels", "job@base64/./a-b/c", `invalid base64 encoding in job name "": illegal base64 data at input byte 0`},
		{"the job is looked at before what it holds", "job@base64/=/a/\xff", `job name is required`},
		{"job is not UTF-8", "job/\xff", poison + `named "job" whose value is not utf8: "\xff"`},
		{"job is not UTF-8, in base64 [K11]", "job@base64/_w", poison + `named "job" whose value is not utf8: "\xff"`},
		{"value is not UTF-8", "job/j/a/\xff", poison + `named "a" whose value is not utf8: "\xff"`},
		{"value is not UTF-8, in base64 [K79]", "job/j/a@base64/_w", poison + `named "a" whose value is not utf8: "\xff"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, ok, err := groupingkey.Parse(tt.path, false)
			assert.True(t, ok)
			assert.EqualError(t, err, tt.want)
		})
	}
}

func TestParseNoPushPath(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"", "/", "job", "job/", "job//", "job//a/1", "job@base64", "job@base64/", "job@base64//a/1", "jobs/j", "Job/j", "/job/j",
		"job@base32/j", "instance/i", "j/job", "\x00", "job\x00/j",
	} {
		_, ok, err := groupingkey.Parse(path, false)
		assert.False(t, ok, "%q", path)
		assert.NoError(t, err, "%q", path)
	}
}

func TestParseUTF8Names(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		path string
		want label
	}{
		{"escaped dot [U01]", "U__foo_2e_bar/baz", label{"foo.bar", "baz"}},
		{"escaped dot, value in base64", "U__foo_2e_bar@base64/YmF6", label{"foo.bar", "baz"}},
		{"name as it is [U03]", "foo.bar/baz", label{"foo.bar", "baz"}},
		{"digit in front [U17]", "1a/b", label{"1a", "b"}},
		{"suffix written twice", "a@base64@base64/MQ", label{"a@base64", "1"}},
		{"not well escaped [U04]", "U__in_xxx_valid/v", label{"U__in_xxx_valid", "v"}},
		{"the escape of an escape prefix [U05]", "U___55_____foo/baz", label{"U__foo", "baz"}},
		{"surrogate [U15]", "U___D800_/v", label{"U___D800_", "v"}},
		{"six digits", "U___10ffff_/v", label{"U___10ffff_", "v"}},
		{"escape without an end", "U__a_2e/v", label{"U__a_2e", "v"}},
		{"underscore at the end", "U__a_/v", label{"U__a_", "v"}},
		{"upper case digits", "U___2E_/v", label{".", "v"}},
		{"sign", "U___+2e_/v", label{"U___+2e_", "v"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok, err := groupingkey.Parse("job/j/"+tt.path, true)
			require.NoError(t, err)
			assert.True(t, ok)
			assert.Equal(t, key("j", tt.want), got)
		})
	}
}

func TestParseUTF8NamesIgnoresEscapedJob(t *testing.T) {
	t.Parallel()
	got, ok, err := groupingkey.Parse("job/j/U__job/other", true) // U12
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, key("j"), got)
}

func TestParseUTF8NamesRefused(t *testing.T) {
	t.Parallel()
	const poison = "pushed metrics are invalid or inconsistent with existing metrics: grouping key has a label with an invalid name: "
	for _, tt := range []struct {
		name string
		path string
		want string
	}{
		{"nothing escaped [U13]", "U__/v", `improper label name "U__"`},
		{"empty", "/v", `improper label name ""`},
		{"not UTF-8", "\xff/v", `improper label name "\xff"`},
		{"reserved", "__x/v", `improper label name "__x"`},
		{"reserved behind an escape [U06]", "U______x/y", poison + "__x"},
		{"reserved name behind an escape [U07]", "U______name____/y", poison + "__name__"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, ok, err := groupingkey.Parse("job/j/"+tt.path, true)
			assert.True(t, ok)
			assert.EqualError(t, err, tt.want)
		})
	}
}

// A key must not keep memory of unused labels alive.
func TestParsedKeyHoldsNothingElse(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"one name":  "job/j" + strings.Repeat("/a/b", 100_000),
		"two names": "job/j" + strings.Repeat("/a/b/c/d", 100_000),
		"job":       "job/j/a/b" + strings.Repeat("/job/j", 100_000),
	} {
		got, ok, err := groupingkey.Parse(path, false)
		require.NoError(t, err, name)
		assert.True(t, ok, name)
		assert.LessOrEqual(t, cap(got.Labels), 2, name)
	}
}
