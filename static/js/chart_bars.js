// The bars of a chart: those that were asked for, and what is drawn of them: a stretch of these, or longer ones made of them where
// more are in sight than the screen has pixels. Times are seconds of the chart; a place is a number that may lie between two
// bars, and beyond them.

const DAY_S = 86_400;
const MINUTE_S = 60;

/** Where the bar begins that a time falls into. */
export function begin(at, length, anchor) {
  const ofDay = (at % DAY_S) - (length >= DAY_S ? 0 : anchor);
  return at - (((ofDay % length) + length) % length);
}

export class Bars {
  #own = { byTime: new Map(), times: [] };
  #drawn = new Map();
  #starts = []; // of each that is drawn, the place of the first of those that it is made of
  #to = 0; // the place behind the last of them
  #counts = new Map(); // of bars, by their length
  times = []; // of what is drawn

  /** `lengths` are all that there are, in minutes; `asked` is the one of the bars that come. */
  constructor(lengths, asked) {
    this.asked = this.length = asked * MINUTE_S;
    this.lengths = lengths.map((minutes) => minutes * MINUTE_S).filter((length) => length >= this.asked);
    this.anchor = 33_300; // 09:15; the server says where a market opens at another time
  }

  // ---- those that were asked for

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

  /** Take in many, anywhere; what is drawn is as before until it is drawn again. */
  add(found) {
    for (const bar of found) this.#own.byTime.set(bar.time, bar);
    this.#own.times = [...this.#own.byTime.keys()].sort((a, b) => a - b);
    this.#counts.clear();
  }

  /** Take in one that is there or follows them all, and tell what is drawn of it, if anything is; false where it is neither. */
  put(bar) {
    const { byTime, times } = this.#own;
    const isNew = !byTime.has(bar.time);
    if (isNew && bar.time < (this.last ?? 0)) return false;
    byTime.set(bar.time, bar);
    if (isNew) {
      if (this.#to === times.length) this.#to += 1;
      times.push(bar.time);
      this.#counts.clear();
    }
    return this.#again(bar.time);
  }

  // ---- what is drawn

  at(time) {
    return this.#drawn.get(time);
  }

  /** The last bar, as it is drawn or would be. */
  get newest() {
    return this.#to < this.count ? this.own(this.last) : this.at(this.times.at(-1));
  }

  all() {
    return this.times.map((time) => this.at(time));
  }

  /** When the bar begins that holds a time: the last that began by then; nothing where that is before all that are drawn, or
   * among those behind them. */
  holding(time) {
    const { times } = this;
    const at = this.length >= DAY_S ? begin(time, DAY_S, 0) : time;
    let [low, high] = [0, times.length - 1];
    if (high < 0 || times[0] > at || at >= this.until) return undefined;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (times[middle] <= at) low = middle;
      else high = middle - 1;
    }
    return times[low];
  }

  /** From when on nothing is drawn that is there. */
  get until() {
    return this.#own.times[this.#to] ?? Infinity;
  }

  /** Draw bars of this length: `most` of them at most, about what is in sight (places among those that were asked for). */
  drawAs(length, { from, to }, most) {
    this.length = length;
    const each = this.count / this.countAs(length);
    const half = Math.max((most * each) / 2, to - from);
    const isPart = this.countAs(length) > most;
    let place = isPart ? this.#begun(Math.max(0, Math.floor((from + to) / 2 - half))) : 0;
    this.#to = isPart ? this.#begun(Math.min(this.count, Math.ceil((from + to) / 2 + half))) : this.count;
    [this.#drawn, this.times, this.#starts] = [new Map(), [], []];
    while (place < this.#to) place = this.#fold(place);
  }

  /** Whether what is in sight is less than its own width from where the drawn ones end and others are. */
  isNearAnEnd({ from, to }) {
    const near = to - from;
    return (this.#starts[0] > 0 && from - this.#starts[0] < near) || (this.#to < this.count && this.#to - to < near);
  }

  /** The place where the longer bar begins in which a place is. */
  #begun(place) {
    const { times } = this.#own;
    if (place >= this.count) return this.count;
    const time = begin(times[place], this.length, this.anchor);
    let found = place;
    while (found > 0 && times[found - 1] >= time) found -= 1;
    return found;
  }

  /** The drawn bar that holds a time, made again. */
  #again(time) {
    if (time >= this.until || time < this.#own.times[this.#starts[0] ?? 0]) return undefined;
    const place = this.times.lastIndexOf(begin(time, this.length, this.anchor));
    this.#fold(place < 0 ? this.count - 1 : this.#starts[place]);
    return this.at(begin(time, this.length, this.anchor));
  }

  /** Make the bar of which the one at this place is the first; the place behind it is told. */
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
    if (!this.#drawn.has(time)) {
      this.times.push(time);
      this.#starts.push(start);
    }
    this.#drawn.set(time, made);
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

  // ---- places

  /** The place among those that were asked for of a place among those that are drawn. */
  ownPlace(drawn) {
    const [count, starts, each] = [this.times.length, this.#starts, this.#each];
    if (drawn < 0 || !count) return (starts[0] ?? 0) + drawn * each;
    if (drawn >= count) return this.#to + (drawn - count) * each;
    const start = Math.floor(drawn);
    return starts[start] + (drawn - start) * ((starts[start + 1] ?? this.#to) - starts[start]);
  }

  /** And back. */
  drawnPlace(own) {
    const [count, starts, each] = [this.times.length, this.#starts, this.#each];
    if (!count || own < starts[0]) return (own - (starts[0] ?? 0)) / each;
    if (own >= this.#to) return count + (own - this.#to) / each;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (starts[middle] <= own) low = middle;
      else high = middle - 1;
    }
    return low + (own - starts[low]) / ((starts[low + 1] ?? this.#to) - starts[low]);
  }

  /** How many of those that were asked for one is made of that is drawn. */
  get #each() {
    return this.times.length ? (this.#to - this.#starts[0]) / this.times.length : 1;
  }
}
