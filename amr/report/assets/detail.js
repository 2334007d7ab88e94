// The chosen query: spectrogram, saliency, moments on one time axis.

function choose(c, scroll) {
  if (!c) return;
  stop();
  state.chosen = c;
  state.nextTrue = 0;
  for (const tr of byId("rows").children) {
    if (Number(tr.dataset.number) === c.number) {
      tr.setAttribute("aria-current", "true");
      if (scroll) tr.scrollIntoView({ block: "nearest" });
    } else tr.removeAttribute("aria-current");
  }
  drawDetail(c);
}

function step(by) {
  const at = state.order.indexOf(state.chosen);
  const to = Math.min(Math.max(at + by, 0), state.order.length - 1);
  while (to >= state.shown) showMore();
  choose(state.order[to], true);
}

function drawDetail(c) {
  const steps = make("div", "steps");
  for (const [sign, by, name] of [["↑", -1, "Previous query"], ["↓", 1, "Next query"]]) {
    const button = make("button", "", sign);
    button.type = "button";
    button.setAttribute("aria-label", name);
    button.addEventListener("click", () => step(by));
    steps.append(button);
  }
  const facts = make("p", "facts");
  facts.append(named(c.recording.vid), ` · ${clock(c.recording.duration, 1)} · id ${c.qid}`);
  if (c.iou !== null) facts.append(` · best answer IoU ${c.iou.toFixed(2)}`);
  byId("detail").replaceChildren(steps, make("h2", "", c.query || "(no words)"), facts, stage(c), moments(c));
}

function stage(c) {
  const box = make("div", "stage");
  const add = (name, lane) => box.append(make("div", "", name), lane);
  if (c.recording.image) add("sound", soundLane(c));
  if (c.s.length) add("saliency", curveLane(c.s));
  if (c.t) add("true", markLane(c, c.t, true));
  add("found", markLane(c, c.p, false));
  add("", ticks(0, c.recording.duration));
  return box;
}

function soundLane(c) {
  const lane = make("div", "lane sound");
  const image = make("img");
  image.src = c.recording.image;
  image.alt = "log-mel spectrogram, low frequencies below";
  lane.append(image);
  lane.title = "Click to play from here";
  lane.addEventListener("click", (event) => {
    const box = lane.getBoundingClientRect();
    const start = ((event.clientX - box.left) / box.width) * c.recording.duration;
    play(c, [start, c.recording.duration], null);
  });
  return lane;
}

function curveLane(values) {
  const lane = make("div", "lane curve");
  const width = 1000 / values.length;
  const steps = values.map((value, i) => `L${(i * width).toFixed(1)} ${100 - value}L${((i + 1) * width).toFixed(1)} ${100 - value}`);
  const picture = svg("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": "saliency over time, 0 to 1" });
  picture.append(svg("path", { d: `M0 100${steps.join("")}L1000 100Z` }));
  lane.append(picture);
  return lane;
}

function markLane(c, list, isTrue) {
  const lane = make("div", `lane ${isTrue ? "truths" : "finds"}`);
  const levels = [];
  list.forEach((moment, index) => {
    let level = levels.findIndex((others) => others.every((o) => o[1] <= moment[0] || moment[1] <= o[0]));
    if (level < 0) level = levels.push([]) - 1;
    levels[level].push(moment);
    const button = mark(c, moment, index, isTrue);
    button.style.top = `${0.1 + 1.5 * level}rem`;
    lane.append(button);
  });
  lane.style.height = `${0.1 + 1.5 * Math.max(levels.length, 1)}rem`;
  return lane;
}

function mark(c, moment, index, isTrue) {
  const button = make("button", isTrue ? "mark true" : "mark");
  button.append(make("span", "", isTrue ? "" : String(index + 1)));
  button.type = "button";
  button.dataset.moment = key(isTrue, index);
  button.style.left = share(moment[0], c.recording.duration);
  button.style.width = share(moment[1] - moment[0], c.recording.duration);
  if (!isTrue) button.style.opacity = String(0.45 + 0.55 * moment[2]);
  const name = isTrue ? `True moment ${span(moment)}` : `Found ${index + 1}, ${span(moment)}, score ${moment[2].toFixed(2)}`;
  button.title = name;
  button.setAttribute("aria-label", `Play: ${name}`);
  button.addEventListener("click", () => play(c, moment, key(isTrue, index)));
  return button;
}

const key = (isTrue, index) => `${isTrue ? "t" : "p"}${index}`;

function moments(c) {
  const list = make("ol", "moments");
  const add = (moment, index, isTrue) => {
    const item = make("li");
    const button = make("button");
    button.type = "button";
    button.dataset.moment = key(isTrue, index);
    button.append(make("span", isTrue ? "key-true" : "key-found"));
    button.append(isTrue ? `true · ${span(moment)}` : `${index + 1} · ${span(moment)} · `);
    if (!isTrue) button.append(make("span", "word", "score "), moment[2].toFixed(2));
    button.addEventListener("click", () => play(c, moment, key(isTrue, index)));
    item.append(button);
    list.append(item);
  };
  c.p.forEach((moment, index) => add(moment, index, false));
  (c.t ?? []).forEach((moment, index) => add(moment, index, true));
  if (!list.children.length) list.append(make("li", "", "No moment was found."));
  return list;
}
