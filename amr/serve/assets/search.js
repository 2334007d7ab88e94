// Asking while one types: a quick look first, then the answer that the command line gives.

const TYPING_MS = 180;
const RESTING_MS = 700;
let timer = 0;
let request = null;

function parameters(asked, quick) {
  const all = new URLSearchParams(asked.map((text) => ["q", text]));
  for (const name of ["folder", "from", "to"]) if (byId(name).value) all.set(name, byId(name).value);
  if (learns()) all.set("learn", "1");
  if (quick) all.set("quick", "1");
  return all;
}

const learns = () => byId("learn").checked && !byId("learning").hidden;

function soon(delay = TYPING_MS) {
  clearTimeout(timer);
  timer = setTimeout(() => search(true), delay);
}

// Ask now. `keep` leaves the moments up to the chosen one where they are, and changes what follows.
async function search(quick, keep = false) {
  clearTimeout(timer);
  if (!state.isReady) return; // begin() asks
  const asked = questions();
  if (quick && asked.some(isUnknownName)) return; // it is being typed
  request?.abort();
  countNods(asked);
  showAddress(asked);
  if (!asked.length) return showFirst();
  request = new AbortController();
  byId("state").classList.add("busy");
  if (!state.blocks.length) byId("state").textContent = "Searching …";
  try {
    const found = await fetchJson(`/search.json?${parameters(asked, quick)}`, { signal: request.signal });
    say("");
    showAnswers(found, keep);
    if (found.quick) timer = setTimeout(() => search(false, keep), RESTING_MS);
    else byId("state").classList.remove("busy");
    setTimeout(() => questions().join("\n") === asked.join("\n") && remember(asked), 2000);
  } catch (error) {
    if (error.name !== "AbortError") byId("state").classList.remove("busy");
    report(error);
  }
}

function countNods(asked) {
  const own = state.labels.filter((label) => asked.includes(label.question));
  const accepted = own.filter((label) => label.accepted).length;
  byId("learning").hidden = own.length === 0;
  byId("nods").textContent = `${accepted} ✓ ${own.length - accepted} ✗`;
}

// The address of what is shown, so that a reload shows it again.
function showAddress(asked) {
  const all = parameters(asked, false);
  all.delete("learn");
  if (byId("order").value !== "best") all.set("order", byId("order").value);
  history.replaceState(null, "", all.size ? `?${all}` : "/");
}

function readAddress() {
  const all = new URLSearchParams(location.search);
  byId("question").value = all.getAll("q").join("\n");
  for (const name of ["folder", "from", "to", "order"]) if (all.get(name)) byId(name).value = all.get(name);
  grow();
}

function grow() {
  const field = byId("question");
  field.rows = Math.min(Math.max(field.value.split("\n").length, 1), 6);
  byId("clear").hidden = !field.value;
  listNamed();
}
