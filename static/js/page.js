// What every page does: it lives, it halts, it has keys.
import "./live.js";
import "./keys.js";
import "./theme.js";
