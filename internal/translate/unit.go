// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

// ucum spells Prometheus units as UCUM does: the table of the compatibility specification, and "ratio", which the
// Prometheus receiver translates as well.
var ucum = map[string]string{
	"days": "d", "hours": "h", "minutes": "min", "seconds": "s",
	"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns",
	"bytes": "By", "kibibytes": "KiBy", "mebibytes": "MiBy", "gibibytes": "GiBy", "tibibytes": "TiBy",
	"kilobytes": "KBy", "megabytes": "MBy", "gigabytes": "GBy", "terabytes": "TBy",
	"meters": "m", "volts": "V", "amperes": "A", "joules": "J", "watts": "W", "grams": "g",
	"celsius": "Cel", "hertz": "Hz", "percent": "%", "ratio": "1",
}

// unit is the unit of a metric. Those that are not in the table stay as they are.
func (t *translator) unit(unit string) string {
	if unit == "" {
		return "" // As in most families.
	}
	if code, ok := ucum[unit]; ok {
		return code
	}
	return t.copies.valid(unit)
}
