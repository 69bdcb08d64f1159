// Candles with volume and what deployments did. Bars come from the server, the newest first; the one in the making is pushed
// ten times a second. Where more are in sight than fit, longer ones are drawn, and the legend says so.
import { CandlestickSeries, HistogramSeries, createChart } from "../vendor/lightweight-charts.js";
import { Bars, begin } from "./chart_bars.js";
import { Days } from "./chart_days.js";
import { amount, bold, key, row } from "./chart_legend.js";
import { Marks } from "./chart_marks.js";
import { Strategies } from "./chart_strategies.js";

const IST_S = 19_800; // the chart knows no zones: its times are moved by what IST is ahead of UTC
const DAY_S = 86_400;
const POLL_MS = 5_000;
const SOON_MS = 1_000;
const TOLD_MS = 10_000; // strategies are not asked more often, however fast a recording plays
const NARROW_PX = 1; // bars that are narrower become longer ones
const WIDE_PX = 1.5; // the shorter ones come back when they would be as wide
const FIRST = 2_000; // bars of the first reading; older ones are read when they are looked for
const ALL = 20_000;
const SHOWN = 160;
const NEAR = 50; // bars before which older ones are asked for
const SCREENS = 4; // of bars a pixel wide are drawn at most
const DAY_MINUTES = "1440";

const part = (id) => document.getElementById(id);
const [box, legend, minutes, typed, noBars, doubt] = ["chart", "legend", "minutes", "typed", "no-bars", "doubt"].map(part);
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const moment = new URLSearchParams(location.search).get("at") ?? ""; // the past that the page stands in
const followed = [box.dataset.deployment, box.dataset.against].filter(Boolean);
const letter = (deployment) => (followed.length < 2 ? "" : (["A", "B"][followed.indexOf(deployment)] ?? ""));
const bars = new Bars([...minutes.options].map((one) => Number(one.value)), Number(minutes.value));
const state = { at: undefined, isWhole: false, isDrawn: false, storedTo: 0, mark: { at: 0 }, toldFor: 0, toldAt: 0, next: 0, byKeys: false, doubt: "", isOver: false };
const length = () => bars.length; // of what is drawn

/** The drawn bar that a moment falls into. */
const placeOf = (ms) => bars.holding(ms / 1000 + IST_S);

function colours() {
  return {
    layout: { background: { color: style("--color-surface") }, textColor: style("--color-muted"), attributionLogo: false, panes: { separatorColor: style("--color-line"), separatorHoverColor: style("--color-raised") } },
    grid: { vertLines: { color: "transparent" }, horzLines: { color: style("--color-line") } },
    rightPriceScale: { borderColor: style("--color-line") },
    timeScale: { borderColor: style("--color-line"), timeVisible: length() < DAY_S, secondsVisible: false },
  };
}

const chart = createChart(box, { autoSize: true, handleScroll: { vertTouchDrag: false }, ...colours() }); // a finger that goes up scrolls the page
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

/** A bar's volume, or its place where none is known. */
function asUnits({ time, units }) {
  return units === undefined ? { time } : { time, value: units };
}

function asBar([time, open, high, low, close, units]) {
  return { time: time + IST_S, open, high, low, close, units };
}

/** Draw bars of a length anew, about those that are in sight: setting many takes longer than a frame has. */
function lay(seconds, seen) {
  bars.drawAs(seconds, seen, SCREENS * chart.timeScale().width());
  const all = bars.all();
  candles.setData(all);
  volume.setData(all.map(asUnits));
  days.set(bars.times, length() >= DAY_S);
  marks.paint();
  strategies.redraw();
  box.dataset.minutes = length() / 60;
  noBars.hidden = all.length > 0;
}

/** Bars that were not there: at first, and older ones. */
function draw(found, seen) {
  bars.anchor = found.anchor_minutes * 60;
  bars.add(found.bars.map(asBar));
  candles.applyOptions({ priceFormat: { type: "price", precision: found.places, minMove: 10 ** -found.places } });
  state.storedTo = Math.max(state.storedTo, (found.bars.at(-1)?.[0] ?? -IST_S) + IST_S);
  marks.add(found.markers);
  lay(length(), seen);
  strategies.forget();
  state.doubt ||= found.doubt;
  tellDoubts();
}

/** Only what is new since the last stored bar: nothing that is there is drawn again. */
function grow(found) {
  const missed = found.bars.map(asBar).filter((bar) => !put(bar));
  state.storedTo = Math.max(state.storedTo, ...found.bars.map((bar) => bar[0] + IST_S));
  if (missed.length) {
    bars.add(missed);
    lay(length(), inSight());
  }
  if (marks.add(found.markers)) marks.paint();
  point();
}

/** Draw one bar; false where it stands between two that are there. */
function put(bar) {
  const before = bars.times.length;
  const drawn = bars.put(bar);
  if (!drawn) return drawn !== false; // out of sight
  const isPast = drawn.time < bars.times.at(-1);
  candles.update(drawn, isPast);
  volume.update(asUnits(drawn), isPast);
  if (bars.times.length > before) days.set(bars.times, length() >= DAY_S);
  return true;
}

async function read() {
  try {
    const since = state.storedTo ? (state.storedTo - IST_S) * 1000 : "";
    const isFirst = since === "";
    const count = isFirst && !box.dataset.backtest ? FIRST : ALL;
    const found = await told(box.dataset.bars, asked({ since_ms: since, count }));
    if (isFirst && found.bars.length < count) state.isWhole = true;
    if (isFirst) draw(found, { from: bars.count, to: bars.count });
    else grow(found);
    live(); // a mark may have come before there was a bar
    marks.wait(found.lines);
    if (!state.isDrawn && bars.count) show();
    say();
    await readIndicators();
    state.isOver = Boolean(box.dataset.backtest); // nothing of it changes any more
  } catch {
    // no network: the age on the dot says so
  } finally {
    clearTimeout(state.next);
    if (!state.isOver) state.next = setTimeout(read, POLL_MS);
  }
}

/** A bar is over: the server's word on it is a moment away. */
function readSoon() {
  clearTimeout(state.next);
  state.next = setTimeout(read, SOON_MS);
}

/** A strategy has something new to say when a bar is over. */
async function readIndicators() {
  const last = bars.last;
  if (!followed.length || !last || state.toldFor === last) return;
  if (state.toldFor && performance.now() - state.toldAt < TOLD_MS) return;
  state.toldAt = performance.now();
  const since = state.toldFor ? (state.toldFor - IST_S - bars.asked) * 1000 : (bars.first - IST_S) * 1000;
  const found = await told(box.dataset.indicators, asked({ since_ms: Math.max(0, since) }));
  state.toldFor = last;
  strategies.take(found);
  tellDoubts();
  say();
}

function tellDoubts() {
  doubt.textContent = [state.doubt, ...strategies.doubts].filter(Boolean).join(" ");
  doubt.hidden = !doubt.textContent;
}

/** Everything before the first bar that is there, once. */
async function readOlder() {
  if (state.isWhole || !bars.count) return;
  state.isWhole = true;
  try {
    const before = bars.count;
    const found = await told(box.dataset.bars, asked({ until_ms: (bars.first - IST_S) * 1000, count: ALL - before }));
    if (!found.bars.length) return;
    const seen = inSight();
    const added = { from: seen.from + found.bars.length, to: seen.to + found.bars.length };
    draw(found, added);
    look(added);
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
  else scale.setVisibleLogicalRange({ from: bars.count - SHOWN, to: bars.count + 4 });
  box.dataset.drawn = bars.count;
}

// ---- how long the bars are that are drawn

/** What is in sight, as places among the bars that were asked for. */
function inSight() {
  const range = chart.timeScale().getVisibleLogicalRange();
  return { from: bars.ownPlace(range.from), to: bars.ownPlace(range.to) };
}

function look({ from, to }) {
  chart.timeScale().setVisibleLogicalRange({ from: bars.drawnPlace(from), to: bars.drawnPlace(to) });
}

/** Draw bars of another length, or others of this one; what is in sight stays. */
function drawAs(seconds) {
  const seen = inSight();
  lay(seconds, seen);
  look(seen);
  chart.applyOptions({ timeScale: { timeVisible: length() < DAY_S } });
  if (state.at !== undefined) state.at = placeOf((state.at - IST_S) * 1000);
  point();
  say();
}

let scaling = 0;
/** Longer bars where those in sight are too narrow to be seen, shorter ones where they would be wide enough; others of the same
 * where they come to an end. Not under a finger that drags: the chart counts from where it began. */
function rescale() {
  scaling = 0;
  const range = chart.timeScale().getVisibleLogicalRange();
  if (!range || isHeld) return;
  const wide = chart.timeScale().width();
  const [width, seen] = [wide / (range.to - range.from), inSight()];
  const { longer, shorter } = bars;
  if (width < NARROW_PX && longer && bars.countAs(length()) > wide) drawAs(longer);
  else if (shorter && (width * bars.countAs(length())) / bars.countAs(shorter) > WIDE_PX) drawAs(shorter);
  else if (bars.isNearAnEnd(seen)) drawAs(length());
  if (seen.from < NEAR) readOlder();
}

let isHeld = false;
function holding(is) {
  isHeld = is;
  if (!is) scaling ||= requestAnimationFrame(rescale);
}

// ---- the last price

/** The bar that is being made, as the stream has it; where it has none the last price makes it. The server's word on it
 * follows. */
function live() {
  const { price, at, bar } = state.mark;
  if (!price || !bars.count || box.dataset.backtest) return;
  const made = bar ? asBar([bar[0] / 1000, ...bar.slice(1, 5).map((e4) => e4 / 10_000), bar[5]]) : ofPrice(price, at / 1000 + IST_S);
  if (made.time <= state.storedTo) return;
  if (made.time > bars.last) readSoon();
  put(made);
  if (state.at === undefined) say();
}

function ofPrice(price, at) {
  const time = begin(at, bars.asked, bars.anchor);
  const before = bars.own(time) ?? { time, open: price, high: price, low: price };
  return { ...before, high: Math.max(before.high, price), low: Math.min(before.low, price), close: price };
}

let moved = 0;
/** Take in a mark; one is drawn a frame, the newest. */
function moveTo(mark) {
  state.mark = mark;
  if (moved) return;
  moved = requestAnimationFrame(() => {
    moved = 0;
    live();
  });
}

/** The row above has the last price too: from there it comes where no push does. */
function readRow() {
  const told = document.getElementById(`marks-${box.dataset.token}`);
  const at = Number(told?.querySelector(".age")?.dataset.at);
  if (at > state.mark.at) moveTo({ price: Number(told.dataset.price) / 10_000, at });
}

// ---- the legend

const nameOf = (seconds) => [...minutes.options].find((one) => Number(one.value) * 60 === seconds).text;

/** What stands at the crosshair, or at the last bar. */
function say() {
  const bar = state.at === undefined ? bars.newest : bars.at(state.at);
  if (!bar) return legend.replaceChildren();
  const when = new Date(bar.time * 1000).toISOString().slice(0, length() >= DAY_S ? 10 : 16).replace("T", " ");
  const prices = [["O", bar.open], ["H", bar.high], ["L", bar.low], ["C", bar.close]].flatMap(([name, value]) => [` ${name} `, bold(amount(value))]);
  const rows = [row(`${when} IST `, ...prices, " V ", bold(bar.units === undefined ? "–" : bar.units.toLocaleString("en-IN")))];
  if (length() > bars.asked) rows.push(row("Drawn as ", bold(nameOf(length())), ` bars, each made of those of ${nameOf(bars.asked)}: more of these are in sight than fit.`));
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
  const { times } = bars;
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
  if (state.byKeys) chart.setCrosshairPosition(bars.at(state.at).close, state.at, candles);
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
  drawAs(bars.fitting(chart.timeScale().width() / NARROW_PX));
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
  if (state.isDrawn && range) scaling ||= requestAnimationFrame(rescale);
});
new MutationObserver(paint).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "data-palette"] });
new MutationObserver(readRow).observe(document.querySelector(".chart-mark tbody"), { childList: true, subtree: true, attributeFilter: ["data-price", "data-at"] });
box.addEventListener("pointerdown", () => holding(true));
for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => holding(false));
document.addEventListener("mark", ({ detail }) => moveTo({ price: detail.price_e4 / 10_000, at: detail.at_ms, bar: detail.bar }));

paint();
readRow();
read();
