// Sounds that were learned, kept under a name and asked for by it.

async function drawNamed() {
  state.sounds = (await fetchJson("/sounds.json")).sounds;
  listNamed();
}

// All of them on the first view; while a name is typed, those that begin so.
function listNamed() {
  const typed = byId("question").value.split("\n").at(-1).trim();
  const shown = state.sounds.filter((one) => (typed ? typed.startsWith("@") && one.query.startsWith(typed) && one.query !== typed : true));
  byId("named").hidden = shown.length === 0;
  byId("named").replaceChildren(...shown.map((one) => againItem(one.query, one.path, () => askNamed(one.query))));
}

// Whether a question begins as a name does that nobody has kept, or not written to its end.
const isUnknownName = (text) => text.startsWith("@") && !state.sounds.some((one) => one.query === text);

// In place of the name that is being typed.
function askNamed(query) {
  const lines = byId("question").value.split("\n");
  lines[lines.length - 1] = query;
  ask(lines.join("\n"));
}

// The chosen moment's question, where it was judged; else the first that was.
function learnedQuestion() {
  const judged = questions().filter((text) => state.labels.some((label) => label.question === text));
  return judged.includes(state.chosen?.query) ? state.chosen.query : judged[0];
}

function startKeeping() {
  const query = learnedQuestion();
  if (!query) return;
  byId("keep-what").textContent = query;
  byId("keep-name").value = query.replace(/^[@.]|[/\\:"<>|?*]/g, "").slice(0, 60);
  allowKeeping();
  byId("keeping").showModal();
  byId("keep-name").select();
}

// A name that was changed is not yet known to be taken.
function allowKeeping(taken = "") {
  byId("keep-error").textContent = taken;
  byId("keep-go").textContent = taken ? "Replace it" : "Keep";
  byId("keep-go").dataset.replace = taken ? "1" : "";
}

async function keepSound() {
  const name = byId("keep-name").value.trim();
  const body = { name, query: byId("keep-what").textContent, replace: byId("keep-go").dataset.replace === "1" };
  try {
    await changes; // what was accepted and rejected is on the disk
    state.sounds = (await postJson("/sounds.json", body)).sounds;
  } catch (error) {
    if (error.status === 409) allowKeeping(error.message);
    else byId("keep-error").textContent = error.message;
    return;
  }
  byId("keeping").close();
  listNamed();
  const kept = state.sounds.find((one) => one.name === name);
  say(`Kept: ask for @${name} here, or in a terminal for "@${kept ? kept.path.replace(/\.sound$/, "") : name}"`);
}

byId("keep").addEventListener("click", startKeeping);
byId("keep-name").addEventListener("input", () => allowKeeping());
byId("keep-not").addEventListener("click", () => byId("keeping").close());
byId("keeping").addEventListener("submit", (event) => (event.preventDefault(), keepSound()));
