// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRefusalTextIsBounded(t *testing.T) {
	t.Parallel()
	cause := errors.New(strings.Repeat("ü", maxText))
	refusal := Refuse(ReasonParse, cause)
	assert.Less(t, len(refusal.Error()), maxText+100)
	assert.Contains(t, refusal.Error(), "... (8192 bytes)")
	assert.ErrorIs(t, refusal, cause)
	assert.Equal(t, "short", Refuse(ReasonParse, errors.New("short")).Error())
}
