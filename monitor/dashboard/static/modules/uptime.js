// Uptime panel: for each check, a bar for each of ninety days, and the share of the observed time in which the check was up.

import { byId, checkLink, h, icon, Keyed, setAttribute, setIcon, setStatus, setText, show } from "./dom.js";
import { date, duration, percentage } from "./format.js";
import { matches } from "./model.js";

export const WINDOWS = ["24h", "7d", "30d", "90d"];
const DAYS = 90, PITCH = 6, BAR = 4.4, HEIGHT = 24;
const WORDS = { error: "down", warning: "warning", ok: "up", unknown: "unknown", unobserved: "not observed" };

export class Uptime {
  constructor(route) {
    this.route = route;
    this.rows = h("tbody");
    this.keyed = new Keyed(this.rows, (each) => each.name, (each) => new Row(each.name));
    this.table = h("table", { class: "uptime" }, h("caption", { class: "visually-hidden" }, "Share of the observed time in which each check was up"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Check"), h("th", { scope: "col" }, `${DAYS} days`),
        WINDOWS.map((each) => h("th", { scope: "col", class: "number" }, each)),
        h("th", { scope: "col", class: "number" }, "Observed"))), this.rows);
    this.empty = h("p", { class: "empty" }, "Loading the history.");
    byId("uptime-body").append(this.table, this.empty);
    show(this.table, false);
  }

  /** Show `figures`, the API's response; null before the first response. `problem` is the text of a failed request, or null. */
  update(view, figures, problem) {
    setText(byId("uptime-note"), problem && figures ? problem : "Up means ok or warning. Time without observations counts neither as up nor as down.");
    show(this.empty, !figures);
    show(this.table, Boolean(figures));
    if (!figures) return void (problem && setText(this.empty, problem));
    const shown = [...view.checks.values()].filter((each) => figures.checks[each.name] && matches(each, this.route.query, this.route.statuses));
    this.keyed.update(shown, figures.checks);
  }
}

class Row {
  constructor(name) {
    this.icon = icon("unknown");
    this.bars = new Bars();
    this.observed = h("td", { class: "number" });
    this.shares = WINDOWS.map(() => h("td", { class: "number" }));
    this.node = h("tr", {}, h("th", { scope: "row", class: "name" }, this.icon, " ", checkLink(name)),
      h("td", { class: "bars-cell" }, this.bars.node), this.shares, this.observed);
  }

  update(check, figures) {
    setStatus(this.node, check.status);
    setIcon(this.icon, check.status);
    const mine = figures[check.name];
    if (mine === this.drawn) return;
    this.drawn = mine;
    this.bars.update(mine.days ?? []);
    setText(this.observed, observedTime(mine.windows?.[WINDOWS.at(-1)]?.seconds));
    WINDOWS.forEach((each, index) => setText(this.shares[index], percentage(mine.windows?.[each]?.availability)));
  }
}

/** Return the time for which a check was observed, so that a reader can judge how much its shares mean. */
const observedTime = (spent) => (spent ? duration(spent.ok + spent.warning + spent.error + spent.unknown) : "–");

/** Bars of the last days. Shapes differ as colours do: a day with an outage has a foot, a day without observations is a stub. */
export class Bars {
  constructor() {
    this.paths = Object.fromEntries(Object.keys(WORDS).map((word) => [word, h("path", { "data-status": word })]));
    this.mark = h("path", { class: "bar-mark" });
    this.title = h("title");
    this.node = h("svg", { class: "bars", viewBox: `0 0 ${DAYS * PITCH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      this.title, Object.values(this.paths), this.mark);
    this.node.addEventListener("pointermove", (event) => this.showDay(event));
    this.node.addEventListener("pointerleave", () => this.showTitle(null));
    this.days = [];
  }

  update(days) {
    this.days = days.slice(-DAYS);
    const first = DAYS - this.days.length;
    const paths = Object.fromEntries(Object.keys(WORDS).map((word) => [word, ""]));
    this.days.forEach((day, index) => {
      const x = (first + index) * PITCH, word = worstStatus(day);
      const [top, bottom] = { unobserved: [14, 18], unknown: [8, 18], warning: [5, 18] }[word] ?? [1, 18];
      paths[word] += bar(x, top, bottom);
      if (word === "error") paths.error += bar(x, 20, HEIGHT);
    });
    for (const [word, path] of Object.entries(paths)) setAttribute(this.paths[word], "d", path);
    this.summary = summary(this.days);
    this.showTitle(null);
  }

  showDay(event) {
    const box = this.node.getBoundingClientRect();
    const index = Math.floor(((event.clientX - box.left) / box.width) * DAYS) - (DAYS - this.days.length);
    this.showTitle(this.days[index] ? index : null);
  }

  showTitle(index) {
    const x = index === null ? 0 : (DAYS - this.days.length + index) * PITCH;
    setAttribute(this.mark, "d", index === null ? "" : `M${x - 0.8} 0H${x + BAR + 0.8}V${HEIGHT}H${x - 0.8}z`);
    setText(this.title, index === null ? this.summary : dayText(this.days[index]));
  }
}

const bar = (x, top, bottom) => `M${x} ${top}h${BAR}V${bottom}h-${BAR}z`;

/** Return the status that the bar of a day shows: error for any outage, because short outages must be visible. */
export function worstStatus(day) {
  if (day.error > 0) return "error";
  if (day.ok + day.warning + day.unknown <= 0) return "unobserved";
  if (day.warning > 0) return "warning";
  return day.ok > 0 ? "ok" : "unknown";
}

/** Return a day in words. */
export function dayText(day) {
  const judged = day.ok + day.warning + day.error;
  const times = ["error", "warning", "unknown", "unobserved"].filter((word) => day[word] >= 1).map((word) => `${duration(day[word])} ${WORDS[word]}`);
  return `${date(day.date)}: ${[judged ? `${percentage((day.ok + day.warning) / judged)} up` : "nothing observed", ...times].join(", ")}`;
}

function summary(days) {
  const down = days.filter((each) => each.error > 0).length, observed = days.filter((each) => worstStatus(each) !== "unobserved").length;
  return `${observed} of the last ${DAYS} days observed, ${down ? `down on ${down} of them` : "never down"}`;
}
