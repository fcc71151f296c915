// Detail of one check: state, charts, uptime, changes and all fields.

import { RepeatedRequest } from "./api.js";
import { Chart } from "./chart.js";
import { byId, h, icon, Keyed, setAttribute, setIcon, setStatus, setText, show } from "./dom.js";
import { age, clock, duration, isMoment, label, moment, percentage, plural, quantity, unitOf, words } from "./format.js";
import { makeRow } from "./events.js";
import { RANGES } from "./route.js";
import { Bars, dayText, WINDOWS, worstStatus } from "./uptime.js";

const RANGE_SECONDS = { "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000, "90d": 7_776_000 };
const MAX_CHARTS = 6, MAX_CHANGES = 8, RAW_SECONDS = 21_600;

export class Detail {
  constructor(api, route, actions) {
    this.api = api;
    this.route = route;
    this.actions = actions;
    this.node = byId("detail");
    this.history = new RepeatedRequest(api, "history/");
    this.uptime = new RepeatedRequest(api, "uptime/");
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
    this.ranges = RANGES.map((range) => h("button", { type: "button", class: "range", on: { click: () => this.chooseRange(range) } }, range));
    this.zoomOutButton = h("button", { type: "button", class: "range", on: { click: () => this.zoomTo(null, null) } }, "Zoom out");
    this.note = h("p", { class: "note" });
    this.plots = h("div", { class: "charts" });
    this.windows = new Keyed(h("div", { class: "windows" }), (each) => each.window, makeWindow);
    this.bars = new Bars();
    this.days = h("ul", { class: "days" });
    this.daysBox = h("details", {}, h("summary", {}, "Days with other statuses than ok"), this.days);
    this.changes = new Keyed(h("ol"), (each) => each.key, (each) => makeRow(each, true));
    this.changesBox = h("div", {}, h("h3", {}, "Last changes"), this.changes.parent);
    this.fields = new Keyed(h("tbody"), ([name]) => name, makeField);
    this.csv = h("a", { download: "" }, "CSV");
    this.json = h("a", {}, "JSON");
    this.node.append(
      h("div", { class: "detail-head" }, this.icon, this.title,
        h("button", { type: "button", class: "close", "aria-label": "Close", on: { click: () => this.actions.close() } }, "×")),
      this.state, this.message,
      h("div", { class: "ranges", role: "group", "aria-label": "Period of the charts" }, this.ranges, this.zoomOutButton,
        h("span", { class: "links" }, this.csv, " ", this.json)),
      this.note, this.plots,
      h("p", { class: "hint" }, "Drag to zoom. Click or press Enter to show the state of everything at that moment."),
      h("h3", {}, "Uptime"), this.windows.parent, this.bars.node, this.daysBox, this.changesBox,
      h("h3", {}, "All fields"), h("table", { class: "fields" }, h("caption", { class: "visually-hidden" }, "All fields of the check"), this.fields.parent));
  }

  /** Show the check that the route selects; hide the detail if the route selects no check. */
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
    setText(this.state, check ? stateOf(check, now, past) : "There is no check with this name.");
    setText(this.message, check?.message ?? "");
    show(this.message, Boolean(check?.message));
    this.ranges.forEach((each) => setAttribute(each, "aria-pressed", String(!this.zoom && each.textContent === this.route.range)));
    show(this.zoomOutButton, Boolean(this.zoom));
    for (const each of this.charts.values()) each.mark(this.route.at);
    const changes = events.filter((each) => each.check === name && (!past || each.at <= this.route.at)).slice(-MAX_CHANGES).reverse();
    this.changes.update(changes.map((each) => ({ key: each.id ?? each.cursor, ...each })), this.actions.now());
    show(this.changesBox, changes.length > 0);
    this.fields.update(check ? fieldsOf(check, now) : []);
    setAttribute(this.csv, "href", this.api.url("history/", { ...this.parameters(), format: "csv" }));
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
    setText(this.note, this.check ? "Loading the history." : "");
    this.windows.update([]);
    this.bars.update([]);
    show(this.bars.node, false);
    show(this.daysBox, false);
    this.node.scrollTop = 0;
  }

  chooseRange(range) {
    this.zoom = null;
    this.route.go({ range });
    void this.refresh();
  }

  zoomTo(since, until) {
    this.zoom = since === null ? null : { since, until: Math.min(until, this.actions.now()) };
    show(this.zoomOutButton, Boolean(this.zoom));
    void this.refresh();
  }

  parameters() {
    const name = this.check;
    if (this.zoom) return { check: name, since: this.zoom.since.toFixed(3), until: this.zoom.until.toFixed(3) };
    // If single observations begin within a short range, request the range from there on. The server would use the coarser
    // roll-ups for a range that begins earlier.
    const raw = this.actions.reach(), seconds = RANGE_SECONDS[this.route.range];
    const since = raw && seconds <= RAW_SECONDS && raw > this.actions.now() - seconds ? String(raw) : `-${this.route.range}`;
    return { check: name, since };
  }

  /** Request history and uptime again. The server answers 304 if they have not changed. */
  async refresh() {
    if (!this.check) return;
    await Promise.all([this.refreshHistory(), this.refreshUptime()]);
  }

  async refreshHistory() {
    try {
      const body = await this.history.load(this.parameters());
      if (body) this.draw(body);
    } catch (failure) {
      if (failure.kind === "aborted") return;
      setText(this.note, failureText(failure));
    }
  }

  async refreshUptime() {
    try {
      const body = await this.uptime.load({ check: this.check, window: WINDOWS.join(","), days: 90 });
      const figures = body?.checks[this.check];
      if (!figures) return;
      this.windows.update(WINDOWS.filter((each) => figures.windows[each]).map((each) => ({ window: each, ...figures.windows[each] })));
      this.bars.update(figures.days ?? []);
      show(this.bars.node, true);
      const notOk = (figures.days ?? []).filter((each) => !["ok", "unobserved"].includes(worstStatus(each))).reverse();
      this.days.replaceChildren(...notOk.map((each) => h("li", {}, dayText(each))));
      show(this.daysBox, notOk.length > 0);
    } catch (failure) {
      if (!failure.kind) throw failure;
    }
  }

  draw(history) {
    const names = ordered(Object.keys(history.series)).slice(0, MAX_CHARTS);
    for (const [name, chart] of this.charts) {
      if (names.includes(name)) continue;
      chart.destroy();
      this.charts.delete(name);
    }
    for (const name of names) {
      let chart = this.charts.get(name);
      if (!chart) {
        chart = new Chart(name, { now: this.actions.now, pick: (at) => this.actions.pick(at), zoom: (since, until) => this.zoomTo(since, until) }, "detail",
          names.length === 1 ? 220 : 140);
        this.charts.set(name, chart);
        this.plots.append(chart.node);
        chart.mark(this.route.at);
      }
      chart.update(history);
    }
    const { raw, rollups } = history.reaches ?? {};
    const reach = history.resolution === "raw" ? raw : rollups;
    const wanted = this.zoom?.since ?? this.actions.now() - RANGE_SECONDS[this.route.range];
    const missing = typeof reach === "number" && reach > wanted + history.step_seconds ? ` History begins ${moment(reach, this.actions.now())}.` : "";
    setText(this.note, names.length
      ? `${history.resolution === "raw" ? "Single observations" : "Five-minute roll-ups"}, a point for every ${duration(history.step_seconds)}${this.zoom ? `, ${moment(this.zoom.since, this.actions.now())} to ${clock(this.zoom.until)}` : ""}.${missing}`
      : "There is no history of this period: it is off, or was lost.");
  }

  restyle() {
    for (const each of this.charts.values()) each.restyle();
  }
}

/** Return the text for a failed request. */
export function failureText(failure) {
  if (failure.kind === "unavailable") return "History cannot be read now: the store does not answer. The page tries again.";
  if (failure.kind === "absent") return "There is no history: history is off, or nothing was observed.";
  if (failure.kind === "refused") return "You are no longer logged in.";
  if (failure.kind === "foreign") return `The response is not from the monitor: ${failure.message}.`;
  if (failure.kind === "wrong") return `The server refused the request: ${failure.message}`;
  return "The server does not answer.";
}

const ordered = (names) => names.toSorted((a, b) => Number(a === "response_time_ms") - Number(b === "response_time_ms"));

function stateOf(check, now, past) {
  const texts = [`${check.status}${check.reason && words(check.reason) !== check.status ? `: ${words(check.reason)}` : ""}`];
  if (check.since !== null) texts.push(`for ${duration(now - check.since)}`);
  if (check.observedAt !== null && !past) texts.push(`observed ${age(now - check.observedAt)}${now - check.observedAt < 2 ? "" : " ago"}`);
  texts.push(check.kind, check.critical ? "critical" : "not critical");
  if (check.groups.length) texts.push(`in ${check.groups.join(", ")}`);
  return texts.join(" · ");
}

function fieldsOf(check, now) {
  const special = (name, value) => (isMoment(name, value) ? moment(value, now) : null);
  const rows = Object.entries(check.fields)
    .map(([name, value]) => [name, special(name, value) ?? (typeof value === "number" ? quantity(value, unitOf(name)) : valueText(value, special))]);
  const detail = Object.entries(check.detail ?? {}).filter(([name]) => name !== "partition_table")
    .map(([name, value]) => [name, special(name, value) ?? valueText(value, special)]);
  const times = [["since", check.since], ["observed_at", check.observedAt], ["valid_until", check.validUntil]]
    .filter(([, at]) => at !== null).map(([name, at]) => [name, moment(at, now)]);
  return [...rows, ...detail, ...times];
}

/** Return a value as text. `special(name, value)` returns the text of a field that is a time; null for other fields. */
function valueText(value, special) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.map((each) => valueText(each, special)).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([name, field]) => `${words(name)} ${special(name, field) ?? valueText(field, special)}`).join(", ");
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
      const texts = [figures.incidents ? plural(figures.incidents, "incident") : "no incident"];
      if (figures.mttr_seconds) texts.push(`repaired after ${duration(figures.mttr_seconds)} on average`);
      if (figures.mtbf_seconds) texts.push(`${duration(figures.mtbf_seconds)} between failures`);
      if (figures.seconds.unobserved >= 60) texts.push(`${duration(figures.seconds.unobserved)} not observed`);
      setText(more, texts.join(", "));
    },
  };
}
