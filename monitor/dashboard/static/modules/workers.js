// Matrix of workers and queues: a row for each worker, a column for each queue.

import { byId, checkLink, h, icon, Keyed, setAttribute, setIcon, setStatus, setText, show } from "./dom.js";
import { plural, quantity, seconds, words } from "./format.js";

const MAX_ROWS = 40;
const OLDER = { agent: "The agent in this worker is older than the monitor.", monitor: "The monitor is older than the agent in this worker." };
const RANK = { error: 0, stale: 1, unknown: 2, warning: 3, ok: 4 };

export class Workers {
  constructor() {
    this.body = byId("workers-body");
    this.head = h("tr");
    this.corner = h("th", { scope: "col" });
    this.rows = h("tbody");
    this.table = h("table", { class: "matrix" }, h("caption", { class: "visually-hidden" }, "Workers, and the queues that each consumes"),
      h("thead", {}, this.head), this.rows);
    this.empty = h("p", { class: "empty" }, "No worker is known. To see the workers of a Celery application, add this line to its module: ",
      h("code", {}, "monitor.install(app)"));
    this.emptyPast = h("p", { class: "empty" }, "No worker was known at that time.");
    this.more = h("p", { class: "empty" });
    this.body.append(this.table, this.more, this.empty, this.emptyPast);
    this.queues = "";
    this.columns = [];
    this.keyed = null;
  }

  /** Show a view. `past` is true for a past moment, whose view has only statuses, latencies and numbers of messages. */
  update(view, past) {
    const workers = view.workers.toSorted((a, b) => (RANK[a.status] ?? 2) - (RANK[b.status] ?? 2) || (a.name < b.name ? -1 : 1));
    show(this.table, workers.length + view.queues.length > 0);
    show(this.emptyPast, past && workers.length + view.queues.length === 0);
    show(this.empty, !past && workers.length === 0);
    this.createColumns(view);
    const prefix = commonPrefix(workers);
    setText(this.corner, prefix ? `Worker ${prefix}` : "Worker");
    this.columns.forEach(({ update }, index) => update(view.queues[index]));
    this.keyed.update(workers.slice(0, MAX_ROWS), view.queues, past, prefix.length);
    const queuesOnly = past && !workers.length && view.queues.length > 0;
    show(this.more, workers.length > MAX_ROWS || queuesOnly);
    setText(this.more, queuesOnly ? "For this moment, history has the queues, but not the workers."
      : `and ${plural(workers.length - MAX_ROWS, "more worker")}, none in a worse state`);
    const failing = workers.filter((each) => each.status !== "ok").length;
    setText(byId("workers-note"), workers.length ? `${plural(workers.length, "worker")}, ${plural(view.queues.length, "queue")}${failing ? `; ${failing} not ok` : ""}` : "");
  }

  /** Create the columns, if the queues have changed. */
  createColumns(view) {
    const queues = JSON.stringify(view.queues.map((each) => each.name));
    if (queues === this.queues && this.keyed) return;
    this.queues = queues;
    this.columns = view.queues.map((each) => queueHead(each.name));
    this.head.replaceChildren(this.corner, h("th", { scope: "col" }, "State"),
      h("th", { scope: "col", class: "number" }, "Heartbeat"), h("th", { scope: "col", class: "number" }, "Slots"),
      ...this.columns.map((each) => each.node));
    this.rows.replaceChildren();
    this.keyed = new Keyed(this.rows, (each) => each.check ?? each.name, (each) => new Row(each, view.queues.length));
  }
}

class Row {
  constructor(worker, count) {
    this.link = checkLink(worker.check ?? worker.name, { title: worker.name });
    this.name = h("th", { scope: "row", class: "name" }, this.link);
    this.icon = icon("unknown");
    this.verdict = h("span", { class: "word" });
    this.latency = h("td", { class: "number" });
    this.slots = h("td", { class: "number" });
    this.cells = Array.from({ length: count }, () => cell());
    this.state = h("td", { class: "state" }, this.icon, " ", this.verdict);
    this.node = h("tr", {}, this.name, this.state, this.latency, this.slots,
      this.cells.map((each) => each.node));
  }

  update(worker, queues, past, prefixLength) {
    setText(this.link, worker.name.slice(prefixLength));
    setStatus(this.node, worker.status);
    setIcon(this.icon, worker.status);
    setText(this.verdict, verdict(worker));
    setAttribute(this.state, "title", worker.message ?? OLDER[worker.outdated] ?? null);
    setText(this.latency, quantity(worker.latency_ms, "ms"));
    setText(this.slots, typeof worker.slots === "number" ? `${worker.active ?? "–"}/${worker.slots}` : "–");
    const consumes = new Set(worker.queues ?? []);
    this.cells.forEach((each, index) => each.update(past ? null : consumes.has(queues[index].name), worker, queues[index]));
  }
}

/** Return the prefix up to the @ that all names have in common; empty if the prefixes differ. Only the head of the column shows it. */
function commonPrefix(workers) {
  const prefix = workers[0]?.name.slice(0, workers[0].name.indexOf("@") + 1) ?? "";
  return workers.every((each) => each.name.startsWith(prefix)) ? prefix : "";
}

function cell() {
  const mark = icon("unknown"), word = h("span", { class: "visually-hidden" });
  const node = h("td", { class: "cell" }, mark, word);
  return {
    node,
    update(consumes, worker, queue) {
      setText(word, consumes === null ? "unknown" : consumes ? `${verdict(worker)} ${queue.name}` : "no");
      setStatus(node, consumes ? worker.status : "none");
      setIcon(mark, worker.status);
      mark.classList.toggle("hidden", !consumes);
    },
  };
}

function queueHead(name) {
  const mark = icon("unknown"), latency = h("span", { class: "sub" }), pending = h("span", { class: "sub" }), word = h("span", { class: "sub word" });
  const node = h("th", { scope: "col", class: "queue" }, h("span", { class: "queue-name" }, mark, " ", h("span", { title: name }, name)), word, latency, pending);
  return {
    node,
    update(queue) {
      setStatus(node, queue.status);
      setIcon(mark, queue.status);
      setText(word, verdict(queue));
      word.classList.toggle("visually-hidden", queue.status === "ok" && queue.verdict !== "resting");
      setText(latency, quantity(queue.latency_ms, "ms"));
      setText(pending, typeof queue.pending_tasks === "number" ? `${quantity(queue.pending_tasks)} waiting` : "");
      setAttribute(node, "title", queue.message ?? null);
    },
  };
}

/** Return a verdict in words, marked if it is out of date. A reason beside an ok verdict is added, such as `outdated`. */
function verdict(entry) {
  const reason = entry.status !== "stale" && entry.reason !== entry.verdict ? entry.reason : null;
  const verdictWords = words(entry.verdict ?? entry.status);
  const text = !reason ? verdictWords : entry.status === "ok" && entry.verdict ? `${verdictWords}, ${words(reason)}` : words(reason);
  return entry.stale || entry.status === "stale" ? `${text}, out of date` : text;
}

/** Return the workers and queues of a past snapshot, in which they are checks. */
export function workersOf(snapshot) {
  const withPrefix = (prefix) => Object.entries(snapshot.checks ?? {}).filter(([name]) => name.startsWith(prefix)).map(([name, entry]) => ({
    name: entry.name ?? name.slice(prefix.length), check: name, status: entry.status, reason: entry.reason, verdict: entry.reason,
    latency_ms: entry.latency_ms ?? entry.series?.latency_ms, pending_tasks: entry.pending_tasks ?? entry.series?.pending_tasks,
    since: seconds(entry.since),
  }));
  return { workers: withPrefix("worker:"), queues: withPrefix("queue:") };
}

