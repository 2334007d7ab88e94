"use strict";
// Text of data files reaches the page through textContent only; nothing here builds markup from strings.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const CHUNK = 100;
  const audio = new Audio();
  audio.preload = "none";

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

  // ---- small things -------------------------------------------------------------------------------

  function make(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function svg(tag, attributes) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  }

  function clock(seconds, decimals) {
    const factor = 10 ** decimals;
    const whole = Math.round(seconds * factor) / factor;
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    const rest = (whole % 60).toFixed(decimals).padStart(decimals ? 3 + decimals : 2, "0");
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
  }

  const span = (moment) => `${clock(moment[0], 1)} – ${clock(moment[1], 1)}`;
  const share = (seconds, whole) => `${(100 * Math.min(Math.max(seconds / whole, 0), 1)).toFixed(3)}%`;

  function say(text) {
    byId("status").textContent = text;
  }

  // ---- the list -----------------------------------------------------------------------------------

  function arrange() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = byId("filter").value;
    const column = COLUMNS.find((one) => one.key === state.sort);
    const sign = state.falling ? -1 : 1;
    state.order = cases
      .filter((c) => words.every((word) => c.text.includes(word)))
      .filter((c) => wanted === "all" || (c.iou !== null && c.iou >= 0.5) === (wanted === "found"))
      .map((c) => [column.value(c), c])
      .sort(([a, x], [b, y]) => (a < b ? -sign : a > b ? sign : x.number - y.number))
      .map(([, c]) => c);
    state.shown = 0;
    byId("rows").replaceChildren();
    byId("nothing").hidden = state.order.length > 0;
    const recordings = new Set(state.order.map((c) => c.r)).size;
    byId("summary").textContent =
      `${state.order.length} of ${cases.length} queries, ${recordings} of ${data.recordings.length} recordings`;
    showMore();
  }

  function showMore() {
    const end = Math.min(state.shown + CHUNK, state.order.length);
    const rows = state.order.slice(state.shown, end).map(row);
    state.shown = end;
    byId("rows").append(...rows);
  }

  function row(c) {
    const tr = make("tr");
    tr.dataset.number = c.number;
    if (c === state.chosen) tr.setAttribute("aria-current", "true");
    for (const column of COLUMNS) {
      const td = make("td", column.style);
      if (column.key === "number") td.append(strip(c));
      else td.textContent = cellText(column.key, c);
      tr.append(td);
    }
    return tr;
  }

  function cellText(key, c) {
    if (key === "recording") return c.recording.vid;
    if (key === "best") return c.p.length ? c.best.toFixed(2) : "–";
    if (key === "iou") return c.iou === null ? "–" : c.iou.toFixed(2);
    return c.query;
  }

  function strip(c) {
    const picture = svg("svg", { class: "strip", viewBox: "0 0 1000 20", preserveAspectRatio: "none", "aria-hidden": "true" });
    const add = (moment, y, height, name, opacity) =>
      picture.append(
        svg("rect", {
          class: name, y, height, "fill-opacity": opacity,
          x: (1000 * moment[0]) / c.recording.duration,
          width: Math.max(8, (1000 * (moment[1] - moment[0])) / c.recording.duration),
        }),
      );
    for (const moment of c.t ?? []) add(moment, 2, 7, "true", 1);
    for (const moment of c.p.slice(0, 3).reverse()) add(moment, c.t ? 11 : 5, c.t ? 7 : 10, "found", 0.35 + 0.65 * moment[2]);
    return picture;
  }

  function drawColumns() {
    byId("columns").replaceChildren(
      ...COLUMNS.map((column) => {
        const th = make("th", column.style);
        th.scope = "col";
        const chosen = column.key === state.sort;
        const button = make("button", "", column.name + (chosen ? (state.falling ? " ↓" : " ↑") : ""));
        button.type = "button";
        button.dataset.sort = column.key;
        if (chosen) th.setAttribute("aria-sort", state.falling ? "descending" : "ascending");
        button.addEventListener("click", () => sortBy(column.key));
        th.append(button);
        return th;
      }),
    );
  }

  function sortBy(key) {
    state.falling = state.sort === key ? !state.falling : key === "best" || key === "iou";
    state.sort = key;
    drawColumns();
    byId("columns").querySelector(`[data-sort="${key}"]`).focus();
    arrange();
  }

  // ---- the chosen query ---------------------------------------------------------------------------

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
    const facts = [c.recording.vid, clock(c.recording.duration, 1), `id ${c.qid}`];
    if (c.iou !== null) facts.push(`best answer IoU ${c.iou.toFixed(2)}`);
    byId("detail").replaceChildren(steps, make("h2", "", c.query || "(no words)"), make("p", "facts", facts.join(" · ")), stage(c), moments(c));
  }

  function stage(c) {
    const box = make("div", "stage");
    const add = (name, lane) => box.append(make("div", "", name), lane);
    if (c.recording.image) add("sound", soundLane(c));
    if (c.s.length) add("saliency", curveLane(c.s));
    if (c.t) add("true", markLane(c, c.t, true));
    add("found", markLane(c, c.p, false));
    add("", ticks(c.recording.duration));
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

  function ticks(duration) {
    const lane = make("div", "ticks");
    const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];
    const every = steps.find((one) => duration / one <= 6) ?? 14400;
    for (let at = 0; at <= duration; at += every) {
      const tick = make("span", at > 0.94 * duration ? "last" : "", clock(at, every < 1 ? 1 : 0));
      tick.style.left = share(at, duration);
      lane.append(tick);
    }
    return lane;
  }

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

  // ---- sound --------------------------------------------------------------------------------------

  function source(recording, start) {
    const clips = (recording.clips ?? []).filter((clip) => clip.start <= start + 0.001 && start < clip.end);
    clips.sort((a, b) => b.start - a.start);
    if (clips.length) return { url: clips[0].sound, offset: clips[0].start, end: clips[0].end };
    return recording.audio ? { url: recording.audio, offset: 0, end: Infinity } : null;
  }

  function play(c, moment, name) {
    stop();
    const found = source(c.recording, moment[0]);
    if (!found) {
      say(data.embedded ? "The sound of this place is not in the page." : "This page was made without the recordings (--audio).");
      return;
    }
    say("");
    state.playing = { c, name, offset: found.offset, end: Math.min(moment[1], found.end) };
    for (const node of document.querySelectorAll(`[data-moment="${name}"]`)) node.classList.add("playing");
    if (audio.dataset.url !== found.url) {
      audio.dataset.url = found.url;
      audio.src = found.url;
    }
    audio.currentTime = moment[0] - found.offset;
    audio.play().catch((error) => {
      if (error.name !== "AbortError") say(`${c.recording.vid} cannot be played here (${error.name}).`);
    });
    follow();
  }

  function follow() {
    const now = state.playing;
    if (!now) return;
    const at = audio.currentTime + now.offset;
    if (at >= now.end || audio.ended) {
      stop();
      return;
    }
    drawHead(at, now.c);
    requestAnimationFrame(follow);
  }

  function drawHead(at, c) {
    for (const lane of byId("detail").querySelectorAll(".lane")) {
      const head = lane.querySelector(".head") ?? lane.appendChild(make("div", "head"));
      head.style.left = share(at, c.recording.duration);
    }
  }

  function stop() {
    audio.pause();
    state.playing = null;
    for (const node of document.querySelectorAll(".playing")) node.classList.remove("playing");
    for (const node of document.querySelectorAll(".head")) node.remove();
  }

  function toggle() {
    const c = state.chosen;
    if (state.playing && !audio.paused) audio.pause();
    else if (state.playing) audio.play();
    else if (c && c.p.length) play(c, c.p[0], key(false, 0));
  }

  function playTrue() {
    const c = state.chosen;
    if (!c || !c.t || !c.t.length) return;
    const index = state.nextTrue % c.t.length;
    state.nextTrue = index + 1;
    play(c, c.t[index], key(true, index));
  }

  // ---- keyboard and the rest ----------------------------------------------------------------------

  function jump(by) {
    if (state.playing) audio.currentTime = Math.max(0, audio.currentTime + by);
  }

  const KEYS = {
    "/": () => byId("search").focus(),
    "?": () => byId("help").showModal(),
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    ArrowLeft: () => jump(-2),
    ArrowRight: () => jump(2),
    " ": toggle,
    t: playTrue,
    Escape: () => (stop(), say("")),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    const field = event.target.closest("input, select");
    if (field) {
      if (event.key === "Escape" || (event.key === "Enter" && field.id === "search")) {
        field.blur();
        choose(state.order[0], false);
        event.preventDefault();
      }
      return;
    }
    if (event.key === " " && event.target.closest("button")) return;
    const rank = Number(event.key);
    const c = state.chosen;
    if (rank >= 1 && rank <= 9 && c && c.p[rank - 1]) play(c, c.p[rank - 1], key(false, rank - 1));
    else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key]();
    else return;
    event.preventDefault();
  });

  byId("rows").addEventListener("click", (event) => {
    const tr = event.target.closest("tr");
    if (tr) choose(cases[Number(tr.dataset.number)], false);
  });
  byId("search").addEventListener("input", arrange);
  byId("filter").addEventListener("change", arrange);
  byId("keys").addEventListener("click", () => byId("help").showModal());
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  audio.addEventListener("error", () => {
    if (!state.playing) return;
    const url = audio.dataset.url;
    const why = url.startsWith("data:") ? "this browser cannot decode it" : `is ${url} still there, seen from this page?`;
    say(`${state.playing.c.recording.vid} cannot be played: ${why}`);
  });
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && state.shown < state.order.length) showMore();
  }, { rootMargin: "600px" }).observe(byId("more"));

  byId("filter").hidden = !data.truth;
  drawColumns();
  arrange();
  choose(state.order[0], false);
})();
