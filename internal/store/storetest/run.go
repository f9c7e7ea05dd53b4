// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package storetest tests implementations of the contract of package store.
package storetest

import "testing"

// Run runs all tests of the contract.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"WhatIsDue":                   testWhatIsDue,
		"ClaimIsBounded":              testClaimIsBounded,
		"ChangesAndRoundsAlternate":   testChangesAndRoundsAlternate,
		"Rounds":                      testRounds,
		"RoundsAreDueTogether":        testRoundsAreDueTogether,
		"ClaimedGroups":               testClaimedGroups,
		"NeverTried":                  testNeverTried,
		"Outcomes":                    testOutcomes,
		"RefusedIsPushedAgain":        testRefusedIsPushedAgain,
		"RefusedRounds":               testRefusedRounds,
		"Changed":                     testChanged,
		"ExemplarsGoOutOnce":          testExemplarsGoOutOnce,
		"PartsAreMadeAnew":            testPartsAreMadeAnew,
		"Divide":                      testDivide,
		"Separate":                    testSeparate,
		"IDs":                         testIDs,
		"MarkersGoneDuringTheirClaim": testMarkersGoneDuringTheirClaim,
		"Expiry":                      testExpiry,
		"ExpiryIsBounded":             testExpiryIsBounded,
		"Lapse":                       testLapse,
		"LapsedSeriesAreFree":         testLapsedSeriesAreFree,
		"ClaimedMarkersDoNotLapse":    testClaimedMarkersDoNotLapse,
		"Wipe":                        testWipe,
		"PartChangesHands":            testPartChangesHands,
		"Accepted":                    testAccepted,
		"GaugeHistograms":             testGaugeHistograms,
		"Refused":                     testRefused,
		"WithinLimits":                testWithinLimits,
		"BeyondLimits":                testBeyondLimits,
		"PendingIsBounded":            testPendingIsBounded,
		"BytesAreBounded":             testBytesAreBounded,
		"MarkersInParts":              testMarkersInParts,
		"PushTimes":                   testPushTimes,
		"SnapshotsAreImmutable":       testSnapshotsAreImmutable,
		"WithoutPushTimes":            testWithoutPushTimes,
		"SameShape":                   testSameShape,
		"RandomChanges":               testRandomChanges,
		"Takeover":                    testTakeover,
		"TakeoverWaits":               testTakeoverWaits,
		"TakeoverOfAValueInAClaim":    testTakeoverOfAValueInAClaim,
		"Aggregates":                  testAggregates,
		"AggregateIsExported":         testAggregateIsExported,
		"Zeros":                       testZeros,
		"SeriesEnd":                   testSeriesEnd,
		"Folding":                     testFolding,
		"MaxPushers":                  testMaxPushers,
		"Types":                       testTypes,
		"RefusedContributions":        testRefusedContributions,
		"GroupAndAggregate":           testGroupAndAggregate,
		"GroupsFromBeforeTheRule":     testGroupsFromBeforeTheRule,
		"ManySeries":                  testManySeries,
		"Search":                      testSearch,
		"Paging":                      testPaging,
		"ReadingByFamily":             testReadingByFamily,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}
