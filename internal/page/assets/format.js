// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Numbers, sizes and times as a person reads them. Times and durations are in
// milliseconds, and times are shown in the browser's zone. What is undefined is empty.

/** 8112 → "8,112" */
export const count = (n) => (n === undefined ? "" : n.toLocaleString("en"));

/** 2, "group" → "2 groups" */
export const plural = (n, noun, nouns = `${noun}s`) => `${count(n)} ${n === 1 ? noun : nouns}`;

const scaled = (n, base, units) => {
	let unit = 0;
	for (; Math.abs(n) >= base && unit < units.length - 1; unit++) n /= base;
	return [unit === 0 || n >= 100 ? Math.round(n) : Number(n.toFixed(1)), units[unit]];
};

/** 1234567 → "1.2 MiB" */
export const bytes = (n) => (n === undefined ? "" : scaled(n, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]).join(" "));

/** A number a second: 9123.4 → "9.1k/s" */
export const rate = (n) => {
	if (n > 0 && n < 10) return n < 0.1 ? "<0.1/s" : `${n.toFixed(1)}/s`;
	return `${scaled(n, 1000, ["", "k", "M", "G"]).join("")}/s`;
};

const units = [["d", 86400e3], ["h", 3600e3], ["min", 60e3], ["s", 1e3]];

/** In the two largest units: 5400000 → "1 h 30 min", 3.2 → "3.2 ms" */
export const duration = (ms) => {
	if (ms === undefined) return "";
	if (ms < 999.5) return `${Number(ms.toPrecision(ms < 10 ? 2 : 3))} ms`;
	if (ms < 9950) return `${Number((ms / 1e3).toFixed(1))} s`;
	let rest = Math.round(ms / 1e3) * 1e3;
	const first = units.findIndex(([, size]) => rest >= size);
	return units.slice(first, first + 2).map(([unit, size]) => {
		const n = Math.floor(rest / size);
		rest -= n * size;
		return n && `${n} ${unit}`;
	}).filter(Boolean).join(" ");
};

/** In one unit, so that a column stays calm; from two of a unit on: 93784000 → "26 h" */
export const coarse = (ms) => {
	const [unit, size] = units.find(([, each]) => ms >= 2 * each) ?? units.at(-1);
	return `${Math.floor(ms / size)} ${unit}`;
};

// The receiver's clock minus this browser's. Ages are those of the receiver's clock.
let skew = 0;
export const setClock = (now) => { skew = now - Date.now(); };

/** "4 s ago" */
export const ago = (time) => (time === undefined ? "never" : `${coarse(Math.max(0, Date.now() + skew - time))} ago`);

/** "in 6 d" */
export const until = (time) => (time === undefined ? "never" : `in ${coarse(Math.max(0, time - Date.now() - skew))}`);

const digits = (n, width = 2) => String(n).padStart(width, "0");

/** "12:04:31", and with milliseconds "12:04:31.220" */
export const clock = (time, precise = false) => {
	const t = new Date(time);
	const seconds = [t.getHours(), t.getMinutes(), t.getSeconds()].map((n) => digits(n)).join(":");
	return precise ? `${seconds}.${digits(t.getMilliseconds(), 3)}` : seconds;
};

/** The browser's zone at a time: "UTC+01:00" */
export const zone = (time = Date.now()) => {
	const east = -new Date(time).getTimezoneOffset();
	const minutes = Math.abs(east);
	return east === 0 ? "UTC" : `UTC${east < 0 ? "−" : "+"}${digits(Math.floor(minutes / 60))}:${digits(minutes % 60)}`;
};

/** "2026-11-01 10:00:12 UTC+01:00" */
export const stamp = (time) => {
	const t = new Date(time);
	return `${t.getFullYear()}-${digits(t.getMonth() + 1)}-${digits(t.getDate())} ${clock(time)} ${zone(time)}`;
};

/** The time that a value means, if it looks like seconds or milliseconds of the years 2001 to 2096; else undefined. */
export const timeIn = (value) => {
	const n = Number(value);
	if (n >= 1e9 && n < 4e9) return n * 1e3;
	return n >= 1e12 && n < 4e12 ? n : undefined;
};

// Controls, marks that turn the direction of text, characters without a shape, and halves of surrogate pairs.
const unseen = /([\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|\p{Surrogate})/u;
const named = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Splits a text into [plain, escape, plain, …], so that every character can be seen: "a\u202eb" → ["a", "\\u202e", "b"] */
export const escapes = (text) => text.split(unseen).map((part, i) => {
	if (i % 2 === 0) return part;
	const code = part.codePointAt(0).toString(16);
	return named[part] ?? (code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`);
});
