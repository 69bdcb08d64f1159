// The bars of a chart: those that were asked for, and what is drawn of them: these, or longer ones made of them where more are
// in sight than the screen has pixels. Times are seconds of the chart.

const DAY_S = 86_400;
const MINUTE_S = 60;

/** Where the bar begins that a time falls into. */
export function begin(at, length, anchor) {
  const ofDay = (at % DAY_S) - (length >= DAY_S ? 0 : anchor);
  return at - (((ofDay % length) + length) % length);
}

export class Bars {
  #own = { byTime: new Map(), times: [] };
  #drawn = this.#own;
  #starts = []; // of each longer bar, the place of the first of those that it is made of
  #counts = new Map(); // of bars, by their length

  /** `lengths` are all that there are, in minutes; `asked` is the one of the bars that come. */
  constructor(lengths, asked) {
    this.asked = this.length = asked * MINUTE_S;
    this.lengths = lengths.map((minutes) => minutes * MINUTE_S).filter((length) => length >= this.asked);
    this.anchor = 33_300; // 09:15; the server says where a market opens at another time
  }

  /** Of what is drawn. */
  get times() {
    return this.#drawn.times;
  }

  at(time) {
    return this.#drawn.byTime.get(time);
  }

  all() {
    return this.times.map((time) => this.at(time));
  }

  /** Of those that were asked for: how many, the first and the last time, and one of them. */
  get count() {
    return this.#own.times.length;
  }

  get first() {
    return this.#own.times[0];
  }

  get last() {
    return this.#own.times.at(-1);
  }

  own(time) {
    return this.#own.byTime.get(time);
  }

  /** Take in many, anywhere. */
  add(found) {
    for (const bar of found) this.#own.byTime.set(bar.time, bar);
    this.#own.times = [...this.#own.byTime.keys()].sort((a, b) => a - b);
    this.drawAs(this.length);
  }

  /** Take in one that is there or follows them all, and tell what is drawn of it; nothing where it is neither. */
  put(bar) {
    const { byTime, times } = this.#own;
    if (!byTime.has(bar.time)) {
      if (bar.time < (this.last ?? 0)) return undefined;
      times.push(bar.time);
      this.#counts.clear();
    }
    byTime.set(bar.time, bar);
    return this.#drawn === this.#own ? bar : this.#again(begin(bar.time, this.length, this.anchor));
  }

  /** Draw bars of this length. */
  drawAs(length) {
    this.length = length;
    this.#counts.clear();
    this.#drawn = this.#own;
    if (length === this.asked) return;
    this.#drawn = { byTime: new Map(), times: [] };
    this.#starts = [];
    for (let place = 0; place < this.count; ) place = this.#fold(place);
  }

  #again(time) {
    const place = this.times.lastIndexOf(time);
    this.#fold(place < 0 ? this.count - 1 : this.#starts[place]);
    return this.at(time);
  }

  /** The longer bar of which the one at this place is the first; what follows it is told. */
  #fold(start) {
    const { byTime, times } = this.#own;
    const time = begin(times[start], this.length, this.anchor);
    const made = { ...byTime.get(times[start]), time };
    let place = start + 1;
    for (; place < times.length && times[place] < time + this.length; place += 1) {
      const one = byTime.get(times[place]);
      if (one.high > made.high) made.high = one.high;
      if (one.low < made.low) made.low = one.low;
      made.close = one.close;
      if (one.units !== undefined) made.units = (made.units ?? 0) + one.units;
    }
    if (!this.#drawn.byTime.has(time)) {
      this.#drawn.times.push(time);
      this.#starts.push(start);
    }
    this.#drawn.byTime.set(time, made);
    return place;
  }

  // ---- which length fits

  /** How many bars of a length there are. */
  countAs(length) {
    if (!this.#counts.has(length)) {
      let [count, last] = [0, undefined];
      for (const time of this.#own.times) {
        const now = begin(time, length, this.anchor);
        if (now !== last) count += 1;
        last = now;
      }
      this.#counts.set(length, count);
    }
    return this.#counts.get(length);
  }

  /** The shortest bars of which so many hold all. */
  fitting(most) {
    return this.lengths.find((length) => this.countAs(length) <= most) ?? this.lengths.at(-1);
  }

  get longer() {
    return this.lengths[this.lengths.indexOf(this.length) + 1];
  }

  get shorter() {
    return this.lengths[this.lengths.indexOf(this.length) - 1];
  }

  // ---- places, which may lie between bars and beyond them

  /** The place among those that were asked for of a place among those that are drawn. */
  ownPlace(drawn) {
    const [count, starts] = [this.times.length, this.#starts];
    if (this.#drawn === this.#own || !count) return drawn;
    const each = this.count / count;
    if (drawn < 0) return drawn * each;
    if (drawn >= count) return this.count + (drawn - count) * each;
    const start = Math.floor(drawn);
    return starts[start] + (drawn - start) * ((starts[start + 1] ?? this.count) - starts[start]);
  }

  /** And back. */
  drawnPlace(own) {
    const [count, starts] = [this.times.length, this.#starts];
    if (this.#drawn === this.#own || !count) return own;
    const each = this.count / count;
    if (own < 0) return own / each;
    if (own >= this.count) return count + (own - this.count) / each;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (starts[middle] <= own) low = middle;
      else high = middle - 1;
    }
    return low + (own - starts[low]) / ((starts[low + 1] ?? this.count) - starts[low]);
  }
}
