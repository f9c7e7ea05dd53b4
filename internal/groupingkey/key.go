// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package groupingkey turns the URL path of a push into the grouping key it names and back.
//
// The grammar is a Pushgateway's (README, "URL"; handler/push.go): after /metrics comes job or job@base64 with its value,
// then any number of label pairs, whose names may end in @base64 too.
package groupingkey

import (
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
)

// Label is one label of a grouping key.
type Label struct{ Name, Value string }

// Key is a grouping key: a non-empty job and further labels with distinct names, sorted by name. All values are valid
// UTF-8; they may be empty. Two paths that name the same group give equal keys.
type Key struct {
	Job    string
	Labels []Label // without job, sorted by name; instance is one of them
}

// Get gives the value of a label other than job, and whether the key has that label: an empty value is a value.
func (k Key) Get(name string) (value string, ok bool) {
	i, ok := slices.BinarySearchFunc(k.Labels, name, func(l Label, name string) int { return strings.Compare(l.Name, name) })
	if !ok {
		return "", false
	}
	return k.Labels[i].Value, true
}

// Clone copies the key and its strings, which may be views into a request.
func (k Key) Clone() Key {
	labels := make([]Label, len(k.Labels))
	for i, l := range k.Labels {
		labels[i] = Label{strings.Clone(l.Name), strings.Clone(l.Value)}
	}
	return Key{Job: strings.Clone(k.Job), Labels: labels}
}

// seed differs from process to process, so that nobody can choose keys that collide.
var seed = maphash.MakeSeed()

// separator ends each part of what is hashed. No name and no value holds this byte, since it never occurs in UTF-8.
const separator = 0xff

// Hash is the same for equal keys within one process. It must not leave the process.
func (k Key) Hash() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	// Writing to a maphash never fails.
	_, _ = h.WriteString(k.Job)
	for _, l := range k.Labels {
		_ = h.WriteByte(separator)
		_, _ = h.WriteString(l.Name)
		_ = h.WriteByte(separator)
		_, _ = h.WriteString(l.Value)
	}
	return h.Sum64()
}

// String writes the key as a label set with job first, for logs and errors: {job="j",a="b"}.
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
