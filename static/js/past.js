// A page of the past: it has keys and its moment, and nothing on it lives or acts.
import "./keys.js";
import "./travel.js";
import "./theme.js";
import "./columns.js";
import { age } from "./age.js";

const session = document.querySelector(".strip[data-session]:not([data-session=''])");
const past = Number(session?.dataset.at) || Date.parse(document.querySelector(".past time").dateTime);
const then = document.querySelector(".past.of-now") ? Date.now() : past; // a page that has no past is of now
for (const cell of document.querySelectorAll(".age[data-at]")) {
  if (cell.dataset.at) cell.textContent = age(then - Number(cell.dataset.at));
}
