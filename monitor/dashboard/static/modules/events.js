// What changed, newest first.

import { byId, checkLink, h, icon, Keyed, setText } from "./dom.js";
import { age, clock, day, seconds, words } from "./format.js";

const KEPT = 200, SHOWN = 60, ENOUGH = 30, PAGES = 20;
const DAYS = [1, 7, 30];

/** The newest events, asked for by cursor: what was read once is not asked for again. */
export class EventLog {
  /** `now()` is the store's clock. */
  constructor(api, now) {
    this.api = api;
    this.now = now;
    this.cursor = null;
    this.events = [];
  }

  /** Read on; the first time, from as far back as it takes to have some. Throws Failure. */
  async read() {
    if (this.cursor !== null) return this.readAfter(this.cursor);
    for (const days of DAYS) {
      // A cursor is the id of an entry in a stream of Redis, which begins with its time in milliseconds.
      await this.readAfter(`${Math.floor((this.now() - days * 86_400) * 1000)}-0`);
      if (this.events.length >= ENOUGH) return;
      this.forget();
    }
    await this.readAfter(null);
    this.cursor ??= "0-0";
  }

  async readAfter(cursor) {
    for (let page = 0; page < PAGES; page += 1) {
      const { body } = await this.api.get("events/", { limit: 500, ...(cursor === null ? {} : { after: cursor }) });
      if (body.events.length) this.events = [...this.events, ...body.events].slice(-KEPT);
      this.cursor = cursor = body.cursor ?? body.events.at(-1)?.cursor ?? cursor;
      if (!body.more) return;
    }
  }

  /** Start again: the store has lost what the cursor stood for. */
  forget() {
    [this.cursor, this.events] = [null, []];
  }
}

export class Events {
  constructor() {
    this.keyed = new Keyed(byId("events-list"), (each) => each.key, makeRow);
  }

  /** The events, those after a past moment left out. */
  update(events, now, at, trouble) {
    const until = at ?? Infinity;
    const shown = events.filter((each) => seconds(each.at) <= until).slice(-SHOWN).reverse();
    const rows = [];
    let last = "";
    for (const each of shown) {
      const of = day(seconds(each.at));
      if (of !== last) rows.push({ key: `day ${of}`, day: of === day(now) ? "Today" : of });
      rows.push({ key: each.id ?? each.cursor, ...each });
      last = of;
    }
    this.keyed.update(rows, now);
    setText(byId("events-note"), trouble ?? (shown.length ? "" : "Nothing has changed, as far as is known."));
  }
}

/** A row of an event; with its day, where that is not said above it. */
export function makeRow(event, withDay = false) {
  if (event.day) {
    const heading = h("li", { class: "event-day" }, event.day);
    return { node: heading, update: (each) => setText(heading, each.day) };
  }
  const at = seconds(event.at);
  const ago = h("span", { class: "event-ago" });
  const node = h("li", { class: "event", dataset: { status: event.new } }, icon(event.new),
    h("a", { class: "event-time", href: `#at=${at}`, dataset: { at }, title: "See everything as it was then" },
      h("time", { datetime: new Date(at * 1000).toISOString() }, withDay ? `${day(at)}, ${clock(at)}` : clock(at))),
    h("span", { class: "event-what" }, withDay ? null : checkLink(event.check),
      ` ${event.old} → `, h("strong", {}, event.new),
      event.reason && words(event.reason) !== event.new ? h("span", { class: "event-why" }, ` ${words(event.reason)}`) : null), ago);
  return { node, update: (_, now) => setText(ago, age(now - at)) };
}
