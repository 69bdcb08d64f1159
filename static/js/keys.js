// Keys of every page. Single letters never act: they go somewhere, or open a dialog that asks.
import { tinykeys } from "../vendor/tinykeys.js";

const typing = (event) => event.target.closest("input, select, textarea, [contenteditable]") || document.querySelector("dialog[open]");
export const free = (act) => (event) => {
  if (typing(event)) return;
  event.preventDefault();
  act(event);
};

const GO_MS = 1_000; // how long a `g` waits for its second key
const OF_ROWS = ["a", "c", "d", "e", "n", "p", "r", "s", "x"];
const TABS = document.getElementById("chart") ? [] : [1, 2, 3, 4, 5]; // there, numbers are lengths of bars
const mayAct = document.querySelector(".may-act") !== null;
let wentAt = 0;

const keysDialog = document.getElementById("keys-dialog");
const findDialog = document.getElementById("find-dialog");
const words = document.getElementById("find-words");
const list = document.getElementById("find-list");
const options = () => [...list.querySelectorAll("[role=option]")];
const FIND_MS = 150; // how long nobody types before the server is asked
let asking = 0;

function find() {
  words.value = "";
  narrow();
  findDialog.showModal();
  words.focus();
}

function narrow() {
  const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const option of list.querySelectorAll("[data-found]")) option.remove();
  for (const option of options()) option.hidden = !asked.every((word) => option.textContent.toLowerCase().includes(word));
  choose(options().find((option) => !option.hidden));
  clearTimeout(asking);
  if (asked.length) asking = setTimeout(() => findMore(words.value), FIND_MS);
}

/** What only the server knows: instruments, and things by their ids. Without an answer the rest is found all the same. */
async function findMore(asked) {
  const from = new URL(list.dataset.from, location.href);
  from.searchParams.set("q", asked);
  const answer = await fetch(from, { headers: { Accept: "application/json" } }).catch(() => null);
  const told = answer?.ok ? await answer.json().catch(() => null) : null;
  if (asked !== words.value) return; // more was typed meanwhile
  list.append(...(told?.found ?? []).map(optionOf));
  const seen = options().filter((option) => !option.hidden);
  if (!seen.some((option) => option.getAttribute("aria-selected") === "true")) choose(seen[0]);
}

function optionOf({ words, kind, address }) {
  const option = document.createElement("li");
  option.setAttribute("role", "option");
  option.dataset.found = "yes";
  const to = new URL(address, location.href);
  const at = new URLSearchParams(location.search).get("at");
  if (at) to.searchParams.set("at", at);
  option.dataset.address = to.pathname + to.search + to.hash;
  const small = document.createElement("small");
  [small.className, small.textContent] = ["muted", kind];
  option.append(`${words} `, small);
  return option;
}

function choose(option) {
  for (const one of options()) one.setAttribute("aria-selected", String(one === option));
  option?.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const seen = options().filter((option) => !option.hidden);
  const at = seen.findIndex((option) => option.getAttribute("aria-selected") === "true");
  choose(seen[Math.min(Math.max(at + by, 0), seen.length - 1)]);
}

function open(option) {
  if (!option) return;
  findDialog.close();
  if (option.dataset.opens) document.getElementById(option.dataset.opens)?.click();
  else location.href = option.dataset.address;
}

words.addEventListener("input", narrow);
words.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") step(event.key === "ArrowDown" ? 1 : -1);
  else if (event.key === "Enter") open(options().find((option) => option.getAttribute("aria-selected") === "true"));
  else return;
  event.preventDefault();
});
findDialog.addEventListener("click", (event) => {
  if (event.target === findDialog) findDialog.close();
  open(event.target.closest("[role=option]"));
});

/** The row at hand moves by one; the first is the first of the first table. */
function row(by) {
  const rows = [...document.querySelectorAll("tbody[data-kind] tr:not([hidden])")];
  const at = rows.findIndex((one) => one.classList.contains("at-hand"));
  const next = rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)];
  rows[at]?.classList.remove("at-hand");
  next?.classList.add("at-hand");
  next?.scrollIntoView({ block: "nearest" });
}

/** Arrows scroll the page until a row is at hand. */
function onward(by) {
  return (event) => document.querySelector("tr.at-hand") && free(() => row(by))(event);
}

/** A key of a row, by the link or button that names it: of all that are chosen, else of the row at hand, else of the only
 * row of a table, where one alone has such a key, else of the page. */
function ofRow(key) {
  if (Date.now() - wentAt < GO_MS) return; // the end of `g x` is no key of its own
  const isChosen = document.querySelector("tbody[data-kind] input[type=checkbox]:checked");
  const chosen = isChosen && document.querySelector(`.listing-head [data-chosen][data-key-${key}]`);
  const lone = document.querySelectorAll(`tbody[data-kind] tr:only-child [data-key-${key}]`);
  const row = document.querySelector("tr.at-hand");
  const ofOne = row ? row.querySelector(`[data-key-${key}]`) : lone.length === 1 ? lone[0] : null;
  const named = chosen ?? ofOne ?? document.querySelector(`.listing-head [data-key-${key}]`);
  if (named && (mayAct || !named.matches("[data-act], .acts-cell *"))) named.click();
}

/** The number of a tab, from 1 on; where a page has several rows of tabs they are counted through. */
function tab(number) {
  document.querySelectorAll("nav.views a")[number - 1]?.click();
}

const pages = Object.fromEntries(
  [...document.querySelectorAll(".rail a[data-key]")]
    .filter((link) => link.dataset.key)
    .map((link) => [`g ${link.dataset.key}`, free(() => (location.href = link.href))]),
);

document.getElementById("keys").addEventListener("click", () => keysDialog.showModal());
tinykeys(window, {
  ...pages,
  "Shift+?": free(() => keysDialog.showModal()),
  "$mod+k": (event) => {
    event.preventDefault();
    if (!findDialog.open) find();
  },
  "Shift+H": free(() => document.getElementById("halt")?.click()),
  "Shift+A": free(() => document.querySelector("input[data-all]")?.click()),
  "[": free(() => document.getElementById("before")?.click()),
  "]": free(() => document.getElementById("after")?.click()),
  j: free(() => row(1)),
  k: free(() => row(-1)),
  Enter: (event) => {
    const link = document.querySelector("tr.at-hand a");
    if (link && !typing(event) && !event.target.closest("a, button")) link.click();
  },
  g: (event) => {
    if (!typing(event)) wentAt = Date.now();
  },
  ...Object.fromEntries(OF_ROWS.map((key) => [key, free(() => ofRow(key))])),
  ...Object.fromEntries(TABS.map((number) => [String(number), free(() => tab(number))])),
  ArrowDown: onward(1),
  ArrowUp: onward(-1),
  Space: (event) => {
    const box = document.querySelector("tr.at-hand input[type=checkbox]:enabled");
    if (box && !event.target.closest("a, button, summary")) free(() => box.click())(event);
  },
  Escape: (event) => event.target.closest(".filters :is(input, select)")?.blur(), // else it holds the keys back
  t: free(() => document.querySelector("#filters input[type=date]")?.focus()),
  "/": free(() => document.querySelector(".filters :is(select, input:not([type=hidden]))")?.focus()),
});
for (const field of document.querySelectorAll(".filters select, .filters input[type=date]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}
