// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// The frame of the page: navigation, theme, and the view that the URL's hash names, such as #/groups?q=nightly&sort=push.

import { get, repeat } from "./api.js";
import { h, put, refreshAges } from "./dom.js";
import { duration, setClock } from "./format.js";
import * as groups from "./groups.js";
import * as jobs from "./jobs.js";
import * as live from "./live.js";
import * as refused from "./refused.js";
import * as status from "./status.js";

// In the order of the navigation. A view exports title and start(page). That returns its element, update(), which is called when
// the hash's parameters have changed, overview(), when page.overview is new, and stop(); the last two can be absent.
const views = { live, jobs, groups, refused, status };

const element = (id) => document.getElementById(id);
let current = {}; // { name, view }

/** What views know of the page. */
const page = {
	overview: undefined,
	params: {},
	/** Changes parameters of the hash, "" or undefined to leave one out. With push, the browser's back button returns to before. */
	set(changes, push = false) {
		const params = Object.entries({ ...page.params, ...changes }).filter(([, value]) => value !== undefined && value !== "");
		const hash = `#/${current.name}${params.length ? `?${new URLSearchParams(params)}` : ""}`;
		if (hash === location.hash) return;
		history[push ? "pushState" : "replaceState"](null, "", hash);
		route();
	},
	/** Asks for the overview now. */
	refresh: () => overviews.now(),
};

const route = () => {
	const allowed = page.overview.allowed;
	const [, wanted, query] = /^#\/(\w*)\??(.*)$/s.exec(location.hash) ?? [];
	const name = views[wanted] && allowed[wanted] ? wanted : ["live", "groups", "jobs", "status"].find((view) => allowed[view]);
	page.params = name === wanted ? Object.fromEntries(new URLSearchParams(query)) : {};
	if (name !== current.name) {
		current.view?.stop?.();
		current = { name };
		current.view = views[name].start(page);
		element("main").replaceChildren(current.view.element);
		document.title = `${views[name].title} – Pushgateway`;
		navigation(allowed);
	}
	current.view.update();
};

const navigation = (allowed) => put(element("views"), Object.keys(views).filter((name) => allowed[name])
	.map((name) => h("a", { href: `#/${name}`, "aria-current": name === current.name && "page" }, views[name].title)));

const banner = (text) => {
	element("banner").hidden = !text;
	put(element("banner"), text);
};

const restoring = "The groups are not ready after a start. Pushes get 503 until they are.";

const overviews = repeat(5000, async (signal) => {
	const overview = await get("overview", {}, signal);
	setClock(overview.now);
	const first = !page.overview;
	page.overview = overview;
	const { name, version } = overview.build;
	put(element("about"), `${name} ${version} · ${overview.mode === "groups" ? "groups" : "proxy"} · up ${duration(overview.now - overview.started)}`);
	if (first) {
		addEventListener("hashchange", route);
		route();
	}
	navigation(overview.allowed);
	current.view.overview?.();
}, (failure) => banner(failure ?? (page.overview.ready ? undefined : restoring)));

setInterval(() => { if (!document.hidden) refreshAges(); }, 1000);

// The skip link must not become a view's hash.
document.querySelector(".skip").addEventListener("click", (event) => {
	event.preventDefault();
	element("main").focus();
});

const themes = ["auto", "light", "dark"];
const theme = (name) => {
	document.documentElement.dataset.theme = name;
	put(element("theme"), `Theme: ${name}`);
};
theme(document.documentElement.dataset.theme);
element("theme").addEventListener("click", () => {
	const next = themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length];
	theme(next);
	try {
		localStorage.setItem("theme", next);
	} catch {
		// Without storage the choice lasts as long as the page.
	}
});
