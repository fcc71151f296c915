// Puts the page together: what is asked when, and which panel is told of it.

import { Api, Question } from "./api.js";
import { Detail, troubleOf } from "./detail.js";
import { byId, setText } from "./dom.js";
import { EventLog, Events } from "./events.js";
import { age, duration, moment } from "./format.js";
import { Kafka } from "./kafka.js";
import { Live } from "./live.js";
import { read } from "./model.js";
import { Notices } from "./notices.js";
import { Route } from "./route.js";
import { wireTheme } from "./theme-switch.js";
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
    this.past = { at: null, view: null, trouble: null };
    this.overview = null;
    this.figures = null;
    this.trouble = { events: null, uptime: null };
    this.loaded = null;
    this.observer = null;
    this.route = new Route((before) => this.moved(before));
    this.live = new Live(api, (snapshot) => this.told(snapshot), () => this.draw());
    this.log = new EventLog(api, () => this.live.now());
    this.questions = { overview: new Question(api, "history/overview/"), uptime: new Question(api, "uptime/"), past: new Question(api, "detailed/") };
    this.due = { overview: 0, uptime: Infinity, detail: 0, events: 0 };
    this.busy = new Set();
    const travel = { now: () => this.route.go({ at: null }), step: (by) => this.route.go({ at: Math.min(this.live.now(), this.route.at + by) }) };
    this.notices = new Notices(travel);
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
    wireTheme(() => this.detail.restyle());
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("click", (event) => this.click(event));
    if (this.route.at) void this.travel();
    void this.live.poll();
    this.every("overview", OVERVIEW_MS, () => this.askOverview()); // beside the snapshot, not after it
    this.every("events", RETRY_MS, () => this.askEvents());
    setInterval(() => this.tick(), 1000);
  }

  told(snapshot) {
    const changed = JSON.stringify(statusesOf(snapshot)) !== JSON.stringify(statusesOf(this.snapshot ?? {}));
    this.snapshot = snapshot;
    this.loaded ??= snapshot.version ?? null;
    this.watchUptime();
    if (changed) this.due.events = 0;
  }

  /** Ask for ninety days of everything only once somebody has them in view; not before there is a page to scroll. */
  watchUptime() {
    if (this.observer) return;
    this.draw();
    this.observer = new IntersectionObserver((seen) => {
      if (!seen.some((each) => each.isIntersecting)) return;
      this.observer.disconnect();
      this.due.uptime = 0;
    }, { rootMargin: "200px" });
    this.observer.observe(byId("uptime"));
  }

  /** Once a second: ages, and what is due to be asked. */
  tick() {
    if (document.hidden) return;
    this.draw();
    if (["gone", "refused", "starting"].includes(this.live.state)) return;
    this.every("events", RETRY_MS, () => this.askEvents());
    this.every("overview", OVERVIEW_MS, () => this.askOverview());
    this.every("uptime", UPTIME_MS, () => this.askUptime());
    this.every("detail", DETAIL_MS, () => this.detail.refresh());
  }

  every(what, milliseconds, act) {
    if (this.busy.has(what) || performance.now() < this.due[what]) return;
    this.busy.add(what);
    this.due[what] = performance.now() + milliseconds;
    act().finally(() => this.busy.delete(what));
  }

  async askOverview() {
    try {
      this.overview = (await this.questions.overview.ask({ window: "24h", points: 48 })) ?? this.overview;
    } catch (failure) {
      this.later("overview", failure);
    }
    this.draw();
  }

  async askUptime() {
    try {
      this.figures = (await this.questions.uptime.ask({ window: WINDOWS.join(","), days: 90 })) ?? this.figures;
      this.trouble.uptime = null;
    } catch (failure) {
      this.trouble.uptime = troubleOf(failure);
      this.later("uptime", failure);
    }
    this.draw();
  }

  async askEvents() {
    try {
      await this.log.read();
      this.trouble.events = null;
    } catch (failure) {
      if (failure.kind === "wrong") this.log.forget(); // the cursor means nothing any more
      this.trouble.events = troubleOf(failure);
      this.later("events", failure);
    }
    this.draw();
  }

  later(what, failure) {
    if (!failure.kind) throw failure;
    this.due[what] = performance.now() + RETRY_MS;
  }

  async travel() {
    const at = this.route.at;
    this.past = { at, view: null, trouble: null };
    this.draw();
    try {
      const body = (await this.questions.past.ask({ at: at.toFixed(6) })) ?? this.questions.past.body;
      if (this.route.at === at) this.past = { at, view: { ...read(pastOf(body), at), ...workersOf(body) }, trouble: null };
    } catch (failure) {
      if (failure.kind === "aborted") return;
      const beyond = ["wrong", "absent"].includes(failure.kind);
      this.past = { at, view: null, trouble: beyond ? "That moment is not kept any more, or not yet." : troubleOf(failure) };
    }
    this.draw();
  }

  moved(before) {
    if (this.route.at !== before.at) {
      if (this.route.at) void this.travel();
      else this.past = { at: null, view: null, trouble: null };
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
    if (this.snapshot) this.view = { ...read(this.snapshot, now), told: this.snapshot.status };
    const shown = at ? this.past.view : this.view;
    this.notices.update(this.live, this.snapshot, this.route, this.past, { loaded: this.loaded, served: this.snapshot?.version });
    this.verdict.update(shown, this.live, at);
    document.documentElement.classList.toggle("past", Boolean(at));
    document.documentElement.classList.toggle("old", !at && ["gone", "refused"].includes(this.live.state));
    this.liveness(now);
    if (!shown) return;
    this.tiles.update(shown, this.overview, Boolean(at));
    this.tiles.tick(now);
    this.workers.update(shown, Boolean(at));
    this.kafka.update(shown, Boolean(at));
    this.uptime.update(shown, this.figures, this.trouble.uptime);
    this.events.update(this.log.events, now, at, this.trouble.events);
    this.detail.update(shown, at ?? now, Boolean(at), this.log.events);
  }

  liveness(now) {
    const { state } = this.live, node = byId("live");
    if (node.dataset.state !== state) node.dataset.state = state;
    const newest = this.view ? Math.max(...[...this.view.checks.values()].map((each) => each.observedAt ?? 0)) : 0;
    const silent = Number.isFinite(this.live.silence) ? duration(this.live.silence) : "";
    const texts = { starting: "connecting", live: `live · newest result ${newest ? since(now - newest) : "–"}`, late: `no answer for ${silent}`,
      gone: silent ? `server gone for ${silent}` : "no server", refused: "not logged in", paused: "paused" };
    setText(byId("live-text"), texts[state]);
    const { raw, rollups } = this.snapshot?.reaches ?? {};
    setText(byId("reach"), raw || rollups ? `History: every observation since ${moment(raw ?? rollups, now)}${rollups && rollups < (raw ?? Infinity) ? `, roll-ups since ${moment(rollups, now)}` : ""}.` : "");
  }

  /** Links lead to plain addresses; a click on one changes only that part of what is shown. */
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

/** A past snapshot says what is absent; what is not there expires nothing. */
function pastOf(body) {
  const checks = Object.fromEntries(Object.entries(body.checks ?? {}).map(([name, said]) => [name, { ...said, valid_until: null }]));
  return { ...body, checks };
}

const since = (seconds) => (seconds < 2 ? "now" : `${age(seconds)} ago`);
const statusesOf = (snapshot) => Object.entries(snapshot.checks ?? {}).map(([name, said]) => [name, said.status]);

function jump(link) {
  const target = byId(link.hash.slice(1));
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "start" });
}

const base = document.documentElement.dataset.api;
if (base) new Page(new Api(base)).start();
