// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/postgres"
	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/store/storetest"
)

// started notes what the store reports at its start.
type started struct {
	noObserver
	reports []bool
}

func (s *started) Started(synchronous bool) { s.reports = append(s.reports, synchronous) }

// TestObservations reads what telemetry shows once in an interval, whoever asks how often, and shows it while the database is away.
func TestObservations(t *testing.T) {
	t.Parallel()
	var failures storetest.Failures
	o := storetest.DefaultOptions()
	o.Now, o.SeriesKey, o.StorageFailed = time.Now, new(series.Key), failures.Report
	var reported started
	config := settings(database(t)).ForTest(1, "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000", 0).Fresh(time.Hour)
	config.Observer = &reported
	s, err := postgres.New(o, config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.WithoutCancel(t.Context()))) })
	assert.Zero(t, s.Counts())
	assert.Error(t, s.Database().Err, "there is no schema yet")
	require.NoError(t, s.Restore(t.Context()))
	assert.Equal(t, []bool{false}, reported.reports)
	require.NoError(t, put(t, s, o, "job/j"))
	state := s.Database()
	require.NoError(t, state.Err)
	assert.False(t, state.Synchronous)
	assert.Equal(t, config.MaxConnections, state.MaxConnections)
	require.NoError(t, put(t, s, o, "job/k"))
	assert.Equal(t, 1, s.Counts().Groups, "of the last observation")
	waiting, oldest := s.Waiting()
	assert.Equal(t, 1, waiting)
	assert.False(t, oldest.IsZero())

	s.ForgetObservation()
	assert.Equal(t, 2, s.Counts().Groups)
	s.Pool().Close()
	s.ForgetObservation()
	assert.Equal(t, 2, s.Counts().Groups, "the last known")
	assert.EqualError(t, s.Database().Err, "the connection to the database failed")
	assert.Empty(t, failures.List())
}
