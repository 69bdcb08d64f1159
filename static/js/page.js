// What every page of now does: it lives, it halts, it has keys.
import "./live.js";
import "./keys.js";
import "./travel.js";
import "./theme.js";
import "./columns.js";
import "./sound.js";
