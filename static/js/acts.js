// Acts of a person: a dialog that asks why, one POST, and what became of it. Any button with `data-act` opens it.
export function watchActs(afterwards) {
  const dialog = document.getElementById("act-dialog");
  if (!dialog) return;
  const act = new Act("act", afterwards);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (!button || !isFilled(button.dataset.form)) return;
    const what = asked(button.dataset);
    if (what) act.ask(...what);
    else toast("Nothing is chosen. Tick what you mean: Space on the row at hand, Shift+A for all.");
  });
  document.addEventListener("change", (event) => {
    const { all } = event.target.dataset ?? {};
    if (all) for (const box of document.querySelectorAll(`input[name="${all}"]`)) box.checked = event.target.checked;
  });
  const halt = new Act("halt", afterwards);
  const words = {
    act: "/api/v1/halts/",
    again: "It is the same halt; or run manage.py halt.",
  };
  document.getElementById("halt").addEventListener("click", () => {
    halt.ask(words, target);
    tellHalt(halt);
  });
  for (const part of ["target", "step"]) halt.form.elements[part].addEventListener("change", () => tellHalt(halt));
}

/** Whether the form of an act, where it has one, can be sent; it says what is missing. */
function isFilled(name) {
  return !name || document.getElementById(name).reportValidity();
}

/** What a button asks for, and what goes along: its own facts, those of its form, or those that are chosen on the page;
 * nothing where none is. */
function asked(data) {
  if (data.form) return [data, () => Object.fromEntries(new FormData(document.getElementById(data.form)))];
  const facts = JSON.parse(data.facts ?? "{}"); // of now: what the row says later, nobody was asked about
  if (!data.chosen) return [data, () => facts];
  const chosen = [...document.querySelectorAll(`input[name="${data.chosen}"]:checked`)];
  if (!chosen.length) return null;
  const what = `${chosen.length} ${data.noun}${together(chosen)}: ${chosen.map((box) => box.ariaLabel.replace(/^Choose /, "")).join("; ")}.`;
  return [{ ...data, what }, () => ({ [data.chosen]: chosen.map((box) => box.value) })];
}

const RUPEES = new Intl.NumberFormat("en-IN", { style: "currency", currency: "INR" });

/** What the chosen are worth together; nothing where that is not known of each. */
function together(chosen) {
  const paise = chosen.map((box) => (box.dataset.worth ? Math.round(Number(box.dataset.worth) * 100) : NaN));
  const sum = paise.reduce((before, one) => before + one, 0);
  return Number.isNaN(sum) ? "" : `, together worth ${RUPEES.format(sum / 100)}`;
}

/** What the chosen halt does, in the words of its step; where that touches real money, its name is to be typed. */
function tellHalt(halt) {
  const [where, how] = ["target", "step"].map((part) => halt.form.elements[part].selectedOptions[0].dataset);
  halt.describe({ ...how, type: (halt.form.elements.step.value !== "PAUSE" && where.type) || "", danger: "yes" });
  tellTouched(halt.form);
}

/** What a halt of the chosen target would cancel and close now. The halt itself never waits for it. */
async function tellTouched(form) {
  const place = document.getElementById("halt-touched");
  const { level, step, broker, deployment } = target(form);
  place.textContent = "";
  if (step === "PAUSE") return;
  const asked = new URLSearchParams({ level, broker, deployment: deployment ?? "" });
  place.textContent = "Now at stake: …";
  try {
    const answer = await fetch(`${place.dataset.from}?${asked}`, { signal: AbortSignal.timeout(3_000) });
    const told = await answer.json();
    if (target(form).step === "PAUSE") return; // chosen meanwhile
    place.textContent = answer.ok ? `Now at stake: ${told.words}.` : "What is at stake cannot be told.";
  } catch {
    place.textContent = "What is at stake cannot be told: no answer. A halt can be thrown all the same.";
  }
}

/** What the halt dialog has chosen. */
function target(form) {
  const [level, name = ""] = form.elements.target.value.split(":");
  const step = form.elements.step.value;
  return { level, step, broker: level === "BROKER" ? name : "", deployment: level === "DEPLOYMENT" ? name : null };
}

const ANSWER_MS = 30_000; // a server that says nothing for so long is as good as away
const undone = new Map(); // the keys of acts of which it is not known that they are done, by what they are

/** The key of an act: until it is done, whoever asks for the same means the same act, in this dialog or the next. */
function keyOf(act) {
  if (!undone.has(act)) undone.set(act, [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join(""));
  return undone.get(act);
}

/** A dialog that asks for a reason and posts one act. An answer that comes when the dialog is closed, or asks for another
 * act, is told all the same and touches nothing of it. */
export class Act {
  #asked = {};
  #facts = () => ({});
  #turn = 0; // how often it was opened

  constructor(name, afterwards) {
    const part = (what) => document.getElementById(`${name}-${what}`);
    [this.dialog, this.form, this.button, this.error] = ["dialog", "form", "send", "error"].map(part);
    [this.title, this.what, this.typed] = ["title", "what", "typed"].map(part);
    this.afterwards = afterwards;
    part("cancel").addEventListener("click", () => this.dialog.close());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.button.disabled) this.#send();
    });
  }

  /** `asked`: act (the address), title, what, done, again, danger, type (what must be typed where money is real). */
  ask(asked, facts) {
    this.#asked = asked;
    this.#facts = facts;
    this.#turn += 1;
    this.error.textContent = "";
    this.button.disabled = false;
    this.form.reset();
    if (asked.title) this.describe(asked);
    this.dialog.showModal();
    (asked.type ? this.typed : this.form.elements.reason).focus();
  }

  /** The words of the dialog, and of the result, for what is asked now. */
  describe({ title, what = "", type = "", danger = "", done }) {
    this.#asked = { ...this.#asked, title, done };
    this.title.textContent = title;
    this.what.textContent = what;
    this.button.textContent = title;
    this.button.className = danger ? "halt" : "primary";
    const row = this.typed.closest("label");
    row.hidden = !type;
    row.firstElementChild.textContent = type;
    this.typed.required = Boolean(type);
    this.typed.pattern = type.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"); // no more than that, or it is no pattern and all passes
  }

  async #send() {
    const [asked, turn, facts] = [this.#asked, this.#turn, this.#facts(this.form)];
    const act = JSON.stringify([asked.act, facts]);
    this.button.disabled = true;
    this.error.textContent = "";
    const [failure, told] = await this.#post(asked, keyOf(act), facts);
    if (!failure) undone.delete(act);
    const isAtHand = this.dialog.open && turn === this.#turn;
    if (isAtHand) this.button.disabled = false;
    if (isAtHand && failure) this.#refused(failure, told);
    else {
      if (isAtHand) this.dialog.close();
      toast(failure ? `${asked.title}: ${failure}` : outcome(asked.done ?? "Done.", told), failure ? null : placeOf(asked.act, told), Boolean(failure));
    }
    for (const all of document.querySelectorAll("input[data-all]")) all.checked = false;
    this.afterwards(); // what was refused has changed meanwhile
  }

  #refused(failure, told) {
    this.error.textContent = failure;
    if (told.error?.code === "not_authenticated") this.error.append(" ", link("Log in", "/login/"));
  }

  /** Why it failed, or nothing; and the answer. */
  async #post(asked, key, facts) {
    try {
      const answer = await fetch(asked.act, {
        method: "POST",
        headers: {
          Accept: "application/json",
          "Content-Type": "application/json",
          "X-CSRFToken": this.form.elements.csrfmiddlewaretoken.value,
          "Idempotency-Key": key,
        },
        body: JSON.stringify({ ...facts, reason: this.form.elements.reason.value }),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      const told = await answer.json().catch(() => ({}));
      return [failureOf(answer, told), told];
    } catch {
      return [`Not known whether it was done: no answer. Try again. ${asked.again ?? "It is the same act."}`, {}];
    }
  }
}

/** Why an answer is none of what was asked for; nothing where it was done. */
function failureOf(answer, told) {
  const problems = Array.isArray(told) ? told.map((one) => one.problem).filter(Boolean) : [];
  if (problems.length) return `Done for ${told.length - problems.length} of ${told.length}, not for the rest: ${problems.join("; ")}`;
  if (answer.ok) return "";
  if (told.error?.code === "not_authenticated") return "Not done: you are logged out.";
  const why = (told.error?.message ?? `the server answered ${answer.status}`).replace(/\.$/, "");
  return `Not done: ${why}.${answer.status < 500 ? "" : " Try again."}`;
}

/** What became of an act: a release tells what is halted all the same. */
function outcome(done, told) {
  const still = told.still_halted ?? [];
  return still.length ? `Released. Still halted: ${still.join(", ")}. Entries there are refused.` : done;
}

const PLACES = [
  [/^\/api\/v1\/halts\//, (told) => ["The halt", "/risk/", `#switches-${told.id}`]],
  [/^\/api\/v1\/alert-silences\//, () => ["What is silent", "/alerts/", "#title-silences"]],
  [/^\/api\/v1\/deployments\//, (told) => ["The deployment", `/strategies/${told.id}/`, ""]],
  [/^\/api\/v1\/backtests\//, (told) => ["The backtest", `/backtests/${told.id}/`, ""]],
  [/^\/api\/v1\/live\/differences\//, () => ["What was settled", "/reconciliation/", "#title-settled"]],
  [/^\/api\/v1\/orders\//, (told) => ["The order", `/orders/${told.id}/`, ""]],
  [/^\/api\/v1\/approvals\//, (told) => (told.length > 1 ? ["What was answered", "/approvals/", "#title-answers"] : ["Why", `/signals/${told[0].signal}/`, ""])],
];

/** The link to what an answer names: its words and address; none where it names nothing that has a page. */
function placeOf(act, told) {
  const found = (told.id ?? told[0]) && PLACES.find(([address]) => address.test(act));
  if (!found) return null;
  const [words, path, place] = found[1](told);
  return { words, address: path + document.querySelector(".brand").search + place };
}

const TOAST_MS = 6_000;
const LINK_MS = 15_000; // a link wants time to be reached
const toasts = document.getElementById("toast");
let toasted = 0;

/** Say what became of something, for a while; what failed stands until somebody has seen it. */
export function toast(words, place, stays = false) {
  const line = document.createElement("p");
  line.textContent = words;
  if (place) line.append(" ", link(place.words, place.address));
  line.toggleAttribute("data-stays", stays);
  if (stays) line.append(" ", dismissal(line));
  untoast("p:not([data-stays])");
  toasts.append(line);
  toasts.hidden = false;
  clearTimeout(toasted);
  toasted = setTimeout(untoast, place ? LINK_MS : TOAST_MS, "p:not([data-stays])");
}

function untoast(which) {
  for (const line of toasts.querySelectorAll(which)) line.remove();
  toasts.hidden = !toasts.children.length;
}

function dismissal(line) {
  const button = document.createElement("button");
  [button.type, button.className, button.textContent] = ["button", "plain", "Dismiss"];
  button.addEventListener("click", () => {
    line.remove();
    toasts.hidden = !toasts.children.length;
  });
  return button;
}

function link(words, address) {
  const made = document.createElement("a");
  [made.textContent, made.href] = [words, address];
  return made;
}
