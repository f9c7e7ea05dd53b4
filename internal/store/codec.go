// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"errors"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/merge"
)

// The encodings are frozen: a change needs a new version. Integers are varints; strings have their length before them.
//
//	chunk         = version, number, family, pushed type, function, template as OTLP protobuf, number of series, series
//	series        = number less that of the series before, start and last push in nanoseconds since the epoch, number of attributes,
//	                names and values, base
//	contributions = version, then for each: number less that of the one before, contribution
//	state         = length of the chunk, chunk, value of each series
//
// Values are only in states. Otherwise they are the base and the contributions of all pushers.
const codecVersion = 1

// ErrCorruptAggregate says that the bytes are no encoding of this version.
var ErrCorruptAggregate = errors.New("corrupt: it is no part of an aggregate")

func appendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }
func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Encode encodes the chunk without values and exemplars.
func (c *Chunk) Encode() ([]byte, error) {
	template, err := Encode(c.template)
	if err != nil {
		return nil, err
	}
	b := appendUint([]byte{codecVersion}, c.Number)
	b = append(appendString(appendString(b, c.Family), c.Pushed), byte(c.Function))
	b = appendUint(appendString(b, string(template)), uint64(len(c.Members)))
	last := uint64(0)
	for i := range c.Members {
		m := &c.Members[i]
		b, last = appendUint(b, m.Number-last), m.Number
		b = binary.AppendVarint(binary.AppendVarint(b, m.Start.UnixNano()), m.LastPush.UnixNano())
		b = appendUint(b, uint64(m.Attributes.Len()))
		for k, v := range m.Attributes.All() {
			b = appendString(appendString(b, k), v.Str())
		}
		b = m.Base.Encode(b)
	}
	return b, nil
}

// DecodeChunk decodes a chunk. The values are the bases until Rebuild.
func DecodeChunk(b []byte) (*Chunk, error) {
	r := reader{rest: b}
	if r.byte() != codecVersion {
		return nil, ErrCorruptAggregate
	}
	c := &Chunk{Number: r.uint(), Family: r.string(), Pushed: r.string(), Function: merge.Function(r.byte())}
	template := r.string()
	n := r.uint()
	if r.failed || n == 0 || n > MaxChunk || c.Number == 0 {
		return nil, ErrCorruptAggregate
	}
	if err := c.decodeTemplate([]byte(template)); err != nil {
		return nil, err
	}
	c.Type = exposedType(c.Pushed, c.Function)
	for last := uint64(0); n > 0; n-- {
		m, err := c.decodeMember(&r, last)
		if err != nil {
			return nil, err
		}
		c.Members, last = append(c.Members, m), m.Number
	}
	if len(r.rest) > 0 {
		return nil, ErrCorruptAggregate
	}
	return c, nil
}

func (c *Chunk) decodeTemplate(b []byte) (err error) {
	if c.template, err = new(pmetric.ProtoUnmarshaler).UnmarshalMetrics(b); err != nil {
		return err
	}
	resources := c.template.ResourceMetrics()
	if resources.Len() != 1 || resources.At(0).ScopeMetrics().Len() != 1 || c.scopeMetrics().Metrics().Len() != 1 ||
		c.kind() == pmetric.MetricTypeEmpty || points(c.described()) > 0 {
		return ErrCorruptAggregate
	}
	c.metric = metricKey(c.kind(), c.scopeMetrics())
	return nil
}

func (c *Chunk) decodeMember(r *reader, last uint64) (m Member, err error) {
	step := r.uint()
	m = Member{
		Number: last + step, Start: time.Unix(0, r.int()), LastPush: time.Unix(0, r.int()), Attributes: pcommon.NewMap(),
	}
	for n := r.uint(); n > 0 && !r.failed; n-- {
		k := r.string()
		m.Attributes.PutStr(k, r.string())
	}
	if r.failed || step == 0 || m.Number < last {
		return m, ErrCorruptAggregate
	}
	if m.Base, r.rest, err = merge.DecodeAccumulator(r.rest); err != nil {
		return m, err
	}
	if !c.Function.Makes(m.Base, c.kind()) || !c.Function.OutlivesPusher() && !m.Base.Empty() {
		return m, ErrCorruptAggregate
	}
	m.Value, m.key = m.Base, string(memberKey(nil, c.Family, c.metric, m.Attributes))
	return m, nil
}

// EncodeState encodes the chunk with its values, which must be known.
func (c *Chunk) EncodeState() ([]byte, error) {
	chunk, err := c.Encode()
	if err != nil {
		return nil, err
	}
	b := appendString(make([]byte, 0, len(chunk)+16*len(c.Members)), string(chunk))
	for i := range c.Members {
		b = c.Members[i].Value.Encode(b)
	}
	return b, nil
}

// DecodeState decodes a chunk with its values. Series and Size are the caller's to set.
func DecodeState(b []byte) (*Chunk, error) {
	r := reader{rest: b}
	c, err := DecodeChunk([]byte(r.string()))
	if err != nil {
		return nil, err
	}
	for i := range c.Members {
		m := &c.Members[i]
		if m.Value, r.rest, err = merge.DecodeAccumulator(r.rest); err != nil {
			return nil, err
		}
		if !c.Function.Makes(m.Value, c.kind()) {
			return nil, ErrCorruptAggregate
		}
	}
	if len(r.rest) > 0 {
		return nil, ErrCorruptAggregate
	}
	return c, nil
}

// Contributions are those of one pusher to the series of an aggregate, by number.
type Contributions []Share

// Share is a contribution to a series.
type Share struct {
	Number uint64
	*merge.Contribution
}

// Encode encodes the contributions.
func (cs Contributions) Encode() []byte {
	b, last := []byte{codecVersion}, uint64(0)
	for _, c := range cs {
		b, last = appendUint(b, c.Number-last), c.Number
		b = c.Encode(b)
	}
	return b
}

// DecodeContributions decodes contributions.
func DecodeContributions(b []byte) (cs Contributions, err error) {
	r := reader{rest: b}
	if r.byte() != codecVersion {
		return nil, ErrCorruptAggregate
	}
	for last := uint64(0); len(r.rest) > 0; {
		step := r.uint()
		s := Share{Number: last + step}
		if r.failed || step == 0 || s.Number < last {
			return nil, ErrCorruptAggregate
		}
		if s.Contribution, r.rest, err = merge.DecodeContribution(r.rest); err != nil {
			return nil, err
		}
		cs, last = append(cs, s), s.Number
	}
	return cs, nil
}

// reader takes values off the front of the bytes. After a failure all values are zero.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) fail() { r.rest, r.failed = nil, true }

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) string() string {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}
