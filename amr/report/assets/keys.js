// Keyboard, buttons, and the beginning.

const KEYS = {
  ...MOVES,
  "/": () => byId("search").focus(),
  " ": toggle,
  t: playTrue,
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
