// Candles with volume and what deployments did. Bars come from the server, the newest first; the last one moves with the
// last price.
import { CandlestickSeries, HistogramSeries, createChart } from "../vendor/lightweight-charts.js";
import { Days } from "./chart_days.js";
import { Marks } from "./chart_marks.js";
import { Strategies } from "./chart_strategies.js";

const IST_S = 19_800; // the chart knows no zones: its times are moved by what IST is ahead of UTC
const DAY_S = 86_400;
const POLL_MS = 5_000;
const SOON_MS = 1_000;
const TOLD_MS = 10_000; // strategies are not asked more often, however fast a recording plays
const FRAME_MS = 100; // the last bar moves ten times a second at most
const FAR = 3_000; // bars in sight from which on it moves less often, for all of them are drawn each time
const FAR_MS = 1_000;
const FIRST = 2_000; // bars of the first reading; older ones are read when they are looked for
const ALL = 20_000;
const SHOWN = 160;
const DAY_MINUTES = "1440";

const part = (id) => document.getElementById(id);
const [box, legend, minutes, typed, noBars, doubt] = ["chart", "legend", "minutes", "typed", "no-bars", "doubt"].map(part);
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const moment = new URLSearchParams(location.search).get("at") ?? ""; // the past that the page stands in
const followed = [box.dataset.deployment, box.dataset.against].filter(Boolean);
const letter = (deployment) => (followed.length < 2 ? "" : (["A", "B"][followed.indexOf(deployment)] ?? ""));
const state = { bars: new Map(), times: [], at: undefined, isWhole: false, isDrawn: false, making: undefined, toldFor: 0, toldAt: 0, next: 0, byKeys: false };
const length = () => Number(minutes.value) * 60;

/** The bar that a time falls into: the last that began by then; nothing where that is before all bars. */
function placeOf(ms) {
  const at = length() >= DAY_S ? Math.floor((ms / 1000 + IST_S) / DAY_S) * DAY_S : ms / 1000 + IST_S;
  const { times } = state;
  let [low, high] = [0, times.length - 1];
  if (high < 0 || times[0] > at) return undefined;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (times[middle] <= at) low = middle;
    else high = middle - 1;
  }
  return times[low];
}

function colours() {
  return {
    layout: { background: { color: style("--color-surface") }, textColor: style("--color-muted"), attributionLogo: false, panes: { separatorColor: style("--color-line"), separatorHoverColor: style("--color-raised") } },
    grid: { vertLines: { color: "transparent" }, horzLines: { color: style("--color-line") } },
    rightPriceScale: { borderColor: style("--color-line") },
    timeScale: { borderColor: style("--color-line"), timeVisible: length() < DAY_S, secondsVisible: false },
  };
}

const chart = createChart(box, { autoSize: true, ...colours() });
const candles = chart.addSeries(CandlestickSeries, {});
const volume = chart.addSeries(HistogramSeries, { priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false }, 1);
const tools = { style, letter, placeOf };
const days = new Days(() => ({ shade: style("--color-raised"), line: style("--color-line") }));
const marks = new Marks(candles, tools);
const strategies = new Strategies(chart, tools);
candles.attachPrimitive(days);
chart.panes()[0].setStretchFactor(5);
chart.panes()[1].setStretchFactor(1);

function paint() {
  chart.applyOptions(colours());
  const [up, down] = [style("--color-up"), style("--color-down")];
  candles.applyOptions({ upColor: up, wickUpColor: up, borderUpColor: up, downColor: down, wickDownColor: down, borderDownColor: down });
  volume.applyOptions({ color: style("--color-muted") });
  marks.paint();
  strategies.paint();
}

// ---- what the server tells

function asked(more) {
  const given = { minutes: minutes.value, broker: box.dataset.broker, deployment: box.dataset.deployment, against: box.dataset.against, backtest: box.dataset.backtest, at: moment, ...more };
  return new URLSearchParams(Object.entries(given).filter(([, value]) => value !== "" && value !== undefined));
}

async function told(address, query) {
  const answer = await fetch(`${address}?${query}`, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(6 * POLL_MS) });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.json();
}

function asBar([time, open, high, low, close, units]) {
  return { time: time + IST_S, open, high, low, close, units };
}

/** All bars anew: at first, and when older ones have come. */
function draw(found) {
  for (const one of found.bars.map(asBar)) state.bars.set(one.time, one);
  const bars = [...state.bars.values()].sort((a, b) => a.time - b.time);
  state.times = bars.map((bar) => bar.time);
  candles.applyOptions({ priceFormat: { type: "price", precision: found.places, minMove: 10 ** -found.places } });
  candles.setData(bars);
  volume.setData(bars.map((bar) => ({ time: bar.time, value: bar.units })));
  days.set(state.times, length() >= DAY_S);
  strategies.forget();
  noBars.hidden = bars.length > 0;
}

/** Only what is new since the last bar: nothing that is there is drawn again. */
function grow(found) {
  let isLonger = false;
  for (const bar of found.bars.map(asBar)) {
    if (state.times.length && bar.time < state.times.at(-1)) continue;
    if (bar.time > (state.times.at(-1) ?? 0)) {
      state.times.push(bar.time);
      isLonger = true;
    }
    state.bars.set(bar.time, bar);
    if (state.making && state.making.time > bar.time) continue; // the bar in the making stands behind it
    candles.update(bar);
    volume.update({ time: bar.time, value: bar.units });
  }
  if (isLonger) days.set(state.times, length() >= DAY_S);
  point();
}

async function read() {
  try {
    const since = state.times.length ? (state.times.at(-1) - IST_S) * 1000 : "";
    const isFirst = since === "";
    const count = isFirst && !box.dataset.backtest ? FIRST : ALL;
    const found = await told(box.dataset.bars, asked({ since_ms: since, count }));
    if (isFirst && found.bars.length < count) state.isWhole = true;
    (isFirst ? draw : grow)(found);
    if (marks.add(found.markers) || isFirst) marks.paint();
    marks.wait(found.lines);
    if (!state.isDrawn && state.times.length) show();
    say();
    await readIndicators();
  } catch {
    // no network: the age on the dot says so
  } finally {
    clearTimeout(state.next);
    state.next = setTimeout(read, POLL_MS);
  }
}

/** A bar is over: the server's word on it is a moment away. */
function readSoon() {
  clearTimeout(state.next);
  state.next = setTimeout(read, SOON_MS);
}

/** A strategy has something new to say when a bar is over. */
async function readIndicators() {
  const last = state.times.at(-1);
  if (!followed.length || !last || state.toldFor === last) return;
  if (state.toldFor && performance.now() - state.toldAt < TOLD_MS) return;
  state.toldAt = performance.now();
  const since = state.toldFor ? (state.toldFor - IST_S - length()) * 1000 : (state.times[0] - IST_S) * 1000;
  const found = await told(box.dataset.indicators, asked({ since_ms: Math.max(0, since) }));
  state.toldFor = last;
  strategies.take(found);
  doubt.textContent = strategies.doubts.join(" ");
  doubt.hidden = !strategies.doubts.length;
  say();
}

/** Everything before the first bar that is there, once. */
async function readOlder() {
  if (state.isWhole || !state.times.length) return;
  state.isWhole = true;
  try {
    const left = ALL - state.times.length;
    const found = await told(box.dataset.bars, asked({ until_ms: (state.times[0] - IST_S) * 1000, count: left }));
    if (!found.bars.length) return;
    const range = chart.timeScale().getVisibleLogicalRange();
    draw(found);
    marks.add(found.markers);
    marks.paint();
    chart.timeScale().setVisibleLogicalRange({ from: range.from + found.bars.length, to: range.to + found.bars.length });
    if (state.making) candles.update(state.making);
    state.toldFor = 0;
    readIndicators().catch(() => {}); // the next reading asks again
  } catch {
    state.isWhole = false;
  }
}

function show() {
  state.isDrawn = true;
  const scale = chart.timeScale();
  if (box.dataset.backtest) scale.fitContent();
  else scale.setVisibleLogicalRange({ from: state.times.length - SHOWN, to: state.times.length + 4 });
  box.dataset.drawn = state.times.length;
}

// ---- the last price

let moved = 0;
/** The last price moves the bar that is being made; the server's word on it follows. */
function lastPrice() {
  const row = document.getElementById(`marks-${box.dataset.token}`);
  const price = Number(row?.dataset.price) / 10_000;
  const at = Number(row?.querySelector(".age")?.dataset.at);
  if (!price || !at || !state.times.length || length() >= DAY_S || box.dataset.backtest) return;
  const time = barOf(at / 1000 + IST_S);
  const last = state.times.at(-1);
  if (time < last) return;
  const before = state.making?.time === time ? state.making : time === last ? state.bars.get(last) : { time, open: price, high: price, low: price };
  if (time > last && state.making?.time !== time) readSoon();
  state.making = { ...before, time, high: Math.max(before.high, price), low: Math.min(before.low, price), close: price };
  candles.update(state.making);
  if (state.at === undefined) say();
}

/** Where a bar begins: counted from 09:15, as the server's are. */
function barOf(at) {
  const anchor = 33_300;
  const ofDay = (at % DAY_S) - anchor;
  return at - (((ofDay % length()) + length()) % length());
}

/** Whether so many bars are in sight that nobody sees the last one move. */
function isFar() {
  const range = chart.timeScale().getVisibleLogicalRange();
  return Boolean(range) && range.to - range.from > FAR;
}

function soon() {
  if (moved) return;
  moved = setTimeout(() => {
    moved = 0;
    requestAnimationFrame(lastPrice);
  }, isFar() ? FAR_MS : FRAME_MS);
}

// ---- the legend

const amount = (value) => value.toLocaleString("en-IN", { minimumFractionDigits: 2, maximumFractionDigits: 4 });

function row(...children) {
  const line = document.createElement("span");
  line.className = "row";
  line.append(...children);
  return line;
}

function bold(words) {
  const b = document.createElement("b");
  b.textContent = words;
  return b;
}

function key({ color, isDashed }) {
  const mark = document.createElement("i");
  mark.className = isDashed ? `key dashed c-${color}` : `key c-${color}`;
  return mark;
}

/** What stands at the crosshair, or at the last bar. */
function say() {
  const time = state.at ?? (state.making ?? state.bars.get(state.times.at(-1)))?.time;
  const bar = state.making?.time === time ? state.making : state.bars.get(time);
  if (!bar) {
    legend.textContent = "";
    return;
  }
  const when = new Date(bar.time * 1000).toISOString().slice(0, length() >= DAY_S ? 10 : 16).replace("T", " ");
  const prices = [["O", bar.open], ["H", bar.high], ["L", bar.low], ["C", bar.close]].flatMap(([name, value]) => [` ${name} `, bold(amount(value))]);
  const rows = [row(`${when} IST `, ...prices, " V ", bold(bar.units === undefined ? "–" : bar.units.toLocaleString("en-IN")))];
  const said = strategies.at(state.at);
  if (said.length) rows.push(row(...said.flatMap((one) => [key(one), `${one.name} `, bold(one.value === undefined ? "–" : amount(one.value))])));
  for (const words of strategies.words) rows.push(row(words));
  for (const one of marks.at(bar.time).slice(0, 5)) rows.push(row([letter(one.deployment), one.words].filter(Boolean).join(" ")));
  legend.replaceChildren(...rows);
}

// ---- the keys

let digits = "";
function typing(text) {
  digits = text;
  typed.hidden = !text;
  const option = [...minutes.options].find((one) => one.value === text);
  typed.textContent = option ? `${option.text} ⏎` : `${text} min: 1, 3, 5, 15, 30, 60 or d`;
}

/** The crosshair goes to the bar before or after. */
function step(by) {
  const { times } = state;
  if (!times.length) return;
  const now = state.at === undefined ? times.length - 1 : times.indexOf(placeOf((state.at - IST_S) * 1000)) + by;
  const index = Math.min(Math.max(now, 0), times.length - 1);
  const scale = chart.timeScale();
  const range = scale.getVisibleLogicalRange();
  const shift = index < range.from + 1 ? index - range.from - 1 : index > range.to - 1 ? index - range.to + 1 : 0;
  if (shift) scale.setVisibleLogicalRange({ from: range.from + shift, to: range.to + shift });
  state.at = times[index];
  state.byKeys = true;
  point();
  legend.ariaLive = "polite";
  say();
}

/** The crosshair where the keys have put it, also when bars have moved beneath it. */
function point() {
  if (state.byKeys) chart.setCrosshairPosition(state.bars.get(state.at).close, state.at, candles);
}

function leave() {
  typing("");
  state.at = undefined;
  state.byKeys = false;
  legend.ariaLive = "off";
  chart.clearCrosshairPosition();
  say();
}

function enter() {
  if ([...minutes.options].some((option) => option.value === digits)) {
    minutes.value = digits;
    minutes.form.requestSubmit();
  } else if (!digits && state.at !== undefined) why(state.at);
  typing("");
}

function why(time) {
  const [one] = marks.at(time);
  if (one) location.href = moment ? `${one.address}?at=${moment}` : one.address;
}

const keys = { f: fit, Escape: leave, Enter: enter, ",": () => step(-1), ".": () => step(1), d: () => typing(DAY_MINUTES) };
async function fit() {
  await readOlder();
  chart.timeScale().fitContent();
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, a, button") || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^\d$/.test(event.key)) typing(digits === DAY_MINUTES ? event.key : digits + event.key);
  else if (keys[event.key] && !(event.key === "d" && digits)) keys[event.key]();
});
chart.subscribeCrosshairMove((event) => {
  if (!event.sourceEvent && event.time !== undefined) return; // our own step
  if (event.time === undefined && !event.sourceEvent && state.at !== undefined) return;
  state.at = event.time;
  state.byKeys = false;
  say();
});
chart.subscribeClick((point) => point.time !== undefined && why(point.time));
chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
  if (state.isDrawn && range && range.from < 50) readOlder();
});
new MutationObserver(paint).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "data-palette"] });
new MutationObserver(soon).observe(document.querySelector(".chart-mark tbody"), { childList: true });

paint();
read();
