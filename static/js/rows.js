// Rows come as HTML by kind and id; the element's own id is `kind-id`. Changes are drawn together, many of them in a few
// frames, so that no frame is late. Of a row that stands only what differs is written: what a person has in hand stays.
const FRAME_MS = 5; // of sixteen: the layout follows, and on a slower machine all takes longer
const TINT_MS = 400; // no animation: two hundred of them cost a core
const FRESH_KINDS = new Set(["signals", "orders", "fills"]);

export class Rows {
  #page;
  #waiting = new Map();
  #drawing = false;
  #drawn = new WeakMap(); // of an element, the HTML that it was made of
  #tinted = new Map(); // rows whose price has moved, each with when that is no news any more
  #fading = 0;
  #unsorted = new Set(); // tables of which a row has its place elsewhere now
  #afterwards;

  constructor(page, afterwards) {
    this.#page = page;
    this.#afterwards = afterwards;
  }

  /** Draw changed rows; null takes a row away. */
  update(byKind) {
    for (const [kind, rows] of Object.entries(byKind)) {
      for (const [id, html] of Object.entries(rows)) this.#waiting.set(`${kind}-${id}`, { kind, html });
    }
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => this.#draw());
  }

  /** Make these rows all there is of these kinds. */
  replace(byKind, kinds) {
    const gone = {};
    for (const body of this.#page.querySelectorAll("tbody[data-kind]")) {
      const { kind } = body.dataset;
      if (!kinds.includes(kind)) continue;
      const now = byKind[kind] ?? {};
      const ids = [...body.rows].map((row) => row.id.slice(kind.length + 1)).filter((id) => !(id in now));
      gone[kind] = Object.fromEntries(ids.map((id) => [id, null]));
    }
    this.update(gone);
    this.update(byKind);
  }

  #draw() {
    const until = performance.now() + FRAME_MS;
    for (const [id, { kind, html }] of this.#waiting) {
      const old = this.#page.getElementById(id);
      if (html === null) old?.remove();
      else this.#place(kind, old, html);
      this.#waiting.delete(id);
      if (performance.now() > until) break;
    }
    this.#drawing = this.#waiting.size > 0;
    if (this.#drawing) {
      requestAnimationFrame(() => this.#draw());
      return;
    }
    for (const body of this.#unsorted) sort(body);
    this.#unsorted.clear();
    this.#afterwards();
  }

  #place(kind, old, html) {
    if (old && this.#drawn.get(old) === html) return;
    const holder = this.#page.createElement("template");
    holder.innerHTML = html;
    const fresh = holder.content.firstElementChild;
    if (old) {
      this.#keep(old, fresh);
      this.#tint(old, fresh);
      if (old.dataset.order !== fresh.dataset.order) this.#unsorted.add(old.parentElement);
      become(old, fresh);
      this.#drawn.set(old, html);
      return;
    }
    const body = this.#page.querySelector(`tbody[data-kind="${kind}"]`);
    if (!body || (body.dataset.only && fresh.id !== `${kind}-${body.dataset.only}`)) return;
    if (FRESH_KINDS.has(kind)) fresh.classList.add("fresh");
    const next = [...body.rows].find((row) => isBefore(body, fresh, row));
    body.insertBefore(fresh, next ?? null);
    this.#drawn.set(fresh, html);
  }

  /** What a person did to a row stays: which one is at hand, and what of it is unfolded. */
  #keep(old, fresh) {
    if (old.classList.contains("at-hand")) fresh.classList.add("at-hand");
    const before = old.querySelectorAll("details");
    fresh.querySelectorAll("details").forEach((one, place) => one.toggleAttribute("open", Boolean(before[place]?.open)));
  }

  #tint(old, fresh) {
    const before = Number(old.dataset.price);
    const after = Number(fresh.dataset.price);
    if (!before || !after || before === after) return;
    fresh.classList.add(after > before ? "rose" : "fell");
    this.#tinted.set(old, performance.now() + TINT_MS);
    this.#fading ||= setTimeout(() => this.#fade(), TINT_MS);
  }

  #fade() {
    const now = performance.now();
    for (const [row, until] of this.#tinted) {
      if (until > now) continue;
      row.classList.remove("rose", "fell");
      this.#tinted.delete(row);
    }
    this.#fading = this.#tinted.size && setTimeout(() => this.#fade(), TINT_MS);
  }
}

function isBefore(body, one, other) {
  const [a, b] = [one.dataset.order, other.dataset.order];
  return body.dataset.sort === "newest" ? Number(a) > Number(b) : a < b;
}

/** Move what is not in its place; what a person has the focus on keeps it. */
function sort(body) {
  const focus = document.activeElement;
  const sorted = [...body.rows].sort((a, b) => (isBefore(body, a, b) ? -1 : Number(isBefore(body, b, a))));
  let next = null;
  for (const row of sorted.reverse()) {
    if (row.nextElementSibling !== next) body.insertBefore(row, next);
    next = row;
  }
  if (document.activeElement !== focus) focus?.focus({ preventScroll: true });
}

/** Write into a node what differs in another of its kind. */
export function become(old, fresh) {
  if (!(old instanceof Element)) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  const isAlike = before.length === after.length && before.every((node, place) => node.nodeName === after[place].nodeName);
  if (isAlike) before.forEach((node, place) => become(node, after[place]));
  else old.replaceChildren(...after);
}
