// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestRefuseDownstream(t *testing.T) {
	t.Parallel()
	plain := errors.New("sending queue is full")
	askingForTime, err := status.New(codes.Unavailable, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(42 * time.Second)})
	require.NoError(t, err)

	for name, tc := range map[string]struct {
		err        error
		reason     Reason
		retryAfter time.Duration
	}{
		"plain error":                  {plain, ReasonUnavailable, defaultRetryAfter},
		"request ended":                {context.Canceled, ReasonUnavailable, defaultRetryAfter},
		"permanent":                    {consumererror.NewPermanent(plain), ReasonPermanent, 0},
		"permanent, wrapped":           {fmt.Errorf("x: %w", consumererror.NewPermanent(plain)), ReasonPermanent, 0},
		"retryable":                    {consumererror.NewRetryableError(plain), ReasonUnavailable, defaultRetryAfter},
		"HTTP 429":                     {consumererror.NewOTLPHTTPError(plain, http.StatusTooManyRequests), ReasonExhausted, defaultRetryAfter},
		"HTTP 503":                     {consumererror.NewOTLPHTTPError(plain, http.StatusServiceUnavailable), ReasonUnavailable, defaultRetryAfter},
		"HTTP 400":                     {consumererror.NewOTLPHTTPError(plain, http.StatusBadRequest), ReasonPermanent, 0},
		"typed gRPC exhausted":         {consumererror.NewOTLPGRPCError(plain, status.New(codes.ResourceExhausted, "x")), ReasonExhausted, defaultRetryAfter},
		"typed gRPC unavailable":       {consumererror.NewOTLPGRPCError(plain, status.New(codes.Unavailable, "x")), ReasonUnavailable, defaultRetryAfter},
		"gRPC exhausted":               {status.Error(codes.ResourceExhausted, "x"), ReasonExhausted, defaultRetryAfter},
		"gRPC unavailable":             {status.Error(codes.Unavailable, "x"), ReasonUnavailable, defaultRetryAfter},
		"gRPC unavailable, with delay": {askingForTime.Err(), ReasonUnavailable, 42 * time.Second},
		"gRPC deadline":                {status.Error(codes.DeadlineExceeded, "x"), ReasonUnavailable, defaultRetryAfter},
		"gRPC invalid argument":        {status.Error(codes.InvalidArgument, "x"), ReasonPermanent, 0},
		"gRPC unauthenticated":         {status.Error(codes.Unauthenticated, "x"), ReasonPermanent, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusal := refuseDownstream(tc.err)
			assert.Equal(t, tc.reason, refusal.Reason)
			assert.Equal(t, tc.retryAfter, refusal.RetryAfter)
			assert.ErrorIs(t, refusal, tc.err)
		})
	}
}
