// What the page shows, in its address: a link to it shows the same. #check=NAME&range=24h&at=TIME&q=WORDS&show=error

const RANGES = ["1h", "6h", "24h", "7d", "30d", "90d"];

export class Route {
  /** `changed(before)` is called whenever it becomes another one. */
  constructor(changed) {
    this.changed = changed;
    this.read();
    addEventListener("hashchange", () => {
      const before = { check: this.check, at: this.at };
      this.read();
      changed(before);
    });
  }

  read() {
    const said = new URLSearchParams(location.hash.slice(1));
    const at = Number.parseFloat(said.get("at"));
    this.check = said.get("check") || null;
    this.at = Number.isFinite(at) && at > 0 ? at : null;
    this.query = said.get("q") ?? "";
    this.statuses = new Set((said.get("show") ?? "").split(",").filter(Boolean));
    this.range = RANGES.includes(said.get("range")) ? said.get("range") : "24h";
  }

  /** The address of what would be shown with these changes. */
  href(changes = {}) {
    const now = { check: this.check, range: this.range, at: this.at, query: this.query, statuses: this.statuses, ...changes };
    const said = new URLSearchParams();
    if (now.check) said.set("check", now.check);
    if (now.check && now.range !== "24h") said.set("range", now.range);
    if (now.at) said.set("at", String(now.at)); // exact: an event's moment is the first of what it began
    if (now.query) said.set("q", now.query);
    if (now.statuses.size) said.set("show", [...now.statuses].join(","));
    return `#${said}`;
  }

  /** Go there, by a step that the browser's "back" undoes. */
  go(changes) {
    const href = this.href(changes);
    if (href === (location.hash || "#")) return;
    const before = { check: this.check, at: this.at };
    history.pushState(null, "", href); // at once: a hash that is set is told of later, and the next key may be faster
    this.read();
    this.changed(before);
  }

  /** Filter: not a step, for it is typed. */
  filter(changes) {
    const before = { check: this.check, at: this.at };
    history.replaceState(null, "", this.href(changes));
    this.read();
    this.changed(before);
  }
}

export { RANGES };
