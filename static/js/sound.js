// A short tone when a critical alert comes that is not silent, for whoever has asked for it: once in all windows.
import { toast } from "./acts.js";

const HEARD = "alpha-panda-heard"; // when the newest alert was raised that a window of this browser has told of
const HZ = [880, 660]; // two tones, one after the other
const TONE_S = 0.18;
const VOLUME = 0.2;
const RESUMED_MS = 300;
const bell = document.querySelector(".bell");
const newest = () => Number(bell.dataset.newest);
let context = null;

/** Sound once; false where the browser lets no page sound that nobody has touched. */
export async function sound() {
  context ??= new AudioContext();
  if (context.state !== "running") await Promise.race([context.resume(), new Promise((done) => setTimeout(done, RESUMED_MS))]);
  if (context.state !== "running") return false;
  HZ.forEach((hz, place) => {
    const [tone, volume] = [context.createOscillator(), context.createGain()];
    const begins = context.currentTime + place * TONE_S;
    tone.frequency.value = hz;
    volume.gain.setValueAtTime(VOLUME, begins);
    volume.gain.exponentialRampToValueAtTime(0.001, begins + TONE_S);
    tone.connect(volume).connect(context.destination);
    tone.start(begins);
    tone.stop(begins + TONE_S);
  });
  return true;
}

/** Tell of a critical alert that no window has told of. */
async function look() {
  if (newest() <= Number(localStorage.getItem(HEARD))) return;
  localStorage.setItem(HEARD, newest());
  if (document.documentElement.dataset.sound === undefined) return;
  if (!(await sound())) toast("A critical alert came. The browser keeps this page silent until you click in it.");
}

if (bell) {
  if (localStorage.getItem(HEARD) === null) localStorage.setItem(HEARD, newest()); // what was there before is no news
  look();
  new MutationObserver(look).observe(bell, { attributeFilter: ["data-newest"] });
  document.querySelector("select[name=sound]")?.addEventListener("change", async (event) => {
    if (event.target.value !== "on" || (await sound())) return;
    toast("The browser keeps this page silent. Allow it sound, and choose the tone again.", null, true);
  });
}
