// What deployments did on the candles, and the prices at which their orders and brackets wait. Told apart by shape and
// name, never by colour alone.
import { LineStyle, createSeriesMarkers } from "../vendor/lightweight-charts.js";

const SHAPES = { signal: "square", denied: "circle", rejected: "circle" };
const COLORS = { signal: "--color-muted", denied: "--color-amber", rejected: "--color-negative" };
const STYLES = { stop: LineStyle.LargeDashed, target: LineStyle.Dotted, limit: LineStyle.Dashed };

export class Marks {
  #told = new Map();
  #byBar = new Map();
  #lines = [];
  #written = "";

  /** `letter` gives A or B of a deployment where two are compared, `placeOf` the bar that a time falls into. */
  constructor(candles, { style, letter, placeOf }) {
    this.candles = candles;
    this.plugin = createSeriesMarkers(candles, []);
    Object.assign(this, { style, letter, placeOf });
  }

  /** Take in what was done; the same twice is once. True: something is new. */
  add(found) {
    const before = this.#told.size;
    for (const one of found) this.#told.set(`${one.kind} ${one.address} ${one.at_ms} ${one.side}`, one);
    return this.#told.size > before;
  }

  paint() {
    const sorted = [...this.#told.values()].sort((a, b) => a.at_ms - b.at_ms);
    this.#byBar = new Map();
    const markers = [];
    for (const one of sorted) {
      const time = this.placeOf(one.at_ms);
      if (time === undefined) continue;
      if (!this.#byBar.has(time)) this.#byBar.set(time, []);
      this.#byBar.get(time).push(one);
      markers.push({ time, ...this.#look(one) });
    }
    this.plugin.setMarkers(markers);
  }

  #look(one) {
    const isBuy = one.side === "BUY";
    const isFill = one.kind === "fill";
    const color = isFill ? this.style(isBuy ? "--color-buy" : "--color-sell") : this.style(COLORS[one.kind]);
    return {
      position: isBuy ? "belowBar" : "aboveBar",
      shape: isFill ? (isBuy ? "arrowUp" : "arrowDown") : SHAPES[one.kind],
      size: isFill ? 1 : 0.5,
      text: this.#words(one),
      color,
    };
  }

  #words(one) {
    if (one.kind === "signal") return "";
    return `${one.kind === "rejected" ? "✕" : ""}${this.letter(one.deployment)}`;
  }

  /** What was done in a bar, fills first. */
  at(time) {
    return [...(this.#byBar.get(time) ?? [])].sort((a, b) => (b.kind === "fill") - (a.kind === "fill"));
  }

  /** Make these all the prices at which something waits. */
  wait(lines) {
    const written = JSON.stringify(lines);
    if (written === this.#written) return;
    this.#written = written;
    for (const line of this.#lines) this.candles.removePriceLine(line);
    this.#lines = lines.map((one) =>
      this.candles.createPriceLine({
        price: one.price,
        color: this.style(one.kind === "stop" ? "--color-down" : one.kind === "target" ? "--color-up" : "--color-accent"),
        lineWidth: 1,
        lineStyle: STYLES[one.kind],
        axisLabelVisible: true,
        title: `${this.letter(one.deployment)} ${one.words}`.trim(),
      }),
    );
  }
}
