// The address of this page to the clipboard, without a fragment, so that who gets it sees the same.
const button = document.getElementById("copy-link");

async function copy() {
  const address = location.href.split("#")[0];
  try {
    await navigator.clipboard.writeText(address);
  } catch {
    const field = document.createElement("input"); // plain http has no clipboard
    field.value = address;
    button.after(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  const words = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => (button.textContent = words), 2_000);
}

button.addEventListener("click", copy);
