// The cases.

const data = JSON.parse(document.getElementById("data").textContent);
const CHUNK = 100;

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
