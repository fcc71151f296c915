// What changed, newest first.

import { byId, checkLink, h, icon, Keyed, setText } from "./dom.js";
import { age, clock, day, seconds, words } from "./format.js";

const KEPT = 200, SHOWN = 60, PAGES = 30;

/** The newest events, asked for by cursor: what was read once is not asked for again. */
export class EventLog {
  constructor(api) {
    this.api = api;
    this.cursor = null;
    this.events = [];
  }

  /** Read on. True when there is something new. Throws Failure. */
  async read() {
    let found = false;
    for (let page = 0; page < PAGES; page += 1) {
      const limit = this.cursor === null ? 1000 : 100;
      const { body } = await this.api.get("events/", { limit, ...(this.cursor === null ? {} : { after: this.cursor }) });
      if (!body) return found;
      if (body.events.length) {
        found = true;
        this.events = [...this.events, ...body.events].slice(-KEPT);
      }
      this.cursor = body.cursor ?? body.events.at(-1)?.cursor ?? this.cursor;
      if (!body.more) return found;
    }
    return found;
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
