// What is here, before anything is asked; and what was asked before.

const ROWS_AT_ONCE = 100;

function showFirst() {
  stop();
  Object.assign(state, { blocks: [], rows: [], chosen: null });
  byId("answers").replaceChildren();
  byId("state").textContent = "";
  byId("state").classList.remove("busy");
  byId("first").hidden = false;
  drawHistory();
  watchOverview();
}

function drawHistory() {
  const before = searchedBefore();
  byId("history").hidden = before.length === 0;
  byId("history").replaceChildren(
    ...before.map((text) => againItem(text.replaceAll("\n", " · "), "Search again", () => ask(text))),
  );
}

function againItem(text, title, act) {
  const item = make("li");
  const again = button(text, title, act);
  again.removeAttribute("aria-label");
  item.append(again);
  return item;
}

function ask(text) {
  byId("question").value = text;
  grow();
  search(true);
}

function drawRecordings() {
  const wanted = state.about.recordings;
  const table = make("table");
  const body = make("tbody");
  const head = make("tr");
  for (const name of ["recording", "began", "length"]) head.append(make("th", "", name));
  const more = make("button", "more", "");
  let shown = 0;
  const showMore = () => {
    body.append(...wanted.slice(shown, (shown += ROWS_AT_ONCE)).map(recordingRow));
    more.hidden = shown >= wanted.length;
    more.textContent = `${wanted.length - shown} more`;
  };
  more.type = "button";
  more.addEventListener("click", showMore);
  table.append(make("thead"), body);
  table.tHead.append(head);
  showMore();
  byId("first").replaceChildren(make("div", "sounds"), make("h2", "", "Recordings"), table, more);
}

// What is heard without a question; asked for again while it is being found and the first view is shown.
const AGAIN_MS = 1500;
let watching = 0;
let overview = null;
async function watchOverview() {
  clearTimeout(watching);
  if (overview?.is_complete) return;
  try {
    overview = await fetchJson("/overview.json");
  } catch (error) {
    return report(error);
  }
  drawOverview();
  if (!overview.is_complete && !byId("first").hidden) watching = setTimeout(watchOverview, AGAIN_MS);
}

function drawOverview() {
  const box = byId("first").querySelector(".sounds");
  if (!overview.sounds.length) return box.replaceChildren();
  const heading = make("h2", "", "What is heard here");
  if (!overview.is_complete) heading.append(make("span", "so-far", ` so far, in ${overview.done} of ${overview.recordings} recordings`));
  const list = make("ul", "sounds");
  const most = Math.max(...overview.sounds.map((sound) => sound.events));
  list.append(...overview.sounds.slice(0, 24).map((sound) => soundItem(sound, most)));
  box.replaceChildren(heading, list);
}

function soundItem(sound, most) {
  const item = make("li");
  const node = button("", "Search for it", () => ask(sound.label.toLowerCase()));
  node.removeAttribute("aria-label");
  const bar = make("i");
  bar.style.width = share(sound.events, most);
  const where = counted(sound.recordings, "recording");
  node.append(make("b", "", sound.label), make("span", "", `${sound.events} × in ${where}`), bar);
  if (sound.hours.some((count) => count > 0)) node.append(hoursOf(sound.hours));
  item.append(node);
  return item;
}

// At which hours of the day, as 24 bars.
function hoursOf(hours) {
  const most = Math.max(...hours);
  const first = hours.findIndex((count) => count > 0);
  const last = hours.findLastIndex((count) => count > 0);
  const label = `from ${first} to ${last + 1} o'clock`;
  const picture = svg("svg", { viewBox: "0 0 96 16", preserveAspectRatio: "xMinYMid", role: "img", "aria-label": label, class: "hours" });
  picture.append(svg("path", { d: "M0 15.500h96" }));
  hours.forEach((count, hour) => {
    const height = (14 * count) / most;
    if (count) picture.append(svg("rect", { x: 4 * hour + 0.5, y: 15 - height, width: 3, height }));
  });
  const title = svg("title", {});
  title.textContent = label;
  picture.append(title);
  return picture;
}

function recordingRow(recording) {
  const tr = make("tr");
  const name = make("td", "name");
  name.append(named(recording.vid));
  name.title = recording.path ?? "its file is not here";
  const began = recording.started ? `${day(recording.started)}, ${recording.started.slice(11, 16)}` : "";
  tr.append(name, make("td", "", began), make("td", "number", clock(recording.duration, 0)));
  return tr;
}
