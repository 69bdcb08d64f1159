// The name of a new deployment follows its instruments until a person has written one.
const name = document.getElementById("id_name");
const instruments = document.getElementById("id_instruments");
const taken = new Set(JSON.parse(name.dataset.taken));
let isOwn = name.value !== suggested();

instruments.addEventListener("input", () => {
  if (!isOwn) name.value = suggested();
});
name.addEventListener("input", () => (isOwn = name.value !== ""));

/** As the server names one that nobody has named: with the first number that no deployment has. */
function suggested() {
  const symbols = instruments.value.toUpperCase().split(/[,;]/).map((one) => one.trim().split(":").pop()).filter(Boolean);
  const wanted = [name.dataset.title, symbols.join(", ")].filter(Boolean).join(" on ").slice(0, name.maxLength - 4);
  let free = wanted;
  for (let number = 2; taken.has(free); number += 1) free = `${wanted} ${number}`;
  return free;
}
