// The page Alerts: groups that fold, the dialog of a silence, the test of a channel, the tone.
import { Act, toast } from "./acts.js";
import { sound } from "./sound.js";

const acted = () => document.dispatchEvent(new Event("acted"));
const body = document.querySelector('tbody[data-kind="alerts"]');
const folded = new Set(); // codes; the server's rows know nothing of it

/** What a person folded stays so, whatever rows come. */
function fold() {
  for (const button of body.querySelectorAll("[data-fold]")) {
    const open = String(!folded.has(button.dataset.fold));
    if (button.getAttribute("aria-expanded") !== open) button.setAttribute("aria-expanded", open);
  }
  for (const row of body.querySelectorAll("tr[data-of]")) {
    if (row.hidden !== folded.has(row.dataset.of)) row.hidden = folded.has(row.dataset.of);
  }
}

function toggle(code) {
  if (!folded.delete(code)) folded.add(code);
  fold();
}

new MutationObserver(fold).observe(body, { childList: true, subtree: true, attributeFilter: ["hidden", "aria-expanded"] });
document.addEventListener("keydown", (event) => {
  const button = document.querySelector("tr.at-hand [data-fold]");
  const isElsewhere = event.target.closest("a, button, input, select, textarea") || document.querySelector("dialog[open]");
  if (event.key === "Enter" && button && !isElsewhere) toggle(button.dataset.fold);
});

const dialog = document.getElementById("silence-dialog");
const silence = dialog && new Act("silence", acted);
const own = document.getElementById("silence-own");

function askSilence({ silence: code, subject }) {
  const words = code.replaceAll("_", " ");
  silence.ask(
    { act: "/api/v1/alert-silences/", title: "Silence", what: `${words}${subject ? `, about ${subject}` : ", whatever it is about"}.`, done: "Silent." },
    (form) => ({ code, subject, until: form.elements.until.value === "own" ? own.value : form.elements.until.value }),
  );
  showOwn();
}

function showOwn() {
  const isOwn = silence.form.elements.until.value === "own";
  own.closest("label").hidden = !isOwn;
  own.required = isOwn;
}

if (dialog) silence.form.elements.until.addEventListener("change", showOwn);

/** Ask for a test; what comes of it stands at the channel. */
async function test(button) {
  button.disabled = true;
  try {
    const answer = await fetch(button.dataset.test, {
      method: "POST",
      headers: {
        Accept: "application/json",
        "Content-Type": "application/json",
        "X-CSRFToken": silence.form.elements.csrfmiddlewaretoken.value,
      },
      body: "{}",
    });
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) toast("A test is on its way: what comes of it stands at the channel.");
    else toast(`Not tested: ${told.error?.message ?? `the server answered ${answer.status}`}`, null, true);
  } catch {
    toast("Not known whether it is tested: no answer.", null, true);
  } finally {
    button.disabled = false;
    acted();
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-fold], [data-silence], [data-test]");
  if (!button) return;
  if (button.dataset.fold) toggle(button.dataset.fold);
  else if (!silence) return;
  else if (button.dataset.test) test(button);
  else askSilence(button.dataset);
});

const tone = document.getElementById("sound");

tone.addEventListener("click", async () => {
  const isOn = tone.getAttribute("aria-pressed") !== "true";
  if (isOn && !(await sound())) toast("The browser keeps this page silent. Allow it sound, and switch the tone on again.", null, true);
  const answer = await fetch(tone.dataset.look, {
    method: "POST",
    headers: { "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value },
    body: new URLSearchParams({ sound: isOn ? "on" : "off" }),
    redirect: "manual",
  }).catch(() => null);
  if (!answer || answer.status >= 400) return toast("Not kept: try again.", null, true);
  tone.setAttribute("aria-pressed", String(isOn));
  tone.textContent = isOn ? "Tone: on" : "Tone: off";
  document.documentElement.toggleAttribute("data-sound", isOn);
});
