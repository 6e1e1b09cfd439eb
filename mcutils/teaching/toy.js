// The landscape of two weights (toy.py), drawn and dragged in the browser: in a page of its own, or in a notebook's cell.
//
// `settings` are the constants of toy.py, `state` what a reader moves: bend, depth, start, control, end, t, eps. Losses
// are exact at every place; the two maps are drawn anew only where the landscape changes. No library, no network.

// Numbers

const height = ({ bend, depth }, x, y) => bend * (x ** 2 - 1) + (1 - bend / depth) * y + y ** 2 / depth;

export const losses = {
  retain: (set, land, [x, y]) => set.kept + height(land, x, y) ** 2 + set.cost * x ** 2,
  forget: (set, land, [x, y]) =>
    set.known - (set.unseen - set.known) * Math.expm1(-(x ** 2 + (y + land.depth) ** 2) / (2 * set.reach ** 2)),
};

export const gap = (set, land) => set.unseen - losses.forget(set, land, [0, -land.depth]);

export function placeAt({ start, control, end }, t) {
  return [0, 1].map((k) => (1 - t) ** 2 * start[k] + 2 * t * (1 - t) * control[k] + t ** 2 * end[k]);
}

/** A path at `points` equally spaced t: places, losses, excess over the chords; rise and dip in units of G, and where. */
export function walk(set, state, points = 101) {
  const t = Array.from({ length: points }, (_, k) => k / (points - 1)), places = t.map((one) => placeAt(state, one));
  const found = { t, places, gap: gap(set, state) };
  for (const split of ["retain", "forget"]) {
    const values = places.map((place) => losses[split](set, state, place));
    found[split] = values;
    found[`${split}Over`] = values.map((one, k) => one - ((1 - t[k]) * values[0] + t[k] * values.at(-1)));
  }
  const rise = Math.max(...found.retainOver), dip = Math.max(...found.forgetOver.map((one) => -one));
  Object.assign(found, { barrier: rise / found.gap, deficit: dip / found.gap });
  Object.assign(found, { riseAt: t[found.retainOver.indexOf(rise)], dipAt: t[found.forgetOver.findIndex((one) => -one === dip)] });
  return found;
}

/** Whether MCU(eps) holds, and why, as `toy.sentence` says it. */
export function sentence(walked, eps) {
  const up = `${walked.barrier.toFixed(3)} G above its chord`, down = `${walked.deficit.toFixed(3)} G below its chord`;
  const broken = [];
  if (walked.barrier > eps) broken.push(`the retain loss rises ${up} (at t = ${walked.riseAt.toFixed(2)})`);
  if (walked.deficit > eps) broken.push(`the forget loss dips ${down} (at t = ${walked.dipAt.toFixed(2)})`);
  if (broken.length) return `MCU(${eps}) breaks because ${broken.join(" and ")}.`;
  return `MCU(${eps}) holds because the retain loss never rises more than ${up} and the forget loss never dips more than ${down}.`;
}

/** Gradient of L_r - L_f at a place. */
function slope(set, { bend, depth }, [x, y]) {
  const u = height({ bend, depth }, x, y), left = set.unseen - losses.forget(set, { depth }, [x, y]);
  const retain = [2 * (u * 2 * bend * x + set.cost * x), 2 * u * (1 - bend / depth + (2 * y) / depth)];
  return [retain[0] - (left * x) / set.reach ** 2, retain[1] - (left * (y + depth)) / set.reach ** 2];
}

/** One step of descent of the control point, on the mean over t of L_r - L_f; the chain rule counts it 2 t (1 - t). */
export function descended(set, state, rate = 0.5) {
  const moved = [0, 0], points = 20;
  for (let k = 0; k < points; k++) {
    const t = (k + 0.5) / points, down = slope(set, state, placeAt(state, t));
    for (const j of [0, 1]) moved[j] -= (rate * 2 * t * (1 - t) * down[j]) / points;
  }
  return state.control.map((one, k) => one + moved[k]);
}

// The drawing

const CIVIDIS = [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [254, 232, 56]];
const BANDS = 12, BOX = { left: -1.6, right: 1.6, low: -2.2, high: 1.7 };
const [ACROSS, DOWN] = [320, 390]; // of a map
const OWN = "A landscape and a path of your own: what the losses do is said below."; // where no step is shown
const TIP = { start: "start, an unlearned model", control: "control point", end: "end, an unlearned model" };

function make(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "circle", "text"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const toX = (x) => ((x - BOX.left) / (BOX.right - BOX.left)) * ACROSS;
const toY = (y) => ((BOX.high - y) / (BOX.high - BOX.low)) * DOWN;
const inside = ([x, y]) => [Math.min(BOX.right, Math.max(BOX.left, x)), Math.min(BOX.high, Math.max(BOX.low, y))];
const short = (value) => String(Number(value.toFixed(2)));

function colour(share) {
  const at = Math.min(0.9999, Math.max(0, share)) * (CIVIDIS.length - 1), k = Math.floor(at);
  return CIVIDIS[k].map((one, j) => Math.round(one + (at - k) * (CIVIDIS[k + 1][j] - one)));
}

/** One loss over the plane in bands, with the tolerance as a white line where both ends have the same loss. */
function paint(canvas, set, state, split) {
  const [w, h] = [canvas.width, canvas.height], context = canvas.getContext("2d"), image = context.createImageData(w, h);
  const of = (place) => losses[split](set, state, place), values = new Float64Array(w * h);
  for (let j = 0, n = 0; j < h; j++) for (let i = 0; i < w; i++, n++)
    values[n] = of([BOX.left + ((i + 0.5) / w) * (BOX.right - BOX.left), BOX.high - ((j + 0.5) / h) * (BOX.high - BOX.low)]);
  const share = split === "retain"
    ? (one) => Math.log(one / set.kept) / Math.log(3 / set.kept) : (one) => (one - set.known) / (set.unseen - set.known);
  const ends = [of(state.start), of(state.end)], flat = Math.abs(ends[0] - ends[1]) < 0.005;
  const edge = ends[0] + (split === "retain" ? 1 : -1) * state.eps * gap(set, state);
  values.forEach((one, n) => {
    const beside = [n % w ? values[n - 1] : one, n >= w ? values[n - w] : one];
    const line = flat && beside.some((other) => one < edge !== other < edge);
    image.data.set([...(line ? [255, 255, 255] : colour(Math.floor(share(one) * BANDS) / BANDS)), 255], 4 * n);
  });
  context.putImageData(image, 0, 0);
}

/** Draw into an element and listen there; `changed` is called with the state after every move. Returns what moves it. */
export function mount(root, set, given, changed = () => {}) {
  const state = structuredClone(given), parts = {}, waiting = { frame: 0, maps: true };
  const part = (name) => (parts[name] ??= root.querySelector(`[data-part="${name}"]`));

  function draw() {
    waiting.frame = 0;
    const walked = walk(set, state), words = sentence(walked, state.eps);
    for (const split of ["retain", "forget"]) {
      if (waiting.maps) paint(part(`${split}-map`), set, state, split);
      drawPath(split, walked);
      drawAlong(split, walked);
    }
    waiting.maps = false;
    part("words").textContent = words;
    part("words").className = words.includes("holds") ? "words held" : "words broken";
    for (const name of ["bend", "depth", "t"]) {
      part(name).value = state[name];
      part(name).setAttribute("aria-valuetext", short(state[name]));
      part(`${name}-now`).textContent = state[name].toFixed(2);
    }
    const here = set.steps.map((step) => Object.entries(step.state).every(([name, value]) => String(state[name]) === String(value)));
    here.forEach((is, k) => part(`step-${k}`).setAttribute("aria-pressed", String(is)));
    part("about").textContent = set.steps[here.indexOf(true)]?.about ?? OWN;
    changed(structuredClone(state), walked);
  }

  function soon(maps = false) {
    waiting.maps ||= maps;
    waiting.frame ||= requestAnimationFrame(draw);
  }

  function drawPath(split, walked) {
    const d = walked.places.map(([x, y], k) => `${k ? "L" : "M"}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`).join("");
    const pair = (place) => `${toX(place[0])} ${toY(place[1])}`, here = placeAt(state, state.t);
    part(`${split}-path`).replaceChildren(
      make("path", { class: "arms", d: `M${pair(state.start)}L${pair(state.control)}L${pair(state.end)}` }),
      make("path", { class: "halo", d }), make("path", { class: "curve", d }),
      make("text", { class: "star", x: toX(0), y: toY(-state.depth) + 8, "text-anchor": "middle" }, "★"),
      make("text", { class: "on", x: toX(0), y: toY(-state.depth) + 24, "text-anchor": "middle" }, "original"),
      make("circle", { class: "here", cx: toX(here[0]), cy: toY(here[1]), r: 6 }),
    );
    for (const name of Object.keys(TIP)) {
      const handle = part(`${split}-${name}`);
      handle.style.left = `${(100 * toX(state[name][0])) / ACROSS}%`;
      handle.style.top = `${(100 * toY(state[name][1])) / DOWN}%`;
      if (split === "retain") handle.setAttribute("aria-label", `${TIP[name]}, at ${state[name].map(short).join(" and ")}; arrow keys move it`);
    }
  }

  function drawAlong(split, { t, [split]: values, gap: unit }) {
    const [WIDE, TALL, LEFT, RIGHT, TOP, BOTTOM] = [400, 190, 36, 8, 20, 22], sign = split === "retain" ? 1 : -1;
    const straight = (one) => (1 - one) * values[0] + one * values.at(-1), edge = sign * state.eps * unit;
    const seen = [...values, values[0] + 1.5 * edge, values.at(-1) + 1.5 * edge, values[0] - 0.5 * edge];
    const low = Math.min(...seen), high = Math.max(...seen), more = 0.05 * (high - low) + 1e-3;
    const x = (one) => LEFT + one * (WIDE - LEFT - RIGHT);
    const y = (one) => TALL - BOTTOM - ((one - low + more) / (high - low + 2 * more)) * (TALL - TOP - BOTTOM);
    const through = (ts, vs) => vs.map((one, k) => `${k ? "L" : "M"}${x(ts[k]).toFixed(1)} ${y(one).toFixed(1)}`).join("");
    const far = sign > 0 ? TOP : TALL - BOTTOM, drawn = [], put = (...of) => drawn.push(make(...of));
    put("path", { class: `forbidden ${split}`, d: `${through([0, 1], [straight(0) + edge, straight(1) + edge])}L${x(1)} ${far}L${x(0)} ${far}Z` });
    for (const one of [low, (low + high) / 2, high]) {
      put("line", { class: "grid", x1: x(0), x2: x(1), y1: y(one), y2: y(one) });
      put("text", { class: "tick", x: LEFT - 4, y: y(one) + 4, "text-anchor": "end" }, one.toFixed(2));
    }
    for (const one of [0, 0.5, 1]) put("text", { class: "tick", x: x(one), y: TALL - 8, "text-anchor": "middle" }, `${one === 0.5 ? "t = " : ""}${one}`);
    put("path", { class: "chord", d: through([0, 1], [straight(0), straight(1)]) });
    put("path", { class: "curve", d: through(t, values) });
    const now = losses[split](set, state, placeAt(state, state.t));
    put("line", { class: "now", x1: x(state.t), x2: x(state.t), y1: TOP, y2: TALL - BOTTOM });
    put("circle", { class: "here", cx: x(state.t), cy: y(now), r: 5 });
    put("text", { class: "heading", x: LEFT, y: 13 }, `${split} loss: ${sign > 0 ? "may not rise" : "may not dip"} (nats)`);
    const svg = part(`${split}-along`);
    svg.setAttribute("viewBox", `0 0 ${WIDE} ${TALL}`);
    svg.setAttribute("aria-label", `${split} loss along the path: ${short(values[0])} at the start, ${short(now)} at t = ${short(state.t)}, ${short(values.at(-1))} at the end, in nats.`);
    svg.replaceChildren(...drawn);
  }

  // What a reader moves

  function move(name, place) {
    state[name] = inside(place);
    soon(name !== "control"); // the tolerance is that of the ends
  }

  for (const split of ["retain", "forget"]) {
    const field = part(`${split}-field`);
    let held = "";
    const placeOf = (event) => {
      const frame = field.getBoundingClientRect();
      return [BOX.left + ((event.clientX - frame.left) / frame.width) * (BOX.right - BOX.left),
        BOX.high - ((event.clientY - frame.top) / frame.height) * (BOX.high - BOX.low)];
    };
    field.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      held = event.target.dataset.name ?? "control";
      part(`retain-${held}`).focus({ preventScroll: true });
      field.setPointerCapture(event.pointerId);
      move(held, placeOf(event));
    });
    field.addEventListener("pointermove", (event) => { if (held && field.hasPointerCapture(event.pointerId)) move(held, placeOf(event)); });
    for (const kind of ["pointerup", "pointercancel"]) field.addEventListener(kind, () => { held = ""; });
    for (const name of Object.keys(TIP)) part(`${split}-${name}`).addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!way) return;
      event.preventDefault();
      move(name, state[name].map((one, k) => one + way[k] * (event.shiftKey ? 0.25 : 0.05)));
    });
  }
  for (const name of ["bend", "depth", "t"]) part(name).addEventListener("input", () => {
    state[name] = Number(part(name).value);
    soon(name !== "t");
  });
  set.steps.forEach((step, k) => part(`step-${k}`).addEventListener("click", () => {
    Object.assign(state, structuredClone(step.state));
    soon(true);
  }));
  part("fit").addEventListener("click", () => {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const each = calm ? 400 : 5;
    let left = 400 / each;
    const onward = () => {
      for (let k = 0; k < each; k++) state.control = inside(descended(set, state));
      soon();
      if (--left > 0) requestAnimationFrame(onward);
    };
    onward();
  });
  draw();
  return { state, soon, put(next) { Object.assign(state, structuredClone(next)); soon(true); } };
}

/** As a widget of a notebook: the kernel says where all stands, the browser writes back where the reader moved it. */
function render({ model, el }) {
  el.classList.add("toy");
  el.innerHTML = model.get("body");
  const made = mount(el, model.get("settings"), model.get("state"), (state) => {
    model.set("here", state);
    model.save_changes();
  });
  const put = () => made.put(model.get("state"));
  model.on("change:state", put);
  return () => model.off("change:state", put);
}

if (typeof document !== "undefined" && document.getElementById("toy-data")) {
  const { settings, state } = JSON.parse(document.getElementById("toy-data").textContent);
  const made = mount(document.getElementById("toy"), settings, state);
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    root.dataset.theme = getComputedStyle(root).colorScheme.includes("dark") ? "light" : "dark";
  });
  globalThis.mcutilsToy = { ...made, settings, walk, sentence, descended };
}

export default { render };
