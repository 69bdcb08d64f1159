// The HALT and Release buttons: a reason, one POST, and what became of it.
export function watchHalt(afterwards) {
  if (!document.getElementById("halt-dialog")) return;
  const halt = new Act("halt", {
    done: "Entries are halted. Exits and cancels pass.",
    failed: "Not halted",
    unknown: "Not known whether it halted: no answer. Try again (it is the same halt), or run manage.py halt.",
    afterwards,
  });
  document.getElementById("halt").addEventListener("click", () => halt.ask("/api/v1/halts/", target));

  const release = new Act("release", {
    done: "Released. Entries are decided again.",
    failed: "Not released",
    unknown: "Not known whether it was released: no answer. Try again, or run manage.py release.",
    afterwards,
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".release");
    if (!button) return;
    document.getElementById("release-what").textContent = button.dataset.what;
    release.ask(`/api/v1/halts/${button.dataset.halt}/release/`, () => ({}));
  });
}

/** What the halt dialog has chosen. */
function target(form) {
  const [level, name = ""] = form.elements.target.value.split(":");
  return { level, broker: level === "BROKER" ? name : "", deployment: level === "DEPLOYMENT" ? name : null };
}

/** A dialog that asks for a reason and posts one act. The key stays, so that a second try is the same act. */
class Act {
  #url = "";
  #facts = () => ({});
  #key = "";

  constructor(name, words) {
    this.words = words;
    this.dialog = document.getElementById(`${name}-dialog`);
    this.form = document.getElementById(`${name}-form`);
    this.button = document.getElementById(`${name}-send`);
    this.error = document.getElementById(`${name}-error`);
    document.getElementById(`${name}-cancel`).addEventListener("click", () => this.dialog.close());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
  }

  ask(url, facts) {
    this.#url = url;
    this.#facts = facts;
    this.#key = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
    this.error.textContent = "";
    this.dialog.showModal();
    this.form.elements.reason.focus();
  }

  async #send() {
    this.button.disabled = true;
    this.error.textContent = "";
    const failure = await this.#post();
    this.button.disabled = false;
    this.error.textContent = failure;
    if (failure) return;
    this.form.reset();
    this.dialog.close();
    toast(this.words.done);
    this.words.afterwards();
  }

  /** The answer is why it failed, or nothing. */
  async #post() {
    try {
      const answer = await fetch(this.#url, {
        method: "POST",
        headers: {
          Accept: "application/json",
          "Content-Type": "application/json",
          "X-CSRFToken": this.form.elements.csrfmiddlewaretoken.value,
          "Idempotency-Key": this.#key,
        },
        body: JSON.stringify({ ...this.#facts(this.form), reason: this.form.elements.reason.value }),
      });
      if (answer.ok) return "";
      const told = await answer.json().catch(() => ({}));
      return `${this.words.failed}: ${told.error?.message ?? `the server answered ${answer.status}`}. Try again.`;
    } catch {
      return this.words.unknown;
    }
  }
}

function toast(words) {
  const box = document.getElementById("toast");
  box.textContent = words;
  box.hidden = false;
  setTimeout(() => (box.hidden = true), 6_000);
}
