// Playing a moment, from a linked file or an embedded clip.

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
