// Consumer groups: how far behind, how unevenly, and who owns the partitions that are.

import { byId, checkLink, h, icon, Keyed, setAttribute, setIcon, setStatus, setText, show } from "./dom.js";
import { plural, quantity, words } from "./format.js";

const PARTITIONS = 12;
const FACTS = [
  ["lag", "lag", ""],
  ["lag_seconds", "oldest waits", "s"],
  ["skew_ratio", "skew", "×"],
  ["skew_ratio_max", "worst skew", "×"],
  ["consumers", "consumers", ""],
  ["unassigned_partitions", "unowned partitions", ""],
  ["consume_rate", "consumed", "/s"],
  ["produce_rate", "produced", "/s"],
  ["drain_eta_seconds", "drained in", "s"],
];

/** Whether a check is about a consumer group. */
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
    setText(byId("kafka-note"), `${plural(groups.length, "group")}, ${quantity(lag)} behind`);
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
    this.table = h("table", { class: "partitions" }, h("caption", { class: "unseen" }, `Partitions of ${check.name}, by lag`),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Partition"), h("th", { scope: "col", class: "number" }, "Lag"),
        h("th", { scope: "col" }, h("span", { class: "unseen" }, "Share of the largest lag")), h("th", { scope: "col" }, "Owner"))), this.rows);
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
    this.keyed.update(rows.slice(0, PARTITIONS), largest);
    show(this.table, rows.length > 0);
    show(this.more, rows.length > PARTITIONS || past);
    setText(this.more, past ? "Partitions are not kept: only the numbers above are." : `and ${plural(rows.length - PARTITIONS, "partition")} more, with ${quantity(rows.slice(PARTITIONS).reduce((sum, row) => sum + (row.lag ?? 0), 0))} behind`);
  }
}

/** The rows of a group's table: whether they came as objects, or as columns. */
export function partitions(check) {
  const table = check.detail?.partition_table;
  if (Array.isArray(table)) return table;
  if (!table || typeof table !== "object") return [];
  const names = Object.keys(table);
  return (table.partition ?? []).map((_, index) => Object.fromEntries(names.map((name) => [name, table[name][index]])));
}

function makeFact([, text]) {
  const value = h("dd");
  return { node: h("div", {}, h("dt", {}, text), value), update: ([, , said]) => setText(value, said) };
}

function makePartition(row) {
  const lag = h("td", { class: "number" }), owner = h("td", { class: "name" });
  const bar = h("rect", { x: 0, y: 0, height: 8, width: 0 });
  const node = h("tr", {}, h("th", { scope: "row", class: "name" }, `${row.topic} / ${row.partition}`), lag,
    h("td", { class: "bar" }, h("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, bar)), owner);
  return {
    node,
    update(each, largest) {
      setText(lag, each.lag === null || each.lag === undefined ? words(each.problem) || "not known" : quantity(each.lag));
      setAttribute(bar, "width", String((100 * (each.lag ?? 0)) / largest));
      const who = each.owner ?? each.client_id;
      setText(owner, who || "nobody");
      owner.classList.toggle("nobody", !who);
    },
  };
}
