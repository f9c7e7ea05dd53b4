// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// The only place that makes nodes. Every text from outside becomes a text node here, with unseen characters escaped.

import { ago, escapes, plural, stamp } from "./format.js";

// A value can have megabytes; nobody reads them, and the browser would lay them out.
const longest = 2000;

const textNodes = (value) => {
	const text = String(value);
	const parts = escapes(text.slice(0, longest)).map((part, i) => {
		if (i % 2 === 0) return document.createTextNode(part);
		const mark = document.createElement("span");
		mark.className = "escape";
		mark.textContent = part;
		return mark;
	});
	if (text.length > longest) parts.push(h("span", { class: "muted" }, ` … and ${plural(text.length - longest, "more character")}`));
	return parts;
};

const fill = (element, attributes, children) => {
	for (const [name, value] of Object.entries(attributes)) {
		if (name === "on") {
			for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
		} else if (value !== undefined && value !== false) {
			element.setAttribute(name, value === true ? "" : value);
		}
	}
	append(element, children);
	return element;
};

const append = (element, children) => {
	for (const child of children.flat(Infinity)) {
		if (child instanceof Node) element.append(child);
		else if (child !== undefined && child !== false && child !== "") element.append(...textNodes(child));
	}
};

/** Makes an element: h("button", { type: "button", on: { click } }, "Delete"). Children are nodes, texts, lists of them, or undefined. */
export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** Makes an SVG element. */
export const svg = (tag, attributes = {}, ...children) =>
	fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// Makes from's children like those of to. Nodes of the same kind are changed in place: they keep the focus, the selection and their
// listeners, so a listener must not depend on what changes. What somebody has opened stays open.
const morph = (from, to) => {
	const next = [...to.childNodes];
	next.forEach((node, i) => {
		const old = from.childNodes[i];
		if (!old) {
			from.append(node);
		} else if (old.nodeName !== node.nodeName) {
			old.replaceWith(node);
		} else if (!old.isEqualNode(node)) {
			if (old.nodeType === Node.TEXT_NODE) old.data = node.data;
			else {
				for (const { name } of [...old.attributes]) if (name !== "open" && !node.hasAttribute(name)) old.removeAttribute(name);
				for (const { name, value } of node.attributes) old.setAttribute(name, value);
				morph(old, node);
			}
		}
	});
	while (from.childNodes.length > next.length) from.lastChild.remove();
};

/** Changes an element's children to these, in place. */
export const put = (element, ...children) => {
	const next = document.createElement("div");
	append(next, children);
	morph(element, next);
	return element;
};

export const button = (label, click, attributes = {}) => h("button", { type: "button", ...attributes, on: { click } }, label);

/** Calls f after a pause in the calls, with the arguments of the last one. */
export const afterwards = (f, pause = 250) => {
	let timer;
	return (...args) => {
		clearTimeout(timer);
		timer = setTimeout(f, pause, ...args);
	};
};

/** A field to search in. onInput gets the text some time after a key. */
export const search = (label, placeholder, onInput) => {
	const later = afterwards(onInput);
	const input = h("input", { type: "search", placeholder, maxlength: 250, spellcheck: "false", autocomplete: "off", on: { input: () => later(input.value) } });
	return {
		element: h("label", { class: "field search" }, h("span", {}, label), input),
		input,
		show: (text = "") => { if (input !== document.activeElement) input.value = text; },
	};
};

/** A choice: options are pairs of a value and its label. */
export const choice = (label, options, onChange) => {
	const select = h("select", { on: { change: () => onChange(select.value) } }, options.map(([value, text]) => h("option", { value }, text)));
	return { element: h("label", { class: "field" }, h("span", {}, label), select), select };
};

/** A line that says what went wrong, and is not there if nothing did. */
export const problem = () => {
	const element = h("p", { class: "banner bad", role: "alert", hidden: true });
	return { element, show: (text) => { element.hidden = !text; put(element, text); } };
};

/** The labels of a grouping key or of a series. Each side of a pair has its own direction of text. */
export const labels = (pairs) => h("span", { class: "labels" }, pairs.map(([name, value], i) => [
	i > 0 && " ",
	h("span", { class: "label" }, h("bdi", { class: "muted" }, name), "=", h("bdi", { class: value === "" ? "muted" : undefined }, value === "" ? "(empty)" : value)),
]));

/** A time as its age, with the time itself as a tooltip. refreshAges keeps it true. */
export const age = (time) => (time === undefined ? h("span", { class: "muted" }, "never")
	: h("time", { datetime: new Date(time).toISOString(), "data-time": time, title: stamp(time) }, ago(time)));

export const refreshAges = () => {
	for (const element of document.querySelectorAll("time[data-time]")) {
		const text = ago(Number(element.dataset.time));
		if (element.textContent !== text) element.textContent = text;
	}
};

/** A state in words and a sign, since a colour alone says nothing to some. kind: good, warn or bad. */
export const badge = (kind, text) => h("span", { class: `badge ${kind}` },
	h("span", { "aria-hidden": "true" }, { good: "✓", warn: "!", bad: "✕" }[kind]), " ", text);

/** The answer to a push. */
export const outcome = (status, name) => badge(status < 300 ? "good" : "bad", status === undefined ? name : `${status} ${name}`);

/** Pairs of a term and its description; those without a description are left out. */
export const terms = (pairs) => h("dl", {}, pairs.filter(([, value]) => value !== undefined)
	.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));

const copyText = async (text) => {
	if (navigator.clipboard) return navigator.clipboard.writeText(text);
	// Over plain HTTP there is no clipboard but this one.
	const area = h("textarea", { class: "offscreen", "aria-hidden": "true" });
	area.value = text;
	document.body.append(area);
	area.select();
	document.execCommand("copy");
	area.remove();
};

/** A button that copies a text, which is made when it is pressed. */
export const copyButton = (label, text) => {
	const element = button(label, async () => {
		await copyText(text());
		put(element, "Copied");
		setTimeout(() => put(element, label), 1500);
	}, { class: "small" });
	return element;
};

/** A line that says what a view shows of one replica and what of all, if there can be several. */
export const replicaNote = (page, text) => page.overview.groups?.shared && h("p", { class: "muted" }, text);

/** What a list shows instead of rows: a sentence, and a command to try. */
export const emptyState = (sentence, command) => h("div", { class: "empty" }, h("p", {}, sentence),
	command && h("div", { class: "command" }, h("code", {}, command), copyButton("Copy", () => command)));

/** Bars of shares between 0 and 1, one an element, in SVG since the page allows no style attribute. */
export const bar = (share) => svg("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
	svg("rect", { class: "rail", width: 100, height: 10 }), svg("rect", { class: "fill", width: (100 * Math.min(1, Math.max(0, share))).toFixed(2), height: 10 }));

/** A dialog with a title. It is gone once closed; the focus then returns to where it was. */
export const dialog = (title, ...content) => {
	const back = document.activeElement;
	const heading = h("h2", { id: "dialog-title" }, title);
	const element = h("dialog", { "aria-labelledby": "dialog-title" }, heading, content);
	element.addEventListener("close", () => {
		element.remove();
		if (back?.isConnected) back.focus();
	});
	document.body.append(element);
	element.showModal();
	return element;
};

/** Asks before something is done that cannot be undone. With typed, this text has to be typed first. Resolves to the answer. */
export const ask = ({ title, body, action, typed }) => new Promise((resolve) => {
	const confirm = h("button", { type: "submit", class: "danger", disabled: typed !== undefined }, action);
	const input = h("input", { type: "text", inputmode: "numeric", autocomplete: "off", on: { input: () => { confirm.disabled = input.value.trim() !== typed; } } });
	const submit = (event) => {
		event.preventDefault();
		element.returnValue = "yes";
		element.close("yes");
	};
	const cancel = button("Cancel", () => element.close("no"), { autofocus: typed === undefined });
	const form = h("form", { on: { submit } }, body,
		typed !== undefined && h("label", { class: "field" }, h("span", {}, `Type ${typed} to confirm`), input),
		h("div", { class: "actions" }, cancel, confirm));
	const element = dialog(title, form);
	(typed === undefined ? cancel : input).focus();
	element.addEventListener("close", () => resolve(element.returnValue === "yes"));
});
