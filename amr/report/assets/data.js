// The cases, and small helpers. Text of data files reaches the page through textContent only; nothing here
// builds markup from strings.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const CHUNK = 100;
const audio = new Audio();
audio.preload = "none";

const state = { order: [], shown: 0, chosen: null, sort: "number", falling: false, playing: null, nextTrue: 0 };

const cases = data.cases.map((entry, number) => ({
  ...entry,
  number,
  recording: data.recordings[entry.r],
  best: entry.p.length ? entry.p[0][2] : -1,
  text: `${entry.query} ${data.recordings[entry.r].vid} ${entry.qid}`.toLowerCase(),
}));

const COLUMNS = [
  { key: "query", name: "query", value: (c) => c.query.toLowerCase() },
  { key: "recording", name: "recording", value: (c) => c.recording.vid.toLowerCase(), style: "recording" },
  { key: "best", name: "score", value: (c) => c.best, style: "number" },
  { key: "iou", name: "IoU", value: (c) => c.iou ?? -1, style: "number", needsTruth: true },
  { key: "number", name: "moments", value: (c) => c.number, style: "place" },
].filter((column) => data.truth || !column.needsTruth);


function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
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
