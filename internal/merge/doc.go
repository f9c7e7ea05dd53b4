// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package merge is the arithmetic of aggregates. Many short-lived pushers push values for one series. The package combines
// these values to one value in which each pusher is counted exactly once.
//
// # Model
//
// A pusher has one [Contribution] to each series that it pushes. Its next push replaces the contribution and is never added
// to it, so a retry changes nothing. An [Accumulator] is the state of one series of the aggregate:
//
//	value = base + Σ over the remembered pushers (carried + last)
//
// The terms are:
//
//   - last is the value of the pusher's latest push.
//   - carried is the sum of the pusher's earlier incarnations. A later created timestamp or, without created timestamps, a
//     smaller value tells that the pusher has restarted.
//   - base is the sum of the pushers that have ended.
//
// The function [Last] uses the same formula with the latest value instead of the sum. [Sum], [Min], [Max] and [Avg] have
// neither base nor carried.
//
// # Use
//
// For each series of a push, in this order:
//
//	TakeCreated(metrics)                      use the created timestamps of the text format; once per push
//	f.Allows(metric)                          check the function of the rule
//	sample, ok, err := f.Read(metric, i, at)  refuse a value that would spoil the total; ok is false for a stale marker
//	sample, err = f.Join(sample, other)       join two series of the push that are one series of the aggregate
//	result, err := value.Push(old, sample)    get the new accumulator and the new contribution of the pusher
//
// A store keeps a base and a value ([New], [Accumulator.Encode]) for each series of an aggregate. It keeps the contributions
// ([Contribution.Encode]) of each pusher by series. Encoded contributions are compact: 4 bytes for a counter of small integers,
// 10 bytes for a counter of decimals, 86 bytes for a histogram of 11 bounds (BenchmarkPush). For a push, only the new
// contributions must be stored. A store computes all results of a push before it keeps any. So a refused push changes nothing.
//
//   - [Fold] ends a pusher.
//   - [Accumulator.Withdraw] removes the contribution to a series that a PUT has left out.
//   - [Rebuild] restores the value from the base and all contributions.
//   - [Function.Describe] and [Accumulator.AppendPoint] make the pdata of the aggregate.
//
// # Guarantees
//
//   - Sums are exact. They are rounded once, to the nearest float64 of a point. Removing a contribution restores the value
//     before it was added.
//   - Order does not matter. The value depends on the pushes of each pusher, not on how pushes of different pushers interleave.
//     The shape of a histogram depends on the order only where it reaches the limit of bounds or of native buckets.
//   - A total never falls. This includes each bucket and each count. The sum of a histogram or summary follows its
//     observations, which may be negative.
//   - Prometheus sees no counter reset in a total. A native histogram only gets a lower scale and a larger zero threshold.
//   - Finite input never results in NaN. A push that makes a sum infinite or a count overflow is refused with [ErrOverflow]. The
//     function [Sum] can still become infinite when a negative contribution is removed.
//   - Totals refuse NaN, infinities and negative counters. [Last] takes any value. [Sum], [Min], [Max] and [Avg] ignore NaN.
//     Infinities follow IEEE 754 and can be removed again.
//   - The cost of a push depends on the pusher's own series, not on the number of pushers. [Min] and [Max] need [Rebuild] only
//     when the last pusher with the extreme value has left ([Accumulator.Known]).
//   - Decoding corrupt bytes returns [ErrCorrupt] or a valid state. It allocates at most a constant multiple of the input.
//
// All values are immutable and all functions are pure. Goroutines can share values. The caller applies pushes to one series one
// after the other.
//
// # Limits
//
// The package does not know grouping keys, rules, lifetimes, storage, or the types of names. Quantiles of summaries and
// exemplars are not merged.
package merge
