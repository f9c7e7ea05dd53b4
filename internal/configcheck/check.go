// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package configcheck finds mistakes in settings before they are decoded, and says how to write them: unknown keys, keys at the
// wrong level, and durations, numbers and booleans that cannot be decoded or mean something else. Its functions have no state. It
// does not check ranges or combinations of values.
package configcheck

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/confmap"
)

// Check reports every mistake in settings that are going to be decoded into a struct of type t.
//
// confmap ignores unknown keys beside a squashed confighttp.ServerConfig, and in blocks beside it.
func Check(settings map[string]any, t reflect.Type) error {
	c := checker{paths: paths("", t)}
	return c.check("", settings, t, false)
}

// Keys lists the keys of a struct, those of squashed structs included.
func Keys(t reflect.Type) []string {
	var keys []string
	for _, f := range fields(t) {
		keys = append(keys, f.key)
	}
	return keys
}

const squash = "squash"

// ignored is the key of a field that mapstructure does not set, as both of component.ID are.
const ignored = "-"

// field is a key of a struct and what is decoded into it.
type field struct {
	key      string
	of       reflect.Type // of one element, if it is a list
	optional bool         // a configoptional.Optional, which has the key enabled too
	list     bool
}

// path returns the path of the field, or of the first element of a list.
func (f field) path(prefix string) string {
	if f.list {
		return element(prefix+f.key, 0)
	}
	return prefix + f.key
}

// element returns the path of an element of a list.
func element(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

func fields(t reflect.Type) []field {
	var found []field
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		key, options, _ := strings.Cut(f.Tag.Get(confmap.MapstructureTag), ",")
		of, optional := content(f.Type)
		list := of.Kind() == reflect.Slice && !decodesItself(of)
		if list {
			of = of.Elem()
		}
		switch {
		case options == squash:
			found = append(found, fields(of)...)
		case key != "" && key != ignored:
			found = append(found, field{key, of, optional, list})
		}
	}
	return found
}

// content is the type behind pointers and configoptional.Optional.
func content(t reflect.Type) (of reflect.Type, optional bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	_, hasValue := t.MethodByName("HasValue")
	if get, ok := reflect.PointerTo(t).MethodByName("Get"); ok && hasValue {
		return get.Type.Out(0).Elem(), true
	}
	return t, false
}

// isBlock reports whether a type is decoded key by key.
func isBlock(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && len(fields(t)) > 0 && !decodesItself(t)
}

func decodesItself(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[confmap.Unmarshaler]())
}

// paths lists the paths of all keys, outer ones first.
func paths(prefix string, t reflect.Type) []string {
	var all, inner []string
	for _, f := range fields(t) {
		all = append(all, prefix+f.key)
		if isBlock(f.of) {
			inner = append(inner, paths(f.path(prefix)+confmap.KeyDelimiter, f.of)...)
		}
	}
	return append(all, inner...)
}

type checker struct{ paths []string }

func (c *checker) check(prefix string, settings map[string]any, t reflect.Type, optional bool) error {
	known := fields(t)
	var errs error
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if optional && key == "enabled" {
			continue
		}
		i := slices.IndexFunc(known, func(f field) bool { return f.key == key })
		if i < 0 {
			errs = errors.Join(errs, c.unknown(prefix, key, Keys(t)))
			continue
		}
		errs = errors.Join(errs, c.checkValue(prefix+key, settings[key], known[i]))
	}
	return errs
}

func (c *checker) checkValue(path string, value any, f field) error {
	if f.list {
		return c.checkElements(path, value, f)
	}
	if inner, ok := value.(map[string]any); ok && isBlock(f.of) {
		return c.check(path+confmap.KeyDelimiter, inner, f.of, f.optional)
	}
	if mistake := mistakeIn(value, f.of); mistake != "" {
		return fmt.Errorf("%s: %s", path, mistake)
	}
	return nil
}

// checkElements checks the elements of a list. Decoding refuses a value that is no list.
func (c *checker) checkElements(path string, value any, f field) error {
	elements, ok := value.([]any)
	if !ok {
		return nil
	}
	f.list = false
	var errs error
	for i, value := range elements {
		errs = errors.Join(errs, c.checkValue(element(path, i), value, f))
	}
	return errs
}

// unknown refuses a key: with its right place if it is known elsewhere, otherwise with the known keys, the nearest one first.
func (c *checker) unknown(prefix, key string, known []string) error {
	for _, path := range c.paths {
		if path == key {
			return fmt.Errorf("unknown key %q; %s belongs at the top level of the receiver", prefix+key, key)
		}
		if strings.HasSuffix(path, confmap.KeyDelimiter+key) {
			return fmt.Errorf("unknown key %q; it belongs in a block, as %s", prefix+key, path)
		}
	}
	slices.SortStableFunc(known, func(a, b string) int { return distance(key, a) - distance(key, b) })
	return fmt.Errorf("unknown key %q; known are %s", prefix+key, strings.Join(known, ", "))
}

// distance is the Levenshtein distance: how many bytes to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
