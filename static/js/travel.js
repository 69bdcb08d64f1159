// To a past moment and back: a field for it, a minute back and on, and the address to send.
import { tinykeys } from "../vendor/tinykeys.js";
import { free } from "./keys.js";

const IST_MS = 19_800_000;
const travel = document.getElementById("travel");
const field = travel.querySelector("input[type=datetime-local]");

function ask() {
  if (travel.tagName === "DETAILS") travel.open = true;
  else field.focus();
}

/** Where nothing is chosen yet, now: a person goes back from there. */
function begin() {
  if (!travel.open) return;
  field.value ||= new Date(Date.now() + IST_MS).toISOString().slice(0, 19);
  field.focus();
}

async function copy(event) {
  try {
    await navigator.clipboard.writeText(location.href);
    event.target.textContent = "Copied";
  } catch {
    event.target.textContent = "Copy it from the address";
  }
}

const go = (id) => free(() => document.getElementById(id)?.click());
travel.addEventListener("toggle", begin);
document.getElementById("copy-link")?.addEventListener("click", copy);
travel.addEventListener("keydown", (event) => {
  if (event.key === "Escape") travel.open = false;
});
tinykeys(window, { "Shift+T": free(ask), "Shift+ArrowLeft": go("minute-before"), "Shift+ArrowRight": go("minute-after") });
