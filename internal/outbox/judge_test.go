// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

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

func TestJudge(t *testing.T) {
	t.Parallel()
	plain := errors.New("sending queue is full")
	askingForTime, err := status.New(codes.Unavailable, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(42 * time.Second)})
	require.NoError(t, err)

	for name, tc := range map[string]struct {
		err        error
		verdict    Verdict
		retryAfter time.Duration
	}{
		"plain error":                  {plain, Unavailable, 0},
		"request ended":                {context.Canceled, Unavailable, 0},
		"permanent":                    {consumererror.NewPermanent(plain), Permanent, 0},
		"permanent, wrapped":           {fmt.Errorf("x: %w", consumererror.NewPermanent(plain)), Permanent, 0},
		"retryable":                    {consumererror.NewRetryableError(plain), Unavailable, 0},
		"HTTP 429":                     {consumererror.NewOTLPHTTPError(plain, http.StatusTooManyRequests), Exhausted, 0},
		"HTTP 503":                     {consumererror.NewOTLPHTTPError(plain, http.StatusServiceUnavailable), Unavailable, 0},
		"HTTP 400":                     {consumererror.NewOTLPHTTPError(plain, http.StatusBadRequest), Permanent, 0},
		"typed gRPC exhausted":         {consumererror.NewOTLPGRPCError(plain, status.New(codes.ResourceExhausted, "x")), Exhausted, 0},
		"typed gRPC unavailable":       {consumererror.NewOTLPGRPCError(plain, status.New(codes.Unavailable, "x")), Unavailable, 0},
		"gRPC exhausted":               {status.Error(codes.ResourceExhausted, "x"), Exhausted, 0},
		"gRPC unavailable":             {status.Error(codes.Unavailable, "x"), Unavailable, 0},
		"gRPC unavailable, with delay": {askingForTime.Err(), Unavailable, 42 * time.Second},
		"gRPC deadline":                {status.Error(codes.DeadlineExceeded, "x"), Unavailable, 0},
		"gRPC invalid argument":        {status.Error(codes.InvalidArgument, "x"), Permanent, 0},
		"gRPC unauthenticated":         {status.Error(codes.Unauthenticated, "x"), Permanent, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			verdict, retryAfter := Judge(tc.err)
			assert.Equal(t, tc.verdict, verdict)
			assert.Equal(t, tc.retryAfter, retryAfter)
		})
	}
}

// TestIsPermanent tells a request that is too large from a backend that is busy: both are exhausted by their status.
func TestIsPermanent(t *testing.T) {
	t.Parallel()
	busy := status.Error(codes.ResourceExhausted, "too many requests")
	assert.False(t, isPermanent(busy))
	assert.True(t, isPermanent(consumererror.NewPermanent(status.Error(codes.ResourceExhausted, "message larger than max"))))
	assert.True(t, isPermanent(consumererror.NewPermanent(busy)))
	assert.False(t, isPermanent(context.DeadlineExceeded))
}
