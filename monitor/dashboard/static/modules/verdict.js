// The verdict over everything, and why. Also in the tab's title and icon, for a page that is not looked at.

import { byId, checkLink, h, icon, Keyed, setAttribute, setIcon, setStatus, setText } from "./dom.js";
import { duration, moment, plural, words } from "./format.js";
import { STATUSES, verdictStatus, why } from "./model.js";

const NAMED = 4;
const COLOURS = { ok: "#1a7f4b", warning: "#b7791f", error: "#c62f3b", unknown: "#667085" };
const MARKS = {
  ok: ['<circle cx="8" cy="8" r="7.5"/>', "M4.4 8.3l2.4 2.4 4.8-5.1"],
  warning: ['<path d="M8 .8l7.6 14H.4z"/>', "M8 5.6v4.6M8 12.6v.1"],
  error: ['<path d="M5 .5h6L15.5 5v6L11 15.5H5L.5 11V5z"/>', "M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6"],
  unknown: ['<path d="M8 .3L15.7 8 8 15.7.3 8z"/>', "M6 6.4a2 2 0 1 1 3 1.7c-.7.4-1 .7-1 1.3M8 11.6v.1"],
};

export class Verdict {
  constructor() {
    this.node = byId("verdict");
    this.counts = new Keyed(byId("counts"), (each) => each.status, makeCount);
    this.parts = "";
  }

  /** The verdict of a view; `live` tells whether it is one of now, `at` that it is one of then. */
  update(view, live, at) {
    const gone = !at && ["gone", "refused"].includes(live.state);
    const status = gone || !view ? "unknown" : verdictStatus(view.overall);
    const word = gone ? "Not known" : view ? view.overall[0].toUpperCase() + view.overall.slice(1) : "Connecting";
    setStatus(this.node, status);
    setIcon(this.node.firstElementChild, gone ? "gone" : status);
    setText(byId("verdict-word"), at && view ? `${word} then` : word);
    const reasons = view ? why(view) : [];
    if (gone) this.say(live.state === "refused" ? "You are not logged in any more." : silence(live, view));
    else if (view) this.explain(view, reasons);
    this.announce(gone ? `${word}. ${live.state === "refused" ? "You are not logged in any more." : "The server does not answer."}`
      : view ? [`${at ? "Then: " : ""}${word}.`, ...reasons.map((each) => sentence(each))].join(" ") : "");
    if (view) this.counts.update(STATUSES.filter((each) => view.counts[each]).map((each) => ({ status: each, count: view.counts[each] })));
    this.mark(status, gone, reasons, at);
  }

  explain(view, reasons) {
    if (!reasons.length) {
      this.say(view.checks.size ? `All ${plural(view.checks.size, "check")} fine.` : "Nothing is configured to be checked, or nothing is known yet.");
      return;
    }
    const key = JSON.stringify([reasons.map(({ text, checks }) => [text, checks.map((each) => [each.name, each.reason])])]);
    if (key === this.parts) return;
    this.parts = key;
    byId("verdict-why").replaceChildren(...reasons.flatMap(({ status, text, checks }) => [
      h("span", { class: "why", dataset: { status } }, icon(status), h("strong", {}, `${text}: `),
        checks.slice(0, NAMED).flatMap((each, index) => [index ? ", " : "", checkLink(each.name),
          each.reason && words(each.reason) !== status ? ` (${words(each.reason)})` : ""]),
        checks.length > NAMED ? h("span", {}, ` and ${checks.length - NAMED} more`) : null),
      " ",
    ]));
  }

  say(text) {
    this.parts = "";
    setText(byId("verdict-why"), text);
  }

  /** To screen readers, once, and only when it has become another. */
  announce(text) {
    setText(byId("announcer"), text);
  }

  mark(status, gone, reasons, at) {
    const count = reasons.filter((each) => each.status !== "warning").reduce((sum, each) => sum + each.checks.length, 0);
    const told = gone ? "No answer" : at ? "Past" : count ? plural(count, "problem") : status === "ok" ? "OK" : status === "warning" ? "Warning" : "";
    const title = told ? `${told} · Health monitor` : "Health monitor";
    if (document.title !== title) document.title = title;
    const [shape, mark] = MARKS[status];
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><g fill="${COLOURS[status]}">${shape}</g>`
      + `<path d="${mark}" fill="none" stroke="#fff" stroke-width="1.8" stroke-linecap="round"/></svg>`;
    setAttribute(document.querySelector("link[rel=icon]"), "href", `data:image/svg+xml,${encodeURIComponent(svg)}`);
  }
}

function silence(live, view) {
  if (!view) return `The server does not answer (${live.failure?.message ?? "nothing yet"}). Trying again every two seconds.`;
  const at = live.now() - live.silence;
  return `The server has not answered for ${duration(live.silence)}. It was ${view.told} at ${moment(at, live.now())}; what is below is of then. Trying again every two seconds.`;
}

const sentence = ({ text, checks }) => `${text}: ${checks.slice(0, NAMED).map((each) => each.name).join(", ")}${checks.length > NAMED ? " and more" : ""}.`;

function makeCount({ status }) {
  const number = h("strong");
  const node = h("li", { dataset: { status } }, icon(status), number, " ", h("span", {}, status));
  return { node, update: ({ count }) => setText(number, String(count)) };
}
