// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Verdict is what an error of the next consumer means.
type Verdict int

// The verdicts.
const (
	Unavailable Verdict = iota // transient
	Exhausted                  // transient: the consumer is out of some resource
	Permanent
)

// Judge tells what an error of the next consumer means, and the delay for a retry that it asks for, 0 if it does not. It is the
// only place that judges such errors, by the rules of the OTLP specification: an error that carries a status is what its status says, a permanent
// error is permanent, and everything else (a full queue, the memory limiter) is transient.
//
// An error of a context is transient, although exporters return some of these as permanent.
func Judge(err error) (Verdict, time.Duration) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Unavailable, 0
	}
	if typed, ok := errors.AsType[*consumererror.Error](err); ok {
		return ofCode(consumererror.ToGRPCStatus(typed).Code()), 0
	}
	if s, ok := status.FromError(err); ok {
		return ofCode(s.Code()), retryDelay(s)
	}
	if consumererror.IsPermanent(err) {
		return Permanent, 0
	}
	return Unavailable, 0
}

func ofCode(code codes.Code) Verdict {
	switch code {
	case codes.ResourceExhausted:
		return Exhausted
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return Unavailable
	default:
		return Permanent
	}
}

func retryDelay(s *status.Status) time.Duration {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay().AsDuration() > 0 {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// isPermanent tells whether the same batch would be refused again. A request that is too large is exhausted by its status, and
// permanent all the same.
func isPermanent(err error) bool {
	verdict, _ := Judge(err)
	return verdict == Permanent || verdict == Exhausted && consumererror.IsPermanent(err)
}
