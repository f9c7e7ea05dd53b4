// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package translate

// ucum maps Prometheus units to UCUM: the compatibility specification's table, plus "ratio" as in the Prometheus
// receiver.
var ucum = map[string]string{
	"days": "d", "hours": "h", "minutes": "min", "seconds": "s",
	"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns",
	"bytes": "By", "kibibytes": "KiBy", "mebibytes": "MiBy", "gibibytes": "GiBy", "tibibytes": "TiBy",
	"kilobytes": "KBy", "megabytes": "MBy", "gigabytes": "GBy", "terabytes": "TBy",
	"meters": "m", "volts": "V", "amperes": "A", "joules": "J", "watts": "W", "grams": "g",
	"celsius": "Cel", "hertz": "Hz", "percent": "%", "ratio": "1",
}

// unit returns the UCUM unit. Unknown units stay as they are.
func (t *translator) unit(unit string) string {
	if unit == "" {
		return "" // as in most families
	}
	if code, ok := ucum[unit]; ok {
		return code
	}
	return t.arena.valid(unit)
}
