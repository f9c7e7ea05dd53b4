// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package configcheck

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
)

type outer struct {
	Server  server                        `mapstructure:",squash"`
	Enabled bool                          `mapstructure:"on"`
	Limits  limits                        `mapstructure:"limits"`
	Groups  configoptional.Optional[held] `mapstructure:"groups"`
}

type server struct {
	Endpoint string                         `mapstructure:"endpoint"`
	Timeout  time.Duration                  `mapstructure:"timeout,omitempty"`
	Secret   configoptional.Optional[certs] `mapstructure:"tls"`
}

func (s *server) Validate() error { return refuse(s.Endpoint) }

type certs struct {
	Files files `mapstructure:",squash"`
}

type files struct {
	File string   `mapstructure:"file"`
	More []string `mapstructure:"more"`
}

func (f *files) Validate() error { return refuse(f.File) }

func refuse(value string) error {
	if value == "bad" {
		return errors.New("it is bad")
	}
	return nil
}

type limits struct {
	Bytes  int64 `mapstructure:"bytes"`
	Series int   `mapstructure:"series"`
}

type held struct {
	TTL     time.Duration `mapstructure:"ttl"`
	Storage *component.ID `mapstructure:"storage"`

	Extension component.ID `mapstructure:"extension"`
	Rules     []rule       `mapstructure:"rules"`
}

type rule struct {
	Pause time.Duration `mapstructure:"pause"`
	Parts []part        `mapstructure:"parts"`
	Names []string      `mapstructure:"names"`
}

type part struct {
	Share int `mapstructure:"share"`
}

func TestCheck(t *testing.T) {
	t.Parallel()
	type block = map[string]any
	for name, tc := range map[string]struct {
		settings block
		want     string
	}{
		"nothing":               {nil, ""},
		"known keys":            {block{"endpoint": "x", "on": true, "limits": block{"bytes": 5}, "groups": block{"ttl": "1h", "storage": "file"}}, ""},
		"an empty block":        {block{"groups": nil, "limits": nil}, ""},
		"a switched-off block":  {block{"groups": block{"enabled": false}}, ""},
		"a block that is none":  {block{"limits": "x"}, ""}, // Decoding says so.
		"near the top":          {block{"endpont": ""}, `unknown key "endpont"; known are endpoint, timeout, on, tls, limits, groups`},
		"near in a block":       {block{"groups": block{"store": ""}}, `unknown key "groups::store"; known are storage, ttl, rules, extension`},
		"enabled elsewhere":     {block{"limits": block{"enabled": true}}, `unknown key "limits::enabled"; known are bytes, series`},
		"in another's block":    {block{"tls": block{"cert": ""}}, `unknown key "tls::cert"; known are more, file`},
		"of the top in a block": {block{"limits": block{"endpoint": ""}}, `unknown key "limits::endpoint"; endpoint belongs at the top level of the receiver`},
		"of a block at the top": {block{"ttl": "1h"}, `unknown key "ttl"; it belongs in a block, as groups::ttl`},
		"of another block":      {block{"groups": block{"series": 1}}, `unknown key "groups::series"; it belongs in a block, as limits::series`},
		"lists":                 {block{"groups": block{"rules": []any{block{"pause": "1h", "names": []any{"a"}}, block{"parts": []any{block{"share": 1}}}}}}, ""},
		"a list that is none":   {block{"groups": block{"rules": "x"}}, ""}, // Decoding says so.
		"in a list":             {block{"groups": block{"rules": []any{block{}, block{"puase": "1h"}}}}, `unknown key "groups::rules[1]::puase"; known are pause, parts, names`},
		"in a list of a list":   {block{"groups": block{"rules": []any{block{"parts": []any{block{"shar": 1}}}}}}, `unknown key "groups::rules[0]::parts[0]::shar"; known are share`},
		"of a list elsewhere":   {block{"groups": block{"pause": "1h"}}, `unknown key "groups::pause"; it belongs in a block, as groups::rules[0]::pause`},
		"a value in a list":     {block{"groups": block{"rules": []any{block{"pause": 30}}}}, `groups::rules[0]::pause: 30 has no unit; write 30s`},
		"several": {
			block{"x": 1, "limits": block{"bytes": "1k"}},
			"limits::bytes: \"1k\" is not a number; write 1000\nunknown key \"x\"; known are on, tls, limits, groups, timeout, endpoint",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Check(tc.settings, reflect.TypeFor[outer]())
			if tc.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, tc.want)
			}
		})
	}
}

func TestMistakesInValues(t *testing.T) {
	t.Parallel()
	duration, integer, boolean := reflect.TypeFor[time.Duration](), reflect.TypeFor[int64](), reflect.TypeFor[bool]()
	for _, tc := range []struct {
		value any
		of    reflect.Type
		want  string
	}{
		{"168h", duration, ""},
		{"1h30m", duration, ""},
		{"0", duration, ""},
		{0, duration, ""},
		{-1, duration, ""}, // Validation says that it is negative.
		{30 * time.Second, duration, ""},
		{int64(60_000_000_000), duration, ""}, // nanoseconds, as a program writes them
		{30, duration, "30 has no unit; write 30s"},
		{604800, duration, "604800 has no unit; write 604800s"},
		{1.5, duration, "1.5 has no unit; write 1.5s"},
		{"30", duration, `"30" is not a duration; write 30s`},
		{"7d", duration, `"7d" is not a duration; write 168h`},
		{"1.5 days", duration, `"1.5 days" is not a duration; write 36h`},
		{"2w", duration, `"2w" is not a duration; write 336h`},
		{"5 min", duration, `"5 min" is not a duration; write 5m`},
		{"10 s", duration, `"10 s" is not a duration; write 10s`},
		{"1H", duration, `"1H" is not a duration; write 1h`},
		{"soon", duration, `"soon" is not a duration; write numbers with the units ms, s, m or h, as in 30s, 1h30m or 168h`},
		{"3 fortnights", duration, `"3 fortnights" is not a duration; write numbers with the units ms, s, m or h, as in 30s, 1h30m or 168h`},
		{true, duration, ""}, // Decoding says so.
		{5, integer, ""},
		{"5242880", integer, `"5242880" is not a number; write 5242880`},
		{"5MB", integer, `"5MB" is not a number; write 5000000`},
		{"1.5 MiB", integer, `"1.5 MiB" is not a number; write 1572864`},
		{"2Gi", integer, `"2Gi" is not a number; write 2147483648`},
		{"many", integer, `"many" is not a number; write digits only, without unit`},
		{"yes", boolean, `"yes" is not a boolean; write true or false`},
		{false, boolean, ""},
		{"file", reflect.TypeFor[component.ID](), ""},
		{"x", reflect.TypeFor[string](), ""},
	} {
		assert.Equal(t, tc.want, mistakeIn(tc.value, tc.of), "%#v as %s", tc.value, tc.of)
	}
}

func TestValidateNamesKeys(t *testing.T) {
	t.Parallel()
	require.NoError(t, Validate(&server{}))
	id := component.MustNewID("file")
	require.NoError(t, Validate(&outer{Groups: configoptional.Some(held{Storage: &id, Extension: id})}))
	require.EqualError(t, Validate(&outer{Server: server{Endpoint: "bad", Secret: configoptional.Some(certs{files{File: "bad"}})}}), "it is bad\ntls: it is bad")
	require.NotContains(t, strings.ToLower(Validate(&outer{Server: server{Endpoint: "bad"}}).Error()), "server")
}

func TestValidatePassesOverIgnoredFields(t *testing.T) {
	t.Parallel()
	id := component.MustNewID("basicauth")
	require.NoError(t, Validate(&struct {
		ID component.ID `mapstructure:"authenticator"`
	}{id}))
}
