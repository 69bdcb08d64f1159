// The HALT button: a reason, one POST, and what became of it.
export function watchHalt(afterwards) {
  const dialog = document.getElementById("halt-dialog");
  if (!dialog) return;
  const form = document.getElementById("halt-form");
  const send = document.getElementById("halt-send");
  const error = document.getElementById("halt-error");
  let key = "";

  document.getElementById("halt").addEventListener("click", () => {
    key = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
    error.textContent = "";
    dialog.showModal();
    document.getElementById("halt-reason").focus();
  });
  document.getElementById("halt-cancel").addEventListener("click", () => dialog.close());

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    error.textContent = "";
    const failure = await post(form, key);
    send.disabled = false;
    error.textContent = failure;
    if (failure) return;
    form.reset();
    dialog.close();
    toast("Entries are halted. Exits and cancels pass.");
    afterwards();
  });
}

/** Sends the halt; the answer is why it failed, or nothing. The key stays, so that a second try is the same act. */
async function post(form, key) {
  const [level, name = ""] = form.elements.target.value.split(":");
  const body = {
    level,
    broker: level === "BROKER" ? name : "",
    deployment: level === "DEPLOYMENT" ? name : null,
    reason: form.elements.reason.value,
  };
  try {
    const answer = await fetch(form.dataset.action, {
      method: "POST",
      headers: {
        Accept: "application/json",
        "Content-Type": "application/json",
        "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
        "Idempotency-Key": key,
      },
      body: JSON.stringify(body),
    });
    if (answer.ok) return "";
    const told = await answer.json().catch(() => ({}));
    return `Not halted: ${told.error?.message ?? `the server answered ${answer.status}`}. Try again, or run manage.py halt.`;
  } catch {
    return "Not known whether it halted: no answer. Try again (it is the same halt), or run manage.py halt.";
  }
}

function toast(words) {
  const box = document.getElementById("toast");
  box.textContent = words;
  box.hidden = false;
  setTimeout(() => (box.hidden = true), 6_000);
}
