// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Live: pushes as they come, from a stream of server-sent events.

import { absolute, apiURL, refusalOf } from "./api.js";
import { afterwards, button, choice, emptyState, h, labels, outcome, problem, put, replicaNote, search, svg } from "./dom.js";
import { bytes, clock, count, duration, plural, rate, stamp, zone } from "./format.js";
import { examplePush } from "./list.js";
import { table } from "./table.js";

export const title = "Live";

const maxRows = 500; // the newest stay
const history = 300; // seconds of rates

// The figures above the list: the name of the rate, its label, and how it reads.
const figures = [
	["accepted", "Accepted", rate],
	["refused", "Refused", rate],
	["series", "Series", rate],
	["bytes", "Received", (n) => `${bytes(n)}/s`],
	["exports", "Exports", rate],
	["exportsFailed", "Exports failed", rate],
];

/** A push's labels, or what its URL was if that has none. */
export const groupOf = (push) => (push.key ? labels(push.key) : h("span", { class: "labels mono" }, push.url));

// See table() for what a column can have. on has what the buttons do.
const columns = (on) => [
	{ title: `Time (${zone()})`, class: "mono", cell: (push) => h("time", { datetime: new Date(push.time).toISOString(), title: stamp(push.time) }, clock(push.time, true)) },
	{ title: "Method", cell: (push) => push.method },
	{ title: "Group", wide: true, cell: (push) => [groupOf(push), push.text && h("div", { class: "reason" }, push.text), push.values && values(push)] },
	{ title: "Format", cell: (push) => push.format !== "none" && push.format },
	{ title: "Size", number: true, cell: (push) => bytes(push.size) },
	{ title: "Series", number: true, cell: (push) => count(push.series) },
	{ title: "Took", number: true, cell: (push) => duration(push.duration) },
	{ title: "Answer", cell: (push) => outcome(push.status, push.outcome) },
	{
		title: "Details", hidden: true,
		cell: (push) => push.text && button(on.isOpen(push.id) ? "Less" : "Why", () => on.toggle(push.id), { class: "small", "aria-expanded": String(on.isOpen(push.id)) }),
	},
];

// The values of a push that is peeked at.
const values = (push) => h("div", { class: "values mono" },
	push.values.map((value) => h("span", {}, value.name, value.labels.length > 0 && ["{", labels(value.labels), "}"], "=",
		value.value ?? `${value.count} (sum ${value.sum})`)),
	push.moreValues > 0 && h("span", { class: "muted" }, `and ${plural(push.moreValues, "more value")}`));

const details = (push) => h("div", {}, h("p", { class: "text" }, push.text),
	h("p", { class: "muted" }, `From ${push.client} at ${stamp(push.time)}, answered with ${push.status} after ${duration(push.duration)}.`));

// A figure with its last five minutes as a line.
const figure = ([name, label, read]) => {
	const number = h("strong", {});
	const line = svg("path", {});
	const peak = h("span", { class: "muted", title: "of the last five minutes" });
	const element = h("div", { class: `figure ${name}` }, h("span", { class: "title" }, label), number,
		svg("svg", { viewBox: `0 0 ${history} 30`, preserveAspectRatio: "none", "aria-hidden": "true" }, line), peak);
	return {
		element,
		show(seconds) {
			const top = Math.max(...seconds, 0);
			put(number, read(seconds.at(-1) ?? 0));
			put(peak, `peak ${read(top)}`);
			line.setAttribute("d", seconds.map((n, i) => `${i ? "L" : "M"}${i} ${(29 - 27 * n / (top || 1)).toFixed(1)}`).join(""));
		},
	};
};

export const start = (page) => {
	const shown = figures.map((row) => [row[0], figure(row)]);
	const rates = Object.fromEntries(figures.map(([name]) => [name, page.overview.rates[name].slice(-history)]));
	const failure = problem();
	const state = h("span", { class: "muted", role: "status" });
	const missed = h("span", { class: "muted" });
	const summary = h("p", { class: "offscreen", role: "status" });

	let rows = []; // newest first
	let waiting = []; // what came while paused, newest first
	let paused = false;
	let missing = { slow: 0, thinned: 0 };

	const filter = search("Filter", "job or label contains…", (q) => page.set({ q }));
	const which = choice("Answer", [["", "all"], ["accepted", "accepted"], ["refused", "refused"]], (value) => page.set({ outcome: value }));
	const peek = h("input", { type: "text", placeholder: "a job", maxlength: 250, spellcheck: "false", on: { input: afterwards(() => page.set({ peek: peek.value })) } });
	const pause = button("Pause", () => { paused = !paused; render(); });
	const clear = button("Clear", () => { rows = []; waiting = []; missing = { slow: 0, thinned: 0 }; render(); });

	const list = table({
		columns: columns({ toggle: (id) => list.toggle(id), isOpen: (id) => list.isOpen(id) }),
		caption: "Pushes, the newest first",
		key: (push) => push.id,
		details,
		fallback: filter.input,
		empty: () => emptyState(page.params.q || page.params.outcome ? "No push has matched since you opened this view." : "No push has come since you opened this view. Send one:",
			examplePush("3.14")),
	});

	const render = () => {
		if (!paused && waiting.length > 0) {
			rows = [...waiting, ...rows].slice(0, maxRows);
			waiting = [];
		}
		list.update(rows);
		put(pause, paused ? `Resume${waiting.length ? ` (${count(waiting.length)} new)` : ""}` : "Pause");
		pause.setAttribute("aria-pressed", String(paused));
		const left = missing.slow + missing.thinned;
		put(missed, left > 0 && `${plural(left, "push", "pushes")} not shown: too many at once`);
	};

	// Many events are drawn at once, at most once a frame.
	let frame;
	const soon = () => { frame ??= requestAnimationFrame(() => { frame = undefined; render(); }); };

	const figuresNow = () => { for (const [name, box] of shown) box.show(rates[name]); };

	let number = 0;
	let rated = 0; // the second of the newest rates
	const events = {
		hello: () => put(state, "Connected"),
		push: (push) => {
			push.id = ++number;
			waiting = [push, ...waiting].slice(0, maxRows);
			soon();
		},
		dropped: ({ slow, thinned }) => {
			missing = { slow: missing.slow + slow, thinned: missing.thinned + thinned };
			soon();
		},
		rates: (second) => {
			rated = second.time;
			for (const [name] of figures) rates[name] = [...rates[name], second[name]].slice(-history);
			figuresNow();
			put(state, `Connected · ${plural(second.viewers, "viewer")}`);
		},
		bye: () => put(state, "Connecting…"),
	};

	// One stream for the page, closed while nobody can see it: browsers open few connections to a host.
	let source;
	let retry;
	const disconnect = () => {
		clearTimeout(retry);
		source?.close();
		source = undefined;
	};
	const connect = () => {
		disconnect();
		if (document.hidden) return;
		const url = apiURL("events", { q: page.params.q, outcome: page.params.outcome, peek: page.params.peek });
		put(state, "Connecting…");
		source = new EventSource(absolute(url));
		for (const [name, handle] of Object.entries(events)) source.addEventListener(name, (event) => { failure.show(); handle(JSON.parse(event.data)); });
		source.addEventListener("error", () => {
			put(state, "Connecting…");
			if (source.readyState === EventSource.CLOSED) explain(url);
		});
	};
	const explain = async (url) => {
		failure.show(await refusalOf(url).catch(() => undefined));
		retry = setTimeout(connect, 5000);
	};

	document.addEventListener("visibilitychange", connect);
	const speak = setInterval(() => put(summary, `In the last 10 seconds: ${plural(last(rates.accepted), "push", "pushes")} accepted, ${last(rates.refused)} refused.`), 10_000);
	const last = (seconds) => seconds.slice(-10).reduce((sum, n) => sum + n, 0);

	let streamed; // the parameters of the stream
	return {
		element: h("div", { class: "view" },
			h("h1", { class: "offscreen" }, title),
			h("section", { class: "figures", "aria-label": "Rates" }, shown.map(([, box]) => box.element)),
			h("div", { class: "toolbar" }, filter.element, which.element,
				page.overview.allowed.peek && h("label", { class: "field" }, h("span", {}, "Peek at values of"), peek),
				h("span", { class: "actions" }, pause, clear), h("span", { class: "end" }, missed, state)),
			failure.element, summary, replicaNote(page, "Only requests to this replica. Groups shows what all replicas hold."),
			h("div", { role: "log", "aria-live": "off", "aria-label": "Pushes" }, list.element)),
		update() {
			const { q = "", outcome: only = "", peek: job = "" } = page.params;
			filter.show(q);
			which.select.value = only;
			if (peek !== document.activeElement) peek.value = job;
			const wanted = JSON.stringify([q, only, job]);
			if (wanted === streamed) return;
			streamed = wanted;
			rows = [];
			waiting = [];
			figuresNow();
			render();
			connect();
		},
		overview() {
			if (page.overview.rates.end < rated) return;
			for (const [name] of figures) rates[name] = page.overview.rates[name];
			figuresNow();
		},
		stop() {
			document.removeEventListener("visibilitychange", connect);
			clearInterval(speak);
			cancelAnimationFrame(frame);
			disconnect();
		},
	};
};
