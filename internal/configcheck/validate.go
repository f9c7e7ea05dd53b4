// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package configcheck

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.opentelemetry.io/collector/confmap"
)

// Validate is [confmap.Validate] for a pointer to a squashed struct. Its errors name keys of the configuration, while those of
// confmap also name the Go fields of squashed structs.
func Validate(squashed any) error { return validate("", reflect.ValueOf(squashed).Elem()) }

func validate(path string, v reflect.Value) error {
	if _, optional := content(v.Type()); optional {
		if !v.MethodByName("HasValue").Call(nil)[0].Bool() {
			return nil
		}
		v = v.Addr().MethodByName("Get").Call(nil)[0].Elem()
	}
	if v.Kind() != reflect.Struct || len(fields(v.Type())) == 0 {
		return at(path, confmap.Validate(v.Addr().Interface()))
	}
	var errs error
	if validator, ok := reflect.TypeAssert[confmap.Validator](v.Addr()); ok {
		errs = at(path, validator.Validate())
	}
	for field, value := range v.Fields() {
		if !field.IsExported() {
			continue
		}
		key, options, _ := strings.Cut(field.Tag.Get(confmap.MapstructureTag), ",")
		switch {
		case options == squash:
			errs = errors.Join(errs, validate(path, value))
		case key != "" && key != ignored:
			errs = errors.Join(errs, validate(strings.TrimPrefix(path+confmap.KeyDelimiter+key, confmap.KeyDelimiter), value))
		}
	}
	return errs
}

// at names the key of an error.
func at(path string, err error) error {
	if err == nil || path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}
