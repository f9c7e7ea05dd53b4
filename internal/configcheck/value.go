// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package configcheck

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"time"
)

// mistakeIn says what is wrong with a value and how to write it; empty if nothing is, or if decoding it will say so.
func mistakeIn(value any, of reflect.Type) string {
	switch {
	case reflect.PointerTo(of).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return ""
	case of == reflect.TypeFor[time.Duration]():
		return mistakeInDuration(value)
	}
	text, ok := value.(string)
	if !ok {
		return ""
	}
	switch of.Kind() {
	case reflect.Bool:
		return fmt.Sprintf("%q is not a boolean; write true or false", text)
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint64, reflect.Uint32:
		return mistakeInNumber(text)
	default:
		return ""
	}
}

// durationUnits are units that people write and that Go does not know, in terms of those that it knows.
var durationUnits = map[string]struct {
	factor float64
	unit   string
}{
	"": {1, "s"}, "sec": {1, "s"}, "secs": {1, "s"}, "second": {1, "s"}, "seconds": {1, "s"}, "S": {1, "s"},
	"min": {1, "m"}, "mins": {1, "m"}, "minute": {1, "m"}, "minutes": {1, "m"}, "M": {1, "m"},
	"hr": {1, "h"}, "hour": {1, "h"}, "hours": {1, "h"}, "H": {1, "h"},
	"d": {24, "h"}, "D": {24, "h"}, "day": {24, "h"}, "days": {24, "h"},
	"w": {7 * 24, "h"}, "W": {7 * 24, "h"}, "week": {7 * 24, "h"}, "weeks": {7 * 24, "h"},
	"s": {1, "s"}, "m": {1, "m"}, "h": {1, "h"}, "ms": {1, "ms"}, // with a blank before them
}

// mistakeInDuration refuses text that Go cannot parse, and numbers without unit: below a second, in nanoseconds, they were meant
// to be seconds.
func mistakeInDuration(value any) string {
	v := reflect.ValueOf(value)
	switch {
	case v.CanFloat(), v.CanInt() && v.Int() > 0 && v.Int() < int64(time.Second) && v.Type() != reflect.TypeFor[time.Duration]():
		return fmt.Sprintf("%v has no unit; write %vs", value, value)
	case v.Kind() != reflect.String:
		return ""
	}
	if _, err := time.ParseDuration(v.String()); err == nil {
		return ""
	}
	if number, unit, ok := quantity(v.String()); ok {
		if known, ok := durationUnits[unit]; ok {
			return fmt.Sprintf("%q is not a duration; write %s%s", v, strconv.FormatFloat(number*known.factor, 'f', -1, 64), known.unit)
		}
	}
	return fmt.Sprintf("%q is not a duration; write numbers with the units ms, s, m or h, as in 30s, 1h30m or 168h", v)
}

// sizeUnits are the units in which people write sizes and counts.
var sizeUnits = map[string]float64{
	"": 1, "b": 1, "B": 1,
	"k": 1e3, "K": 1e3, "kB": 1e3, "KB": 1e3, "Ki": 1 << 10, "KiB": 1 << 10,
	"m": 1e6, "M": 1e6, "MB": 1e6, "Mi": 1 << 20, "MiB": 1 << 20,
	"g": 1e9, "G": 1e9, "GB": 1e9, "Gi": 1 << 30, "GiB": 1 << 30,
}

func mistakeInNumber(text string) string {
	if number, unit, ok := quantity(text); ok {
		if factor, ok := sizeUnits[unit]; ok {
			return fmt.Sprintf("%q is not a number; write %s", text, strconv.FormatFloat(number*factor, 'f', 0, 64))
		}
	}
	return fmt.Sprintf("%q is not a number; write digits only, without unit", text)
}

var quantityPattern = regexp.MustCompile(`^\s*([+-]?\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$`)

// quantity splits a number from its unit.
func quantity(text string) (number float64, unit string, ok bool) {
	found := quantityPattern.FindStringSubmatch(text)
	if found == nil {
		return 0, "", false
	}
	number, err := strconv.ParseFloat(found[1], 64)
	return number, found[2], err == nil
}
