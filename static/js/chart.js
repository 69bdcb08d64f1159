// Candles with volume and what deployments did. Bars come from the server; the last one moves with the last price.
import { CandlestickSeries, HistogramSeries, createChart, createSeriesMarkers } from "../vendor/lightweight-charts.js";

const IST_S = 19_800; // the chart knows no zones: its times are moved by what IST is ahead of UTC
const POLL_MS = 5_000;
const DENIED_SHAPE = "circle";

const box = document.getElementById("chart");
const legend = document.getElementById("legend");
const minutes = document.getElementById("minutes");
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function colours() {
  return {
    layout: { background: { color: style("--color-surface") }, textColor: style("--color-muted"), attributionLogo: false },
    grid: { vertLines: { color: style("--color-line") }, horzLines: { color: style("--color-line") } },
    rightPriceScale: { borderColor: style("--color-line") },
    timeScale: { borderColor: style("--color-line"), timeVisible: true, secondsVisible: false },
  };
}

const chart = createChart(box, { autoSize: true, ...colours() });
const candles = chart.addSeries(CandlestickSeries, {});
const volume = chart.addSeries(HistogramSeries, { priceFormat: { type: "volume" }, priceScaleId: "volume", lastValueVisible: false, priceLineVisible: false });
chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
const markers = createSeriesMarkers(candles, []);
const state = { bars: new Map(), told: [], since: 0, drawn: false };

function paint() {
  chart.applyOptions(colours());
  const [up, down] = [style("--color-up"), style("--color-down")];
  candles.applyOptions({ upColor: up, wickUpColor: up, borderUpColor: up, downColor: down, wickDownColor: down, borderDownColor: down });
  volume.applyOptions({ color: style("--color-raised") });
  mark();
}

/** The bar that a time falls into. */
function placeOf(ms) {
  const length = Number(minutes.value) * 60;
  if (length >= 86_400) return Math.floor((ms / 1000 + IST_S) / 86_400) * 86_400;
  const times = state.times;
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (times[middle] <= ms / 1000 + IST_S) low = middle;
    else high = middle - 1;
  }
  return times[low];
}

function mark() {
  if (!state.times?.length) return;
  const [buy, sell, denied] = [style("--color-buy"), style("--color-sell"), style("--color-amber")];
  markers.setMarkers(
    state.told.map((one) => {
      const isBuy = one.side === "BUY";
      const isFill = one.kind === "fill";
      return {
        time: placeOf(one.at_ms),
        position: isBuy ? "belowBar" : "aboveBar",
        shape: isFill ? (isBuy ? "arrowUp" : "arrowDown") : DENIED_SHAPE,
        color: isFill ? (isBuy ? buy : sell) : denied,
      };
    }),
  );
}

function take(found) {
  candles.applyOptions({ priceFormat: { type: "price", precision: found.places, minMove: 10 ** -found.places } });
  for (const [time, open, high, low, close, units] of found.bars) state.bars.set(time + IST_S, { time: time + IST_S, open, high, low, close, units });
  const bars = [...state.bars.values()].sort((a, b) => a.time - b.time);
  state.times = bars.map((bar) => bar.time);
  candles.setData(bars);
  volume.setData(bars.map((bar) => ({ time: bar.time, value: bar.units })));
  const known = new Set(state.told.map((one) => one.address + one.at_ms + one.kind));
  state.told = [...state.told, ...found.markers.filter((one) => !known.has(one.address + one.at_ms + one.kind))].sort((a, b) => a.at_ms - b.at_ms);
  mark();
  if (bars.length) state.since = (bars.at(-1).time - IST_S) * 1000;
  say(bars.at(-1));
}

function say(bar) {
  if (!bar) {
    legend.textContent = "No bars yet. They are built from ticks of instruments of running deployments; the market opens 09:15 IST.";
    return;
  }
  const at = new Date(bar.time * 1000).toISOString().slice(0, 16).replace("T", " ");
  const one = (value) => value.toLocaleString("en-IN", { minimumFractionDigits: 2 });
  const told = state.told.filter((each) => placeOf(each.at_ms) === bar.time).map((each) => each.words);
  legend.textContent = [`${at} IST`, `open ${one(bar.open)}`, `high ${one(bar.high)}`, `low ${one(bar.low)}`, `close ${one(bar.close)}`, `volume ${(bar.units ?? 0).toLocaleString("en-IN")}`, ...told].join(" · ");
}

async function read() {
  const query = new URLSearchParams(location.search);
  query.set("minutes", minutes.value);
  query.set("since_ms", String(state.since));
  try {
    const answer = await fetch(`${box.dataset.address}?${query}`, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(POLL_MS) });
    if (answer.ok) take(await answer.json());
  } catch {
    // no network: the age on the dot says so
  }
  if (!state.drawn && state.times?.length) {
    state.drawn = true;
    chart.timeScale().setVisibleLogicalRange({ from: state.times.length - 160, to: state.times.length + 4 });
  }
}

/** The last price moves the bar that is being made; the server's word on it follows. */
function lastPrice() {
  const row = document.getElementById(`marks-${box.dataset.token}`);
  const price = Number(row?.dataset.price) / 10_000;
  const at = Number(row?.querySelector(".age")?.dataset.at);
  const length = Number(minutes.value) * 60;
  if (!price || !at || !state.times?.length || length >= 86_400) return;
  const time = Math.floor((at / 1000 + IST_S) / length) * length;
  const last = state.times.at(-1);
  if (time < last) return;
  const before = time === last ? state.bars.get(last) : state.making?.time === time ? state.making : { time, open: price, high: price, low: price };
  state.making = { ...before, high: Math.max(before.high, price), low: Math.min(before.low, price), close: price };
  candles.update(state.making);
}

let typed = "";
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea") || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey) return;
  if (/^\d$/.test(event.key)) typed += event.key;
  else if (event.key === "Enter" && [...minutes.options].some((option) => option.value === typed)) {
    minutes.value = typed;
    minutes.form.requestSubmit();
  } else if (event.key === "f") chart.timeScale().fitContent();
  else if (event.key !== "Enter") return;
  if (event.key === "Enter" || event.key === "Escape") typed = "";
});
chart.subscribeCrosshairMove((point) => say(state.bars.get(point.time) ?? state.bars.get(state.times?.at(-1))));
for (const field of document.querySelectorAll(".chart-page select")) field.addEventListener("change", () => field.form.requestSubmit());
new MutationObserver(paint).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "data-palette"] });
new MutationObserver(lastPrice).observe(document.querySelector(".chart-mark tbody"), { childList: true });

paint();
read();
setInterval(read, POLL_MS);
