// A deck of slides on one page: keys and buttons go from one to the next; without this script it is scrolled.
const slides = [...document.querySelectorAll(".page")], part = (name) => document.getElementById(name);
let here = Math.max(0, slides.findIndex((one) => `#${one.id}` === location.hash));
function show(k, moves = true) {
  here = Math.min(slides.length - 1, Math.max(0, k));
  part("place").textContent = `${here + 1} of ${slides.length}`;
  part("back").disabled = here === 0;
  part("on").disabled = here === slides.length - 1;
  if (!moves) return;
  slides[here].scrollIntoView();
  slides[here].focus({ preventScroll: true });
  history.replaceState(null, "", `#${slides[here].id}`);
}
part("back").addEventListener("click", () => show(here - 1));
part("on").addEventListener("click", () => show(here + 1));
part("theme").addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = getComputedStyle(root).colorScheme.includes("dark") ? "light" : "dark";
});
const STEPS = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1 };
document.addEventListener("keydown", (event) => {
  const free = !event.target.closest("input, button") && !event.ctrlKey && !event.metaKey && !event.altKey;
  const to = { Home: 0, End: slides.length - 1 }[event.key] ?? (STEPS[event.key] && here + STEPS[event.key]);
  if (!free || to === undefined) return;
  event.preventDefault();
  show(to);
});
const watch = new IntersectionObserver((seen) => {
  for (const one of seen) if (one.isIntersecting) show(slides.indexOf(one.target), false);
}, { rootMargin: "-45% 0px -45% 0px" });
for (const one of slides) watch.observe(one);
show(here, Boolean(location.hash));
