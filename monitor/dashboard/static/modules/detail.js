// One check: how it is, how it was, and all that is known of it.

import { Question } from "./api.js";
import { Chart } from "./chart.js";
import { byId, h, icon, Keyed, setAttribute, setIcon, setStatus, setText, show } from "./dom.js";
import { age, clock, duration, isMoment, label, moment, percentage, plural, quantity, unitOf, words } from "./format.js";
import { makeRow } from "./events.js";
import { RANGES } from "./route.js";
import { Bars, said, WINDOWS, worst } from "./uptime.js";

const SECONDS = { "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000, "90d": 7_776_000 };
const AT_MOST_CHARTS = 6, CHANGES = 8, FINE_SECONDS = 21_600;

export class Detail {
  constructor(api, route, on) {
    this.api = api;
    this.route = route;
    this.on = on;
    this.node = byId("detail");
    this.history = new Question(api, "history/");
    this.uptime = new Question(api, "uptime/");
    this.charts = new Map();
    this.check = null;
    this.zoom = null;
    this.build();
  }

  build() {
    this.icon = icon("unknown");
    this.title = h("h2", { id: "detail-title", tabindex: "-1" });
    this.state = h("p", { class: "detail-state" });
    this.message = h("p", { class: "detail-message" });
    this.ranges = RANGES.map((range) => h("button", { type: "button", class: "range", on: { click: () => this.choose(range) } }, range));
    this.back = h("button", { type: "button", class: "range", on: { click: () => this.zoomTo(null, null) } }, "Zoom out");
    this.note = h("p", { class: "note" });
    this.plots = h("div", { class: "charts" });
    this.windows = new Keyed(h("div", { class: "windows" }), (each) => each.window, makeWindow);
    this.bars = new Bars();
    this.days = h("ul", { class: "days" });
    this.daysBox = h("details", {}, h("summary", {}, "Days that were not all fine"), this.days);
    this.changes = new Keyed(h("ol"), (each) => each.key, (each) => makeRow(each, true));
    this.changesBox = h("div", {}, h("h3", {}, "Last changes"), this.changes.parent);
    this.fields = new Keyed(h("tbody"), ([name]) => name, makeField);
    this.csv = h("a", { download: "" }, "CSV");
    this.json = h("a", {}, "JSON");
    this.node.append(
      h("div", { class: "detail-head" }, this.icon, this.title,
        h("button", { type: "button", class: "close", "aria-label": "Close", on: { click: () => this.on.close() } }, "×")),
      this.state, this.message,
      h("div", { class: "ranges", role: "group", "aria-label": "Time shown" }, this.ranges, this.back,
        h("span", { class: "links" }, this.csv, " ", this.json)),
      this.note, this.plots,
      h("p", { class: "hint" }, "Drag to zoom. Click, or press Enter, to see everything as it was at that moment."),
      h("h3", {}, "Uptime"), this.windows.parent, this.bars.node, this.daysBox, this.changesBox,
      h("h3", {}, "What is known"), h("table", { class: "fields" }, h("caption", { class: "unseen" }, "All fields"), this.fields.parent));
  }

  /** Show this check (null: none), as the view has it. */
  update(view, now, past, events) {
    const name = this.route.check, check = view?.checks.get(name) ?? view?.others.get(name) ?? null;
    if (name !== this.check) this.open(name);
    show(this.node, Boolean(name));
    document.documentElement.classList.toggle("has-detail", Boolean(name));
    if (!name) return;
    setText(this.title, name);
    const status = check?.status ?? "unknown";
    setStatus(this.node, status);
    setIcon(this.icon, status);
    setText(this.state, check ? stateOf(check, now, past) : "There is no check of this name.");
    setText(this.message, check?.message ?? "");
    show(this.message, Boolean(check?.message));
    this.ranges.forEach((each) => setAttribute(each, "aria-pressed", String(!this.zoom && each.textContent === this.route.range)));
    show(this.back, Boolean(this.zoom));
    for (const each of this.charts.values()) each.mark(this.route.at);
    const mine = events.filter((each) => each.check === name && (!past || each.at <= this.route.at)).slice(-CHANGES).reverse();
    this.changes.update(mine.map((each) => ({ key: each.id ?? each.cursor, ...each })), this.on.now());
    show(this.changesBox, mine.length > 0);
    this.fields.update(check ? fieldsOf(check, now) : []);
    setAttribute(this.csv, "href", this.api.url("history/", { ...this.question(), format: "csv" }));
    setAttribute(this.json, "href", this.api.url(`checks/${encodeURIComponent(name)}/`));
  }

  open(name) {
    this.check = name;
    this.zoom = null;
    this.clear();
    this.range = this.route.range;
    if (name) void this.refresh();
  }

  clear() {
    for (const each of this.charts.values()) each.destroy();
    this.charts.clear();
    this.history.close();
    this.uptime.close();
    setText(this.note, this.check ? "Reading the history." : "");
    this.windows.update([]);
    this.bars.update([]);
    show(this.bars.node, false);
    show(this.daysBox, false);
    this.node.scrollTop = 0;
  }

  choose(range) {
    this.zoom = null;
    this.route.go({ range });
    void this.refresh();
  }

  zoomTo(since, until) {
    this.zoom = since === null ? null : { since, until: Math.min(until, this.on.now()) };
    show(this.back, Boolean(this.zoom));
    void this.refresh();
  }

  question() {
    const name = this.check;
    if (this.zoom) return { check: name, since: this.zoom.since.toFixed(3), until: this.zoom.until.toFixed(3) };
    // Where observations begin within the range: from there on, they are finer than roll-ups that reach further.
    const raw = this.on.reach(), seconds = SECONDS[this.route.range];
    const since = raw && seconds <= FINE_SECONDS && raw > this.on.now() - seconds ? String(raw) : `-${this.route.range}`;
    return { check: name, since };
  }

  /** Ask for the history and the figures again; what did not change costs next to nothing. */
  async refresh() {
    if (!this.check) return;
    const parts = [this.refreshHistory(), this.refreshUptime()];
    await Promise.all(parts);
  }

  async refreshHistory() {
    try {
      const answer = await this.history.ask(this.question());
      if (answer) this.draw(answer);
    } catch (failure) {
      if (failure.kind === "aborted") return;
      setText(this.note, troubleOf(failure));
    }
  }

  async refreshUptime() {
    try {
      const answer = await this.uptime.ask({ check: this.check, window: WINDOWS.join(","), days: 90 });
      const mine = answer?.checks[this.check];
      if (!mine) return;
      this.windows.update(WINDOWS.filter((each) => mine.windows[each]).map((each) => ({ window: each, ...mine.windows[each] })));
      this.bars.update(mine.days ?? []);
      show(this.bars.node, true);
      const odd = (mine.days ?? []).filter((each) => !["ok", "unobserved"].includes(worst(each))).reverse();
      this.days.replaceChildren(...odd.map((each) => h("li", {}, said(each))));
      show(this.daysBox, odd.length > 0);
    } catch (failure) {
      if (!failure.kind) throw failure;
    }
  }

  draw(history) {
    const names = ordered(Object.keys(history.series)).slice(0, AT_MOST_CHARTS);
    for (const [name, chart] of this.charts) {
      if (names.includes(name)) continue;
      chart.destroy();
      this.charts.delete(name);
    }
    for (const name of names) {
      let chart = this.charts.get(name);
      if (!chart) {
        chart = new Chart(name, { now: this.on.now, pick: (at) => this.on.pick(at), zoom: (since, until) => this.zoomTo(since, until) }, "detail",
          names.length === 1 ? 220 : 140);
        this.charts.set(name, chart);
        this.plots.append(chart.node);
        chart.mark(this.route.at);
      }
      chart.update(history);
    }
    const { raw, rollups } = history.reaches ?? {};
    const reach = history.resolution === "raw" ? raw : rollups;
    const wanted = this.zoom?.since ?? this.on.now() - SECONDS[this.route.range];
    const missing = typeof reach === "number" && reach > wanted + history.step_seconds ? ` History begins ${moment(reach, this.on.now())}.` : "";
    setText(this.note, names.length
      ? `${history.resolution === "raw" ? "Single observations" : "Five-minute roll-ups"}, a point for every ${duration(history.step_seconds)}${this.zoom ? `, ${moment(this.zoom.since, this.on.now())} to ${clock(this.zoom.until)}` : ""}.${missing}`
      : "Nothing is kept of this time: history may be off, or have been lost.");
  }

  restyle() {
    for (const each of this.charts.values()) each.restyle();
  }
}

/** Why a part of the page is missing, in words. */
export function troubleOf(failure) {
  if (failure.kind === "unavailable") return "History cannot be read just now: the store does not answer. It is tried again.";
  if (failure.kind === "absent") return "There is no history here: it is off, or this was never observed.";
  if (failure.kind === "refused") return "You are not logged in any more.";
  if (failure.kind === "wrong") return `The server refused the question: ${failure.message}`;
  return "The server does not answer.";
}

const ordered = (names) => names.toSorted((a, b) => Number(a === "response_time_ms") - Number(b === "response_time_ms"));

function stateOf(check, now, past) {
  const said = [`${check.status}${check.reason && words(check.reason) !== check.status ? `: ${words(check.reason)}` : ""}`];
  if (check.since !== null) said.push(`for ${duration(now - check.since)}`);
  if (check.observedAt !== null && !past) said.push(`observed ${age(now - check.observedAt)}${now - check.observedAt < 2 ? "" : " ago"}`);
  said.push(check.kind, check.critical ? "critical" : "not critical");
  if (check.groups.length) said.push(`in ${check.groups.join(", ")}`);
  return said.join(" · ");
}

function fieldsOf(check, now) {
  const shown = (name, value) => (isMoment(name, value) ? moment(value, now) : null);
  const rows = Object.entries(check.fields)
    .map(([name, value]) => [name, shown(name, value) ?? (typeof value === "number" ? quantity(value, unitOf(name)) : plain(value, shown))]);
  const detail = Object.entries(check.detail ?? {}).filter(([name]) => name !== "partition_table")
    .map(([name, value]) => [name, shown(name, value) ?? plain(value, shown)]);
  const times = [["since", check.since], ["observed_at", check.observedAt], ["valid_until", check.validUntil]]
    .filter(([, at]) => at !== null).map(([name, at]) => [name, moment(at, now)]);
  return [...rows, ...detail, ...times];
}

/** A value as a text. `shown` has a text of its own for some fields of tables. */
function plain(value, shown) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.map((each) => plain(each, shown)).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([name, of]) => `${words(name)} ${shown(name, of) ?? plain(of, shown)}`).join(", ");
  return String(value);
}

function makeField([name]) {
  const value = h("td");
  return { node: h("tr", {}, h("th", { scope: "row" }, label(name)), value), update: ([, text]) => setText(value, text) };
}

function makeWindow({ window }) {
  const share = h("strong"), more = h("span");
  return {
    node: h("div", { class: "window" }, h("span", { class: "window-name" }, window), share, more),
    update(figures) {
      setText(share, figures.availability === null ? "not observed" : `${percentage(figures.availability)} up`);
      const parts = [figures.incidents ? plural(figures.incidents, "incident") : "no incident"];
      if (figures.mttr_seconds) parts.push(`repaired in ${duration(figures.mttr_seconds)}`);
      if (figures.mtbf_seconds) parts.push(`every ${duration(figures.mtbf_seconds)}`);
      if (figures.seconds.unobserved >= 60) parts.push(`${duration(figures.seconds.unobserved)} not observed`);
      setText(more, parts.join(", "));
    },
  };
}
