// The strip of a moment: what sounds there, where the moment lies in it, and its ends, which can be dragged.

const SHORTEST_S = 0.05;
const STEP_S = 0.1;

function drawStage(moment) {
  const [begin, end] = (moment.shown = surroundings(moment));
  const stage = make("div", "stage");
  const lane = make("div", "lane");
  if (moment.path) {
    const image = make("img");
    image.loading = "lazy";
    image.alt = "spectrogram, low frequencies below";
    image.src = `/spectrogram/${encoded(moment.vid)}?start=${begin.toFixed(3)}&end=${end.toFixed(3)}&columns=640`;
    image.addEventListener("error", () => image.replaceWith(make("span", "silent", "no sound can be read here")));
    lane.append(image);
  } else lane.append(make("span", "silent", "the file of this recording is not here"));
  const band = make("div", "band");
  band.append(handle(moment, "start"), handle(moment, "end"));
  lane.append(band);
  lane.addEventListener("click", (event) => {
    if (event.target.closest(".knob")) return;
    const box = lane.getBoundingClientRect();
    choose(moment, false);
    if (event.target.closest(".band")) toggle(moment);
    else play(moment, begin + ((event.clientX - box.left) / box.width) * (end - begin));
  });
  stage.append(lane, ticks(begin, end));
  moment.band = band;
  placeBand(moment);
  return stage;
}

function placeBand(moment) {
  const [begin, end] = moment.shown;
  moment.band.style.left = share(moment.start - begin, end - begin);
  moment.band.style.width = share(moment.end - moment.start, end - begin);
  for (const knob of moment.band.children) {
    knob.setAttribute("aria-valuenow", moment[knob.dataset.side].toFixed(2));
    knob.setAttribute("aria-valuetext", clock(moment[knob.dataset.side], 2));
  }
  const place = moment.node?.querySelector(".place");
  if (place) place.textContent = span([moment.start, moment.end]);
}

function handle(moment, side) {
  const knob = make("div", `knob ${side}`);
  knob.dataset.side = side;
  knob.tabIndex = 0;
  knob.title = "Drag to move this end";
  knob.setAttribute("role", "slider");
  knob.setAttribute("aria-label", side === "start" ? "Start of the moment" : "End of the moment");
  knob.setAttribute("aria-valuemin", moment.shown[0].toFixed(2));
  knob.setAttribute("aria-valuemax", moment.shown[1].toFixed(2));
  knob.addEventListener("pointerdown", (event) => drag(event, moment, side, knob));
  knob.addEventListener("click", (event) => event.stopPropagation());
  knob.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -STEP_S, ArrowRight: STEP_S }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const before = { start: moment.start, end: moment.end };
    moment.isMoving = true;
    moveEnd(moment, side, moment[side] + by);
    clearTimeout(knob.waiting);
    knob.first ??= before;
    knob.waiting = setTimeout(() => {
      keepEnds(moment, knob.first);
      knob.first = undefined;
    }, 600);
  });
  return knob;
}

function drag(event, moment, side, knob) {
  event.preventDefault();
  choose(moment, false);
  const before = { start: moment.start, end: moment.end };
  const box = knob.closest(".lane").getBoundingClientRect();
  const [begin, end] = moment.shown;
  knob.setPointerCapture(event.pointerId);
  moment.isMoving = true;
  const move = (now) => moveEnd(moment, side, begin + ((now.clientX - box.left) / box.width) * (end - begin));
  const done = () => {
    knob.removeEventListener("pointermove", move);
    if (before[side] !== moment[side]) keepEnds(moment, before);
    else moment.isMoving = false;
  };
  knob.addEventListener("pointermove", move);
  knob.addEventListener("pointerup", done, { once: true });
  knob.addEventListener("pointercancel", done, { once: true });
}

function moveEnd(moment, side, seconds) {
  const [begin, end] = moment.shown;
  const inside = Math.min(Math.max(seconds, begin), end);
  moment[side] = Number(
    (side === "start" ? Math.min(inside, moment.end - SHORTEST_S) : Math.max(inside, moment.start + SHORTEST_S)).toFixed(3),
  );
  placeBand(moment);
}
