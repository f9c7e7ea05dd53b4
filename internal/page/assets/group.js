// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// What is shown below a group that is open: its families and series, its pushers, and what the backend refuses of it.

import { absolute, get, repeat } from "./api.js";
import { age, bar, copyButton, h, labels, problem, put, terms } from "./dom.js";
import { exposition } from "./exposition.js";
import { plural, stamp, timeIn } from "./format.js";
import { pager } from "./list.js";
import { quarantineColumns } from "./status.js";
import { table } from "./table.js";

// Names whose big numbers are points in time, not sizes.
const isTime = /time|date|epoch|last|complet|creat|expir|_at$|_ts$/i;
const alwaysOpen = 3; // histograms of a family, beyond which buckets are folded

const series = (item) => (item.own.length > 0 ? labels(item.own) : h("span", { class: "muted mono" }, "{}"));

// A number as it was pushed, and the time that it means.
const number = (family, value) => {
	const time = ["counter", "histogram", "summary"].includes(family.type) || !isTime.test(family.name) ? undefined : timeIn(value);
	return [h("span", { class: "value" }, value), time !== undefined && h("span", { class: "muted" }, ` ${stamp(time)}, `, age(time))];
};

// A histogram's buckets as [range, count], each with its own count.
const ranges = (item) => {
	if (item.native) return item.native.map(([lower, upper, n, ends]) => [`${ends[0]}${lower}, ${upper}${ends[1]}`, Number(n)]);
	return (item.buckets ?? []).map(([upper, n], i, all) => [`≤ ${upper}`, Number(n) - (i > 0 ? Number(all[i - 1][1]) : 0)]);
};

const histogram = (item, open) => {
	const rows = ranges(item);
	const top = Math.max(...rows.map(([, n]) => n), 1);
	return [
		h("div", {}, h("span", { class: "value" }, item.count), h("span", { class: "muted" }, " observed, sum "), h("span", { class: "value" }, item.sum)),
		h("details", { open }, h("summary", {}, plural(item.bucketsTotal ?? rows.length, "bucket"), item.bucketsTotal > rows.length && `, the first ${rows.length} shown`),
			h("table", { class: "buckets" }, h("caption", { class: "offscreen" }, "Buckets"),
				h("thead", { class: "offscreen" }, h("tr", {}, ["Range", "Share", "Count"].map((title) => h("th", { scope: "col" }, title)))),
				h("tbody", {}, rows.map(([range, n]) => h("tr", {}, h("td", { class: "number" }, range), h("td", { class: "share" }, bar(n / top)), h("td", { class: "number" }, n)))))),
	];
};

const summary = (item) => [
	h("div", {}, h("span", { class: "value" }, item.count), h("span", { class: "muted" }, " observed, sum "), h("span", { class: "value" }, item.sum)),
	item.quantiles.map(([quantile, value]) => h("div", {}, h("span", { class: "muted" }, `quantile ${quantile}: `), h("span", { class: "value" }, value))),
];

const valueOf = (family, item) => {
	if (item.value !== undefined) return number(family, item.value);
	return item.quantiles ? summary(item) : histogram(item, family.series.length <= alwaysOpen);
};

const familyTable = (family, key) => {
	const grouping = new Set(key.map(([name]) => name));
	const own = family.series.map((item) => ({ ...item, own: item.labels.filter(([name]) => !grouping.has(name)) }));
	return h("section", { class: "family" },
		h("h2", {}, h("bdi", { class: "mono" }, family.name), " ", h("span", { class: "type" }, family.type, family.unit && `, ${family.unit}`),
			family.pushed !== undefined && h("span", { class: "muted pushed" }, "pushed ", age(family.pushed))),
		family.help && h("p", { class: "muted help" }, h("bdi", {}, family.help)),
		h("table", { class: "series" }, h("caption", { class: "offscreen" }, `Series of ${family.name}`),
			h("thead", { class: "offscreen" }, h("tr", {}, h("th", { scope: "col" }, "Series"), h("th", { scope: "col" }, "Value"))),
			h("tbody", {}, own.map((item) => h("tr", {}, h("td", {}, series(item)), h("td", {}, valueOf(family, item)))))));
};

const aggregate = ({ rule, without, pushers, lastPusher }) => terms([
	["Aggregate of", plural(pushers, "pusher")],
	["Rule", [h("span", { class: "mono" }, rule), `, without ${without.join(", ")}`]],
	["Last pusher", lastPusher && [labels(lastPusher.key), ", ", age(lastPusher.pushed)]],
]);

/** Returns { element, update(summary), stop } of a group: update takes the group's newest row of the list. */
export const openGroup = (group) => {
	const failure = problem();
	const about = h("div", {});
	const content = h("div", {}, h("p", { class: "muted" }, "Loading…"));
	const quarantine = table({ columns: quarantineColumns, caption: "Parts that the backend refuses for good", key: (part) => part.part });
	const refused = h("div", { class: "quarantine" }, h("h2", {}, "Refused for good by the backend"), quarantine.element);
	let families = [];
	let place = { after: undefined, from: 0 };
	const pages = pager((to) => { place = { after: to.after, from: Number(to.from) || 0 }; load.now(); });

	const show = (now) => {
		put(about, now.aggregate && aggregate(now.aggregate));
		refused.hidden = !now.quarantined?.length;
		quarantine.update(now.quarantined ?? []);
	};

	// Asked for again when the group was pushed to, and seldom otherwise.
	const load = repeat(60_000, async (signal) => {
		const answer = await get("group", { path: group.path, after: place.after }, signal);
		families = answer.families;
		show(answer.summary);
		put(content, families.map((family) => familyTable(family, group.key)));
		const items = families.flatMap((family) => family.series);
		pages.update(place.after, place.from, { rows: items, next: answer.next });
	}, failure.show);

	return {
		element: h("div", { class: "open" },
			h("div", { class: "actions" },
				copyButton("Copy as text", () => exposition(families)),
				copyButton("Copy curl", () => `curl --data-binary @metrics.txt '${absolute(group.path)}'`),
				copyButton("Copy link", () => `${absolute("")}#/groups?${new URLSearchParams({ group: group.path })}`)),
			failure.element, about, refused, content, pages.element),
		update(now) {
			if (now.pushed !== group.pushed || now.failed !== group.failed) load.now();
			else show(now);
			group = now;
		},
		stop: load.stop,
	};
};
