// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/metadata"
)

// TestOneLinePerReasonAndInterval refuses requests for two reasons, most of them within one interval. At debug level the log has all.
func TestOneLinePerReasonAndInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, all := observer.New(zapcore.DebugLevel)
		set := receivertest.NewNopSettings(metadata.Type)
		set.Logger = zap.New(core)
		in, err := New(set, Options{}, consumertest.NewNop())
		require.NoError(t, err)
		atLevel := func(level zapcore.Level, reason string) []observer.LoggedEntry {
			return all.FilterLevelExact(level).FilterField(zap.String("reason", reason)).All()
		}
		refuse := func(reason Reason) {
			_, o := in.Begin(t.Context(), "PUT")
			o.End(Refuse(reason, errors.New("x")))
		}
		for range 3 {
			refuse(ReasonParse)
		}
		refuse(ReasonPath)
		time.Sleep(logInterval - time.Nanosecond)
		refuse(ReasonParse)
		assert.Len(t, atLevel(zapcore.WarnLevel, "parse"), 1)
		assert.Len(t, atLevel(zapcore.WarnLevel, "path"), 1)
		assert.Len(t, atLevel(zapcore.DebugLevel, "parse"), 3)

		time.Sleep(time.Nanosecond)
		refuse(ReasonParse)
		lines := atLevel(zapcore.WarnLevel, "parse")
		require.Len(t, lines, 2)
		assert.EqualValues(t, 3, lines[1].ContextMap()["refused_since_last_log"])
		require.NoError(t, in.Shutdown(t.Context()))
	})
}
