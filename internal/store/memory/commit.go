// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

// bytes returns the encoded size of what the change adds.
func (c *change) bytes() (n int) {
	for _, f := range c.add {
		n += len(f.encoded)
	}
	if k := c.contribution; k != nil {
		for _, record := range k.records {
			n += len(record)
		}
		for _, p := range k.pushers {
			n += int(p.size())
		}
	}
	for _, m := range c.markers {
		n += len(m.encoded)
	}
	return n
}
