// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/groupingkey"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store"
)

// A record is a version byte, the CRC-32C of the rest, and the rest. Records of unknown versions are not changed, so that
// a downgrade loses nothing.
//
//	pushgateway/groups          a JSON object: the upper bound of group numbers
//	pushgateway/owner           a JSON object: ownerRecord
//	pushgateway/<number>        a JSON object: groupRecord
//	pushgateway/<number>/<slot> the length of a JSON object as a varint, the object (contentHeader), and OTLP protobuf
//	pushgateway/pushers         a JSON object: the upper bound of numbers of pushers
//	pushgateway/p/<number>      the length of a JSON object as a varint, the object (pusherHeader), and the contributions
//
// The record of a group with an aggregate has the version 2, and so have slots with a chunk instead of OTLP protobuf. A receiver that
// does not know aggregates leaves both alone.
const (
	recordVersion    = 1
	aggregateVersion = 2
	frameSize        = 5

	numbersName = "pushgateway/groups"
	pushersName = "pushgateway/pushers"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func groupName(number int) string { return fmt.Sprintf("pushgateway/%d", number) }

// numberOf returns the group number in a record's name, if it is a group's record.
func numberOf(name string) (number int, ok bool) {
	number, err := strconv.Atoi(strings.TrimPrefix(name, "pushgateway/"))
	return number, err == nil && number >= 0 && number < math.MaxInt32 && name == groupName(number)
}

func pusherName(number int) string { return fmt.Sprintf("pushgateway/p/%d", number) }

// pusherNumberOf returns the number in a record's name, if it is a pusher's record.
func pusherNumberOf(name string) (number int, ok bool) {
	number, err := strconv.Atoi(strings.TrimPrefix(name, "pushgateway/p/"))
	return number, err == nil && number >= 0 && number < math.MaxInt32 && name == pusherName(number)
}

func slotName(number, slot int) string { return fmt.Sprintf("pushgateway/%d/%d", number, slot) }

var (
	errVersion        = errors.New("written in an encoding that is unknown to this version of the receiver")
	errChecksum       = errors.New("corrupt: its checksum is wrong")
	errTruncated      = errors.New("corrupt: it is truncated")
	errMissing        = errors.New("missing or unreadable")
	errDuplicateGroup = errors.New("corrupt: its group exists twice, and this record is the older one")
	errWrongGroup     = errors.New("corrupt: it belongs to another group")
	errSeriesConflict = errors.New("corrupt: another group has some of its series")
	errDuplicate      = errors.New("corrupt: its pusher exists twice, and this record is the older one")
	errRange          = errors.New("corrupt: a number is out of range")
)

func frame(payload []byte) []byte { return frameAs(recordVersion, payload) }

func frameAs(version byte, payload []byte) []byte {
	record := make([]byte, frameSize, frameSize+len(payload))
	record[0] = version
	binary.LittleEndian.PutUint32(record[1:], crc32.Checksum(payload, castagnoli))
	return append(record, payload...)
}

// unframe returns the payload of a record. Its version is record[0].
func unframe(record []byte) ([]byte, error) {
	switch {
	case len(record) < frameSize:
		return nil, errTruncated
	case record[0] != recordVersion && record[0] != aggregateVersion:
		return nil, errVersion
	case binary.LittleEndian.Uint32(record[1:]) != crc32.Checksum(record[frameSize:], castagnoli):
		return nil, errChecksum
	}
	return record[frameSize:], nil
}

// numbersRecord holds the upper bound of group numbers.
type numbersRecord struct {
	End int `json:"end"`
}

// groupRecord is a group without its contents. Writing it commits a change.
type groupRecord struct {
	ID     uint64      `json:"id"`
	Job    string      `json:"job"`
	Labels [][2]string `json:"labels,omitempty"` // name and value, sorted by name
	Alive  bool        `json:"alive"`
	Pushed int64       `json:"pushed,omitempty"` // nanoseconds since the epoch; 0 for never
	Failed int64       `json:"failed,omitempty"`
	Used   []byte      `json:"used,omitempty"` // bit set of valid slots
	// Written is the end of the slots that may have a record, valid or not.
	Written int `json:"written,omitempty"`
	// Plain says that a group with an aggregate is an ordinary group, too.
	Plain     bool             `json:"plain,omitempty"`
	Aggregate *aggregateRecord `json:"aggregate,omitempty"`
}

// aggregateRecord is an aggregate without its series and pushers.
type aggregateRecord struct {
	ID      uint64   `json:"id"`
	Without []string `json:"without"` // of its rule
	Next    uint64   `json:"next"`    // the number of the next series
	// Folded are the ids of pushers that this record's change has folded. Their records are to be ignored.
	Folded []uint64 `json:"folded,omitempty"`
}

// pusherHeader describes the contributions of a pusher.
type pusherHeader struct {
	ID        uint64      `json:"id"`
	Group     int         `json:"group"`     // number of the aggregate's group
	Aggregate uint64      `json:"aggregate"` // its id
	Job       string      `json:"job"`
	Labels    [][2]string `json:"labels,omitempty"` // as in groupRecord
	Pushed    int64       `json:"pushed"`
}

// contentHeader describes the pdata in a slot: a family, or pending markers if there is no type.
type contentHeader struct {
	ID     uint64 `json:"id"` // the group's
	Name   string `json:"name,omitempty"`
	Type   string `json:"type,omitempty"`
	Pushed int64  `json:"pushed,omitempty"`
}

func newGroupRecord(g *group, alive bool, pushed, failed time.Time, s *slots) groupRecord {
	r := groupRecord{
		ID: g.id, Job: g.key.Job, Alive: alive, Pushed: store.Nanoseconds(pushed), Failed: store.Nanoseconds(failed),
		Used: s.bits(), Written: s.written,
	}
	r.Labels = labelsOf(g.key)
	return r
}

// encode encodes the record in the version that it needs.
func (r *groupRecord) encode() []byte {
	if r.Aggregate != nil {
		return encodeJSONAs(aggregateVersion, r)
	}
	return encodeJSON(r)
}

// addAggregate adds an aggregate to the record of its group.
func (r *groupRecord) addAggregate(plain bool, a *aggregate, rule *store.Rule, next uint64, folded []uint64) {
	r.Plain = plain
	r.Aggregate = &aggregateRecord{ID: a.id, Without: rule.Without, Next: next, Folded: folded}
}

func encodePusher(p *pusher, group int, aggregate uint64) []byte {
	return encodeHeaded(recordVersion, pusherHeader{
		ID: p.id, Group: group, Aggregate: aggregate, Job: p.key.Job, Labels: labelsOf(p.key), Pushed: store.Nanoseconds(p.pushed),
	}, p.blob)
}

func labelsOf(key groupingkey.Key) (labels [][2]string) {
	for _, l := range key.Labels {
		labels = append(labels, [2]string{l.Name, l.Value})
	}
	return labels
}

func keyOf(job string, labels [][2]string) groupingkey.Key {
	key := groupingkey.Key{Job: job}
	for _, l := range labels {
		key.Labels = append(key.Labels, groupingkey.Label{Name: l[0], Value: l[1]})
	}
	return key
}

func encodeJSON(v any) []byte { return encodeJSONAs(recordVersion, v) }

func encodeJSONAs(version byte, v any) []byte {
	payload, err := json.Marshal(v)
	if err != nil {
		panic(err) // These structs can always be encoded.
	}
	return frameAs(version, payload)
}

func decodeJSON(record []byte, v any) error {
	payload, err := unframe(record)
	if err != nil {
		return err
	}
	return json.Unmarshal(payload, v)
}

func encodeContent(header contentHeader, encoded []byte) []byte {
	return encodeHeaded(recordVersion, header, encoded)
}

func encodeHeaded(version byte, header any, encoded []byte) []byte {
	h, err := json.Marshal(header)
	if err != nil {
		panic(err) // These structs can always be encoded.
	}
	payload := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+len(h)+len(encoded)), uint64(len(h)))
	return frameAs(version, append(append(payload, h...), encoded...))
}

func decodeContent(record []byte) (header contentHeader, encoded []byte, err error) {
	encoded, err = decodeHeaded(record, &header)
	return header, encoded, err
}

// decodeHeaded decodes the header of a record and returns what follows it.
func decodeHeaded(record []byte, header any) (encoded []byte, err error) {
	payload, err := unframe(record)
	if err != nil {
		return nil, err
	}
	length, n := binary.Uvarint(payload)
	if n <= 0 || length > uint64(len(payload)-n) {
		return nil, errTruncated
	}
	headerEnd := n + int(length)
	return payload[headerEnd:], json.Unmarshal(payload[n:headerEnd], header)
}
