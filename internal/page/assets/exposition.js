// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Families in Prometheus' text format, to copy.

const escaped = (text) => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
const quoted = (text) => `"${escaped(text).replaceAll('"', '\\"')}"`;
const legacy = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

// Names that are not legacy names stand in quotes, a metric's within the braces.
const sample = (name, labels, value) => {
	const pairs = labels.map(([label, text]) => `${legacy.test(label) ? label : quoted(label)}=${quoted(text)}`);
	if (!legacy.test(name)) pairs.unshift(quoted(name));
	return `${legacy.test(name) ? name : ""}${pairs.length ? `{${pairs.join(",")}}` : ""} ${value}`;
};

const samples = (name, item) => {
	if (item.value !== undefined) return [sample(name, item.labels, item.value)];
	return [
		...(item.buckets ?? []).map(([upper, n]) => sample(`${name}_bucket`, [...item.labels, ["le", upper]], n)),
		...(item.quantiles ?? []).map(([quantile, value]) => sample(name, [...item.labels, ["quantile", quantile]], value)),
		sample(`${name}_sum`, item.labels, item.sum),
		sample(`${name}_count`, item.labels, item.count),
	];
};

/** The text format of families. It has no native buckets: of those, sum and count are written. */
export const exposition = (families) => families.map(({ name, type, help, series }) => [
	help && `# HELP ${legacy.test(name) ? name : quoted(name)} ${escaped(help)}`,
	type && `# TYPE ${legacy.test(name) ? name : quoted(name)} ${type}`,
	...series.flatMap((item) => samples(name, item)),
].filter(Boolean).join("\n") + "\n").join("");
