// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package groupingkey converts between the URL path of a push and its grouping key.
//
// The grammar is a Pushgateway's (README, "URL"; handler/push.go): /metrics, then job or job@base64 with its value, then
// label pairs whose names can also end in @base64. Every valid path has one key, and every key has one canonical path.
//
// Keys are immutable values and safe for concurrent use. The package does not route requests and does not know prefixes.
package groupingkey

import (
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
)

// Label is one label of a grouping key.
type Label struct{ Name, Value string }

// Key is a grouping key: a non-empty job and further labels with distinct names, sorted by name. Values are valid UTF-8
// and can be empty. Paths of the same group give equal keys.
type Key struct {
	Job    string
	Labels []Label // without job, sorted by name; including instance
}

// Get returns the value of a label other than job and whether the key has it, even if it is empty.
func (k Key) Get(name string) (value string, ok bool) {
	i, ok := slices.BinarySearchFunc(k.Labels, name, func(l Label, name string) int { return strings.Compare(l.Name, name) })
	if !ok {
		return "", false
	}
	return k.Labels[i].Value, true
}

// Clone copies the key and its strings, which can be views into a request.
func (k Key) Clone() Key {
	labels := make([]Label, len(k.Labels))
	for i, l := range k.Labels {
		labels[i] = Label{strings.Clone(l.Name), strings.Clone(l.Value)}
	}
	return Key{Job: strings.Clone(k.Job), Labels: labels}
}

// seed is random per process, to prevent constructed collisions.
var seed = maphash.MakeSeed()

// separator ends each hashed part. The byte never occurs in UTF-8.
const separator = 0xff

// Hash is equal for equal keys within this process. Do not store it.
func (k Key) Hash() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	// never fails
	_, _ = h.WriteString(k.Job)
	for _, l := range k.Labels {
		_ = h.WriteByte(separator)
		_, _ = h.WriteString(l.Name)
		_ = h.WriteByte(separator)
		_, _ = h.WriteString(l.Value)
	}
	return h.Sum64()
}

// String returns the key as a label set with job first, such as {job="j",a="b"}.
func (k Key) String() string {
	b := append(make([]byte, 0, 64), `{job=`...)
	b = strconv.AppendQuote(b, k.Job)
	for _, l := range k.Labels {
		b = append(b, ',')
		if isLegacyName(l.Name) {
			b = append(b, l.Name...)
		} else {
			b = strconv.AppendQuote(b, l.Name)
		}
		b = append(b, '=')
		b = strconv.AppendQuote(b, l.Value)
	}
	return string(append(b, '}'))
}
