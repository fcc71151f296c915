// Route: the selected check, time and filter. They are in the address of the page: #check=NAME&range=24h&at=TIME&q=WORDS&show=error

const RANGES = ["1h", "6h", "24h", "7d", "30d", "90d"];

export class Route {
  /** `onChange(before)` is called after each change. `before` is `{check, at}`, the check and the time before the change. */
  constructor(onChange) {
    this.onChange = onChange;
    this.read();
    addEventListener("hashchange", () => {
      const before = { check: this.check, at: this.at };
      this.read();
      onChange(before);
    });
  }

  read() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    const at = Number.parseFloat(parameters.get("at"));
    this.check = parameters.get("check") || null;
    this.at = Number.isFinite(at) && at > 0 ? at : null;
    this.query = parameters.get("q") ?? "";
    this.statuses = new Set((parameters.get("show") ?? "").split(",").filter(Boolean));
    this.range = RANGES.includes(parameters.get("range")) ? parameters.get("range") : "24h";
  }

  /** Return the address of the route with these changes. */
  href(changes = {}) {
    const now = { check: this.check, range: this.range, at: this.at, query: this.query, statuses: this.statuses, ...changes };
    const parameters = new URLSearchParams();
    if (now.check) parameters.set("check", now.check);
    if (now.check && now.range !== "24h") parameters.set("range", now.range);
    if (now.at) parameters.set("at", String(now.at)); // not rounded, because a new status begins exactly at its event
    if (now.query) parameters.set("q", now.query);
    if (now.statuses.size) parameters.set("show", [...now.statuses].join(","));
    return `#${parameters}`;
  }

  /** Apply changes, with a new entry in the browser's history. */
  go(changes) {
    const href = this.href(changes);
    if (href === (location.hash || "#")) return;
    const before = { check: this.check, at: this.at };
    history.pushState(null, "", href); // after setting location.hash, the change would arrive with a later event, perhaps after the next key
    this.read();
    this.onChange(before);
  }

  /** Apply changes of the filter, without a new entry in the browser's history. */
  filter(changes) {
    const before = { check: this.check, at: this.at };
    history.replaceState(null, "", this.href(changes));
    this.read();
    this.onChange(before);
  }
}

export { RANGES };
