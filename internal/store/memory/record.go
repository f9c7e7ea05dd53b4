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
)

// A record is a version byte, the CRC-32C of the rest, and the rest. Records of unknown versions are not changed, so that
// a downgrade loses nothing.
//
//	pushgateway/groups          a JSON object: the upper bound of group numbers
//	pushgateway/<number>        a JSON object: groupRecord
//	pushgateway/<number>/<slot> the length of a JSON object as a varint, the object (contentHeader), and OTLP protobuf
const (
	recordVersion = 1
	frameSize     = 5

	numbersName = "pushgateway/groups"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func groupName(number int) string { return fmt.Sprintf("pushgateway/%d", number) }

// numberOf returns the group number in a record's name, if it is a group's record.
func numberOf(name string) (number int, ok bool) {
	number, err := strconv.Atoi(strings.TrimPrefix(name, "pushgateway/"))
	return number, err == nil && number >= 0 && number < math.MaxInt32 && name == groupName(number)
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
	errRange          = errors.New("corrupt: a number is out of range")
)

func frame(payload []byte) []byte {
	record := make([]byte, frameSize, frameSize+len(payload))
	record[0] = recordVersion
	binary.LittleEndian.PutUint32(record[1:], crc32.Checksum(payload, castagnoli))
	return append(record, payload...)
}

func unframe(record []byte) ([]byte, error) {
	switch {
	case len(record) < frameSize:
		return nil, errTruncated
	case record[0] != recordVersion:
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
		ID: g.id, Job: g.key.Job, Alive: alive, Pushed: nanoseconds(pushed), Failed: nanoseconds(failed),
		Used: s.bits(), Written: s.written,
	}
	for _, l := range g.key.Labels {
		r.Labels = append(r.Labels, [2]string{l.Name, l.Value})
	}
	return r
}

func (r *groupRecord) key() groupingkey.Key {
	key := groupingkey.Key{Job: r.Job}
	for _, l := range r.Labels {
		key.Labels = append(key.Labels, groupingkey.Label{Name: l[0], Value: l[1]})
	}
	return key
}

func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanoseconds(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

func encodeJSON(v any) []byte {
	payload, err := json.Marshal(v)
	if err != nil {
		panic(err) // These structs can always be encoded.
	}
	return frame(payload)
}

func decodeJSON(record []byte, v any) error {
	payload, err := unframe(record)
	if err != nil {
		return err
	}
	return json.Unmarshal(payload, v)
}

func encodeContent(header contentHeader, encoded []byte) []byte {
	h, err := json.Marshal(header)
	if err != nil {
		panic(err) // These structs can always be encoded.
	}
	payload := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+len(h)+len(encoded)), uint64(len(h)))
	return frame(append(append(payload, h...), encoded...))
}

func decodeContent(record []byte) (header contentHeader, encoded []byte, err error) {
	payload, err := unframe(record)
	if err != nil {
		return header, nil, err
	}
	length, n := binary.Uvarint(payload)
	if n <= 0 || length > uint64(len(payload)-n) {
		return header, nil, errTruncated
	}
	headerEnd := n + int(length)
	err = json.Unmarshal(payload[n:headerEnd], &header)
	return header, payload[headerEnd:], err
}
