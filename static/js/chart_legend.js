// The parts of a chart's legend.

export const amount = (value) => value.toLocaleString("en-IN", { minimumFractionDigits: 2, maximumFractionDigits: 4 });

export function row(...children) {
  const line = document.createElement("span");
  line.className = "row";
  line.append(...children);
  return line;
}

export function bold(words) {
  const b = document.createElement("b");
  b.textContent = words;
  return b;
}

export function key({ color, isDashed }) {
  const mark = document.createElement("i");
  mark.className = isDashed ? `key dashed c-${color}` : `key c-${color}`;
  return mark;
}
