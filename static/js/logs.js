// Stops the tail of the log while a person reads it; the page around it stays live.
const button = document.getElementById("pause");
const body = document.querySelector('tbody[data-kind="loglines"]');

function toggle() {
  const isPaused = body.toggleAttribute("data-paused");
  button.setAttribute("aria-pressed", String(isPaused));
  button.textContent = isPaused ? "Stopped: go on" : "Stop";
}

if (button && body) {
  button.addEventListener("click", toggle);
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target.closest("a, button, input, select, textarea, summary, dialog[open]")) return;
    event.preventDefault();
    toggle();
  });
}
