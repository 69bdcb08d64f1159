// Keeps a page live. A push is a hint: the page's rows are read again every 5 s, after every gap, and when something
// changed that the page says it depends on.
import { Rows } from "./rows.js";
import { watchActs } from "./acts.js";
import { age, left } from "./age.js";

const POLL_MS = 5_000;
const UNDER_WAY_MS = 1_000; // where something is under way
const LATE_MS = 3_000;
const STALE_MS = 10_000;
const SOON_MS = 60_000; // what is over so soon is marked
const ANEW_MS = 5_000; // between two times that a page is shown anew for more: who reads it is not put off by each fill
const HINTED_MS = 400; // between two readings for hints: many changes at once are one
const AT_ONCE_MS = 50; // a change that comes alone
const ACKNOWLEDGE_EACH = 4; // of what the server counts: it cuts off who is ten behind
const RETRY_MS = { first: 500, most: 15_000 };
const CLOSED = { notLoggedIn: 4401, noRole: 4403 };

const page = document.getElementById("page");
const pushed = page.dataset.kinds.split(" ");
const stored = new Set(page.dataset.hints.split(" ")); // out of the database, newer than any number of a push
const link = document.getElementById("link");
const words = document.getElementById("link-words");
const rows = new Rows(document, showAges);
const state = {
  sequence: Number(page.dataset.sequence),
  heardAt: Date.now(), // the page itself is the first snapshot
  shownAt: Date.now(), // when what is stored last came here: a push says nothing of that
  openedAt: Date.now(),
  clockAhead: 0, // the server's clock before ours, in ms
  refused: "",
  retries: 0,
  older: 0,
  fetching: false,
  readAt: 0,
  hinted: 0,
};

function heard(message) {
  state.heardAt = Date.now();
  state.clockAhead = message.now_ms - state.heardAt;
}

/** Whether a person has stopped the rows of a kind to read them. */
function isPaused(kind) {
  return Boolean(document.querySelector(`tbody[data-kind="${kind}"][data-paused]`));
}

/** One that is older than what a push brought meanwhile waits for the next; twice older means a new count. */
function applySnapshot(message) {
  const isOld = message.sequence < state.sequence && ++state.older < 2;
  const kinds = Object.keys(message.rows).filter((kind) => (!isOld || stored.has(kind)) && !isPaused(kind));
  rows.replace(Object.fromEntries(kinds.map((kind) => [kind, message.rows[kind]])), kinds);
  if (isOld) return;
  state.sequence = message.sequence;
  state.older = 0;
}

function onMessage(socket, message) {
  heard(message);
  if (message.flush % ACKNOWLEDGE_EACH === 0 || message.type !== "delta") socket.send(JSON.stringify({ type: "ping", flush: message.flush }));
  if (message.type === "mark") document.dispatchEvent(new CustomEvent("mark", { detail: message }));
  if (message.type === "snapshot") {
    state.sequence = message.sequence;
    rows.replace(message.rows, pushed);
  }
  if (message.type === "beat" && message.sequence > state.sequence) refetch();
  if (message.type !== "delta" || message.sequence <= state.sequence) return;
  if (message.previous > state.sequence) {
    refetch();
    return;
  }
  state.sequence = message.sequence;
  rows.update(message.rows);
  const wait = Math.max(AT_ONCE_MS, HINTED_MS - (Date.now() - state.readAt));
  if (message.hints.length && !state.hinted) state.hinted = setTimeout(reread, wait);
}

/** Whether a person would lose something if the page were shown anew: a dialog, what was typed, or what was sent and refused,
 * which would be sent again. */
function isInHand() {
  const isTyped = (one) => one.value !== one.defaultValue || one.checked !== one.defaultChecked;
  const held = 'dialog[open], main:has(form[method="post"]) [role="alert"]';
  return Boolean(document.querySelector(held)) || [...document.querySelectorAll("main :is(input, textarea)")].some(isTyped);
}

/** As `refetch`; behind one that is under way, which may not have seen what changed. */
function reread() {
  clearTimeout(state.hinted);
  state.hinted = state.fetching ? setTimeout(reread, HINTED_MS) : 0;
  if (!state.hinted) refetch();
}

async function refetch() {
  if (state.fetching || document.hidden) return;
  state.fetching = true;
  state.readAt = Date.now();
  clearTimeout(state.hinted);
  state.hinted = 0;
  try {
    const answer = await fetch(location.href, {
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(POLL_MS),
    });
    if (answer.redirected || answer.status === 401 || answer.status === 403) location.reload();
    const message = await answer.json();
    if (!message.rows) return;
    heard(message);
    const isOver = message.is_over && document.querySelector("[data-under-way]"); // its result has come
    const isBack = message.sequence && document.querySelector(".strip-off");
    const isMore = message.stands && message.stands !== document.querySelector("[data-stands]")?.dataset.stands;
    const isDue = isMore && Date.now() - state.openedAt >= ANEW_MS;
    if ((isOver || isBack || isDue) && !isInHand()) location.reload();
    applySnapshot(message);
    if (!isMore) state.shownAt = state.heardAt;
  } catch {
    // no network: the age on the dot says so
  } finally {
    state.fetching = false;
  }
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}${page.dataset.socket}`);
  socket.addEventListener("message", (event) => {
    state.retries = 0;
    onMessage(socket, JSON.parse(event.data));
  });
  socket.addEventListener("close", (event) => {
    if (event.code === CLOSED.notLoggedIn) {
      location.reload();
      return;
    }
    if (event.code === CLOSED.noRole) {
      state.refused = "no role any more";
      return;
    }
    const wait = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** state.retries);
    state.retries += 1;
    setTimeout(connect, wait / 2 + (Math.random() * wait) / 2);
  });
}

function clockText(ms) {
  return new Date(ms).toLocaleTimeString("en-GB", { timeZone: "Asia/Kolkata" });
}

/** How old what stands here is: the last word of the server, the last reading where one is overdue, or the last tick while
 * ticks should come. */
function dataAge(strip, now) {
  const silence = now - state.clockAhead - state.heardAt;
  const since = now - state.clockAhead - state.shownAt;
  const unread = since >= POLL_MS + LATE_MS ? since : 0;
  const received = Number(strip?.dataset.received);
  const over = strip?.dataset.session ? ["CLOSED", "POST_CLOSE"] : ["CLOSED"];
  const isOpen = strip?.dataset.phase && !over.includes(strip.dataset.phase);
  const quiet = received && isOpen ? now - received : 0;
  return { silence, unread, quiet, worst: Math.max(silence, unread, quiet) };
}

function showAges() {
  const now = Date.now() + state.clockAhead;
  const strip = document.querySelector(".strip");
  const { silence, unread, quiet, worst } = dataAge(strip, now);
  const level = worst >= STALE_MS ? "stale" : worst >= LATE_MS ? "late" : "live";
  link.dataset.state = level;
  page.classList.toggle("is-late", level === "late");
  page.classList.toggle("is-stale", level === "stale");
  const why = silence >= LATE_MS ? `no contact ${age(silence)}` : unread >= quiet ? `not read again ${age(unread)}` : `no ticks ${age(quiet)}`;
  words.textContent = state.refused || (level === "live" ? `live ${age(worst)}` : why);
  for (const title of document.querySelectorAll(".panel h2")) title.dataset.asOf = `as of ${clockText(now - worst)}`;
  const clock = strip?.dataset.session ? Number(strip.dataset.at) : now;
  for (const cell of document.querySelectorAll(".age[data-at]")) {
    const text = cell.dataset.at ? age(clock - Number(cell.dataset.at)) : cell.textContent;
    if (cell.textContent !== text) cell.textContent = text;
  }
  for (const cell of document.querySelectorAll("[data-until]")) {
    const { until, wall } = cell.dataset;
    const ms = Math.min(Number(until) - (clock || now), wall ? Number(wall) - now : Infinity);
    if (cell.textContent !== left(ms)) cell.textContent = left(ms);
    cell.classList.toggle("warn", ms < SOON_MS);
  }
}

connect();
watchActs(reread);
document.addEventListener("acted", reread);
setInterval(refetch, POLL_MS);
setInterval(() => document.querySelector("tbody progress, [data-under-way]") && refetch(), UNDER_WAY_MS);
setInterval(showAges, 500);
showAges();
document.addEventListener("visibilitychange", refetch);
