// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestErrorTextsAreCut(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "short", cutText("short"))
	assert.Equal(t, strings.Repeat("ä", 255)+"...", cutText("x" + strings.Repeat("ä", 300))[1:])
}

// TestNothingIsRefusedByAProxy asks an outbox that serves no groups.
func TestNothingIsRefusedByAProxy(t *testing.T) {
	t.Parallel()
	parts, total := New(Options{Now: time.Now}).Refused(1, nil)
	assert.Empty(t, parts)
	assert.Zero(t, total)
}
