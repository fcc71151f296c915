// Sparkline of a tile: the values of the last 24 hours as a line, and the status as a strip below the line. Screen readers ignore it.

import { h, setAttribute } from "./dom.js";
import { runs } from "./model.js";

const WIDTH = 100, HEIGHT = 28, STRIP = 4;
const SHOWN = ["error", "warning", "unknown", "ok"];

export class Spark {
  constructor() {
    this.line = h("path", { class: "spark-line" });
    this.strips = Object.fromEntries(SHOWN.map((status) => [status, h("path", { class: "spark-strip", "data-status": status })]));
    this.node = h("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true",
      focusable: "false" }, this.line, Object.values(this.strips));
    this.drawn = null;
  }

  /** Draw a check of the overview: `{status: [...], values: [...]}`. */
  update(history) {
    if (history === this.drawn) return;
    this.drawn = history;
    const values = history?.values ?? [], statuses = history?.status ?? [];
    setAttribute(this.line, "d", linePath(values));
    const paths = Object.fromEntries(SHOWN.map((status) => [status, ""]));
    const step = WIDTH / Math.max(1, statuses.length);
    for (const { status, from, to } of runs(statuses)) {
      // An error is taller, so that it is visible without colours. Time without observations is a gap.
      const top = HEIGHT - (status === "error" ? 2 * STRIP : STRIP);
      if (status in paths) paths[status] += `M${round(from * step)} ${top}H${round(to * step)}V${HEIGHT}H${round(from * step)}z`;
    }
    for (const status of SHOWN) setAttribute(this.strips[status], "d", paths[status]);
  }
}

function linePath(values) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return "";
  const low = Math.min(...known), high = Math.max(...known);
  const height = HEIGHT - 2 * STRIP - 3, step = WIDTH / Math.max(1, values.length - 1);
  let path = "", pen = "M";
  values.forEach((value, index) => {
    if (value === null) {
      pen = "M";
      return;
    }
    const y = high === low ? height / 2 + 1 : 1 + height * (1 - (value - low) / (high - low));
    path += `${pen}${round(index * step)} ${round(y)}`;
    pen = "L";
  });
  return path;
}

const round = (value) => Math.round(value * 10) / 10;
