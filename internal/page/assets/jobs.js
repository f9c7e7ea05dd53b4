// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Jobs: who pushes, how often, and who has stopped.

import { age, badge, h, outcome, put } from "./dom.js";
import { coarse, count, plural, stamp } from "./format.js";
import { examplePush, listView } from "./list.js";

export const title = "Jobs";

// See table() for what a column can have.
const columns = (allowed) => [
	{ title: "Job", wide: true, sort: "name", cell: (job) => [name(job.job, allowed), job.late && [" ", badge("warn", "late")]] },
	{ title: "Last push", number: true, sort: "age", cell: (job) => age(job.last) },
	{ title: "Usual gap", number: true, cell: (job) => job.gap && coarse(job.gap) },
	{ title: "Pushes", number: true, sort: "pushes", cell: (job) => count(job.pushes) },
	allowed.groups && { title: "Groups", number: true, sort: "groups", cell: (job) => count(job.groups) },
	{ title: "Last answer", cell: (job) => job.outcome && outcome(job.status, job.outcome) },
].filter(Boolean);

// A job's name leads to its groups, or as a proxy to its pushes.
const name = (job, allowed) => {
	const text = h("bdi", {}, job);
	if (allowed.groups) return h("a", { href: `#/groups?${new URLSearchParams({ job })}` }, text);
	return allowed.live ? h("a", { href: `#/live?${new URLSearchParams({ q: `job=${job}` })}` }, text) : text;
};

export const start = (page) => {
	const summary = h("p", { role: "status" });
	const note = h("p", { class: "muted" });
	return listView(page, {
		title,
		placeholder: "job contains…",
		api: "jobs",
		caption: "Jobs",
		columns: columns(page.overview.allowed),
		key: (job) => job.job,
		orders: { age: "desc", name: "asc", pushes: "desc", groups: "desc" },
		toolbar: summary,
		below: note,
		empty: ["No job has pushed yet. Send a push:", examplePush("3.14")],
		show({ total, late, since, missing }) {
			put(summary, plural(total, "job"), late > 0 && [" ", badge("warn", `${count(late)} late`)]);
			put(note, `Late: no push for three usual gaps, which takes three pushes to know. Pushes are counted since ${stamp(since)}.`,
				page.overview.groups?.shared && " Last push and groups are of all replicas; gap, pushes and last answer of this one.",
				missing > 0 && ` The table is full: ${plural(missing, "newer job")} missing. Raise page::jobs to see more.`);
		},
	});
};
