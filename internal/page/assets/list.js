// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// What Jobs, Groups and Refused have in common: a filter, a table in an order, and pages. All of it is in the URL's hash.

import { absolute, get, repeat } from "./api.js";
import { button, emptyState, h, problem, put, search } from "./dom.js";
import { count } from "./format.js";
import { table } from "./table.js";

/** A push to try, for lists that are empty. */
export const examplePush = (value) => `echo "some_metric ${value}" | curl --data-binary @- ${absolute("metrics/job/some_job")}`;

/** The buttons below a list that comes in pages. go gets the parameters of the page to show. */
export const pager = (go) => {
	const trail = []; // the parameters of the pages before this one, as far as this visit knows them
	let here, following;
	const range = h("span", { class: "muted", role: "status" });
	const first = button("First", () => { trail.length = 0; go({ after: "", from: "" }); });
	const previous = button("Previous", () => go(trail.pop()));
	const next = button("Next", () => { trail.push(here); go(following); });
	const element = h("nav", { class: "pager", "aria-label": "Pages", hidden: true }, range, first, previous, next);
	return {
		element,
		/** Shows where a list is: from rows are before it, and list.next is the cursor behind it. */
		update(after, from, { rows, matched, next: cursor }) {
			if (!after) trail.length = 0;
			here = { after: after ?? "", from: from || "" };
			following = { after: cursor, from: from + rows.length };
			put(range, `${count(from + 1)}–${count(from + rows.length)}`, matched > 0 && ` of ${count(matched)}`);
			element.hidden = !after && !cursor;
			first.disabled = !after;
			previous.disabled = trail.length === 0;
			next.disabled = !cursor;
		},
	};
};

/**
 * Makes a view of a list. Options, besides those of table():
 *   title, placeholder    of the view; of its filter
 *   load(params, signal)  resolves to the API's answer; "api" names the list instead
 *   orders                the first order of each sort, such as { age: "desc" }; the first sort is the default
 *   show(list)            is called with each answer
 *   toolbar, above, below nodes beside the filter, and around the table
 *   empty                 arguments of emptyState() while nothing is filtered
 * The view also has load() and list, the table.
 */
export const listView = (page, { title, placeholder, api, load = (params, signal) => get(api, params, signal), orders = {}, show, toolbar, above, below, empty, ...options }) => {
	const failure = problem();
	const filter = search("Filter", placeholder, (q) => page.set({ q, ...firstPage }));
	const pages = pager((to) => page.set(to, true));
	const firstPage = { after: "", from: "" };
	const order = () => {
		const { sort = Object.keys(orders)[0], order: direction = orders[sort] } = page.params;
		return { sort, order: direction };
	};
	const list = table({
		...options,
		fallback: filter.input,
		onSort: (sort) => page.set({ sort, order: sort === order().sort ? { asc: "desc", desc: "asc" }[order().order] : "", ...firstPage }),
		empty: () => (page.params.q ? emptyState("Nothing contains this.") : emptyState(...empty)),
	});
	const loading = repeat(3000, async (signal) => {
		const { from, ...params } = page.params;
		const answer = await load({ ...params, ...order() }, signal);
		list.update(answer.rows, order().sort, order().order);
		pages.update(params.after, Number(from) || 0, answer);
		show(answer);
	}, failure.show);
	return {
		list,
		load: loading.now,
		element: h("div", { class: "view" }, h("h1", { class: "offscreen" }, title),
			h("div", { class: "toolbar" }, filter.element, toolbar), above, failure.element, list.element, pages.element, below),
		update() {
			filter.show(page.params.q);
			loading.now();
		},
		stop: loading.stop,
	};
};
