// Numbers, ages and times as people read them. Pure: no document, no clock.

const UNITS = { x: "×" };
const SUFFIXES = [["_ms", "ms"], ["_seconds", "s"], ["_mb", "MiB"], ["_kb", "KiB"], ["_bytes", "B"],
  ["_ratio_max", "×"], ["_ratio", "×"], ["percent", "%"], ["_per_second", "/s"], ["_rate", "/s"]];

/** The unit of a number, as it is written behind it. `told` is what the API calls it, if it does. */
export function unitOf(name, told) {
  if (told !== undefined && told !== null) return UNITS[told] ?? told;
  return SUFFIXES.find(([suffix]) => name.endsWith(suffix))?.[1] ?? "";
}

/** Whether a field is a moment: a number of epoch seconds whose name says so. */
export function isMoment(name, value) {
  return typeof value === "number" && /(^|_)(at|since)$/.test(name) && value >= 1e9 && value < 1e11;
}

/** A field's name in words, without its unit: `response_time_ms` is "response time". */
export function label(name) {
  return name.replace(/_(ms|seconds|mb)$/, "").replaceAll("_", " ");
}

/** A code in words: `above_threshold` is "above threshold". */
export function words(code) {
  return code ? String(code).replaceAll("_", " ") : "";
}

/** A number to three places, with its unit: large ones shortened, durations in the unit that suits them. */
export function quantity(value, unit = "") {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  if (unit === "ms" && Math.abs(value) >= 10_000) return duration(value / 1000);
  if (unit === "ms" && Math.abs(value) >= 1000) return `${places(value / 1000)} s`;
  if (unit === "s" && Math.abs(value) >= 120) return duration(value);
  if (unit === "MiB" && Math.abs(value) >= 1024) return `${places(value / 1024)} GiB`;
  const space = unit === "%" || unit === "×" || unit === "/s" ? "" : " ";
  return unit ? `${places(value)}${space}${unit}` : places(value);
}

function places(value) {
  const size = Math.abs(value);
  for (const [limit, word] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= limit) return `${trimmed(value / (limit === 1e4 ? 1e3 : limit), 1)}${word}`;
  }
  if (size >= 100) return String(Math.round(value));
  return trimmed(value, size >= 10 ? 1 : 2);
}

function trimmed(value, digits) {
  return String(Number(value.toFixed(digits)));
}

/** A duration in seconds, in its one or two largest units. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(whole, 60, "min", 1, "s", whole < 600);
  if (whole < 86_400) return pair(whole, 3600, "h", 60, "min", true);
  return pair(whole, 86_400, "d", 3600, "h", whole < 864_000);
}

function pair(seconds, size, unit, below, unitBelow, both) {
  const rest = Math.floor((seconds % size) / below);
  return `${Math.floor(seconds / size)} ${unit}${both && rest ? ` ${rest} ${unitBelow}` : ""}`;
}

/** How old something is; what is newer than two seconds is "now". */
export function age(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 2) return "now";
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  return duration(seconds).split(" ").slice(0, 2).join(" ");
}

/** A share as a percentage, never rounded up: an outage stays visible. */
export function percentage(share) {
  if (typeof share !== "number") return "–";
  return share >= 1 ? "100%" : `${(Math.floor(share * 10_000 + 1e-6) / 100).toFixed(2)}%`;
}

/** Epoch seconds of a number or an ISO 8601 text; null for anything else. */
export function seconds(value) {
  if (typeof value === "number") return value;
  const parsed = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(parsed) ? null : parsed / 1000;
}

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

/** The time of day, local. */
export const clock = (at) => TIME.format(new Date(at * 1000));
/** The day, local. */
export const day = (at) => DAY.format(new Date(at * 1000));
/** A day of the roll-ups, which is one of UTC. */
export const date = (text) => DATE.format(new Date(`${text}T00:00:00Z`));
/** The moment: the time of day, with its day unless that is today's. */
export const moment = (at, now) => (day(at) === day(now) ? clock(at) : `${day(at)}, ${clock(at)}`);

/** "1 check", "2 checks". */
export const plural = (count, word, many = `${word}s`) => `${count} ${count === 1 ? word : many}`;
