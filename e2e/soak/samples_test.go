// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"sort"
	"strings"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// sample is one value of a series, as remote write has it.
type sample struct {
	series string
	at     int64 // milliseconds
	value  uint64
}

// decode reads the body of a remote-write or an OTLP request.
func decode(path, encoding string, body []byte) ([]sample, error) {
	switch path {
	case "/api/v1/write":
		return decodeRemoteWrite(body)
	case "/v1/metrics":
		return decodeOTLP(encoding, body)
	default:
		return nil, fmt.Errorf("%s is not served", path)
	}
}

func decodeRemoteWrite(body []byte) ([]sample, error) {
	content, err := snappy.Decode(nil, body)
	if err != nil {
		return nil, err
	}
	var request prompb.WriteRequest
	if err := request.Unmarshal(content); err != nil {
		return nil, err
	}
	var samples []sample
	for i := range request.Timeseries {
		labels := map[string]string{}
		for _, label := range request.Timeseries[i].Labels {
			labels[label.Name] = label.Value
		}
		for _, s := range request.Timeseries[i].Samples {
			samples = append(samples, sample{nameOf(labels), s.Timestamp, math.Float64bits(s.Value)})
		}
	}
	return samples, nil
}

func decodeOTLP(encoding string, body []byte) ([]sample, error) {
	content := body
	if encoding == "gzip" {
		reader, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if content, err = io.ReadAll(reader); err != nil {
			return nil, err
		}
	}
	request := pmetricotlp.NewExportRequest()
	if err := request.UnmarshalProto(content); err != nil {
		return nil, err
	}
	var samples []sample
	for _, resource := range request.Metrics().ResourceMetrics().All() {
		job, _ := resource.Resource().Attributes().Get("service.name")
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				samples = append(samples, samplesOf(job.AsString(), metric)...)
			}
		}
	}
	return samples, nil
}

// samplesOf reads the two types that the clients push.
func samplesOf(job string, metric pmetric.Metric) []sample {
	points := pmetric.NewNumberDataPointSlice()
	switch metric.Type() {
	case pmetric.MetricTypeSum:
		points = metric.Sum().DataPoints()
	case pmetric.MetricTypeGauge:
		points = metric.Gauge().DataPoints()
	}
	var samples []sample
	for _, point := range points.All() {
		labels := map[string]string{"__name__": metric.Name(), "job": job}
		for name, value := range point.Attributes().All() {
			labels[name] = value.AsString()
		}
		samples = append(samples, sample{nameOf(labels), milliseconds(point.Timestamp()), math.Float64bits(point.DoubleValue())})
	}
	return samples
}

func milliseconds(t pcommon.Timestamp) int64 { return t.AsTime().UnixMilli() }

// nameOf spells a series as a query does.
func nameOf(labels map[string]string) string {
	var pairs []string
	for name, value := range labels {
		if name != "__name__" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", name, value))
		}
	}
	sort.Strings(pairs)
	return labels["__name__"] + "{" + strings.Join(pairs, ",") + "}"
}
