// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pushhttp_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/ingest"
)

func TestRefusalsOfIngest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		reason     ingest.Reason
		retryAfter time.Duration
		status     int
		header     string
	}{
		{ingest.ReasonPath, 0, http.StatusBadRequest, ""},
		{ingest.ReasonParse, 0, http.StatusBadRequest, ""},
		{ingest.ReasonInconsistent, 0, http.StatusBadRequest, ""},
		{ingest.ReasonLimit, 0, http.StatusBadRequest, ""},
		{ingest.ReasonTooLarge, 0, http.StatusRequestEntityTooLarge, ""},
		{ingest.ReasonOverload, 5 * time.Second, http.StatusServiceUnavailable, "5"},
		{ingest.ReasonUnavailable, 1500 * time.Millisecond, http.StatusServiceUnavailable, "2"},
		{ingest.ReasonUnavailable, 0, http.StatusServiceUnavailable, "1"},
		{ingest.ReasonExhausted, time.Millisecond, http.StatusTooManyRequests, "1"},
		{ingest.ReasonPermanent, 0, http.StatusInternalServerError, ""},
		{"a reason of tomorrow", 0, http.StatusInternalServerError, ""},
	} {
		t.Run(string(tt.reason), func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.ingest.answer = func([]byte) error {
				return &ingest.Refusal{Reason: tt.reason, Err: errors.New("why"), RetryAfter: tt.retryAfter}
			}
			got := s.do(t, "PUT", "/metrics/job/j", "a 1\n")
			assert.Equal(t, tt.status, got.status)
			assert.Equal(t, "why\n", got.body)
			assert.Equal(t, tt.header, got.header.Get("Retry-After"))
			assert.Equal(t, map[string]int64{"PUT text " + string(tt.reason): 1}, s.outcomes(t))
		})
	}
}

func TestOtherErrorsAreInternal(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.ingest.answer = func([]byte) error { return errors.New("why") }
	assert.Equal(t, http.StatusInternalServerError, s.do(t, "PUT", "/metrics/job/j", "").status)
}
