// Views: the values that the panels show, computed from the API's responses.

import { plural, seconds, unitOf, words } from "./format.js";

export const STATUSES = ["error", "stale", "unknown", "warning", "ok"];
const FAILING = new Set(["error", "stale", "unknown"]);
const HAS_OWN_PANEL = /^(worker|queue|host):|^workers$/;
const HEADLINE_FIELDS = ["percent", "lag", "pending_tasks", "active_connections", "value"];
const COMMON_FIELDS = new Set(["status", "reason", "held", "last_status", "last_result", "since", "observed_at", "valid_until",
  "message", "detail", "kind", "critical", "groups", "series", "age_ms", "absent", "name", "check", "stale", "labels", "interval_seconds",
  "timeout_seconds"]);

/** Return whether a critical check with this status counts as failing. */
export const fails = (status) => FAILING.has(status);

/**
 * Return the view of a snapshot at the time `now`. A check whose result has expired is stale.
 * `checks` are the checks with a tile. `others` are the checks without a tile: workers, queues and hosts.
 */
export function viewOf(snapshot, now) {
  const checks = new Map(), others = new Map();
  for (const [name, entry] of Object.entries(snapshot.checks ?? {})) {
    (HAS_OWN_PANEL.test(name) ? others : checks).set(name, checkOf(name, entry, now));
  }
  for (const each of [...(snapshot.workers ?? []), ...(snapshot.queues ?? [])]) {
    others.set(each.check, checkOf(each.check, { ...each, critical: false }, now));
  }
  for (const [name, entry] of Object.entries(snapshot.groups ?? {})) {
    if (!checks.has(name)) checks.set(name, checkOf(name, { kind: "group", critical: false, ...entry }, now));
  }
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0]));
  for (const each of checks.values()) counts[each.status] += 1;
  return { checks, others, counts, overall: overall(checks, snapshot.status), workers: snapshot.workers ?? [], queues: snapshot.queues ?? [] };
}

/** Return the view of a check, with its status at `now`. */
export function checkOf(name, entry, now) {
  const validUntil = seconds(entry.valid_until);
  const expired = validUntil !== null && validUntil < now && entry.status !== "unknown" && !entry.held;
  const [status, reason] = expired && entry.status !== "stale" ? ["stale", "stale"] : [knownStatus(entry.status), entry.reason];
  return {
    name,
    kind: entry.kind ?? name.split(":")[0],
    critical: entry.critical ?? true,
    groups: entry.groups ?? [],
    status,
    reason: reason ?? null,
    message: entry.message ?? null,
    previousStatus: expired ? entry.status : (entry.last_status ?? null),
    since: seconds(entry.since),
    observedAt: seconds(entry.observed_at),
    validUntil,
    series: entry.series && !Array.isArray(entry.series) ? Object.keys(entry.series) : (entry.series ?? []),
    fields: fieldsOf(entry),
    detail: entry.detail ?? null,
    absent: entry.absent ?? false,
  };
}

const knownStatus = (status) => (STATUSES.includes(status) ? status : "unknown");

function fieldsOf(entry) {
  const fields = {};
  for (const [name, value] of Object.entries(entry)) if (!COMMON_FIELDS.has(name)) fields[name] = value;
  if (entry.series && !Array.isArray(entry.series)) {
    for (const [name, value] of Object.entries(entry.series)) fields[name] = value?.value ?? value;
  }
  return fields;
}

/** Return the number for a tile: `{name, value, unit}`; null if the check has none. */
export function headline(check, preferred) {
  const candidates = [preferred?.series, ...check.series.filter((name) => name !== "response_time_ms"), ...HEADLINE_FIELDS, "response_time_ms"];
  for (const name of candidates) {
    if (name && typeof check.fields[name] === "number") {
      return { name, value: check.fields[name], unit: unitOf(name, name === preferred?.series ? preferred.unit : undefined) };
    }
  }
  return null;
}

function overall(checks, reported) {
  const found = [...checks.values()];
  if (reported === "unhealthy" || found.some((each) => each.critical && fails(each.status))) return "unhealthy";
  if (reported === "degraded" || found.some((each) => each.status !== "ok")) return "degraded";
  return reported ?? (found.length ? "healthy" : "unknown");
}

/** Return the checks that are not ok as groups `{status, text, checks}`, the worst first. They are the reasons of the verdict. */
export function reasonsOf(view) {
  const found = [...view.checks.values()];
  const categories = [
    ["error", true, (count) => `${plural(count, "critical check")} ${count === 1 ? "fails" : "fail"}`],
    ["stale", true, (count) => `${plural(count, "critical check")} out of date`],
    ["unknown", true, (count) => `${plural(count, "critical check")} of unknown status`],
    ["error", false, (count) => `${plural(count, "other check")} ${count === 1 ? "fails" : "fail"}`],
    ["stale", false, (count) => `${plural(count, "other check")} out of date`],
    ["unknown", false, (count) => `${plural(count, "other check")} of unknown status`],
    ["warning", null, (count) => plural(count, "warning")],
  ];
  return categories.flatMap(([status, critical, text]) => {
    const checks = found.filter((each) => each.status === status && (critical === null || each.critical === critical));
    return checks.length ? [{ status, text: text(checks.length), checks }] : [];
  });
}

/** Return the status whose colour and symbol the page uses for an overall verdict. */
export const verdictStatus = (verdict) => ({ healthy: "ok", degraded: "warning", unhealthy: "error" })[verdict] ?? "unknown";

/** Return whether a check matches the filter: all words of `query`, and one of `statuses` unless they are empty. */
export function matches(check, query, statuses) {
  if (statuses.size && !statuses.has(check.status)) return false;
  if (!query) return true;
  const text = [check.name, check.kind, ...check.groups, check.status, words(check.reason), check.reason].join(" ").toLowerCase();
  return query.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** Return the runs of equal status: `[{status, from, to}]`, where `from` is the first index and `to` the index after the last. */
export function runs(statuses) {
  const found = [];
  for (let index = 0; index < statuses.length; index += 1) {
    const status = statuses[index] ?? "unobserved", last = found.at(-1);
    if (last?.status === status) last.to = index + 1;
    else found.push({ status, from: index, to: index + 1 });
  }
  return found;
}
