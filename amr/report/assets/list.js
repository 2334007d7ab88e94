// The list: search, filter, sort, rows drawn as one scrolls.

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
  const rows = state.order.slice(state.shown, end).map((c, number) => row(c, state.shown + number));
  state.shown = end;
  byId("rows").append(...rows);
}

function row(c, place) {
  const tr = make("tr");
  const isRepeated = state.order[place - 1]?.query === c.query;
  if (isRepeated) tr.className = "repeated";
  tr.dataset.number = c.number;
  if (c === state.chosen) tr.setAttribute("aria-current", "true");
  for (const column of COLUMNS) {
    const td = make("td", column.style);
    if (column.key === "number") td.append(strip(c));
    else if (column.key === "recording") td.append(named(c.recording.vid));
    else if (column.key === "query") td.append(...queryCell(c, isRepeated));
    else td.textContent = cellText(column.key, c);
    tr.append(td);
  }
  return tr;
}

// A question once for all its recordings below one another; on a phone, which recording it is.
function queryCell(c, isRepeated) {
  const where = make("span", "where");
  where.append(named(c.recording.vid));
  const text = make("span", "question", c.query);
  if (isRepeated) text.setAttribute("aria-hidden", "true");
  return [text, where];
}

function cellText(key, c) {
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
