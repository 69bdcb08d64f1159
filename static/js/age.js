/** How long ago, in words: 0.4 s, 12 s, 3 min. */
export function age(ms) {
  const s = Math.max(ms, 0) / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

/** How long until then, to the second where that counts: 45 s, 4 min 05 s, 1 h 59 min. */
export function left(ms) {
  const s = Math.floor(Math.max(ms, 0) / 1000);
  const part = (value) => String(value).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${part(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${part(Math.floor(s / 60) % 60)} min`;
}
