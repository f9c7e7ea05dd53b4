// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package merge

// Contribution is the share of one remembered pusher in one series of an aggregate. Contributions are immutable.
type Contribution struct {
	total bool // The function is Total.

	// Of Total: the contribution is carried + last.
	created int64  // when the current incarnation began, in milliseconds since the epoch; 0 if unknown
	carried amount // of earlier incarnations; nil if there are none
	last    amount

	// Of all other functions.
	value float64
	order int64 // Of Last: the later push has the larger one.
}

// Outcome says how a push relates to the contribution that it replaces.
type Outcome uint8

const (
	// First is the first push of a pusher for a series.
	First Outcome = iota + 1
	// Replaced is a push of the same incarnation, or a retry.
	Replaced
	// Restarted is a push of a new incarnation. The count of the earlier incarnation stays in the total.
	Restarted
	// Ignored is a delayed push, older than the known contribution. It changes nothing.
	Ignored
)

// outcome compares a push with the contribution before it. The last amount of the contribution is given in the shape of next.
//
// Created timestamps decide if both have one: the later incarnation is new, the earlier one is already counted, and within
// one incarnation a smaller value is the older one. Otherwise a smaller value is a new incarnation.
func (c *Contribution) outcome(last amount, next *Contribution) Outcome {
	if c.created != 0 && next.created != 0 {
		switch {
		case next.created > c.created:
			return Restarted
		case next.created < c.created, last.exceeds(next.last):
			return Ignored
		}
	}
	if next.last.follows(last) {
		return Replaced
	}
	return Restarted
}

// release removes from the total the part of c that next replaces, and completes next.
func (c *Contribution) release(total amount, next *Contribution) (rest amount, o Outcome, err error) {
	last := c.last.fitted(total)
	switch o = c.outcome(last, next); o {
	case Ignored:
		return total, o, nil
	case Replaced:
		if total, err = total.minus(last); err != nil {
			return nil, o, err
		}
	}
	return total, o, c.succeed(next, o)
}

// succeed completes next, which takes the place of c.
func (c *Contribution) succeed(next *Contribution, o Outcome) (err error) {
	next.carried = c.carried
	switch {
	case o == Restarted && c.carried == nil:
		next.carried = c.last
	case o == Restarted:
		next.carried, err = add(c.carried, c.last)
	case next.created == 0:
		next.created = c.created
	}
	return err
}
