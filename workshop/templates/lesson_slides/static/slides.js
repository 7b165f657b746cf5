// A slide that is too tall for the screen is made smaller, never cut: a lesson's output is as long as it is.
const LEAST = 40; // percent

function fit() {
  const slide = Reveal.getCurrentSlide();
  if (!slide) return;
  for (let size = 100; size >= LEAST; size -= 5) {
    slide.style.zoom = size / 100;
    if (slide.getBoundingClientRect().height / Reveal.getScale() <= Reveal.getConfig().height) return;
  }
}

Reveal.initialize({
  width: 1280,
  height: 720,
  margin: 0.03,
  hash: true,
  controls: false, // Space walks through every slide; arrows on the screen would cover its last lines
  slideNumber: "c/t",
  transition: "none",
  plugins: [RevealNotes],
});
for (const event of ["ready", "slidechanged", "resize"]) Reveal.on(event, fit);
document.addEventListener("toggle", fit, true);
