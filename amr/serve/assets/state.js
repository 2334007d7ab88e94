// What the page knows, and how it asks the server.

const CONTEXT_S = [2, 15]; // heard and seen around a moment: a third of its length, within these bounds
const CHUNK_S = 60; // sound is fetched a stretch at a time
const HISTORY = 12;

const state = {
  isReady: false,
  about: null, // /recordings.json
  byVid: new Map(),
  labels: [], // /labels.json
  sounds: [], // /sounds.json
  blocks: [], // a question and its moments each
  opened: new Set(), // the questions whose unlikely moments are shown, too
  rows: [], // the moments in the order in which they stand on the page
  chosen: null,
  playing: null,
};

class Failure extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

// The JSON at an address; a failure carries the server's sentence.
async function fetchJson(address, options) {
  let response, value;
  try {
    response = await fetch(address, options);
    value = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!response) throw new Failure("amr serve does not answer: does it still run in its terminal?");
    throw new Failure(`the server's answer was cut off (${response.status})`);
  }
  if (response.ok) return value;
  throw new Failure([value.error ?? `the server answers ${response.status}`, value.hint].filter(Boolean).join(" · "), response.status);
}

const postJson = (address, body) =>
  fetchJson(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

function report(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Failure)) console.error(error);
  say(error.message);
}

const counted = (count, unit) => `${count} ${unit}${String(count) === "1" ? "" : "s"}`;
const encoded = (vid) => vid.split("/").map(encodeURIComponent).join("/");
const questions = () => [...new Set(byId("question").value.split("\n").map((line) => line.trim()).filter(Boolean))];

// The stretch of a recording that is shown around a moment.
function surroundings(moment) {
  const around = Math.min(Math.max((moment.end - moment.start) / 3, CONTEXT_S[0]), CONTEXT_S[1]);
  const length = state.byVid.get(moment.vid)?.duration ?? moment.end;
  return [Math.max(0, moment.start - around), Math.min(length, moment.end + around)];
}

// Intersection over union of two moments.
function iou(a, b) {
  if (a.vid !== b.vid) return 0;
  const shared = Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start));
  return shared / (a.end - a.start + b.end - b.start - shared);
}

const isSame = (a, b) => iou(a, b) > 0.5;

const searchedBefore = () => {
  try {
    return JSON.parse(localStorage.getItem("amr-history") ?? "[]").filter((one) => typeof one === "string");
  } catch {
    return [];
  }
};

function remember(asked) {
  const text = asked.join("\n");
  if (!text) return;
  const kept = [text, ...searchedBefore().filter((one) => one !== text)].slice(0, HISTORY);
  try {
    localStorage.setItem("amr-history", JSON.stringify(kept));
  } catch {
    // a browser that keeps nothing: there is no history then
  }
}
