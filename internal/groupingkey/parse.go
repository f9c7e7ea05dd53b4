// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package groupingkey

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	jobLabel     = "job"
	base64Suffix = "@base64"
	// reservedPrefix starts Prometheus' internal label names.
	reservedPrefix = "__"
)

var errNoJob = errors.New("job name is required")

// Parse reads a path after "/metrics/": job/<job>{/<label>/<value>}, where job and label names can end in @base64. The
// path must be percent-decoded once and not cleaned.
//
// It returns false if the path is not a push path: another first element, or an empty job. The error is the client's
// message; its text and the order of checks are a Pushgateway's. Invalid UTF-8 and escaped reserved names are refused. A
// Pushgateway stores them and then fails on every later push and scrape.
func Parse(path string, utf8Names bool) (k Key, ok bool, err error) {
	head, rest, _ := strings.Cut(path, "/")
	job, labels := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		job, labels = rest[:i], rest[i:]
	}
	if job == "" || head != jobLabel && head != jobLabel+base64Suffix {
		return Key{}, false, nil
	}
	k, err = parse(job, head != jobLabel, labels, utf8Names)
	if err != nil {
		return Key{}, true, err
	}
	return k, true, nil
}

func parse(job string, encoded bool, labels string, utf8Names bool) (k Key, err error) {
	k.Job = job
	if encoded {
		if k.Job, err = decodeBase64(job); err != nil {
			// Quotes the decodable part, as a Pushgateway does.
			return k, fmt.Errorf("invalid base64 encoding in job name %q: %w", k.Job, err)
		}
	}
	if k.Labels, err = parseLabels(labels, utf8Names); err != nil {
		return k, err
	}
	if k.Job == "" {
		return k, errNoJob
	}
	return k, k.check()
}

// parseLabels reads the path after the job, with its leading slash. A lone slash is no label.
func parseLabels(path string, utf8Names bool) ([]Label, error) {
	if len(path) <= 1 {
		return nil, nil
	}
	slashes := strings.Count(path, "/")
	if slashes%2 != 0 {
		return nil, fmt.Errorf("odd number of components in label string %q", path)
	}
	labels := make([]Label, 0, slashes/2)
	for more, rest := true, path[1:]; more; {
		var name, value string
		name, rest, _ = strings.Cut(rest, "/")
		value, rest, more = strings.Cut(rest, "/")
		label, err := parseLabel(name, value, utf8Names)
		if err != nil {
			return nil, err
		}
		if label.Name != jobLabel { // The path's job wins over a label of that name.
			labels = append(labels, label)
		}
	}
	return lastOfEachName(labels), nil
}

func parseLabel(name, value string, utf8Names bool) (Label, error) {
	written, encoded := strings.CutSuffix(name, base64Suffix)
	label := Label{Name: written, Value: value}
	valid := isLegacyName(written)
	if utf8Names {
		label.Name = unescape(written)
		valid = label.Name != "" && utf8.ValidString(label.Name)
	}
	if !valid || strings.HasPrefix(written, reservedPrefix) {
		return label, fmt.Errorf("improper label name %q", written)
	}
	if encoded {
		var err error
		if label.Value, err = decodeBase64(value); err != nil {
			return label, fmt.Errorf("invalid base64 encoding for label %s=%q: %w", written, value, err)
		}
	}
	return label, nil
}

// lastOfEachName sorts the labels by name and keeps the last of each name. It copies them if any are dropped: a path can
// repeat a label a quarter of a million times, and a key lives as long as its push.
func lastOfEachName(labels []Label) []Label {
	if len(labels) == 0 {
		return nil
	}
	slices.SortStableFunc(labels, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	kept := labels[:0]
	for i, l := range labels {
		if i+1 == len(labels) || labels[i+1].Name != l.Name {
			kept = append(kept, l)
		}
	}
	if len(kept) < cap(kept) {
		return slices.Clone(kept)
	}
	return kept
}

// check refuses keys that break a Pushgateway.
func (k Key) check() error {
	if err := checkLabel(Label{jobLabel, k.Job}); err != nil {
		return err
	}
	for _, l := range k.Labels {
		if err := checkLabel(l); err != nil {
			return err
		}
	}
	return nil
}

func checkLabel(l Label) error {
	const inconsistent = "pushed metrics are invalid or inconsistent with existing metrics: grouping key has a label "
	if strings.HasPrefix(l.Name, reservedPrefix) {
		return errors.New(inconsistent + "with an invalid name: " + l.Name)
	}
	if !utf8.ValidString(l.Value) {
		return fmt.Errorf(inconsistent+"named %q whose value is not utf8: %q", l.Name, l.Value)
	}
	return nil
}

// decodeBase64 decodes URL-safe base64 with or without padding. With an error it returns the decoded prefix.
func decodeBase64(s string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	return string(b), err
}
