// The answers: moments in their order, each with its strip.

function showAnswers(found, keep) {
  const kept = keep && state.chosen ? state.rows.slice(0, state.rows.indexOf(state.chosen) + 1) : [];
  state.blocks = found.answers.map((answer) => {
    const before = kept.filter((row) => row.query === answer.query);
    const fresh = answer.moments
      .filter((moment) => !before.some((row) => isSame(row, moment)))
      .map((moment) => rowOf(answer.query, moment))
      .filter((row) => !before.includes(row));
    return { ...answer, moments: [...before, ...fresh] };
  });
  byId("first").hidden = true;
  byId("history").hidden = true;
  drawAnswers();
  const [moments, recordings] = [counted(state.rows.length, "moment"), counted(found.recordings, "recording")];
  byId("state").textContent = `${moments} in ${recordings}, ${found.seconds.toFixed(2)} s`;
}

// The row of a moment: the one that stands there already, where it was found before.
function rowOf(query, moment) {
  const { start, end, vid, score } = moment;
  const known = state.rows.find(
    (row) => row.query === query && row.vid === vid && row.found.start === start && row.found.end === end,
  );
  if (!known) return { ...moment, query, found: { start, end } };
  known.score = score;
  showScore(known);
  return known;
}

function drawAnswers() {
  const chosen = state.chosen;
  const focused = document.activeElement;
  state.rows = [];
  byId("answers").replaceChildren(...state.blocks.map(drawBlock));
  if (focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  const again = state.rows.find((row) => row === chosen) ?? state.rows.find((row) => chosen && isSame(row, chosen));
  choose(again ?? state.rows[0], false);
  if (state.playing) markPlaying();
}

function drawBlock(block) {
  const box = make("section", "block");
  box.dataset.question = block.query;
  if (state.blocks.length > 1) box.append(make("h2", "", block.query));
  for (const line of remarks(block)) box.append(make("p", "remark", line[0].toUpperCase() + line.slice(1)));
  const shown = shownOf(block);
  for (const [name, moments] of groups(shown)) {
    if (name) box.appendChild(make("h3")).append(named(name));
    const list = make("ol", "moments");
    list.append(...moments.map(drawRow));
    state.rows.push(...moments);
    box.append(list);
  }
  if (!block.moments.length) box.append(make("p", "remark", "Nothing was found in these recordings."));
  const hidden = block.moments.length - shown.length;
  if (hidden) box.append(showingAll(block, hidden));
  return box;
}

// The moments that are likely, judged, or on the page already; where none is, all: what comes nearest.
function shownOf(block) {
  if (state.about.likely === null || state.opened.has(block.query)) return block.moments;
  const shown = block.moments.filter(
    (row) => row.score >= state.about.likely || row.node?.isConnected || labelOf(row),
  );
  return shown.length ? shown : block.moments;
}

function showingAll(block, hidden) {
  const node = make("button", "more", `Show ${counted(hidden, "less likely moment")}`);
  node.type = "button";
  node.addEventListener("click", () => {
    state.opened.add(block.query);
    drawAnswers();
  });
  return node;
}

// What is to be said of an answer: what was not understood, and that nothing is likely.
function remarks(block) {
  const lines = [...block.remarks];
  const best = Math.max(...block.moments.map((moment) => moment.score), 0);
  if (block.moments.length && state.about.likely !== null && best < state.about.likely)
    lines.push("Probably not in these recordings; this comes nearest.");
  return lines;
}

// [[heading, moments], ...] in the order that is wanted.
function groups(moments) {
  const order = byId("order").value;
  if (order === "best") return [["", moments]];
  const place = new Map(state.about.recordings.map((recording, number) => [recording.vid, number]));
  if (order === "time") {
    const key = (one) => [one.clock ?? "~", place.get(one.vid) ?? 0, one.start];
    const sorted = [...moments].sort((a, b) => compare(key(a), key(b)));
    return gathered(sorted, (one) => (one.clock ? day(one.clock) : "day not known"));
  }
  return gathered(moments, (one) => one.vid);
}

function gathered(list, keyOf) {
  const found = new Map();
  for (const one of list) found.set(keyOf(one), [...(found.get(keyOf(one)) ?? []), one]);
  return [...found];
}

function compare(a, b) {
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
  return 0;
}

const weekday = (iso) => new Date(`${iso.slice(0, 10)}T12:00`).toLocaleDateString(undefined, { weekday: "short" });
const day = (iso) => `${weekday(iso)} ${iso.slice(0, 10)}`;

// The row of a moment; one that is drawn already stays as it is, with what plays or is written in it.
function drawRow(moment) {
  if (!moment.node) {
    moment.node = make("li", "moment");
    moment.node.append(drawFacts(moment), drawStage(moment), drawJudging(moment));
    moment.node.addEventListener("click", () => choose(moment, false));
    showScore(moment);
  }
  showVerdict(moment);
  return moment.node;
}

function drawFacts(moment) {
  const facts = make("div", "facts");
  const when = make("p", "when");
  if (moment.clock) {
    const date = moment.clock.slice(0, 10);
    when.append(make("b", "", moment.clock.slice(11, 19)), make("i", "", `${weekday(date)} `), date);
  }
  const name = make("p", "name");
  name.append(named(moment.vid));
  name.title = moment.path ?? moment.vid;
  const place = make("p", "place", span([moment.start, moment.end]));
  const score = make("span", "score");
  score.append(make("i"));
  const line = make("p", "line");
  line.append(score, make("span", "number"));
  if (moment.path) line.append(copyButton(moment));
  facts.append(...(moment.clock ? [when] : []), name, place, line);
  return facts;
}

function showScore(moment) {
  const text = moment.score.toFixed(2);
  moment.node.querySelector(".score i").style.width = share(moment.score, 1);
  moment.node.querySelector(".score").title = `score ${text}`;
  moment.node.querySelector(".number").textContent = text;
}

function button(text, title, act, className = "") {
  const node = make("button", className, text);
  node.type = "button";
  node.title = title;
  node.setAttribute("aria-label", title.replace(/ \(.\)$/, ""));
  node.addEventListener("click", (event) => {
    event.stopPropagation();
    act();
  });
  return node;
}

function copyButton(moment) {
  const node = button("", "Copy the path (c)", () => copyPath(moment), "copy");
  const icon = svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
  icon.append(svg("path", { d: "M5.5 5.500V2.500h8v8h-3M2.500 5.500h8v8h-8z" }));
  node.append(icon);
  return node;
}

async function copyPath(moment) {
  try {
    await navigator.clipboard.writeText(moment.path);
    say(`Copied: ${moment.path}`);
  } catch {
    say(moment.path); // no clipboard here: to be marked and copied
  }
}

function choose(moment, scroll = true) {
  state.chosen?.node?.removeAttribute("aria-current");
  state.chosen = moment ?? null;
  if (!moment) return;
  moment.node.setAttribute("aria-current", "true");
  if (scroll) moment.node.scrollIntoView({ block: "nearest" });
}

function step(by) {
  if (!state.rows.length) return;
  const at = state.rows.indexOf(state.chosen);
  choose(state.rows[Math.min(Math.max(at + by, 0), state.rows.length - 1)]);
}
