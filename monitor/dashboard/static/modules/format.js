// Numbers, ages and times as text. These functions do not use the document or a clock.

const UNITS = { x: "×" };
const SUFFIXES = [["_ms", "ms"], ["_seconds", "s"], ["_mb", "MiB"], ["_kb", "KiB"], ["_bytes", "B"],
  ["_ratio_max", "×"], ["_ratio", "×"], ["percent", "%"], ["_per_second", "/s"], ["_rate", "/s"]];

/** Return the unit of a number as text. `apiUnit` is the unit in the API's response, if the response has a unit. */
export function unitOf(name, apiUnit) {
  if (apiUnit !== undefined && apiUnit !== null) return UNITS[apiUnit] ?? apiUnit;
  return SUFFIXES.find(([suffix]) => name.endsWith(suffix))?.[1] ?? "";
}

/** Return whether a field is a time: epoch seconds, and a name that ends with `at` or `since`. */
export function isMoment(name, value) {
  return typeof value === "number" && /(^|_)(at|since)$/.test(name) && value >= 1e9 && value < 1e11;
}

/** Return a field's name in words, without its unit: "response time" for `response_time_ms`. */
export function label(name) {
  return name.replace(/_(ms|seconds|mb)$/, "").replaceAll("_", " ");
}

/** Return a code in words: "above threshold" for `above_threshold`. */
export function words(code) {
  return code ? String(code).replaceAll("_", " ") : "";
}

/** Return a number with its unit and about three digits: large numbers with k, M or G, durations in a suitable unit. */
export function quantity(value, unit = "") {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  if (unit === "ms" && Math.abs(value) >= 10_000) return duration(value / 1000);
  if (unit === "ms" && Math.abs(value) >= 1000) return `${threeDigits(value / 1000)} s`;
  if (unit === "s" && Math.abs(value) >= 120) return duration(value);
  if (unit === "MiB" && Math.abs(value) >= 1024) return `${threeDigits(value / 1024)} GiB`;
  const space = unit === "%" || unit === "×" || unit === "/s" ? "" : " ";
  return unit ? `${threeDigits(value)}${space}${unit}` : threeDigits(value);
}

function threeDigits(value) {
  const size = Math.abs(value);
  for (const [limit, word] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= limit) return `${withoutZeros(value / (limit === 1e4 ? 1e3 : limit), 1)}${word}`;
  }
  if (size >= 100) return String(Math.round(value));
  return withoutZeros(value, size >= 10 ? 1 : 2);
}

function withoutZeros(value, digits) {
  return String(Number(value.toFixed(digits)));
}

/** Return a duration, given in seconds, in its one or two largest units. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const rounded = Math.max(0, Math.round(seconds));
  if (rounded < 60) return `${rounded} s`;
  if (rounded < 3600) return twoUnits(rounded, 60, "min", 1, "s", rounded < 600);
  if (rounded < 86_400) return twoUnits(rounded, 3600, "h", 60, "min", true);
  return twoUnits(rounded, 86_400, "d", 3600, "h", rounded < 864_000);
}

function twoUnits(seconds, size, unit, below, unitBelow, both) {
  const rest = Math.floor((seconds % size) / below);
  return `${Math.floor(seconds / size)} ${unit}${both && rest ? ` ${rest} ${unitBelow}` : ""}`;
}

/** Return an age, given in seconds; "now" below two seconds. */
export function age(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 2) return "now";
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  return duration(seconds).split(" ").slice(0, 2).join(" ");
}

/** Return a share as a percentage, rounded down so that an outage stays visible. */
export function percentage(share) {
  if (typeof share !== "number") return "–";
  return share >= 1 ? "100%" : `${(Math.floor(share * 10_000 + 1e-6) / 100).toFixed(2)}%`;
}

/** Return the epoch seconds of a number or an ISO 8601 text; null for anything else. */
export function seconds(value) {
  if (typeof value === "number") return value;
  const parsed = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(parsed) ? null : parsed / 1000;
}

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

/** Return the local time of day. */
export const clock = (at) => TIME.format(new Date(at * 1000));
/** Return the local day. */
export const day = (at) => DAY.format(new Date(at * 1000));
/** Return the date of a UTC day, which roll-ups use. */
export const date = (text) => DATE.format(new Date(`${text}T00:00:00Z`));
/** Return the local time of day, with the day unless it is today. */
export const moment = (at, now) => (day(at) === day(now) ? clock(at) : `${day(at)}, ${clock(at)}`);

/** Return a count with its noun: "1 check", "2 checks". */
export const plural = (count, word, many = `${word}s`) => `${count} ${count === 1 ? word : many}`;
