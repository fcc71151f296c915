// What the answers of the API mean: plain values for the panels to draw. Pure: `now` is an argument.

import { plural, seconds, unitOf, words } from "./format.js";

export const STATUSES = ["error", "stale", "unknown", "warning", "ok"];
const FAILING = new Set(["error", "stale", "unknown"]);
const DYNAMIC = /^(worker|queue|host):|^workers$/;
const HEADLINES = ["percent", "lag", "pending_tasks", "active_connections", "value"];
const OURS = new Set(["status", "reason", "held", "last_status", "last_result", "since", "observed_at", "valid_until",
  "message", "detail", "kind", "critical", "groups", "series", "age_ms", "absent", "name", "check", "stale", "labels", "interval_seconds",
  "timeout_seconds"]);

/** Whether a status fails a critical check. */
export const fails = (status) => FAILING.has(status);

/**
 * A snapshot as the panels need it. What is not valid any more by `now` is stale, whatever it said when it was true.
 * `others` are checks that have no tile, for they have a panel of their own: workers and queues.
 */
export function read(snapshot, now) {
  const checks = new Map(), others = new Map();
  for (const [name, said] of Object.entries(snapshot.checks ?? {})) {
    (DYNAMIC.test(name) ? others : checks).set(name, check(name, said, now));
  }
  for (const each of [...(snapshot.workers ?? []), ...(snapshot.queues ?? [])]) {
    others.set(each.check, check(each.check, { ...each, critical: false }, now));
  }
  for (const [name, said] of Object.entries(snapshot.groups ?? {})) {
    if (!checks.has(name)) checks.set(name, check(name, { kind: "group", critical: false, ...said }, now));
  }
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0]));
  for (const each of checks.values()) counts[each.status] += 1;
  return { checks, others, counts, overall: overall(checks, snapshot.status), workers: snapshot.workers ?? [], queues: snapshot.queues ?? [] };
}

/** A check, its status as of `now`. */
export function check(name, said, now) {
  const validUntil = seconds(said.valid_until);
  const expired = validUntil !== null && validUntil < now && said.status !== "unknown" && !said.held;
  const [status, reason] = expired && said.status !== "stale" ? ["stale", "stale"] : [known(said.status), said.reason];
  return {
    name,
    kind: said.kind ?? name.split(":")[0],
    critical: said.critical ?? true,
    groups: said.groups ?? [],
    status,
    reason: reason ?? null,
    message: said.message ?? null,
    before: expired ? said.status : (said.last_status ?? null),
    since: seconds(said.since),
    observedAt: seconds(said.observed_at),
    validUntil,
    series: said.series && !Array.isArray(said.series) ? Object.keys(said.series) : (said.series ?? []),
    fields: fieldsOf(said),
    detail: said.detail ?? null,
    absent: said.absent ?? false,
  };
}

const known = (status) => (STATUSES.includes(status) ? status : "unknown");

function fieldsOf(said) {
  const fields = {};
  for (const [name, value] of Object.entries(said)) if (!OURS.has(name)) fields[name] = value;
  if (said.series && !Array.isArray(said.series)) {
    for (const [name, value] of Object.entries(said.series)) fields[name] = value?.value ?? value;
  }
  return fields;
}

/** The number a tile shows: `{name, value, unit}`; null when the check has none. */
export function headline(check, preferred) {
  const candidates = [preferred?.series, ...check.series.filter((name) => name !== "response_time_ms"), ...HEADLINES, "response_time_ms"];
  for (const name of candidates) {
    if (name && typeof check.fields[name] === "number") {
      return { name, value: check.fields[name], unit: unitOf(name, name === preferred?.series ? preferred.unit : undefined) };
    }
  }
  return null;
}

function overall(checks, told) {
  const found = [...checks.values()];
  if (told === "unhealthy" || found.some((each) => each.critical && fails(each.status))) return "unhealthy";
  if (told === "degraded" || found.some((each) => each.status !== "ok")) return "degraded";
  return told ?? (found.length ? "healthy" : "unknown");
}

/** Why the verdict is what it is: the groups of checks that are not ok, worst first, each `{status, text, checks}`. */
export function why(view) {
  const found = [...view.checks.values()];
  const parts = [
    ["error", true, (count) => `${plural(count, "critical check")} ${count === 1 ? "fails" : "fail"}`],
    ["stale", true, (count) => `${plural(count, "critical check")} out of date`],
    ["unknown", true, (count) => `${plural(count, "critical check")} not known`],
    ["error", false, (count) => `${plural(count, "other")} ${count === 1 ? "fails" : "fail"}`],
    ["stale", false, (count) => `${plural(count, "other")} out of date`],
    ["unknown", false, (count) => `${plural(count, "other")} not known`],
    ["warning", null, (count) => plural(count, "warning")],
  ];
  return parts.flatMap(([status, critical, text]) => {
    const checks = found.filter((each) => each.status === status && (critical === null || each.critical === critical));
    return checks.length ? [{ status, text: text(checks.length), checks }] : [];
  });
}

/** The status that a verdict looks like. */
export const verdictStatus = (verdict) => ({ healthy: "ok", degraded: "warning", unhealthy: "error" })[verdict] ?? "unknown";

/** Whether a check is to be shown for these words and statuses. */
export function matches(check, query, statuses) {
  if (statuses.size && !statuses.has(check.status)) return false;
  if (!query) return true;
  const text = [check.name, check.kind, ...check.groups, check.status, words(check.reason), check.reason].join(" ").toLowerCase();
  return query.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** Stretches of equal status within a history: `[{status, from, to}]`, in indexes, `to` exclusive. */
export function runs(statuses) {
  const found = [];
  for (let index = 0; index < statuses.length; index += 1) {
    const status = statuses[index] ?? "unobserved", last = found.at(-1);
    if (last?.status === status) last.to = index + 1;
    else found.push({ status, from: index, to: index + 1 });
  }
  return found;
}
