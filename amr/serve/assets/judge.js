// Accept, reject, name: each is kept by the server before it is shown.

const labelOf = (moment) => state.labels.find((label) => label.question === moment.query && isSame(label, moment));

function drawJudging(moment) {
  const box = make("div", "judging");
  const name = make("input", "label");
  name.type = "text";
  name.maxLength = 500;
  name.setAttribute("aria-label", "Name of this moment");
  name.addEventListener("change", () => rename(moment, name.value.trim()));
  name.addEventListener("click", (event) => event.stopPropagation());
  box.append(
    button("▶", "Play (space)", () => (choose(moment, false), toggle(moment)), "listen"),
    button("✓", "Accept (a)", () => judge(moment, true), "accept"),
    button("✗", "Reject (x)", () => judge(moment, false), "reject"),
    name,
  );
  return box;
}

// Show what is kept of a moment.
function showVerdict(moment) {
  const label = labelOf(moment);
  if (label?.accepted && !moment.isMoving) {
    Object.assign(moment, { start: label.start, end: label.end });
    placeBand(moment);
  }
  moment.node.classList.toggle("accepted", label?.accepted === true);
  moment.node.classList.toggle("rejected", label?.accepted === false);
  for (const [kind, verdict] of [["accept", true], ["reject", false]])
    moment.node.querySelector(`.${kind}`).setAttribute("aria-pressed", String(label?.accepted === verdict));
  const name = moment.node.querySelector(".label");
  name.hidden = label?.accepted !== true;
  name.value = label?.query ?? moment.query;
}

// A change of the labels, one after the other; then what is shown follows.
let changes = Promise.resolve();
function change(body, learn = true) {
  changes = changes.then(async () => {
    showLabels(await postJson("/labels.json", body));
    if (learn) learnSoon();
  }).catch((error) => {
    report(error);
    for (const row of state.rows) showVerdict(row);
  });
  return changes;
}

function showLabels(found) {
  state.labels = found.labels;
  for (const row of state.rows) showVerdict(row);
  countNods(questions());
  const accepted = state.labels.filter((label) => label.accepted).length;
  byId("kept").textContent = `${accepted} accepted and ${state.labels.length - accepted} rejected moments are kept in ${found.file}`;
}

const asLabel = (moment, accepted, query = moment.query) => ({
  vid: moment.vid, query, question: moment.query, start: moment.start, end: moment.end, accepted,
});

async function judge(moment, accepted, goOn = false) {
  const label = labelOf(moment);
  const isTakenBack = label?.accepted === accepted;
  const body = isTakenBack ? { remove: label } : { add: asLabel(moment, accepted), ...(label ? { remove: label } : {}) };
  choose(moment, false);
  if (goOn && !isTakenBack) step(1); // at once: the next key is for the next moment
  await change(body);
}

function takeBack(moment) {
  const label = labelOf(moment);
  if (label) change({ remove: label });
}

function rename(moment, name) {
  const label = labelOf(moment);
  if (!label?.accepted || !name || name === label.query) return showVerdict(moment);
  return change({ add: { ...label, query: name }, remove: label }, false);
}

// Ends that were moved: the moment is accepted as it lies now.
function keepEnds(moment, before) {
  const label = labelOf({ ...moment, ...before });
  moment.isMoving = false;
  return change({ add: asLabel(moment, true, label?.query), ...(label ? { remove: label } : {}) });
}

let learning = 0;
function learnSoon() {
  clearTimeout(learning);
  if (learns()) learning = setTimeout(() => search(false, true), 400);
}
