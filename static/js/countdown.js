import { become } from "./rows.js";

// What is left of each token, by the server's clock. The page looks again every ten seconds, and when a token is over.
const LOOK_MS = 10_000;
let loaded = performance.now();

function words(left) {
  const seconds = Math.max(0, Math.floor(left / 1000));
  const part = (value) => String(value).padStart(2, "0");
  return `${part(Math.floor(seconds / 3600))}:${part(Math.floor(seconds / 60) % 60)}:${part(seconds % 60)}`;
}

function tick() {
  for (const element of document.querySelectorAll("[data-until-ms]")) {
    const now = Number(element.dataset.nowMs) + performance.now() - loaded;
    const left = Number(element.dataset.untilMs) - now;
    element.textContent = words(left);
    if (left <= 0 && !document.querySelector("dialog[open]")) location.reload();
  }
}

/** What differs is written anew, unless a person is at it; what this page was told when it was opened stays. */
async function look() {
  const main = document.getElementById("main");
  if (document.hidden || main.contains(document.activeElement)) return;
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(LOOK_MS / 2) });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    if (!fresh) return;
    const told = [...main.querySelectorAll(".told")].map((words) => words.cloneNode(true));
    if (told.length) fresh.querySelector("h1").after("", ...told); // with the text between, so that both are alike
    become(main, fresh);
    loaded = performance.now();
    tick();
  } catch {
    // no network: the age on the dot says so
  }
}

tick();
setInterval(tick, 1000);
setInterval(look, LOOK_MS);
