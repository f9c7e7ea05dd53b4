// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Refused: the pushes that were not taken, and why.

import { age, button, h, outcome, put, replicaNote } from "./dom.js";
import { bytes, count, plural, stamp } from "./format.js";
import { examplePush, listView } from "./list.js";
import { groupOf } from "./live.js";

export const title = "Refused";

// See table() for what a column can have.
const columns = [
	{ title: "Last", cell: (refusal) => age(refusal.last) },
	{ title: "Method", cell: (refusal) => refusal.method },
	{ title: "Group", wide: true, cell: (refusal) => [groupOf(refusal), h("div", { class: "reason" }, refusal.text)] },
	{ title: "Format", cell: (refusal) => refusal.format !== "none" && refusal.format },
	{ title: "Size", number: true, cell: (refusal) => bytes(refusal.size) },
	{ title: "From", class: "mono", cell: (refusal) => refusal.client },
	{ title: "Times", number: true, cell: (refusal) => h("span", { title: `since ${stamp(refusal.first)}` }, count(refusal.count)) },
	{ title: "Answer", cell: (refusal) => outcome(refusal.status, refusal.reason) },
];

export const start = (page) => {
	const summary = h("p", { role: "status" });
	const reasons = h("div", { class: "actions", role: "group", "aria-label": "By reason" });

	// The listener depends on the button's text alone, which is all that an update changes.
	const reason = (name, n) => {
		const element = button([h("span", {}, name), " ", h("strong", {}, count(n))], () => {
			const chosen = element.firstElementChild.textContent;
			page.set({ q: page.params.q === chosen ? "" : chosen, after: "", from: "" });
		}, { class: "small", "aria-pressed": String(page.params.q === name) });
		return element;
	};

	return listView(page, {
		title,
		placeholder: "job, label, reason or text…",
		api: "refusals",
		caption: "Refused pushes, the newest first",
		columns,
		key: (refusal) => [refusal.path ?? refusal.url, refusal.reason, refusal.text, refusal.first].join("\n"),
		toolbar: summary,
		above: [reasons, replicaNote(page, "Only requests to this replica.")],
		empty: ["No push has been refused. This one would be, since its value is no number:", examplePush("abc")],
		show({ total, since, byReason }) {
			put(summary, `${plural(total, "push", "pushes")} refused since ${stamp(since)}`);
			put(reasons, byReason.map((row) => reason(row.reason, row.count)));
		},
	});
};
