// Events: changes of status, newest first.

import { byId, checkLink, h, icon, Keyed, setText } from "./dom.js";
import { age, clock, day, seconds, words } from "./format.js";

const MAX_KEPT = 200, MAX_SHOWN = 60, ENOUGH = 30, PAGES = 20;
const DAYS = [1, 7, 30];

/** The newest events. A request returns the events after the cursor, so that each event is transferred once. */
export class EventLog {
  /** `now()` returns the time of the store's clock. */
  constructor(api, now) {
    this.api = api;
    this.now = now;
    this.cursor = null;
    this.events = [];
  }

  /**
   * Read new events. The first call reads those of the last day. If they are fewer than ENOUGH, it reads the last 7 days, then the
   * last 30 days, then all events. Throws Failure.
   */
  async read() {
    if (this.cursor !== null) return this.readAfter(this.cursor);
    for (const days of DAYS) {
      // A cursor is the id of an entry in a Redis stream. It begins with the time of the entry in milliseconds.
      await this.readAfter(`${Math.floor((this.now() - days * 86_400) * 1000)}-0`);
      if (this.events.length >= ENOUGH) return;
      this.reset();
    }
    await this.readAfter(null);
    this.cursor ??= "0-0";
  }

  async readAfter(cursor) {
    for (let page = 0; page < PAGES; page += 1) {
      const { body } = await this.api.get("events/", { limit: 500, ...(cursor === null ? {} : { after: cursor }) });
      if (body.events.length) this.events = [...this.events, ...body.events].slice(-MAX_KEPT);
      this.cursor = cursor = body.cursor ?? body.events.at(-1)?.cursor ?? cursor;
      if (!body.more) return;
    }
  }

  /** Start again, because the store has lost the entry of the cursor. */
  reset() {
    [this.cursor, this.events] = [null, []];
  }
}

export class Events {
  constructor() {
    this.keyed = new Keyed(byId("events-list"), (each) => each.key, makeRow);
  }

  /** Show the events; if `at` is set, only the events until then. `problem` is the text of a failed request, or null. */
  update(events, now, at, problem) {
    const until = at ?? Infinity;
    const shown = events.filter((each) => seconds(each.at) <= until).slice(-MAX_SHOWN).reverse();
    const rows = [];
    let last = "";
    for (const each of shown) {
      const dayOfEvent = day(seconds(each.at));
      if (dayOfEvent !== last) rows.push({ key: `day ${dayOfEvent}`, day: dayOfEvent === day(now) ? "Today" : dayOfEvent });
      rows.push({ key: each.id ?? each.cursor, ...each });
      last = dayOfEvent;
    }
    this.keyed.update(rows, now);
    setText(byId("events-note"), problem ?? (shown.length ? "" : "No events are known."));
  }
}

/** Create the row of an event, or of a day's heading. `withDay` adds the day to the event's time. */
export function makeRow(event, withDay = false) {
  if (event.day) {
    const heading = h("li", { class: "event-day" }, event.day);
    return { node: heading, update: (each) => setText(heading, each.day) };
  }
  const at = seconds(event.at);
  const ago = h("span", { class: "event-ago" });
  const node = h("li", { class: "event", dataset: { status: event.new } }, icon(event.new),
    h("a", { class: "event-time", href: `#at=${at}`, dataset: { at }, title: "Show the state of everything at this time" },
      h("time", { datetime: new Date(at * 1000).toISOString() }, withDay ? `${day(at)}, ${clock(at)}` : clock(at))),
    h("span", { class: "event-what" }, withDay ? null : checkLink(event.check),
      ` ${event.old} → `, h("strong", {}, event.new),
      event.reason && words(event.reason) !== event.new ? h("span", { class: "event-why" }, ` ${words(event.reason)}`) : null), ago);
  return { node, update: (_, now) => setText(ago, age(now - at)) };
}
