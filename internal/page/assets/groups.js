// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Groups: what is stored, and deleting it.

import { deleteGroup, get } from "./api.js";
import { age, ask, badge, button, dialog, h, labels, problem, put } from "./dom.js";
import { bytes, count, plural, until } from "./format.js";
import { openGroup } from "./group.js";
import { examplePush, listView } from "./list.js";

export const title = "Groups";

const atOnce = 4; // DELETEs on their way: browsers open six connections to a host, and the page needs some

// What is unusual about a group.
const states = ({ pushed, failed, aggregate, quarantined, pendingMarkers }) => [
	failed !== undefined && !(pushed >= failed) && badge("bad", "last push failed"),
	quarantined?.length > 0 && badge("bad", "refused by the backend"),
	aggregate && h("span", { class: "tag" }, `aggregate of ${plural(aggregate.pushers, "pusher")}`),
	pendingMarkers > 0 && h("span", { class: "tag" }, `${plural(pendingMarkers, "stale marker")} pending`),
];

// See table() for what a column can have. on has what the buttons do.
const columns = (on, { allowed, groups }) => [
	{
		title: "Group", wide: true, sort: "name",
		cell: (group) => h("div", { class: "group" }, button([h("span", { class: "fold", "aria-hidden": "true" }), labels(group.key)], () => on.toggle(group.path),
			{ class: "unfold", "aria-expanded": String(on.isOpen(group.path)) }), states(group)),
	},
	{ title: "Series", number: true, sort: "series", cell: (group) => count(group.series) },
	{ title: "Size", number: true, sort: "size", cell: (group) => bytes(group.bytes) },
	{ title: "Last push", number: true, sort: "push", cell: (group) => age(group.pushed) },
	{ title: "Last failure", number: true, sort: "failure", cell: (group) => group.failed && age(group.failed) },
	groups.ttl && { title: "Expires", number: true, cell: (group) => until(group.expires) },
	allowed.delete && { title: "Delete", hidden: true, cell: (group) => button("Delete…", () => on.remove(group), { class: "small" }) },
].filter(Boolean);

// Deletes the groups that match, at most number, with a dialog that shows the progress and can stop it.
const deleteMatching = async (match, number) => {
	let begun = 0;
	let done = 0;
	let stopped = false;
	const errors = [];
	const progress = h("progress", { max: number, value: 0, "aria-label": "Deleted groups" });
	const state = h("p", { role: "status" });
	const close = button("Stop", () => box.close());
	const box = dialog("Deleting groups", progress, state, h("div", { class: "actions" }, close));
	const closed = new Promise((resolve) => { box.addEventListener("close", resolve); }).then(() => { stopped = true; });

	const show = () => {
		progress.value = done;
		put(state, `${count(done)} of ${count(number)} deleted`, errors.length > 0 && `; ${plural(errors.length, "error")}: ${errors[0]}`);
	};
	const work = async (rows) => {
		while (rows.length > 0 && begun < number && !stopped) {
			begun++;
			await deleteGroup(rows.shift().path).then(() => { done++; }, (error) => errors.push(error.message));
			show();
		}
	};
	try {
		let page = {};
		do {
			page = await get("groups", { ...match, sort: "name", limit: 200, after: page.next });
			await Promise.all(Array.from({ length: atOnce }, () => work(page.rows)));
		} while (page.next && begun < number && !stopped);
	} catch (error) {
		errors.push(error.message);
	}
	show();
	put(close, "Close");
	await closed;
};

export const start = (page) => {
	const failure = problem();
	const summary = h("p", { role: "status" });
	const only = h("span", {});
	const bulk = h("span", { class: "end" });
	const opened = new Map(); // path → what openGroup returned
	const match = () => ({ q: page.params.q, job: page.params.job });
	let matched = 0;

	const toggle = (path, to) => {
		view.list.toggle(path, to);
		if (view.list.isOpen(path)) return;
		opened.get(path)?.stop();
		opened.delete(path);
	};

	const remove = async (group) => {
		const sure = await ask({
			title: "Delete this group?",
			body: [h("p", {}, labels(group.key)), h("p", {}, `${plural(group.series, "series", "series")} will end in the backend. The next push to this group makes it again.`)],
			action: "Delete",
		});
		if (!sure) return;
		await deleteGroup(group.path).then(() => failure.show(), (error) => failure.show(`The group was not deleted: ${error.message}`));
		if (page.params.group) page.set({ group: "" });
		else view.load();
	};

	const removeAll = async () => {
		const number = matched;
		const sure = await ask({
			title: `Delete ${plural(number, "group")}?`,
			body: h("p", {}, "Every group that matches ", h("strong", {}, Object.values(match()).filter(Boolean).join(", ")), " is deleted, one after the other, and its series end."),
			action: `Delete ${plural(number, "group")}`,
			typed: String(number),
		});
		if (!sure) return;
		await deleteMatching(match(), number);
		page.refresh();
		view.load();
	};

	const view = listView(page, {
		title,
		placeholder: "nightly instance=db-3",
		caption: "Groups",
		columns: columns({ isOpen: (path) => view?.list.isOpen(path) ?? false, toggle, remove }, page.overview),
		key: (group) => group.path,
		orders: { push: "desc", failure: "desc", series: "desc", size: "desc", name: "asc" },
		toolbar: [only, summary, bulk],
		above: failure.element,
		empty: ["No group is stored. Push the first:", examplePush("3.14")],
		details: (group) => {
			opened.set(group.path, openGroup(group));
			return opened.get(group.path).element;
		},
		// One group that a link names, or a page of those that match.
		async load({ group, ...params }, signal) {
			if (!group) return get("groups", params, signal);
			const answer = await get("group", { path: group }, signal);
			return { rows: [answer.summary], matched: 1, total: page.overview.groups.groups };
		},
		show({ rows, total, matched: now }) {
			matched = now;
			const { group, job, q } = page.params;
			if (group && rows.length > 0 && !opened.has(group)) toggle(group, true);
			const paths = new Map(rows.map((row) => [row.path, row]));
			for (const [path, box] of opened) {
				if (paths.has(path)) box.update(paths.get(path));
				else toggle(path, false);
			}
			put(summary, group || q || job ? `${count(matched)} of ${plural(total, "group")} match` : plural(total, "group"));
			put(only, (group || job) && h("a", { class: "tag", href: "#/groups" }, group ? "one group" : `job ${job}`, " ✕"));
			put(bulk, page.overview.allowed.delete && (q || job) && matched > 1 && button(`Delete all ${count(matched)} that match…`, removeAll));
		},
	});
	return {
		...view,
		stop() {
			view.stop();
			for (const box of opened.values()) box.stop();
		},
	};
};
