// Chart of a series: the mean as a line, minimum and maximum as a band, and the status as the background.

import { h, setAttribute, setText } from "./dom.js";
import { clock, day, label, moment, quantity, unitOf } from "./format.js";
import { runs } from "./model.js";

const CLICK_PIXELS = 4, SPARSE = 60;
const WORDS = { error: "error", warning: "warning", ok: "ok", unknown: "unknown", stale: "not observed", unobserved: "not observed" };

export class Chart {
  /**
   * `actions.pick(time)` is called after a click, and `actions.zoom(since, until)` after a drag. `actions.now()` returns the time of the
   * store's clock. Charts with the same `sync` share the cursor.
   */
  constructor(name, actions, sync, height) {
    this.name = name;
    this.height = height;
    this.actions = actions;
    this.sync = sync;
    this.plot = null;
    this.at = null;
    this.readout = h("p", { class: "chart-read" });
    this.box = h("div", { class: "chart-box", tabindex: "0", role: "slider", "aria-label": `${label(name)}: a moment`, "aria-valuenow": "0" });
    this.node = h("figure", { class: "chart" }, h("figcaption", {}, h("span", { class: "chart-name" }, label(name)), this.readout), this.box);
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    this.resize = new ResizeObserver(() => this.plot?.setSize({ width: this.width(), height: this.height }));
    this.resize.observe(this.box);
  }

  /** Draw a history `{times, status, series: {NAME: {unit, min, mean, max}}, step_seconds}`. */
  update(history) {
    const series = history.series[this.name] ?? { mean: [], min: [], max: [] };
    this.history = history;
    this.unit = unitOf(this.name, series.unit);
    this.statusRuns = runs(history.status);
    const data = [history.times, ...[series.max, series.min, series.mean].map((values) => withGaps(values, history.status))];
    if (!this.plot) this.build(data);
    else this.plot.setData(data);
    setAttribute(this.box, "aria-valuemin", String(Math.round(history.times[0] ?? 0)));
    setAttribute(this.box, "aria-valuemax", String(Math.round(history.times.at(-1) ?? 0)));
    this.showReadout(this.plot.cursor.idx);
  }

  /** Mark the past moment that the page shows; null removes the mark. */
  mark(at) {
    if (at === this.at) return;
    this.at = at;
    this.plot?.redraw(false);
  }

  /** Draw again after a change of the theme. */
  restyle() {
    if (!this.plot) return;
    this.plot.destroy();
    this.plot = null;
    this.update(this.history);
  }

  destroy() {
    this.resize.disconnect();
    this.plot?.destroy();
    this.plot = null;
    this.node.remove();
  }

  width() {
    return Math.max(200, Math.floor(this.box.clientWidth));
  }

  build(data) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.colours = Object.fromEntries(["error", "warning", "unknown", "muted", "grid", "line", "past"].map((name) => [name, colour(name)]));
    const axis = { stroke: this.colours.muted, grid: { stroke: this.colours.grid, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const band = { stroke: "transparent", points: { show: false } };
    this.plot = new globalThis.uPlot({
      width: this.width(), height: this.height, legend: { show: false },
      cursor: { sync: { key: this.sync }, drag: { x: true, y: false, setScale: false }, y: false, points: { size: 6 } },
      scales: { x: { time: true }, y: { range: (_, low, high) => rangeOf(low, high) } },
      axes: [{ ...axis, size: 26, space: 70, values: (_, ticks, ___, ____, step) => ticks.map((each) => (step >= 86_400 ? day(each) : clock(each).slice(0, step >= 60 ? 5 : 8))) },
        { ...axis, size: 58, gap: 4, space: 28, values: (_, ticks) => ticks.map((each) => quantity(each, this.unit)) }],
      series: [{}, { ...band }, { ...band }, { stroke: this.colours.line, width: 1.5, points: { show: (_, __, from, to) => knownCount(this.history.series[this.name]?.mean ?? [], from, to) <= SPARSE, size: 4 } }],
      bands: [{ series: [1, 2], fill: `${this.colours.line}2e` }],
      hooks: {
        drawClear: [(plot) => this.shade(plot)],
        draw: [(plot) => this.markMoment(plot)],
        setCursor: [(plot) => this.showReadout(plot.cursor.idx)],
        setSelect: [(plot) => this.selected(plot)],
      },
    }, data, this.box);
    let down = null;
    this.plot.over.addEventListener("mousedown", (event) => (down = [event.clientX, event.clientY]));
    this.plot.over.addEventListener("click", (event) => {
      if (down && Math.hypot(event.clientX - down[0], event.clientY - down[1]) < CLICK_PIXELS) {
        this.actions.pick(this.plot.posToVal(event.clientX - this.plot.rect.left, "x"));
      }
    });
  }

  /** Draw the background: errors filled and hatched, warnings filled, other time than ok dotted. They differ without colours. */
  shade(plot) {
    const { ctx, bbox } = plot, step = this.history.step_seconds;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const { status, from, to } of this.statusRuns) {
      if (status === "ok") continue;
      const left = plot.valToPos(this.history.times[from], "x", true);
      const right = plot.valToPos(this.history.times[to - 1] + step, "x", true);
      const colour = this.colours[status] ?? this.colours.unknown, width = Math.max(1, right - left);
      ctx.globalAlpha = status === "error" ? 0.2 : 0.13;
      ctx.fillStyle = colour;
      if (status === "error" || status === "warning") ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.globalAlpha = 0.5;
      if (status !== "warning") hatch(ctx, colour, left, bbox.top, width, bbox.height, status === "error");
    }
    ctx.restore();
  }

  markMoment(plot) {
    if (!this.at) return;
    const { ctx, bbox } = plot, x = plot.valToPos(this.at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.save();
    ctx.fillStyle = this.colours.past;
    ctx.fillRect(x - 1, bbox.top, 2, bbox.height);
    ctx.restore();
  }

  showReadout(index) {
    const { times, status, series } = this.history, own = series[this.name];
    let at = index ?? times.length - 1;
    while (own && at > 0 && own.mean[at] === null && status[at] && status[at - 1]) at -= 1; // go back to a measured point
    if (at < 0 || !own || times[at] === undefined) return setText(this.readout, "nothing was observed in this period");
    const time = moment(times[at], this.actions.now());
    const texts = [time, own.mean[at] === null ? "no value" : quantity(own.mean[at], this.unit)];
    if (own.max[at] !== null && own.max[at] !== own.min[at]) texts.push(`${quantity(own.min[at], this.unit)} to ${quantity(own.max[at], this.unit)}`);
    texts.push(WORDS[status[at] ?? "unobserved"]);
    const text = texts.join(" · ");
    setText(this.readout, text);
    setAttribute(this.box, "aria-valuenow", String(Math.round(times[at])));
    setAttribute(this.box, "aria-valuetext", text);
  }

  selected(plot) {
    const { left, width } = plot.select;
    if (width < CLICK_PIXELS) return;
    const since = plot.posToVal(left, "x"), until = plot.posToVal(left + width, "x");
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.actions.zoom(since, until);
  }

  onKey(event) {
    const times = this.history?.times ?? [], last = times.length - 1;
    if (last < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const at = this.plot.cursor.idx ?? last, span = times[last] - times[0];
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageDown: at - Math.ceil(last / 20), PageUp: at + Math.ceil(last / 20), Home: 0, End: last }[event.key];
    if (to !== undefined) {
      const index = Math.min(last, Math.max(0, to));
      this.plot.setCursor({ left: this.plot.valToPos(times[index], "x"), top: this.height / 3 });
    } else if (event.key === "Enter") this.actions.pick(times[at]);
    else if (event.key === "+") this.actions.zoom(times[at] - span / 6, times[at] + span / 6);
    else if (event.key === "-") this.actions.zoom(null, null);
    else return;
    event.preventDefault();
  }
}

/** Return values for uPlot, which draws a gap for null and a line across undefined. Only points without observations are gaps. */
function withGaps(values, statuses) {
  return values.map((value, index) => (value === null && statuses[index] ? undefined : value));
}

function knownCount(values, from, to) {
  let count = 0;
  for (let index = from; index <= to; index += 1) if (values[index] !== null) count += 1;
  return count;
}

function rangeOf(low, high) {
  if (low === null || high === null) return [0, 1];
  const from = low >= 0 ? 0 : low * 1.1;
  return [from, high > from ? high + (high - from) * 0.08 : from + 1];
}

function hatch(ctx, colour, left, top, width, height, slanted) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1;
  if (!slanted) ctx.setLineDash([1, 5]);
  ctx.beginPath();
  const pitch = slanted ? 9 : 7;
  for (let x = left - (slanted ? height : 0) - ((left - height) % pitch); x < left + width; x += pitch) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(slanted ? x + height : x, top);
  }
  ctx.stroke();
  ctx.restore();
}
