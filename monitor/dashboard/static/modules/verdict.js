// The overall verdict and its reasons. The title and the icon of the browser tab show the verdict too.

import { byId, checkLink, h, icon, Keyed, setAttribute, setIcon, setStatus, setText } from "./dom.js";
import { duration, moment, plural, words } from "./format.js";
import { reasonsOf, STATUSES, verdictStatus } from "./model.js";

const MAX_NAMED = 4;
const BLIND = { refused: "You are no longer logged in.", foreign: "The API of the monitor cannot be reached at its path." };
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
    this.shown = "";
  }

  /** Show the verdict of a view. `live` is the connection; `at` is the time of a past view, or null. */
  update(view, live, at) {
    const unreachable = !at && live.isBlind;
    const status = unreachable || !view ? "unknown" : verdictStatus(view.overall);
    const word = unreachable ? "Not known" : view ? view.overall[0].toUpperCase() + view.overall.slice(1) : "Connecting";
    setStatus(this.node, status);
    setIcon(this.node.firstElementChild, unreachable ? "unreachable" : status);
    setText(byId("verdict-word"), at && view ? `${word} then` : word);
    const reasons = view ? reasonsOf(view) : [];
    if (unreachable) this.setReason(BLIND[live.state] ?? unreachableText(live, view));
    else if (view) this.explain(view, reasons);
    this.announce(unreachable ? `${word}. ${BLIND[live.state] ?? "The server does not answer."}`
      : view ? [`${at ? "Then: " : ""}${word}.`, ...reasons.map((each) => sentence(each))].join(" ") : "");
    if (view) this.counts.update(STATUSES.filter((each) => view.counts[each]).map((each) => ({ status: each, count: view.counts[each] })));
    this.setTitle(status, unreachable, reasons, at);
  }

  explain(view, reasons) {
    if (!reasons.length) {
      this.setReason(view.checks.size ? allOk(view.checks.size) : "No checks are configured, or no state is known yet.");
      return;
    }
    const key = JSON.stringify([reasons.map(({ text, checks }) => [text, checks.map((each) => [each.name, each.reason])])]);
    if (key === this.shown) return;
    this.shown = key;
    byId("verdict-why").replaceChildren(...reasons.flatMap(({ status, text, checks }) => [
      h("span", { class: "why", dataset: { status } }, icon(status), h("strong", {}, `${text}: `),
        checks.slice(0, MAX_NAMED).flatMap((each, index) => [index ? ", " : "", checkLink(each.name),
          each.reason && words(each.reason) !== status ? ` (${words(each.reason)})` : ""]),
        checks.length > MAX_NAMED ? h("span", {}, ` and ${checks.length - MAX_NAMED} more`) : null),
      " ",
    ]));
  }

  setReason(text) {
    this.shown = "";
    setText(byId("verdict-why"), text);
  }

  /** Announce a text to screen readers, if it has changed. */
  announce(text) {
    setText(byId("announcer"), text);
  }

  setTitle(status, unreachable, reasons, at) {
    const count = reasons.filter((each) => each.status !== "warning").reduce((sum, each) => sum + each.checks.length, 0);
    const summary = unreachable ? "No answer" : at ? "Past" : count ? plural(count, "problem") : status === "ok" ? "OK" : status === "warning" ? "Warning" : "";
    const title = summary ? `${summary} · Health monitor` : "Health monitor";
    if (document.title !== title) document.title = title;
    const [shape, mark] = MARKS[status];
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><g fill="${COLOURS[status]}">${shape}</g>`
      + `<path d="${mark}" fill="none" stroke="#fff" stroke-width="1.8" stroke-linecap="round"/></svg>`;
    setAttribute(document.querySelector("link[rel=icon]"), "href", `data:image/svg+xml,${encodeURIComponent(svg)}`);
  }
}

const allOk = (count) => (count === 1 ? "The only check is ok." : `All ${count} checks are ok.`);

function unreachableText(live, view) {
  if (!view) return `The server does not answer (${live.failure?.message ?? "no response yet"}). The page tries again every two seconds.`;
  const at = live.now() - live.silence;
  return `The server has not answered for ${duration(live.silence)}. The status was ${view.reportedStatus} at ${moment(at, live.now())}, and everything below is from that time. The page tries again every two seconds.`;
}

const sentence = ({ text, checks }) => `${text}: ${checks.slice(0, MAX_NAMED).map((each) => each.name).join(", ")}${checks.length > MAX_NAMED ? " and more" : ""}.`;

function makeCount({ status }) {
  const number = h("strong");
  const node = h("li", { dataset: { status } }, icon(status), number, " ", h("span", {}, status));
  return { node, update: ({ count }) => setText(number, String(count)) };
}
