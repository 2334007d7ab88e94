// Keys and buttons, and the beginning.

const ORDERS = ["best", "recording", "time"];
const FORMS = [
  ["audacity", "Audacity labels"], ["csv", "CSV table"], ["raven", "Raven selections"],
  ["annotations", "JSONL annotations"], ["clips", "Sound clips (WAV)"],
];

const KEYS = {
  ...MOVES,
  "/": () => byId("question").select(),
  " ": () => toggle(state.chosen),
  a: () => state.chosen && judge(state.chosen, true, true),
  x: () => state.chosen && judge(state.chosen, false, true),
  u: () => state.chosen && takeBack(state.chosen),
  n: () => state.chosen && startNaming(state.chosen),
  s: () => startKeeping(),
  c: () => state.chosen?.path && copyPath(state.chosen),
  o: () => {
    byId("order").value = ORDERS[(ORDERS.indexOf(byId("order").value) + 1) % ORDERS.length];
    changeOrder();
  },
};

async function startNaming(moment) {
  if (labelOf(moment)?.accepted !== true) await judge(moment, true);
  moment.node.querySelector(".label").select();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const field = event.target.closest("input, select, textarea");
  if (field && field.type !== "checkbox") {
    if (event.key === "Escape" || (event.key === "Enter" && field.classList.contains("label"))) field.blur();
    else if (event.key === "Enter" && field.id === "question" && !event.shiftKey) {
      search(false);
      field.blur();
    } else return;
    event.preventDefault();
    return;
  }
  if ((event.key === " " || event.key === "Enter") && event.target.closest("button, summary, input, a")) return;
  if (!Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});

function changeOrder() {
  showAddress(questions());
  drawAnswers();
}

byId("field").addEventListener("submit", (event) => event.preventDefault());
byId("question").addEventListener("input", () => (grow(), soon()));
byId("clear").addEventListener("click", () => (ask(""), byId("question").focus()));
byId("order").addEventListener("change", changeOrder);
for (const name of ["folder", "from", "to", "learn"]) byId(name).addEventListener("change", () => search(false));
byId("narrow").addEventListener("click", () => {
  const isOpen = byId("filters").classList.toggle("open");
  byId("narrow").setAttribute("aria-expanded", String(isOpen));
});
document.addEventListener("click", (event) => {
  if (!event.target.closest("#export")) byId("export").open = false;
});

// Two lines of a pasted text are two questions; Enter asks, Shift+Enter begins another line.
function drawForms() {
  byId("forms").replaceChildren(
    ...FORMS.map(([form, name]) => {
      const item = make("li");
      const link = make("a", "", name);
      link.href = `/export/${form}`;
      link.addEventListener("click", (event) => save(event, link.href));
      item.append(link);
      return item;
    }),
  );
}

// A download, or the server's sentence where there is none.
async function save(event, address) {
  event.preventDefault();
  byId("export").open = false;
  const response = await fetch(address).catch(() => null);
  if (!response?.ok) return fetchJson(address).catch(report);
  const link = make("a");
  link.download = /filename="([^"]*)"/.exec(response.headers.get("content-disposition"))?.[1] ?? "labels";
  link.href = URL.createObjectURL(await response.blob());
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(`Saved: ${link.download}`);
}

function drawAbout() {
  const about = state.about;
  const count = about.recordings.length;
  document.title = `${about.title} · amr`;
  byId("title").textContent = about.title;
  byId("summary").textContent = `${counted(count, "recording")}, ${lengthOf(about.hours)}`;
  const folders = [...new Set(about.recordings.flatMap((one) => above(one.folder)))].sort();
  byId("folder").append(...folders.map((folder) => new Option(folder, folder)));
  byId("where").hidden = folders.length === 0;
  const days = about.recordings.map((one) => one.started?.slice(0, 10)).filter(Boolean).sort();
  for (const label of document.querySelectorAll(".when")) if (label.tagName === "LABEL") label.hidden = days.length === 0;
  for (const name of ["from", "to"]) Object.assign(byId(name), { min: days[0] ?? "", max: days.at(-1) ?? "" });
}

// 1 minute, 2.5 minutes, 36 minutes, 1.2 hours, 100 hours.
function lengthOf(hours) {
  const [count, unit] = hours < 1 ? [hours * 60, "minute"] : [hours, "hour"];
  return counted(count.toFixed(count < 10 ? 1 : 0).replace(".0", ""), unit);
}

// A folder and those above it: a/b/c, a/b, a.
function above(folder) {
  const parts = folder ? folder.split("/") : [];
  return parts.map((_, number) => parts.slice(0, number + 1).join("/"));
}

async function begin() {
  try {
    state.about = await fetchJson("/recordings.json");
    for (const recording of state.about.recordings) state.byVid.set(recording.vid, recording);
    drawAbout();
    drawForms();
    drawRecordings();
    showLabels(await fetchJson("/labels.json"));
    await drawNamed();
  } catch (error) {
    return report(error);
  }
  state.isReady = true;
  if (!byId("question").value) readAddress(); // else somebody was quicker than the page
  if (questions().length) search(false);
  else {
    showFirst();
    byId("question").focus();
  }
}

begin();
