// Playing a stretch, a piece of sound at a time.

function play(moment, from) {
  stop();
  if (!moment.path) return say("The file of this recording is not here: give amr serve its folder too.");
  const [begin, end] = moment.shown;
  state.playing = { moment, from: from ?? begin, end };
  markPlaying();
  fetchPiece();
}

function fetchPiece() {
  const now = state.playing;
  now.until = Math.min(now.from + CHUNK_S, now.end);
  audio.src = `/audio/${encoded(now.moment.vid)}?start=${now.from.toFixed(3)}&end=${now.until.toFixed(3)}`;
  audio.play().catch((error) => {
    if (error.name !== "AbortError" && !audio.error) say(`It cannot be played here (${error.name}).`);
  });
  follow(now);
}

// The line that moves with the sound.
function follow(now) {
  if (state.playing !== now) return;
  const [begin, end] = now.moment.shown;
  const lane = now.moment.node.querySelector(".lane");
  const head = lane.querySelector(".head") ?? lane.appendChild(make("div", "head"));
  head.style.left = share(now.from + audio.currentTime - begin, end - begin);
  requestAnimationFrame(() => follow(now));
}

audio.addEventListener("ended", () => {
  const now = state.playing;
  if (!now) return;
  if (now.until >= now.end - 0.01) return stop();
  now.from = now.until;
  fetchPiece();
});

audio.addEventListener("error", async () => {
  const now = state.playing;
  if (!now) return;
  const address = audio.src;
  stop();
  await fetchJson(address).catch(report); // for the server's sentence
});

for (const event of ["play", "pause"]) audio.addEventListener(event, () => markPlaying());

function markPlaying() {
  for (const node of document.querySelectorAll(".playing, .paused")) node.classList.remove("playing", "paused");
  state.playing?.moment.node.classList.add(audio.paused ? "paused" : "playing");
}

function stop() {
  state.playing = null;
  audio.pause();
  markPlaying();
  for (const node of document.querySelectorAll(".head")) node.remove();
}

function toggle(moment) {
  if (!moment) return;
  if (state.playing?.moment !== moment) play(moment);
  else if (audio.paused) audio.play();
  else audio.pause();
}
