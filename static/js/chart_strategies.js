// The indicators of the one or two deployments that are followed: prices over the candles, the rest in panes below. Each
// line has its name; of two deployments the first is drawn in solid lines, the second in dashed ones.
import { LineSeries, LineStyle, LineType } from "../vendor/lightweight-charts.js";

const PALETTE = ["--color-accent", "--color-amber", "--color-sell", "--color-up", "--color-muted", "--color-down"];
const FIRST_OWN_PANE = 2; // candles, volume, then these

/** What was told, with what is told anew from a time on. */
function joined(before, found) {
  const since = found[0]?.[0] ?? Infinity;
  return [...before.filter(([at]) => at < since), ...found];
}

export class Strategies {
  #lines = new Map(); // by deployment and name
  words = [];
  doubts = [];

  constructor(chart, { style, letter, placeOf }) {
    this.chart = chart;
    Object.assign(this, { style, letter, placeOf });
  }

  /** Draw what the server tells; of lines that are there only what is newer than their last point. */
  take(found) {
    this.words = found.deployments.map((one) => [this.letter(one.deployment), one.name, one.words].filter(Boolean).join(" "));
    this.doubts = found.deployments.filter((one) => one.differ).map((one) => `${one.name}: at ${one.differ} of ${one.checked} signals its strategy saw other values than these lines, which are told again over the stored bars (other bars before its start, other parameters or code then). The page of a signal has what it saw.`);
    for (const [place, one] of found.deployments.entries()) {
      for (const line of one.lines) this.#draw(one, line, place);
    }
  }

  #draw(one, line, place) {
    const key = `${one.deployment} ${line.name}`;
    if (!this.#lines.has(key)) this.#lines.set(key, this.#made(one, line, place));
    const drawn = this.#lines.get(key);
    drawn.told = drawn.isWhole ? joined(drawn.told, line.points) : line.points;
    if (!drawn.isWhole) {
      drawn.isWhole = true;
      this.#lay(drawn);
      return;
    }
    const points = this.#points(line.points);
    for (const point of points) if (point.time >= drawn.last) drawn.series.update(point);
    this.#keep(drawn, points);
  }

  #lay(drawn) {
    const points = this.#points(drawn.told);
    drawn.series.setData(points);
    drawn.values.clear();
    drawn.last = 0;
    this.#keep(drawn, points);
  }

  #keep(drawn, points) {
    for (const point of points) drawn.values.set(point.time, point.value);
    drawn.last = points.at(-1)?.time ?? drawn.last;
  }

  #made(one, line, place) {
    const letter = this.letter(one.deployment);
    const number = [...this.#lines.values()].filter((drawn) => drawn.deployment === one.deployment).length;
    const name = `${letter} ${line.name}`.trim();
    const options = {
      title: name,
      color: this.style(PALETTE[number % PALETTE.length]),
      lineWidth: place ? 1 : 2,
      lineStyle: place ? LineStyle.Dashed : LineStyle.Solid,
      lineType: one.is_stepped ? LineType.WithSteps : LineType.Simple,
      pointMarkersVisible: one.is_stepped,
      priceLineVisible: false,
      lastValueVisible: true,
      crosshairMarkerVisible: false,
    };
    const series = this.chart.addSeries(LineSeries, options, line.pane === "own" ? FIRST_OWN_PANE + place : 0);
    return { told: [], isWhole: false, series, name, number, deployment: one.deployment, isDashed: place > 0, values: new Map(), last: 0 };
  }

  /** One point for each bar of the chart, the last that was known when it was over; nothing is drawn before the first. */
  #points(points) {
    const byTime = new Map();
    for (const [at, value] of points) {
      const time = this.placeOf(at);
      if (time !== undefined) byTime.set(time, value === null ? { time } : { time, value });
    }
    return [...byTime.values()].sort((a, b) => a.time - b.time);
  }

  /** Draw what was told on the bars that are drawn now. */
  redraw() {
    for (const drawn of this.#lines.values()) this.#lay(drawn);
  }

  /** What is told next is everything, for older bars have come. */
  forget() {
    for (const drawn of this.#lines.values()) drawn.isWhole = false;
  }

  paint() {
    for (const drawn of this.#lines.values()) drawn.series.applyOptions({ color: this.style(PALETTE[drawn.number % PALETTE.length]) });
  }

  /** Each line with what it says in a bar; without one the last that it has said. */
  at(time) {
    return [...this.#lines.values()].map((drawn) => ({ name: drawn.name, color: PALETTE[drawn.number % PALETTE.length].slice(8), isDashed: drawn.isDashed, value: drawn.values.get(time ?? drawn.last) }));
  }
}
