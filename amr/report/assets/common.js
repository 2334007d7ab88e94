// What the pages have in common: nodes, times, messages, keys, light and dark. Text of data files reaches a page through
// textContent only; nothing here builds markup from strings.

const byId = (id) => document.getElementById(id);
const audio = new Audio();
audio.preload = "none";

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

// A name that may be broken behind its separators, and nowhere inside a word.
function named(text) {
  const node = make("span");
  for (const part of text.split(/(?<=[/_. -])/)) node.append(part, make("wbr"));
  return node;
}

function svg(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function clock(seconds, decimals) {
  const factor = 10 ** decimals;
  const whole = Math.round(seconds * factor) / factor;
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = (whole % 60).toFixed(decimals).padStart(decimals ? 3 + decimals : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

const span = (moment) => `${clock(moment[0], 1)} – ${clock(moment[1], 1)}`;
const share = (seconds, whole) => `${(100 * Math.min(Math.max(seconds / whole, 0), 1)).toFixed(3)}%`;

function say(text) {
  byId("status").textContent = text;
}

// A line of times for a stretch from one second to another.
function ticks(begin, end) {
  const lane = make("div", "ticks");
  const length = end - begin;
  const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];
  const every = steps.find((one) => length / one <= 6) ?? 14400;
  for (let at = Math.ceil(begin / every) * every; at <= end; at += every) {
    const place = (at - begin) / length;
    const tick = make("span", place > 0.94 ? "last" : place < 0.04 ? "first" : "", clock(at, every < 1 ? 1 : 0));
    tick.style.left = share(at - begin, length);
    lane.append(tick);
  }
  return lane;
}

function jump(by) {
  if (state.playing) audio.currentTime = Math.min(Math.max(audio.currentTime + by, 0), audio.duration || 0);
}

// The keys that mean the same on every page.
const MOVES = {
  "?": () => byId("help").showModal(),
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  ArrowLeft: () => jump(-2),
  ArrowRight: () => jump(2),
  Escape: () => (stop(), say("")),
};

byId("keys").addEventListener("click", MOVES["?"]);
byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
