// Messages at the top of the page, such as: the page shows a past moment, or the store does not answer.

import { byId, h, Keyed, setText } from "./dom.js";
import { duration, moment } from "./format.js";

export class Notices {
  /** `actions.now()` returns to the present; `actions.step(seconds)` goes to another past moment. */
  constructor(actions) {
    this.list = new Keyed(byId("notices").appendChild(h("div", { class: "notices" })), (each) => each.kind, (each) => makeNotice(each, actions));
  }

  update(live, snapshot, route, past, versions) {
    const found = [];
    if (route.at) found.push({ kind: "past", title: `This is the state at ${moment(route.at, live.now())}, ${duration(live.now() - route.at)} ago.`, text: pastText(past) });
    if (live.state === "refused") found.push({ kind: "refused", title: "You are no longer logged in.", text: "The page is no longer updated." });
    else if (live.state === "foreign") found.push({ kind: "foreign", title: "Another view or a proxy answers the requests of this page.", text: foreignText(live.api.base, live.failure) });
    else if (snapshot?.answering === false) {
      found.push({ kind: "store", title: "The store (Redis) does not answer.", text: "The page shows the last states that this server has read; each becomes stale when it expires. History cannot be read until the store answers again." });
    }
    if (versions.loaded && versions.served && versions.loaded !== versions.served) {
      found.push({ kind: "version", title: "The server has been updated.", text: "This page belongs to an older version." });
    }
    if (snapshot && snapshot.answering !== false && !snapshot.reaches?.raw && !snapshot.reaches?.rollups) {
      found.push({ kind: "history", title: "There is no history.", text: "History is off, was lost, or has just begun. Charts, uptime and time travel have nothing to show." });
    }
    this.list.update(found);
  }
}

function foreignText(base, failure) {
  return `${base}snapshot/ returned ${failure.message}, and not the JSON of the monitor. In the URLconf, put the entry that includes monitor.api.urls before `
    + `every pattern that matches all paths; the command “manage.py check” names such a pattern. If a proxy serves the front end, it must pass ${base} to Django.`;
}

function pastText(past) {
  if (past.problem) return past.problem;
  return past.view ? "Statuses, reasons and series are exact; other fields are not kept." : "Loading that moment.";
}

function makeNotice({ kind }, actions) {
  const title = h("strong"), text = h("span"), buttons = [];
  const button = (name, act, main) => h("button", { type: "button", class: main ? "main" : "", on: { click: act } }, name);
  if (kind === "past") {
    buttons.push(button("Back to now", () => actions.now(), true));
    for (const [name, seconds] of [["−5 min", -300], ["−30 s", -30], ["+30 s", 30], ["+5 min", 300]]) buttons.push(button(name, () => actions.step(seconds)));
  }
  if (kind === "refused" || kind === "version") buttons.push(button(kind === "refused" ? "Log in" : "Reload", () => location.reload(), true));
  return {
    node: h("div", { class: "notice", dataset: { kind } }, title, " ", text, buttons.length ? h("span", { class: "buttons" }, buttons) : null),
    update(notice) {
      setText(title, notice.title);
      setText(text, notice.text);
    },
  };
}
