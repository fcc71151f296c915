// Tiles of the checks, in the order of the configuration, so that a tile keeps its place.

import { byId, checkLink, h, icon, Keyed, setAttribute, setIcon, setStatus, setText, show } from "./dom.js";
import { age, label, plural, quantity, words } from "./format.js";
import { headline, matches, STATUSES } from "./model.js";
import { Spark } from "./spark.js";

const WORDS = { error: "Error", stale: "Stale", unknown: "Unknown", warning: "Warning", ok: "OK" };

export class Tiles {
  /** `route` has the selected check and the filter. The search field and the buttons above the tiles change the filter. */
  constructor(route) {
    this.route = route;
    this.list = byId("tiles");
    this.keyed = new Keyed(this.list, (each) => each.name, (each) => new Tile(each.name));
    this.search = byId("search");
    this.chips = new Map(STATUSES.map((status) => [status, chip(status, route)]));
    byId("chips").append(...[...this.chips.values()].map((each) => each.node));
    this.search.value = route.query;
    this.search.addEventListener("input", () => route.filter({ query: this.search.value.trim() }));
    byId("filter").addEventListener("submit", (event) => event.preventDefault());
    this.list.addEventListener("keydown", (event) => this.moveFocus(event));
  }

  update(view, overview, past) {
    const shown = [...view.checks.values()].filter((each) => matches(each, this.route.query, this.route.statuses));
    this.keyed.update(shown, overview, this.route.check, past);
    for (const [status, each] of this.chips) each.update(view.counts[status], this.route.statuses.has(status));
    const all = view.checks.size;
    setText(byId("checks-note"), shown.length === all ? plural(all, "check") : `${shown.length} of ${plural(all, "check")}`);
    const empty = byId("tiles-empty");
    setText(empty, all ? "No check matches this filter." : "No checks are configured, or no state is known yet.");
    show(empty, !shown.length);
    if (document.activeElement !== this.search && this.search.value.trim() !== this.route.query) this.search.value = this.route.query;
  }

  /** Update all ages. Called once a second. */
  tick(now) {
    for (const tile of this.keyed.children.values()) tile.tick(now);
  }

  /** Focus the tile of a check. */
  focus(name) {
    this.keyed.children.get(name)?.link.focus();
  }

  moveFocus(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columnCount(), ArrowUp: -this.columnCount() }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    const links = [...this.list.querySelectorAll("a.tile")];
    const target = links[links.indexOf(document.activeElement) + step];
    event.preventDefault();
    target?.focus();
  }

  columnCount() {
    return getComputedStyle(this.list).gridTemplateColumns.split(" ").length;
  }
}

class Tile {
  constructor(name) {
    this.icon = icon("unknown");
    this.age = h("span", { class: "tile-age" });
    this.value = h("span", { class: "tile-value" });
    this.valueName = h("span", { class: "tile-of" });
    this.word = h("span", { class: "tile-word" });
    this.reason = h("span", { class: "tile-reason" });
    this.spark = new Spark();
    this.link = checkLink(name, { class: "tile" }, [
      h("span", { class: "tile-head" }, this.icon, h("span", { class: "tile-name", title: name }, name), " ", this.age),
      h("span", { class: "tile-body" }, this.value, this.spark.node),
      h("span", { class: "tile-foot" }, this.word, " ", this.reason, " ", this.valueName)]);
    this.node = h("li", {}, this.link);
  }

  update(check, overview, selected, past) {
    setStatus(this.link, check.status);
    setIcon(this.icon, check.status);
    const history = overview?.checks?.[check.name];
    const shown = headline(check, history);
    setText(this.value, shown ? quantity(shown.value, shown.unit) : "–");
    setText(this.valueName, shown ? label(shown.name) : "");
    setText(this.word, WORDS[check.status]);
    setText(this.reason, reasonOf(check));
    setAttribute(this.link, "aria-current", check.name === selected ? "true" : null);
    if (this.link.dataset.optional !== String(!check.critical)) this.link.dataset.optional = String(!check.critical);
    this.spark.update(history ?? null);
    [this.observedAt, this.past] = [check.observedAt, past];
  }

  tick(now) {
    setText(this.age, this.past || this.observedAt === null || this.observedAt === undefined ? "" : age(now - this.observedAt));
  }
}

function reasonOf(check) {
  const reason = check.reason && words(check.reason) !== check.status ? words(check.reason) : "";
  if (check.status === "stale" && check.previousStatus) return `was ${check.previousStatus}`;
  return reason;
}

function chip(status, route) {
  const count = h("span", { class: "chip-count" }, "0");
  const node = h("button", { type: "button", class: "chip", "aria-pressed": "false", dataset: { status } },
    icon(status), h("span", {}, WORDS[status]), " ", count);
  node.addEventListener("click", () => {
    const statuses = new Set(route.statuses);
    if (!statuses.delete(status)) statuses.add(status);
    route.filter({ statuses });
  });
  return {
    node,
    update(number, pressed) {
      setText(count, String(number));
      setAttribute(node, "aria-pressed", String(pressed));
      node.classList.toggle("none", number === 0 && !pressed);
    },
  };
}
