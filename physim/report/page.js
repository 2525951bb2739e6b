"use strict";
// All films share one clock. Where the reader prefers less motion, they wait to be started.
for (const player of document.querySelectorAll(".player")) {
  const times = player.dataset.times.split(",").map(Number);
  const button = player.querySelector(".play");
  const seek = player.querySelector(".seek");
  const clock = player.querySelector(".clock");
  const films = [...player.querySelectorAll("canvas")].map((canvas) => {
    const film = { canvas, context: canvas.getContext("2d"), columns: Number(canvas.dataset.columns), sheet: new Image() };
    film.sheet.onload = () => draw(film);
    film.sheet.src = canvas.dataset.sheet;
    return film;
  });
  const last = times.length - 1;
  const duration = Math.min(12000, Math.max(2500, 90 * times.length));
  const pause = 700;
  let frame = 0, playing = false, began = 0;

  function draw(film) {
    if (!film.sheet.complete) return;
    const { width, height } = film.canvas;
    const x = (frame % film.columns) * width, y = Math.floor(frame / film.columns) * height;
    film.context.drawImage(film.sheet, x, y, width, height, 0, 0, width, height);
  }
  function show(next) {
    if (next !== frame) {
      frame = next;
      films.forEach(draw);
    }
    seek.value = frame;
    clock.value = `t = ${times[frame].toFixed(2)} of ${times[last].toFixed(2)}`;
  }
  function step(now) {
    if (!playing) return;
    const at = Math.max(0, now - began) % (duration + pause); // a frame may have begun earlier
    show(Math.min(last, Math.floor((at / duration) * times.length)));
    requestAnimationFrame(step);
  }
  function play(on) {
    playing = on && last > 0;
    button.textContent = playing ? "Pause" : "Play";
    button.setAttribute("aria-pressed", String(playing));
    if (playing) {
      began = performance.now() - (frame % last) / times.length * duration;
      requestAnimationFrame(step);
    }
  }
  button.addEventListener("click", () => play(!playing));
  seek.addEventListener("input", () => {
    play(false);
    show(Number(seek.value));
  });
  show(0);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  still.addEventListener("change", () => play(!still.matches));
  play(!still.matches);
}
