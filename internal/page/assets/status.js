// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Status: how the receiver is, what waits for the backend, and how it is configured.

import { get, repeat, wipe } from "./api.js";
import { age, ask, badge, bar, button, h, labels, problem, put, replicaNote, terms } from "./dom.js";
import { bytes, count, duration, plural, rate, stamp, until } from "./format.js";
import { table } from "./table.js";

export const title = "Status";

const plain = (n) => count(n);

// What is limited: the limit's key, its label, how much is used, the limit, and how they read.
const limits = ({ groups, inFlight }) => [
	["limits::in_flight_bytes", "Bytes in flight", inFlight.bytes, inFlight.limit, bytes],
	...(groups ? [
		["groups::max_groups", "Groups", groups.groups, groups.maxGroups, plain],
		["groups::max_series", "Series", groups.series, groups.maxSeries, plain],
		["groups::max_bytes", "Size of the series", groups.bytes, groups.maxBytes, bytes],
	] : []),
	...(groups?.pushers === undefined ? [] : [["groups::max_pushers", "Pushers of aggregates", groups.pushers, groups.maxPushers, plain]]),
];

const limitColumns = [
	{ title: "Limit", wide: true, cell: ([key, label]) => [label, h("div", { class: "muted mono" }, key)] },
	{ title: "Used", number: true, cell: ([, , used, , read]) => read(used) },
	{ title: "Of", number: true, cell: ([, , , limit, read]) => (limit === undefined ? "no limit" : read(limit)) },
	{ title: "Share", cell: ([, , used, limit]) => limit && h("span", { class: "share" }, bar(used / limit), `${Math.round(100 * used / limit)} %`) },
];

const exportColumns = [
	{ title: "Answer of the next consumer", wide: true, cell: ({ outcome }) => (outcome === "accepted" ? badge("good", outcome) : badge("bad", outcome)) },
	{ title: "Exports", number: true, cell: ({ count: n }) => count(n) },
];

/** Columns of a part of a group that the backend refuses for good. */
export const quarantineColumns = [
	{
		title: "Part", wide: true,
		cell: (part) => [part.key && h("a", { href: `#/groups?${new URLSearchParams({ group: part.path })}` }, labels(part.key)), part.key && " ",
			part.part, h("div", { class: "reason" }, part.error)],
	},
	{ title: "Series", number: true, cell: (part) => count(part.series) },
	{ title: "Since", number: true, cell: (part) => age(part.since) },
	{ title: "Next try", number: true, cell: (part) => until(part.retry) },
];

// The state of the database that replicas share. A replica that cannot reach it refuses pushes.
const databaseState = ({ error, synchronous, connections, maxConnections }) => [
	error ? badge("bad", "not reached") : badge("good", "reached"), ` ${connections} of ${maxConnections} connections in use`,
	error && h("div", { class: "reason" }, error),
	error && h("div", { class: "muted" }, "Counts of groups and what waits are the last known."),
	!error && !synchronous && h("div", { class: "muted" }, "Commits wait for no standby: a failover can lose acknowledged pushes."),
];

const settingColumns = [
	{ title: "Setting", class: "mono", cell: ({ key }) => key },
	{ title: "Value", wide: true, class: "mono", cell: ({ value }) => (value === "" ? h("span", { class: "muted" }, "(empty)") : value) },
	{ title: "Set by", cell: (setting) => (setting.default ? h("span", { class: "muted" }, "default") : "configuration") },
];

const section = (heading, ...content) => h("section", { class: "panel" }, h("h2", {}, heading), content);

export const start = (page) => {
	const failure = problem();
	const unwiped = problem();
	const state = h("div", {});
	const waiting = h("div", {});
	const limitTable = table({ columns: limitColumns, caption: "Limits", key: ([key]) => key });
	const exportTable = table({ columns: exportColumns, caption: "Exports by answer", key: ({ outcome }) => outcome });
	const quarantine = table({ columns: quarantineColumns, caption: "Parts that the backend refuses for good", key: (part) => part.path + part.part });
	const quarantined = h("div", {}, h("h3", {}, "Refused for good by the backend"), quarantine.element);
	const settings = table({ columns: settingColumns, caption: "Settings", key: ({ key }) => key });
	const build = h("div", {});

	const wipeAll = async () => {
		const number = page.overview.groups.groups;
		const sure = await ask({
			title: "Wipe all groups?",
			body: h("p", {}, `This deletes ${plural(number, "group")} and ends all their series, for everybody. It cannot be undone.`),
			action: "Wipe all groups",
			typed: String(number),
		});
		if (!sure) return;
		await wipe().then(() => unwiped.show(), (error) => unwiped.show(`The groups were not wiped: ${error.message}`));
		page.refresh();
	};

	const overview = () => {
		const { ready, started, now, viewers, maxViewers, totals, rates, groups, outbox, exports, mode } = page.overview;
		const mean = (name) => rate(rates[name].slice(-60).reduce((sum, n) => sum + n, 0) / 60);
		put(state, terms([
			["State", ready ? badge("good", "ready") : badge("warn", groups?.database ? "waiting for the database" : "restoring groups")],
			["Mode", mode === "groups" ? "groups: the last push of each group is stored" : "proxy: pushes are forwarded, nothing is stored"],
			["Started", `${stamp(started)}, ${duration(now - started)} ago`],
			["Pushes accepted", `${count(totals.accepted)}, ${mean("accepted")} in the last minute`],
			["Pushes refused", `${count(totals.refused)}, ${mean("refused")} in the last minute`],
			["Series received", `${count(totals.series)}, ${mean("series")} in the last minute`],
			["Bytes received", bytes(totals.bytes)],
			["Groups deleted", groups && count(totals.deleted)],
			["Storage", groups && (groups.storage ?? badge("warn", "memory only, lost on restart"))],
			["Database", groups?.database && databaseState(groups.database)],
			["Expiry", groups && (groups.ttl === undefined ? "never" : `${duration(groups.ttl)} after the last push`)],
			["Viewers", maxViewers && `${viewers} of at most ${maxViewers}`],
		]));
		limitTable.update(limits(page.overview));
		exportTable.update(exports);
		put(waiting, terms([
			["Points exported", count(totals.points)],
			["Groups that wait", outbox && (outbox.waiting === 0 ? "none" : [count(outbox.waiting), ", the oldest change ", age(outbox.oldest)])],
			["Markers pending", groups && count(groups.pendingMarkers)],
			["Every group again", groups && (groups.republishInterval === undefined ? "never" : `every ${duration(groups.republishInterval)}`)],
			["Refused for good", outbox && (outbox.quarantinedTotal === 0 ? "nothing" : badge("bad", plural(outbox.quarantinedTotal, "part")))],
		]));
		quarantined.hidden = !outbox?.quarantined.length;
		quarantine.update(outbox?.quarantined ?? []);
	};

	const load = repeat(60_000, async (signal) => {
		const status = await get("status", {}, signal);
		settings.update(status.settings);
		put(build, terms([
			["Collector", `${status.build.name} ${status.build.version}`],
			["Description", status.build.description],
			["Go", status.build.go],
		]));
	}, failure.show);

	return {
		element: h("div", { class: "view" },
			h("h1", { class: "offscreen" }, title), failure.element,
			replicaNote(page, "Counts of pushes and exports are of this replica. Groups, their limits and what waits are of all replicas."),
			h("div", { class: "panels" },
				h("div", {}, section("Receiver", state), section("Limits", limitTable.element)),
				h("div", {}, section("Exports", waiting, exportTable.element, quarantined), section("Build", build))),
			section("Settings", settings.element),
			page.overview.allowed.wipe && section("Danger", h("p", {}, "Deletes every group and ends all series."), button("Wipe all groups…", wipeAll, { class: "danger" }), unwiped.element)),
		update: overview,
		overview,
		stop: load.stop,
	};
};
