// What is not as it should be with the page itself: shown plainly, above everything.

import { byId, h, Keyed, setText } from "./dom.js";
import { duration, moment } from "./format.js";

export class Notices {
  /** `on.now()`: back to now; `on.step(seconds)`: to another past moment. */
  constructor(on) {
    this.list = new Keyed(byId("notices").appendChild(h("div", { class: "notices" })), (each) => each.kind, (each) => makeNotice(each, on));
  }

  update(live, snapshot, route, past, versions) {
    const found = [];
    if (route.at) found.push({ kind: "past", title: `This is ${moment(route.at, live.now())}, ${duration(live.now() - route.at)} ago.`, text: pastText(past) });
    if (live.state === "refused") found.push({ kind: "refused", title: "You are not logged in any more.", text: "Nothing below is being updated." });
    else if (snapshot?.answering === false) {
      found.push({ kind: "store", title: "The store (Redis) does not answer.", text: "Shown is what this server read last; it expires check by check. History cannot be read meanwhile." });
    }
    if (versions.loaded && versions.served && versions.loaded !== versions.served) {
      found.push({ kind: "version", title: "The server has been updated.", text: "This page is of its older version." });
    }
    if (snapshot && snapshot.answering !== false && !snapshot.reaches?.raw && !snapshot.reaches?.rollups) {
      found.push({ kind: "history", title: "There is no history.", text: "It is off, was lost, or has only just begun: charts, uptime and time travel have nothing to show." });
    }
    this.list.update(found);
  }
}

function pastText(past) {
  if (past.trouble) return past.trouble;
  return past.view ? "Statuses, reasons and series are exact; other fields are not kept." : "Reading it.";
}

function makeNotice({ kind }, on) {
  const title = h("strong"), text = h("span"), buttons = [];
  const button = (name, act, main) => h("button", { type: "button", class: main ? "main" : "", on: { click: act } }, name);
  if (kind === "past") {
    buttons.push(button("Back to now", () => on.now(), true));
    for (const [name, seconds] of [["−5 min", -300], ["−30 s", -30], ["+30 s", 30], ["+5 min", 300]]) buttons.push(button(name, () => on.step(seconds)));
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
