// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"errors"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// defaultRetryAfter is what a pusher is told to wait if the refusal itself does not say. Batch jobs have time, and a
// collector that is short of memory needs some.
const defaultRetryAfter = 5 * time.Second

// refuseDownstream turns an error of the next consumer into a refusal. It is the only place that judges such errors, by
// the rules of the OTLP specification: an error that carries a status is what its status says, a permanent error is
// permanent, and everything else (a full queue, the memory limiter) may be retried.
func refuseDownstream(err error) *Refusal {
	r := &Refusal{Reason: ReasonUnavailable, Err: err, RetryAfter: defaultRetryAfter}
	if typed, ok := errors.AsType[*consumererror.Error](err); ok {
		r.Reason = reasonOfCode(consumererror.ToGRPCStatus(typed).Code())
	} else if s, ok := status.FromError(err); ok {
		r.Reason = reasonOfCode(s.Code())
		r.RetryAfter = retryInfo(s)
	} else if consumererror.IsPermanent(err) {
		r.Reason = ReasonPermanent
	}
	if r.Reason == ReasonPermanent {
		r.RetryAfter = 0
	}
	return r
}

func reasonOfCode(code codes.Code) Reason {
	switch code {
	case codes.ResourceExhausted:
		return ReasonExhausted
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return ReasonUnavailable
	default:
		return ReasonPermanent
	}
}

// retryInfo is the delay that the status asks for, or else the default.
func retryInfo(s *status.Status) time.Duration {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay().AsDuration() > 0 {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return defaultRetryAfter
}
