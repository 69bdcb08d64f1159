// What is left of each token, by the server's clock; read anew from the server when one is over.
const loaded = performance.now();

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
    if (left <= 0) location.reload();
  }
}

if (document.querySelector("[data-until-ms]")) {
  tick();
  setInterval(tick, 1000);
}
