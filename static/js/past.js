// A page of the past: it has keys and its moment, and nothing on it lives or acts.
import "./keys.js";
import "./travel.js";
import "./theme.js";
import "./columns.js";
import { age } from "./age.js";

const session = document.querySelector(".strip[data-session]:not([data-session=''])");
const then = Number(session?.dataset.at) || Date.parse(document.querySelector(".past time").dateTime);
for (const cell of document.querySelectorAll(".age[data-at]")) {
  if (cell.dataset.at) cell.textContent = age(then - Number(cell.dataset.at));
}
