// Panel of the consumer groups: lag, skew, and the partitions with the most lag, each with its owner.

import { byId, checkLink, h, icon, Keyed, setAttribute, setIcon, setStatus, setText, show } from "./dom.js";
import { plural, quantity, words } from "./format.js";

const MAX_PARTITIONS = 12;
const FACTS = [
  ["lag", "lag", ""],
  ["lag_seconds", "oldest message", "s"],
  ["skew_ratio", "skew", "×"],
  ["skew_ratio_max", "worst skew", "×"],
  ["consumers", "consumers", ""],
  ["unassigned_partitions", "unassigned partitions", ""],
  ["consume_rate", "consumed", "/s"],
  ["produce_rate", "produced", "/s"],
  ["drain_eta_seconds", "time to drain", "s"],
];

/** Return whether a check observes a consumer group. */
export const isGroup = (check) => check.kind === "kafka_group" || check.kind === "group" || check.name.startsWith("group:");

export class Kafka {
  constructor() {
    this.section = byId("kafka");
    this.jump = document.querySelector('a[href="#kafka"]');
    this.keyed = new Keyed(byId("kafka-body"), (each) => each.name, (each) => new Group(each));
  }

  update(view, past) {
    const groups = [...view.checks.values()].filter(isGroup).filter((each) => typeof each.fields.lag === "number" || partitions(each).length || each.kind === "group");
    show(this.section, groups.length > 0);
    show(this.jump, groups.length > 0);
    const lag = groups.reduce((sum, each) => sum + (each.fields.lag ?? 0), 0);
    setText(byId("kafka-note"), `${plural(groups.length, "group")}, ${quantity(lag)} messages behind`);
    this.keyed.update(groups, past);
  }
}

class Group {
  constructor(check) {
    this.icon = icon("unknown");
    this.word = h("span", { class: "word" });
    this.facts = new Keyed(h("dl", { class: "facts" }), ([name]) => name, makeFact);
    this.rows = h("tbody");
    this.keyed = new Keyed(this.rows, (row) => `${row.topic}/${row.partition}`, makePartition);
    this.more = h("p", { class: "empty" });
    this.table = h("table", { class: "partitions" }, h("caption", { class: "visually-hidden" }, `Partitions of ${check.name}, by lag`),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Partition"), h("th", { scope: "col", class: "number" }, "Lag"),
        h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "Share of the largest lag")), h("th", { scope: "col" }, "Owner"))), this.rows);
    this.node = h("article", { class: "group" },
      h("h3", {}, this.icon, " ", checkLink(check.name, {}, check.name.replace(/^group:/, "")), " ", this.word),
      this.facts.parent, this.table, this.more);
  }

  update(check, past) {
    setStatus(this.node, check.status);
    setIcon(this.icon, check.status);
    setText(this.word, check.reason ? `${check.status}: ${words(check.reason)}` : check.status);
    this.facts.update(FACTS.filter(([name]) => typeof check.fields[name] === "number").map(([name, text, unit]) => [name, text, quantity(check.fields[name], unit)]));
    const rows = partitions(check).toSorted((a, b) => (b.lag ?? -1) - (a.lag ?? -1));
    const largest = Math.max(1, ...rows.map((row) => row.lag ?? 0));
    this.keyed.update(rows.slice(0, MAX_PARTITIONS), largest);
    show(this.table, rows.length > 0);
    show(this.more, rows.length > MAX_PARTITIONS || past);
    setText(this.more, past ? "For this moment, history has the numbers above, but not the partitions." : `and ${plural(rows.length - MAX_PARTITIONS, "more partition")}, ${quantity(rows.slice(MAX_PARTITIONS).reduce((sum, row) => sum + (row.lag ?? 0), 0))} messages behind`);
  }
}

/** Return the partitions of a group as rows. The API sends them as rows or as columns. */
export function partitions(check) {
  const table = check.detail?.partition_table;
  if (Array.isArray(table)) return table;
  if (!table || typeof table !== "object") return [];
  const names = Object.keys(table);
  return (table.partition ?? []).map((_, index) => Object.fromEntries(names.map((name) => [name, table[name][index]])));
}

function makeFact([, text]) {
  const value = h("dd");
  return { node: h("div", {}, h("dt", {}, text), value), update: ([, , amount]) => setText(value, amount) };
}

function makePartition(row) {
  const lag = h("td", { class: "number" }), owner = h("td", { class: "name" });
  const bar = h("rect", { x: 0, y: 0, height: 8, width: 0 });
  const node = h("tr", {}, h("th", { scope: "row", class: "name" }, `${row.topic} / ${row.partition}`), lag,
    h("td", { class: "bar" }, h("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, bar)), owner);
  return {
    node,
    update(each, largest) {
      setText(lag, each.lag === null || each.lag === undefined ? words(each.problem) || "unknown" : quantity(each.lag));
      setAttribute(bar, "width", String((100 * (each.lag ?? 0)) / largest));
      const ownerName = each.owner ?? each.client_id;
      setText(owner, ownerName || "no owner");
      owner.classList.toggle("no-owner", !ownerName);
    },
  };
}
