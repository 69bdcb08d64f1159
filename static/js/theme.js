// The button that turns dark into light and back, at once and for good: it is stored with the user. Without JavaScript
// it is a link to the page Look.
const root = document.documentElement;
const button = document.getElementById("theme");

function now() {
  if (root.dataset.theme !== "auto") return root.dataset.theme;
  return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
}

button?.addEventListener("click", async (event) => {
  event.preventDefault();
  root.dataset.theme = now() === "light" ? "dark" : "light";
  await fetch(button.href, {
    method: "POST",
    headers: { "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value },
    body: new URLSearchParams({ theme: root.dataset.theme }),
    redirect: "manual",
  });
});
