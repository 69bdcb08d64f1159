// Trading days on the chart: every second one is shaded, and a line stands where one begins. Drawn below the candles.

const DAY_S = 86_400;

class Renderer {
  constructor(days) {
    this.days = days;
  }

  draw(target) {
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio: ratio }) => {
      for (const { from, to, isShaded } of this.days) {
        const left = Math.round(from * ratio);
        context.fillStyle = this.days.shade;
        if (isShaded) context.fillRect(left, 0, Math.round(to * ratio) - left, bitmapSize.height);
        context.fillStyle = this.days.line;
        context.fillRect(left, 0, Math.max(1, Math.floor(ratio)), bitmapSize.height);
      }
    });
  }
}

export class Days {
  #starts = [];
  #count = 0;
  #chart;
  #view = { zOrder: () => "bottom", renderer: () => new Renderer(this.#seen()) };

  /** `colours()` gives the shade and the line. */
  constructor(colours) {
    this.colours = colours;
  }

  attached({ chart, requestUpdate }) {
    this.#chart = chart;
    this.requestUpdate = requestUpdate;
  }

  detached() {
    this.#chart = undefined;
  }

  paneViews() {
    return [this.#view];
  }

  /** The times of all bars, in seconds of the chart. */
  set(times, isDaily) {
    this.#starts = isDaily ? [] : times.flatMap((time, index) => (index && Math.floor(time / DAY_S) === Math.floor(times[index - 1] / DAY_S) ? [] : [index]));
    this.#count = times.length;
    this.requestUpdate?.();
  }

  /** The days that can be seen, in pixels; the first bar's day has no line of its own. */
  #seen() {
    const days = [];
    const scale = this.#chart?.timeScale();
    const range = scale?.getVisibleLogicalRange();
    if (range) {
      const half = scale.options().barSpacing / 2;
      for (const [number, start] of this.#starts.entries()) {
        const end = this.#starts[number + 1] ?? this.#count;
        if (end < range.from || start > range.to) continue;
        const from = scale.logicalToCoordinate(start) - half;
        days.push({ from, to: scale.logicalToCoordinate(end - 1) + half, isShaded: number % 2 === 1 });
      }
    }
    return Object.assign(days, this.colours());
  }
}
