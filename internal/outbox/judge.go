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

// Verdict classifies an error of the next consumer.
type Verdict int

// The verdicts.
const (
	Unavailable Verdict = iota // transient
	Exhausted                  // transient: a resource is exhausted
	Permanent
)

// Judge classifies an error of the next consumer and returns the requested retry delay, or 0. It is the only place that
// does so, by the OTLP specification. A context's error is transient, although exporters return some as permanent.
// Otherwise a status decides, then a permanent error; everything else (a full queue, the memory limiter) is transient.
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

// isPermanent reports whether a retry of the same batch must fail. A request that is too large is permanent, although its
// status is ResourceExhausted.
func isPermanent(err error) bool {
	verdict, _ := Judge(err)
	return verdict == Permanent || verdict == Exhausted && consumererror.IsPermanent(err)
}

// isDoubtful reports whether what was refused with the error may have been accepted nevertheless: a call that was ended may have arrived,
// and a backend that refuses some samples for good may have stored the others.
func isDoubtful(err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return true
	}
	code := status.Code(err)
	return code == codes.DeadlineExceeded || code == codes.Canceled || isPermanent(err)
}
