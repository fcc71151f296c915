// Ninety days of every check, a bar for each day, and what share of the time it was up.

import { byId, checkLink, h, icon, Keyed, setAttribute, setIcon, setStatus, setText, show } from "./dom.js";
import { date, duration, percentage } from "./format.js";
import { matches } from "./model.js";

export const WINDOWS = ["24h", "7d", "30d", "90d"];
const DAYS = 90, PITCH = 6, BAR = 4.4, HEIGHT = 24;
const WORDS = { error: "down", warning: "warning", ok: "up", unknown: "not known", unobserved: "not observed" };

export class Uptime {
  constructor(route) {
    this.route = route;
    this.rows = h("tbody");
    this.keyed = new Keyed(this.rows, (each) => each.name, (each) => new Row(each.name));
    this.table = h("table", { class: "uptime" }, h("caption", { class: "unseen" }, "Share of the observed time in which each check was up"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Check"), h("th", { scope: "col" }, `${DAYS} days`),
        WINDOWS.map((each) => h("th", { scope: "col", class: "number" }, each)),
        h("th", { scope: "col", class: "number" }, "Observed"))), this.rows);
    this.empty = h("p", { class: "empty" }, "Reading the history.");
    byId("uptime-body").append(this.table, this.empty);
    show(this.table, false);
  }

  /** `figures` are those of the API, null while there are none; `trouble` says why there are none. */
  update(view, figures, trouble) {
    setText(byId("uptime-note"), trouble && figures ? trouble : "up: ok or warning; time that nobody observed counts as neither");
    show(this.empty, !figures);
    show(this.table, Boolean(figures));
    if (!figures) return void (trouble && setText(this.empty, trouble));
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
    setText(this.observed, observed(mine.windows?.[WINDOWS.at(-1)]?.seconds));
    WINDOWS.forEach((each, index) => setText(this.shares[index], percentage(mine.windows?.[each]?.availability)));
  }
}

/** For how long a check was observed: a share of five minutes says less than one of ninety days. */
const observed = (spent) => (spent ? duration(spent.ok + spent.warning + spent.error + spent.unknown) : "–");

/** A bar for each of the last days. Shapes tell as much as colours: what is down has a foot, what nobody saw is a stub. */
export class Bars {
  constructor() {
    this.paths = Object.fromEntries(Object.keys(WORDS).map((word) => [word, h("path", { "data-status": word })]));
    this.mark = h("path", { class: "bar-mark" });
    this.title = h("title");
    this.node = h("svg", { class: "bars", viewBox: `0 0 ${DAYS * PITCH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      this.title, Object.values(this.paths), this.mark);
    this.node.addEventListener("pointermove", (event) => this.point(event));
    this.node.addEventListener("pointerleave", () => this.tell(null));
    this.days = [];
  }

  update(days) {
    this.days = days.slice(-DAYS);
    const first = DAYS - this.days.length;
    const paths = Object.fromEntries(Object.keys(WORDS).map((word) => [word, ""]));
    this.days.forEach((day, index) => {
      const x = (first + index) * PITCH, word = worst(day);
      const [top, bottom] = { unobserved: [14, 18], unknown: [8, 18], warning: [5, 18] }[word] ?? [1, 18];
      paths[word] += bar(x, top, bottom);
      if (word === "error") paths.error += bar(x, 20, HEIGHT);
    });
    for (const [word, path] of Object.entries(paths)) setAttribute(this.paths[word], "d", path);
    this.summary = summary(this.days);
    this.tell(null);
  }

  point(event) {
    const box = this.node.getBoundingClientRect();
    const index = Math.floor(((event.clientX - box.left) / box.width) * DAYS) - (DAYS - this.days.length);
    this.tell(this.days[index] ? index : null);
  }

  tell(index) {
    const x = index === null ? 0 : (DAYS - this.days.length + index) * PITCH;
    setAttribute(this.mark, "d", index === null ? "" : `M${x - 0.8} 0H${x + BAR + 0.8}V${HEIGHT}H${x - 0.8}z`);
    setText(this.title, index === null ? this.summary : said(this.days[index]));
  }
}

const bar = (x, top, bottom) => `M${x} ${top}h${BAR}V${bottom}h-${BAR}z`;

/** What a day is shown as: down if it was at all, for half a minute a day is what the bars are looked at for. */
export function worst(day) {
  if (day.error > 0) return "error";
  if (day.ok + day.warning + day.unknown <= 0) return "unobserved";
  if (day.warning > 0) return "warning";
  return day.ok > 0 ? "ok" : "unknown";
}

/** A day in words. */
export function said(day) {
  const observed = day.ok + day.warning + day.error;
  const times = ["error", "warning", "unknown", "unobserved"].filter((word) => day[word] >= 1).map((word) => `${duration(day[word])} ${WORDS[word]}`);
  return `${date(day.date)}: ${[observed ? `${percentage((day.ok + day.warning) / observed)} up` : "nothing observed", ...times].join(", ")}`;
}

function summary(days) {
  const down = days.filter((each) => each.error > 0).length, seen = days.filter((each) => worst(each) !== "unobserved").length;
  return `${seen} of the last ${DAYS} days observed, ${down ? `down on ${down} of them` : "never down"}`;
}
