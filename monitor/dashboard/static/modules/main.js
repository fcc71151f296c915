// Page: sends the requests at their intervals, and updates the panels.

import { Api, RepeatedRequest } from "./api.js";
import { Detail, failureText } from "./detail.js";
import { byId, setText } from "./dom.js";
import { EventLog, Events } from "./events.js";
import { age, duration, moment } from "./format.js";
import { Kafka } from "./kafka.js";
import { Live } from "./live.js";
import { viewOf } from "./model.js";
import { Notices } from "./notices.js";
import { Route } from "./route.js";
import { connectThemeSwitch } from "./theme-switch.js";
import { Tiles } from "./tiles.js";
import { Uptime, WINDOWS } from "./uptime.js";
import { Verdict } from "./verdict.js";
import { Workers, workersOf } from "./workers.js";

const OVERVIEW_MS = 60_000, UPTIME_MS = 300_000, DETAIL_MS = 10_000, RETRY_MS = 5_000;

class Page {
  constructor(api) {
    this.api = api;
    this.snapshot = null;
    this.view = null;
    this.past = { at: null, view: null, problem: null };
    this.overview = null;
    this.figures = null;
    this.problems = { events: null, uptime: null };
    this.loadedVersion = null;
    this.observer = null;
    this.route = new Route((before) => this.onRouteChange(before));
    this.live = new Live(api, (snapshot) => this.onSnapshot(snapshot), () => this.draw());
    this.log = new EventLog(api, () => this.live.now());
    this.requests = { overview: new RepeatedRequest(api, "history/overview/"), uptime: new RepeatedRequest(api, "uptime/"), past: new RepeatedRequest(api, "detailed/") };
    this.due = { overview: 0, uptime: Infinity, detail: 0, events: 0 };
    this.busy = new Set();
    const timeTravel = { now: () => this.route.go({ at: null }), step: (by) => this.route.go({ at: Math.min(this.live.now(), this.route.at + by) }) };
    this.notices = new Notices(timeTravel);
    this.verdict = new Verdict();
    this.tiles = new Tiles(this.route);
    this.workers = new Workers();
    this.kafka = new Kafka();
    this.uptime = new Uptime(this.route);
    this.events = new Events();
    this.detail = new Detail(api, this.route, { close: () => this.close(), pick: (at) => this.route.go({ at: Math.round(at) }), now: () => this.live.now(),
      reach: () => this.snapshot?.reaches?.raw ?? null });
  }

  start() {
    connectThemeSwitch(() => this.detail.restyle());
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("click", (event) => this.click(event));
    if (this.route.at) void this.loadPast();
    void this.live.poll();
    this.runWhenDue("overview", OVERVIEW_MS, () => this.loadOverview()); // at the same time as the snapshot
    this.runWhenDue("events", RETRY_MS, () => this.loadEvents());
    setInterval(() => this.tick(), 1000);
  }

  onSnapshot(snapshot) {
    const changed = JSON.stringify(statusesOf(snapshot)) !== JSON.stringify(statusesOf(this.snapshot ?? {}));
    this.snapshot = snapshot;
    this.loadedVersion ??= snapshot.version ?? null;
    this.watchUptime();
    if (changed) this.due.events = 0;
  }

  /** Request the uptime of all checks when the reader scrolls to this panel. Before that, draw the page, so that it has its height. */
  watchUptime() {
    if (this.observer) return;
    this.draw();
    this.observer = new IntersectionObserver((entries) => {
      if (!entries.some((each) => each.isIntersecting)) return;
      this.observer.disconnect();
      this.due.uptime = 0;
    }, { rootMargin: "200px" });
    this.observer.observe(byId("uptime"));
  }

  /** Update ages and send the due requests. Called once a second. */
  tick() {
    if (document.hidden) return;
    this.draw();
    if (this.live.isBlind || this.live.state === "starting") return;
    this.runWhenDue("events", RETRY_MS, () => this.loadEvents());
    this.runWhenDue("overview", OVERVIEW_MS, () => this.loadOverview());
    this.runWhenDue("uptime", UPTIME_MS, () => this.loadUptime());
    this.runWhenDue("detail", DETAIL_MS, () => this.detail.refresh());
  }

  runWhenDue(name, milliseconds, act) {
    if (this.busy.has(name) || performance.now() < this.due[name]) return;
    this.busy.add(name);
    this.due[name] = performance.now() + milliseconds;
    act().finally(() => this.busy.delete(name));
  }

  async loadOverview() {
    try {
      this.overview = (await this.requests.overview.load({ window: "24h", points: 48 })) ?? this.overview;
    } catch (failure) {
      this.retryLater("overview", failure);
    }
    this.draw();
  }

  async loadUptime() {
    try {
      this.figures = (await this.requests.uptime.load({ window: WINDOWS.join(","), days: 90 })) ?? this.figures;
      this.problems.uptime = null;
    } catch (failure) {
      this.problems.uptime = failureText(failure);
      this.retryLater("uptime", failure);
    }
    this.draw();
  }

  async loadEvents() {
    try {
      await this.log.read();
      this.problems.events = null;
    } catch (failure) {
      if (failure.kind === "wrong") this.log.reset(); // the store has lost the cursor's entry
      this.problems.events = failureText(failure);
      this.retryLater("events", failure);
    }
    this.draw();
  }

  retryLater(name, failure) {
    if (!failure.kind) throw failure;
    this.due[name] = performance.now() + RETRY_MS;
  }

  async loadPast() {
    const at = this.route.at;
    this.past = { at, view: null, problem: null };
    this.draw();
    try {
      const body = (await this.requests.past.load({ at: at.toFixed(6) })) ?? this.requests.past.body;
      if (this.route.at === at) this.past = { at, view: { ...viewOf(pastOf(body), at), ...workersOf(body) }, problem: null };
    } catch (failure) {
      if (failure.kind === "aborted") return;
      const isOutOfRange = ["wrong", "absent"].includes(failure.kind);
      this.past = { at, view: null, problem: isOutOfRange ? "History does not contain that moment." : failureText(failure) };
    }
    this.draw();
  }

  onRouteChange(before) {
    if (this.route.at !== before.at) {
      if (this.route.at) void this.loadPast();
      else this.past = { at: null, view: null, problem: null };
    }
    this.draw();
    if (this.route.check && this.route.check !== before.check) byId("detail-title").focus({ preventScroll: true });
    if (!this.route.check && before.check) this.tiles.focus(before.check);
  }

  close() {
    this.route.go({ check: null });
  }

  draw() {
    const now = this.live.now(), at = this.route.at;
    if (this.snapshot) this.view = { ...viewOf(this.snapshot, now), reportedStatus: this.snapshot.status };
    const shown = at ? this.past.view : this.view;
    this.notices.update(this.live, this.snapshot, this.route, this.past, { loaded: this.loadedVersion, served: this.snapshot?.version });
    this.verdict.update(shown, this.live, at);
    document.documentElement.classList.toggle("past", Boolean(at));
    document.documentElement.classList.toggle("old", !at && this.live.isBlind);
    this.drawConnection(now);
    if (!shown) return;
    this.tiles.update(shown, this.overview, Boolean(at));
    this.tiles.tick(now);
    this.workers.update(shown, Boolean(at));
    this.kafka.update(shown, Boolean(at));
    this.uptime.update(shown, this.figures, this.problems.uptime);
    this.events.update(this.log.events, now, at, this.problems.events);
    this.detail.update(shown, at ?? now, Boolean(at), this.log.events);
  }

  drawConnection(now) {
    const { state } = this.live, node = byId("live");
    if (node.dataset.state !== state) node.dataset.state = state;
    const newest = this.view ? Math.max(...[...this.view.checks.values()].map((each) => each.observedAt ?? 0)) : 0;
    const silence = Number.isFinite(this.live.silence) ? duration(this.live.silence) : "";
    const texts = { starting: "connecting", live: `live · newest result ${newest ? since(now - newest) : "–"}`, late: `no answer for ${silence}`,
      unreachable: silence ? `server unreachable for ${silence}` : "server unreachable", refused: "not logged in", foreign: "not the API", paused: "paused" };
    setText(byId("live-text"), texts[state]);
    const { raw, rollups } = this.snapshot?.reaches ?? {};
    setText(byId("reach"), raw || rollups ? `History: every observation since ${moment(raw ?? rollups, now)}${rollups && rollups < (raw ?? Infinity) ? `, roll-ups since ${moment(rollups, now)}` : ""}.` : "");
  }

  /** Handle a click on a link of the page: change only the state that the link names. */
  click(event) {
    const link = event.target.closest?.("a[data-check], a[data-at], a[data-jump]");
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.dataset.check) this.route.go({ check: link.dataset.check });
    else if (link.dataset.at) this.route.go({ at: Number(link.dataset.at) });
    else jump(link);
  }

  key(event) {
    const typing = event.target.matches("input, textarea, select");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      byId("search").focus();
    } else if (event.key === "Escape") {
      if (typing && event.target.value) return;
      if (this.route.check) this.close();
      else if (this.route.at) this.route.go({ at: null });
      else event.target.blur?.();
    }
  }
}

/** Return a past snapshot without the times at which results expire, so that no check appears stale. */
function pastOf(body) {
  const checks = Object.fromEntries(Object.entries(body.checks ?? {}).map(([name, entry]) => [name, { ...entry, valid_until: null }]));
  return { ...body, checks };
}

const since = (seconds) => (seconds < 2 ? "now" : `${age(seconds)} ago`);
const statusesOf = (snapshot) => Object.entries(snapshot.checks ?? {}).map(([name, entry]) => [name, entry.status]);

function jump(link) {
  const target = byId(link.hash.slice(1));
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "start" });
}

const base = document.documentElement.dataset.api;
if (base) new Page(new Api(base)).start();
