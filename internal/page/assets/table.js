// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Tables whose columns are data, and whose rows change without a loss of focus.

import { button, h, put } from "./dom.js";

// The roles are those of the elements; they stay when a narrow screen lays rows out as cards.
const cell = (tag, role, column, attributes, ...children) =>
	h(tag, { role, class: [column.wide && "wide", column.number && "number", tag === "td" && column.class].filter(Boolean).join(" "), ...attributes }, children);

/**
 * Makes a table. Each of its columns has
 *   title, cell(row)  its heading, and what a cell shows: a node, a text, a list of them, or undefined
 *   sort              the name of the order that its heading asks for
 *   number            aligns to the right; narrow screens show the title beside it
 *   wide              takes the space that is left, and a line of its own on narrow screens
 *   hidden            the heading is for screen readers only
 *   class             of the cells
 * Options: caption; key(row), the same before and after a change; onSort(name); details(row), shown below a row that is open;
 * empty(), shown instead of no rows; fallback, which gets the focus when the last row goes.
 */
export const table = ({ columns, caption, key, onSort, details, empty, fallback }) => {
	const shown = new Map(); // key → { row, line, below }
	const open = new Set();
	const heads = columns.map((column) => {
		const sorter = column.sort && button([column.title, h("span", { class: "arrow", "aria-hidden": "true" })], () => onSort(column.sort), { class: "sort" });
		return cell("th", "columnheader", column, { scope: "col" }, sorter || (column.hidden ? h("span", { class: "offscreen" }, column.title) : column.title));
	});
	const body = h("tbody", { role: "rowgroup" });
	const instead = h("div", {});
	const grid = h("table", { role: "table" }, h("caption", { class: "offscreen" }, caption),
		h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)), body);

	const make = (row) => ({
		line: h("tr", { role: "row" }, columns.map((column) => cell("td", "cell", column, { "data-label": column.number && column.title }, column.cell(row)))),
	});

	// Opens or closes the line below a row.
	const unfold = (entry, id) => {
		if (open.has(id) && !entry.below) {
			entry.below = h("tr", { role: "row", class: "details" }, h("td", { role: "cell", colspan: columns.length }, details(entry.row)));
		} else if (!open.has(id) && entry.below) {
			entry.below.remove();
			entry.below = undefined;
		}
	};

	const place = (ids) => {
		let next = body.firstElementChild;
		for (const id of ids) {
			const { line, below } = shown.get(id);
			for (const element of below ? [line, below] : [line]) {
				if (element === next) next = next.nextElementSibling;
				else body.insertBefore(element, next);
			}
		}
	};

	// Where the focus goes if the row that has it goes: the same control of the next row, else of the one before.
	const neighbour = (line, index) => {
		const rows = [...body.children].filter((element) => !element.classList.contains("details"));
		const at = rows.indexOf(line);
		return [...rows.slice(at + 1), ...rows.slice(0, at).reverse()].map((row) => [row, row.querySelectorAll("button, a")[index]]);
	};

	const update = (rows, sort, order) => {
		const focused = body.contains(document.activeElement) ? document.activeElement : undefined;
		const line = focused?.closest("tr");
		const candidates = focused ? neighbour(line, [...line.querySelectorAll("button, a")].indexOf(focused)) : [];
		const ids = rows.map(key);
		const keep = new Set(ids);
		for (const [id, { line: gone, below }] of shown) {
			if (keep.has(id)) continue;
			gone.remove();
			below?.remove();
			shown.delete(id);
		}
		rows.forEach((row, i) => {
			const entry = shown.get(ids[i]) ?? make(row);
			if (entry.row) columns.forEach((column, at) => put(entry.line.children[at], column.cell(row)));
			entry.row = row;
			shown.set(ids[i], entry);
			unfold(entry, ids[i]);
		});
		place(ids);
		columns.forEach((column, at) => {
			const ordered = column.sort && column.sort === sort;
			if (column.sort) heads[at].setAttribute("aria-sort", ordered ? (order === "asc" ? "ascending" : "descending") : "none");
		});
		grid.hidden = rows.length === 0;
		put(instead, rows.length === 0 && empty?.());
		if (!focused) return;
		if (focused.isConnected) focused.focus({ preventScroll: true }); // A row that moves loses the focus.
		else (candidates.find(([row, control]) => row.isConnected && control)?.[1] ?? fallback)?.focus();
	};

	return {
		element: h("div", { class: "table" }, grid, instead),
		update,
		isOpen: (id) => open.has(id),
		/** Opens or closes a row's details. */
		toggle(id, to = !open.has(id)) {
			if (to) open.add(id);
			else open.delete(id);
			const entry = shown.get(id);
			if (!entry) return;
			unfold(entry, id);
			if (entry.below) entry.line.after(entry.below);
			columns.forEach((column, at) => put(entry.line.children[at], column.cell(entry.row)));
		},
	};
};
