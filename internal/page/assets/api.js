// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Requests to the receiver. Every URL is relative to the page, so that the page works under any prefix.

/** An absolute URL of the receiver, without the credentials that the page's own URL can have: browsers refuse requests with them. */
export const absolute = (path) => new URL(path, location.origin + location.pathname).href;

const refusal = async (response) => {
	const text = (await response.text()).trim();
	try {
		return JSON.parse(text).error;
	} catch {
		// A proxy in front answers with a page of its own.
		return response.headers.get("Content-Type")?.startsWith("text/plain") && text ? text : `${response.status} ${response.statusText}`;
	}
};

/** What a person can be told, unlike an error of this code. */
class Problem extends Error {}

const request = async (url, options) => {
	const response = await fetch(absolute(url), { cache: "no-store", ...options }).catch((error) => {
		throw error instanceof TypeError ? new Problem("The receiver does not answer. Trying again…") : error;
	});
	if (!response.ok) throw new Problem(await refusal(response));
	return response;
};

/** The relative URL of a list or a stream; parameters that are empty are left out. */
export const apiURL = (name, params = {}) => {
	const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== "");
	return `ui/api/${name}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
};

/** The data of an answer of the API. Throws an Error with the receiver's words. */
export const get = async (name, params, signal) => (await (await request(apiURL(name, params), { signal })).json()).data;

/** The receiver's words for why it refuses a stream, which an EventSource does not tell; undefined if it does not refuse. */
export const refusalOf = async (url) => {
	const asked = new AbortController();
	const response = await fetch(absolute(url), { cache: "no-store", signal: asked.signal });
	if (!response.ok) return refusal(response);
	asked.abort();
	return undefined;
};

export const deleteGroup = (path) => request(path, { method: "DELETE" });
export const wipe = () => request("api/v1/admin/wipe", { method: "PUT" });

/**
 * Runs a task now and then so many milliseconds after it has ended, but not while the page is hidden. The task gets a signal that
 * aborts it. report gets the text of its error, or undefined after a success.
 */
export const repeat = (pause, task, report) => {
	let timer;
	let current = new AbortController();
	const run = async () => {
		clearTimeout(timer);
		current.abort();
		const mine = current = new AbortController();
		try {
			if (!document.hidden) await task(mine.signal);
			report();
		} catch (error) {
			if (mine.signal.aborted) return;
			if (!(error instanceof Problem)) throw error;
			report(error.message);
		} finally {
			if (!mine.signal.aborted) timer = setTimeout(run, pause);
		}
	};
	const woken = () => { if (!document.hidden) run(); };
	document.addEventListener("visibilitychange", woken);
	run();
	return {
		now: run,
		stop() {
			document.removeEventListener("visibilitychange", woken);
			clearTimeout(timer);
			current.abort();
		},
	};
};
