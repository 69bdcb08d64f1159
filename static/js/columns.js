// Columns are hidden and shown at once, and kept for the person. Without JavaScript the button keeps them.
for (const menu of document.querySelectorAll(".choice")) {
  const form = menu.querySelector("form");
  const table = document.querySelector(`table.${menu.dataset.of}`);
  let words = menu.querySelector("small");

  form.querySelector("button").hidden = true;
  form.addEventListener("change", async (event) => {
    table.classList.toggle(`no-${event.target.dataset.column}`, !event.target.checked);
    count();
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), redirect: "manual" });
    if (answer.type !== "opaqueredirect") words.textContent = "not kept: show the page again";
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });

  function count() {
    const hidden = form.querySelectorAll("[data-column]:not(:checked)").length;
    if (!words) menu.querySelector("summary").append((words = document.createElement("small")));
    words.textContent = hidden ? `${hidden} hidden` : "";
  }
}
