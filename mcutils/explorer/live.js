// A small network that runs in the browser, between two unlearned models: see live.py, which writes the page around it.
//
// Numbers first: `Network` mixes the weights of three models, folds BatchNorm into the convolutions and gives logits;
// a worker runs it (last lines). Then the page: `mount` draws and listens. No library, no build step, no network.

// Numbers

const bytesOf = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));

/** Float32Array of little-endian half-precision numbers in base64. */
export function halves(text) {
  const bytes = bytesOf(text);
  return Float32Array.from({ length: bytes.length / 2 }, (_, k) => {
    const bits = bytes[2 * k] | (bytes[2 * k + 1] << 8);
    const exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction;
    return bits & 0x8000 ? -size : size;
  });
}

/** Coefficients of (start, control point, end) on the quadratic Bezier curve. */
export const bernstein = (t) => [(1 - t) ** 2, 2 * t * (1 - t), t ** 2];

/** The place (x, y) in the plane of the three models where phi(t) lies, for a control point there. */
export function placeAt(models, control, t) {
  const [a, b, c] = bernstein(t), [start, , end] = models;
  return [0, 1].map((k) => a * start[k] + b * control[k] + c * end[k]);
}

/** Coefficients of the three models, which sum to one, at a place of their plane (`planes.Basis.coefficients`). */
export function mixture(models, [x, y]) {
  const [, [x1, y1], [x2]] = models;
  const middle = y / y1, end = (x - middle * x1) / x2;
  return [1 - middle - end, middle, end];
}

/** Where a value lies on an axis of equal steps: the cell's number and the share of it passed. */
function cell(axis, value) {
  const along = ((value - axis[0]) / (axis.at(-1) - axis[0])) * (axis.length - 1);
  const k = Math.min(axis.length - 2, Math.max(0, Math.floor(along)));
  return [k, Math.min(1, Math.max(0, along - k))];
}

/** BatchNorm statistics at a place of the plane, bilinear between the places of the table (Y, X, n). */
export function statisticsAt({ x, y, table }, [px, py]) {
  const size = table.length / (x.length * y.length);
  const [column, right] = cell(x, px), [row, up] = cell(y, py);
  const at = (r, c) => ((row + r) * x.length + column + c) * size;
  const parts = [[at(0, 0), (1 - up) * (1 - right)], [at(0, 1), (1 - up) * right]];
  parts.push([at(1, 0), up * (1 - right)], [at(1, 1), up * right]);
  return Float32Array.from({ length: size }, (_, k) => parts.reduce((sum, [from, share]) => sum + share * table[from + k], 0));
}

/** Minus the log of the probability of a label, from K logits at an offset. */
export function lossOf(logits, at, classes, label) {
  const some = logits.subarray(at, at + classes), top = Math.max(...some);
  return top + Math.log(some.reduce((sum, one) => sum + Math.exp(one - top), 0)) - some[label];
}

export function probabilities(logits, at, classes) {
  const some = Array.from(logits.subarray(at, at + classes)), top = Math.max(...some);
  const raised = some.map((one) => Math.exp(one - top)), sum = raised.reduce((a, b) => a + b);
  return raised.map((one) => one / sum);
}

/** The largest rise above the chord and the largest dip below it, each with the number of its point. */
export function extremes(values, t) {
  const over = values.map((one, k) => one - ((1 - t[k]) * values[0] + t[k] * values.at(-1)));
  const rise = Math.max(...over), dip = Math.max(...over.map((one) => -one));
  return { rise, dip, riseAt: over.indexOf(rise), dipAt: over.findIndex((one) => -one === dip) };
}

// A convolution reads a padded image (row, column, channel), whose three rows under a filter are three runs of 3 x
// `from` numbers. Its weights lie as [outputs / 4][3][3 x from][4], so both are read in order.

/** The layers of the network: channels from and to, side of the input, stride, outputs a row, and how many at a time. */
export function layersOf({ channels, strides, side }) {
  return strides.map((stride, k) => {
    const wide = side / stride, last = k === strides.length - 1;
    const block = [7, 6, 5, 4, 3, 2, 1].find((n) => wide % n === 0);
    const made = { from: channels[k], to: channels[k + 1], side, stride, wide, block, pad: last ? 0 : 1 };
    side = wide;
    return made;
  });
}

/** One convolution with bias and ReLU in plain JavaScript; `into` begins at the first inner place of the output. */
function convolve({ from, to, side, stride, wide, pad }, source, weights, bias, into) {
  for (let y = 0; y < wide; y++) for (let x = 0; x < wide; x++) for (let o = 0; o < to; o += 4) {
    let a = bias[o], b = bias[o + 1], c = bias[o + 2], d = bias[o + 3], w = 9 * from * o;
    for (let line = 0; line < 3; line++) {
      let at = ((y * stride + line) * (side + 2) + x * stride) * from;
      for (const end = at + 3 * from; at < end; at++, w += 4) {
        const value = source[at];
        a += value * weights[w]; b += value * weights[w + 1]; c += value * weights[w + 2]; d += value * weights[w + 3];
      }
    }
    into.set([a, b, c, d].map((one) => Math.max(0, one)), (y * (wide + 2 * pad) + x) * to + o);
  }
}

// The same as WebAssembly, put together byte by byte: four outputs of `block` neighbouring places at a time, each
// instruction on four numbers. One image costs 0.4 ms of a core where plain JavaScript takes 3.2.

const unsigned = (n) => (n > 127 ? [(n & 127) | 128, ...unsigned(n >>> 7)] : [n]);
const signed = (n) => (n >= -64 && n < 64 ? [n & 127] : [(n & 127) | 128, ...signed(n >> 7)]);
const list = (items) => [...unsigned(items.length), ...items.flat()];
const section = (id, items) => { const body = list(items); return [id, ...unsigned(body.length), ...body]; };
const [INTEGER, VECTOR, EMPTY] = [0x7f, 0x7b, 0x40];
const get = (local) => [0x20, local], set = (local) => [0x21, local], constant = (n) => [0x41, ...signed(n)];
const vector = (code) => [0xfd, ...unsigned(code)];
const load = (offset) => [...vector(0), 4, ...unsigned(offset)], splat = (offset) => [...vector(9), 2, ...unsigned(offset)];
const store = (offset) => [...vector(11), 4, ...unsigned(offset)];
const ADD = 0x6a, ZERO = [...vector(12), ...new Array(16).fill(0)];
const TIMES = vector(0xe6), PLUS = vector(0xe4), LARGER = vector(0xe9);
const plus = (local, by) => [...get(local), ...by, ADD];
const step = (local, by) => [...plus(local, constant(by)), ...set(local)];
const until = (local, end, body) => [0x03, EMPTY, ...body, ...get(local), ...end, 0x49, 0x0d, 0, 0x0b]; // loop, less, br_if

function convolution({ from, to, side, stride, wide, block, pad }) {
  const [SOURCE, WEIGHTS, BIAS, INTO, IN, OUT, FOUR, AT, W, END, ROW] = Array(11).keys();
  const sums = Array.from({ length: block }, (_, k) => 11 + k), weight = 11 + block;
  const line = 4 * (side + 2) * from, apart = 4 * stride * from, together = from % 4 ? 3 : 4;
  const term = (k, n) =>
    [...get(sums[k]), ...get(weight), ...get(AT), ...splat(k * apart + 4 * n), ...TIMES, ...PLUS, ...set(sums[k])];
  const terms = Array.from({ length: together }, (_, n) =>
    [...get(W), ...load(16 * n), ...set(weight), ...sums.flatMap((_, k) => term(k, n))]).flat();
  const run = (row) => [
    ...plus(IN, constant(row * line)), ...set(AT), ...plus(AT, constant(12 * from)), ...set(END),
    ...until(AT, get(END), [...terms, ...step(AT, 4 * together), ...step(W, 16 * together)]),
  ];
  const four = [
    ...sums.flatMap((sum) => [...plus(BIAS, get(FOUR)), ...load(0), ...set(sum)]),
    ...[0, 1, 2].flatMap(run),
    ...sums.flatMap((sum, k) => [...plus(OUT, get(FOUR)), ...get(sum), ...ZERO, ...LARGER, ...store(4 * to * k)]),
    ...step(FOUR, 16),
  ];
  const places = [
    ...constant(0), ...set(FOUR), ...get(WEIGHTS), ...set(W), ...until(FOUR, constant(4 * to), four),
    ...step(IN, block * apart), ...step(OUT, 4 * block * to),
  ];
  const row = [
    ...Array(wide / block).fill(places).flat(),
    ...step(IN, stride * line - wide * apart), ...step(OUT, 8 * pad * to), ...step(ROW, 1),
  ];
  const body = [...get(SOURCE), ...set(IN), ...get(INTO), ...set(OUT), ...until(ROW, constant(wide), row), 0x0b];
  const code = [...list([[7, INTEGER], [block + 1, VECTOR]]), ...body];
  return [...unsigned(code.length), ...code];
}

/** The bytes of a module that imports a memory (e.m) and exports one function (source, weights, bias, into) a layer. */
export function assemble(layers) {
  const four = [0x60, 4, INTEGER, INTEGER, INTEGER, INTEGER, 0];
  return new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...section(1, [four]), ...section(2, [[1, 0x65, 1, 0x6d, 2, 0, 1]]),
    ...section(3, layers.map(() => [0])), ...section(7, layers.map((_, k) => [1, 0x30 + k, 0, k])),
    ...section(10, layers.map(convolution)),
  ]);
}

/** Functions (source, weights, bias, into) of byte offsets, one a layer, over memory of some numbers; and that memory. */
function compiled(layers, numbers, fast) {
  const pages = Math.ceil((4 * numbers) / 65536);
  try {
    if (!fast) throw new Error("not asked for");
    const memory = new WebAssembly.Memory({ initial: pages });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(assemble(layers)), { e: { m: memory } });
    return { way: "WebAssembly", run: layers.map((_, k) => exports[k]), all: new Float32Array(memory.buffer) };
  } catch { // a browser without vectors, or a policy against them
    const all = new Float32Array(numbers);
    const run = layers.map((one) => (...offsets) => convolve(one, ...offsets.map((offset) => all.subarray(offset / 4))));
    return { way: "plain JavaScript", run, all };
  }
}

/** The network anywhere in the plane of three models; `net` and `points` as live.py writes them. */
export class Network {
  constructor({ net, points, statistics }, fast = true) {
    this.net = net;
    this.statistics = { ...statistics, table: halves(statistics.table) };
    this.layers = layersOf(net);
    const sizes = this.layers.map(({ from, to, side }) => [(side + 2) ** 2 * from, 9 * from * to, to]);
    const { wide, to } = this.layers.at(-1);
    sizes.push([wide ** 2 * to, net.classes * to, net.classes]);
    let next = 0;
    // Vectors of four begin at multiples of 16 bytes.
    this.at = sizes.map((three) => three.map((size) => { const at = next; next += (size + 3) & ~3; return at; }));
    const { way, run, all } = compiled(this.layers, next, fast);
    Object.assign(this, { way, run });
    this.parts = sizes.map((three, k) => three.map((size, j) => all.subarray(this.at[k][j], this.at[k][j] + size)));
    const values = halves(points), count = values.length / 3;
    this.points = [0, 1, 2].map((k) => this.packed(values.subarray(k * count, (k + 1) * count)));
  }

  /** A model's parameters, in torch's order, as `place` reads them. */
  packed(values) {
    let next = 0;
    const taken = (size) => values.subarray(next, (next += size));
    const layers = this.layers.map(({ from, to }) => {
      const torch = taken(9 * from * to), weights = new Float32Array(torch.length);
      for (let o = 0, n = 0; o < to; o += 4)
        for (let k = 0; k < 9; k++) for (let i = 0; i < from; i++) for (let lane = 0; lane < 4; lane++, n++)
          weights[n] = torch[((o + lane) * from + i) * 9 + k];
      return [weights, taken(to), taken(to)];
    });
    return [...layers, [taken(this.parts.at(-1)[1].length), taken(this.net.classes)]];
  }

  /** Bring the network to a place of the plane: weights mixed there, statistics read from the table. */
  place(models, place) {
    const coefficients = mixture(models, place), statistics = statisticsAt(this.statistics, place);
    const mixed = (k, j, into) => {
      const [a, b, c] = this.points.map((one) => one[k][j]), [p, q, r] = coefficients;
      for (let n = 0; n < into.length; n++) into[n] = p * a[n] + q * b[n] + r * c[n];
      return into;
    };
    let next = 0;
    this.layers.forEach(({ from, to }, k) => {
      const [, weights, bias] = this.parts[k], mean = statistics.subarray(next, next + to);
      const variance = statistics.subarray(next + to, (next += 2 * to));
      const scale = mixed(k, 1, new Float32Array(to)).map((one, o) => one / Math.sqrt(variance[o] + this.net.eps));
      mixed(k, 2, bias).forEach((one, o) => { bias[o] = one - mean[o] * scale[o]; });
      mixed(k, 0, weights);
      for (let o = 0, n = 0; o < to; o += 4)
        for (let m = 0; m < 9 * from; m++) for (let lane = 0; lane < 4; lane++, n++) weights[n] *= scale[o + lane];
    });
    mixed(this.layers.length, 0, this.parts.at(-1)[1]);
    mixed(this.layers.length, 1, this.parts.at(-1)[2]);
  }

  /** Logits (N, K) of images (N, side, side), already normalised. */
  logits(images) {
    const { side, classes } = this.net, [last, head, bias] = this.parts.at(-1), { wide, to } = this.layers.at(-1);
    const count = images.length / side ** 2, found = new Float32Array(count * classes), mean = new Float32Array(to);
    const [input] = this.parts[0], depth = this.layers.length;
    for (let n = 0; n < count; n++) {
      for (let row = 0; row < side; row++)
        input.set(images.subarray((n * side + row) * side, (n * side + row + 1) * side), (row + 1) * (side + 2) + 1);
      for (let k = 0; k < depth; k++) {
        const [source, weights, offset] = this.at[k], after = this.layers[k + 1];
        this.run[k](4 * source, 4 * weights, 4 * offset, 4 * (this.at[k + 1][0] + (after ? (after.side + 3) * after.from : 0)));
      }
      mean.fill(0);
      for (let m = 0; m < last.length; m += to) for (let o = 0; o < to; o++) mean[o] += last[m + o];
      for (let c = 0; c < classes; c++) {
        let sum = 0;
        for (let o = 0; o < to; o++) sum += head[c * to + o] * mean[o];
        found[n * classes + c] = bias[c] + sum / wide ** 2;
      }
    }
    return found;
  }
}

// Work in the background

/**
 * Workers that share jobs {place, images}; a kind's newest jobs wait for those under way, but replace `spare` ones.
 * What was asked and is no longer wanted is answered by null.
 */
export class Crew {
  constructor(start, source, size, kinds) {
    this.slots = new Map(kinds.map((kind) => [kind, { now: null, then: null }]));
    this.models = start.models;
    this.free = Array.from({ length: size }, () => begun(start, source));
    this.size = size;
  }

  ask(kind, jobs, spare = false) {
    return new Promise((resolve) => {
      const slot = this.slots.get(kind), task = { jobs, spare, resolve, found: [], sent: 0, done: 0 };
      const place = slot.now && !slot.now.spare ? "then" : "now";
      slot[place]?.resolve(null);
      slot[place] = task;
      this.work();
    });
  }

  work() {
    const open = () => [...this.slots.values()].find(({ now }) => now && now.sent < now.jobs.length);
    for (let slot = open(); slot && this.free.length; slot = open()) {
      const task = slot.now, k = task.sent++, worker = this.free.pop(), mine = slot;
      worker.onmessage = ({ data }) => {
        this.free.push(worker);
        task.found[k] = data.logits;
        this.way = data.way;
        if (++task.done === task.jobs.length && mine.now === task) {
          [mine.now, mine.then] = [mine.then, null];
          task.resolve(task.found);
        }
        this.work();
      };
      worker.postMessage({ models: this.models, ...task.jobs[k] });
    }
  }
}

function answer(network, { models, place, images }) {
  network.place(models, place);
  return { logits: network.logits(images), way: network.way };
}

/** A worker with a network of its own; where the browser lets none run, its jobs are done here. */
function begun(start, source) {
  let worker = null, network = null, last = null;
  const self = { onmessage: null, postMessage(job) { last = job; worker ? worker.postMessage(job) : here(); } };
  function here() {
    worker = null;
    network ??= new Network(start);
    if (last) setTimeout(() => self.onmessage({ data: answer(network, last) }));
  }
  try {
    // A worker of type module may not begin from a page that was opened from disk.
    const script = new Blob([source.replace(/^export /gm, "")], { type: "text/javascript" });
    worker = new Worker(URL.createObjectURL(script));
    worker.onmessage = (event) => self.onmessage(event);
    worker.onerror = here;
    worker.postMessage({ start });
  } catch {
    here();
  }
  return self;
}

if (typeof WorkerGlobalScope !== "undefined" && self instanceof WorkerGlobalScope) {
  let network = null;
  self.onmessage = ({ data }) => {
    if (data.start) network = new Network(data.start);
    else self.postMessage(answer(network, data));
  };
}

// The page

const FULL = 9, BUDGET = 80; // points inside the curve at rest; milliseconds that a move may take
const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 0 : 1)} %`;
const short = (value, digits = 2) => String(Number(value.toFixed(digits)));
const inner = (count) => Array.from({ length: count }, (_, k) => (k + 1) / (count + 1));

function make(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "circle", "rect", "text", "g"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A picture of 0..255 on a canvas, white on black, enlarged by the style sheet. */
function paint(canvas, pixels, side) {
  const context = canvas.getContext("2d"), image = context.createImageData(side, side);
  pixels.forEach((value, k) => image.data.set([value, value, value, 255], 4 * k));
  context.putImageData(image, 0, 0);
}

export function mount(data, source) {
  const element = (id) => document.getElementById(id);
  const { net, models, gap, eps, classes } = data, size = net.side ** 2;
  const pixels = bytesOf(data.images), ready = (some) => Float32Array.from(some, (v) => (v / 255 - net.mean) / net.std);
  const groups = {};
  let next = 0;
  for (const [name, count] of Object.entries(data.groups)) groups[name] = [next, (next += count)];
  const rows = (name, most) => Array.from({ length: Math.min(most, data.groups[name]) }, (_, k) => groups[name][0] + k);
  const imagesOf = (some) => ready(some.flatMap((row) => Array.from(pixels.subarray(row * size, (row + 1) * size))));
  const crew = new Crew({ ...data }, source, Math.max(1, Math.min(3, (navigator.hardwareConcurrency || 2) - 1)),
    ["here", "path", "own"]);
  const middle = [0, 1].map((k) => (models[0][k] + models[2][k]) / 2);
  const presets = { line: middle, curve: models[1] };
  const state = { control: presets.line, t: 0.5, own: new Uint8Array(size), curve: null, cost: 10, timer: 0, turn: 0 };
  const at = (t) => placeAt(models, state.control, t);
  const named = () => Object.keys(presets).find((name) => presets[name].every((v, k) => Math.abs(v - state.control[k]) < 1e-9));

  // Losses of the sample along the curve

  const few = ["retain", "forget"].map((name) => rows(name, 8)), all = ["retain", "forget"].map((name) => rows(name, Infinity));
  const ends = new Map();

  async function along(sample, count, spare) {
    const images = imagesOf(sample.flat()), key = sample.flat().length, t = [0, ...inner(count), 1], control = state.control;
    const known = ends.has(key), want = known ? inner(count) : t, began = performance.now();
    const found = await crew.ask("path", want.map((one) => ({ place: placeAt(models, control, one), images })), spare);
    if (!found) return null;
    const means = found.map((logits) => {
      let n = 0;
      return sample.map((some) => some.reduce((sum, row) => sum + lossOf(logits, classes.length * n++, classes.length, data.labels[row]), 0) / some.length);
    });
    if (!known) ends.set(key, [means.shift(), means.pop()]);
    const took = performance.now() - began, [first, last] = ends.get(key);
    const lines = [first, ...means, last];
    return { t, control, retain: lines.map(([one]) => one), forget: lines.map(([, one]) => one), of: key, took, count };
  }

  async function walk(moving) {
    const count = moving ? Math.max(3, Math.min(FULL, Math.floor(BUDGET / state.cost))) : FULL;
    const found = await along(moving ? few : all, count, !moving);
    if (!found) return;
    state.cost = (found.took / count) * (few.flat().length / found.of); // of a point, for the images of a move
    state.curve = found;
    drawPanels();
    judge(!moving);
    const where = `${found.of} images at ${found.count} points of the curve`;
    element("speed").textContent = `${found.took.toFixed(0)} ms for ${where} (${crew.way}; ${crew.size} in parallel).`;
    element("speed").dataset.ms = found.took;
  }

  function judge(aloud) {
    const { t, retain, forget, of } = state.curve, up = extremes(retain, t), down = extremes(forget, t);
    const barrier = up.rise / gap, deficit = down.dip / gap, broken = [];
    if (barrier > eps) broken.push(`the retain loss rises ${short(barrier, 3)} G above its chord (at t = ${short(t[up.riseAt])})`);
    if (deficit > eps) broken.push(`the forget loss dips ${short(deficit, 3)} G below its chord (at t = ${short(t[down.dipAt])})`);
    const kept = `the retain loss rises at most ${short(barrier, 3)} G above its chord and the forget loss dips at most ${short(deficit, 3)} G below`;
    const words = `MCU(${eps}) ${broken.length ? "breaks" : "holds"} on these ${of} images: ${broken.join(" and ") || kept}.`;
    element("verdict").textContent = words;
    element("verdict").className = broken.length ? "broken" : "held";
    if (aloud) element("aloud").textContent = words;
    const name = named(), stored = name && data.stored[name];
    element("stored").textContent = stored
      ? `On all images, as stored: rise ${short(stored.rise, 3)} G, dip ${short(stored.dip, 3)} G: MCU(${eps}) ${stored.rise > eps || stored.dip > eps ? "breaks" : "holds"}.`
      : "Your own curve: nothing is stored of it, all is computed here.";
  }

  // Pictures of the losses

  const WIDE = 400, TALL = 152, LEFT = 36, TOP = 20, BOTTOM = 22, RIGHT = 8;

  function drawPanels() { drawPanel("retain", 1); drawPanel("forget", -1); }

  function drawPanel(split, sign) {
    const { t } = state.curve, values = state.curve[split], name = named(), stored = name ? data.stored[name] : null;
    const chord = (one) => (1 - one) * values[0] + one * values.at(-1), edge = sign * eps * gap;
    const level = split === "forget" ? [data.retrained] : [];
    const seen = [...values, ...(stored ? stored[split] : []), ...level, values[0] + 2 * edge, values.at(-1) - edge];
    const low = Math.max(0, Math.min(...seen)), high = Math.max(...seen), more = 0.06 * (high - low);
    const x = (one) => LEFT + one * (WIDE - LEFT - RIGHT);
    const y = (one) => TALL - BOTTOM - ((one - low + more) / (high - low + 2 * more)) * (TALL - TOP - BOTTOM);
    const through = (ts, vs) => vs.map((one, k) => `${k ? "L" : "M"}${x(ts[k]).toFixed(1)} ${y(one).toFixed(1)}`).join("");
    const far = sign > 0 ? TOP : TALL - BOTTOM, drawn = [];
    const put = (kind, attributes, ...children) => drawn.push(make(kind, attributes, ...children));
    put("path", { class: "forbidden", d: `${through([0, 1], [chord(0) + edge, chord(1) + edge])}L${x(1)} ${far}L${x(0)} ${far}Z` });
    for (let k = 0; k <= 2; k++) {
      const value = low + (k / 2) * (high - low);
      put("line", { class: "grid", x1: x(0), x2: x(1), y1: y(value), y2: y(value) });
      put("text", { class: "tick", x: LEFT - 4, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2));
    }
    for (const one of [0, 0.5, 1]) put("text", { class: "tick", x: x(one), y: TALL - 8, "text-anchor": "middle" }, `${one === 0.5 ? "t = " : ""}${one}`);
    put("path", { class: "chord", d: through([0, 1], [chord(0), chord(1)]) });
    for (const one of level) {
      put("path", { class: "retrained", d: through([0, 1], [one, one]) });
      put("text", { class: "note", x: x(1), y: y(one) - 4, "text-anchor": "end" }, "never saw them");
    }
    if (stored) put("path", { class: "stored", d: through(stored.t, stored[split]) });
    put("path", { class: "curve", d: through(t, values) });
    t.forEach((one, k) => put("circle", { class: "point", cx: x(one), cy: y(values[k]), r: 2.6 }));
    const k = Math.min(t.length - 2, Math.floor(state.t * (t.length - 1))), part = (state.t - t[k]) / (t[k + 1] - t[k]);
    const value = (1 - part) * values[k] + part * values[k + 1];
    put("line", { class: "now", x1: x(state.t), x2: x(state.t), y1: TOP, y2: TALL - BOTTOM });
    put("circle", { class: "here", cx: x(state.t), cy: y(value), r: 5 });
    put("text", { class: "heading", x: LEFT, y: 13 }, `${split} loss: ${sign > 0 ? "may not rise" : "may not dip"} (nats)`);
    const svg = element(`panel-${split}`), words = `${split} loss, ${short(values[0])} at the start, ${short(value)} at t = ${short(state.t)}, ${short(values.at(-1))} at the end, in nats.`;
    svg.replaceChildren(...drawn);
    svg.setAttribute("viewBox", `0 0 ${WIDE} ${TALL}`);
    svg.setAttribute("aria-label", words);
  }

  // The plane with the control point

  const { x: xs, y: ys } = data.statistics, box = { left: xs[0], right: xs.at(-1), low: ys[0], high: ys.at(-1) };
  const [wide, tall] = [300, 280];
  const toX = (v) => ((v - box.left) / (box.right - box.left)) * wide, toY = (v) => (1 - (v - box.low) / (box.high - box.low)) * tall;
  const clamp = ([a, b]) => [Math.min(box.right, Math.max(box.left, a)), Math.min(box.high, Math.max(box.low, b))];

  function drawMap() {
    const map = data.map, canvas = element("map");
    if (!map) return canvas.remove();
    const colours = ["--rise", "--dip"].map((name) => getComputedStyle(document.documentElement).getPropertyValue(name));
    const tables = ["retain", "forget"].map((split) => ({ x: map.x, y: map.y, table: Float32Array.from(map[split].flat()) }));
    const context = canvas.getContext("2d"), [w, h] = [canvas.width, canvas.height], flat = tables.map((one) => {
      const [a, b] = [models[0], models[2]].map((place) => statisticsAt(one, place)[0]);
      return (a + b) / 2;
    });
    context.clearRect(0, 0, w, h);
    for (let i = 0; i < w; i += 2) for (let j = 0; j < h; j += 2) {
      const place = [box.left + (i / w) * (box.right - box.left), box.high - (j / h) * (box.high - box.low)];
      const [retain, forget] = tables.map((one) => statisticsAt(one, place)[0]);
      const which = retain > flat[0] + eps * gap ? 0 : forget < flat[1] - eps * gap ? 1 : -1;
      if (which < 0) continue;
      context.globalAlpha = (which ? i - j + 4 * h : i + j) % 14 < 4 ? 0.85 : 0.28;
      context.fillStyle = colours[which];
      context.fillRect(i, j, 2, 2);
    }
  }

  function drawPlane() {
    const svg = element("plane"), [a, , c] = models, b = state.control;
    const pair = ([u, v]) => `${toX(u).toFixed(1)} ${toY(v).toFixed(1)}`, here = at(state.t), drawn = [];
    const put = (kind, attributes, ...children) => drawn.push(make(kind, attributes, ...children));
    put("path", { class: "arms", d: `M${pair(a)}L${pair(b)}L${pair(c)}` });
    put("path", { class: "halo", d: `M${pair(a)}Q${pair(b)} ${pair(c)}` });
    put("path", { class: "curve", d: `M${pair(a)}Q${pair(b)} ${pair(c)}` });
    put("path", { class: "fitted", d: (([u, v]) => `M${toX(u) - 5} ${toY(v)}h10m-5-5v10`)(models[1]) });
    put("text", { class: "note", x: toX(models[1][0]) + 9, y: toY(models[1][1]) - 8 }, "fitted");
    [[a, "start", -1], [c, "end", 1]].forEach(([place, word, side]) => {
      put("circle", { class: "end", cx: toX(place[0]), cy: toY(place[1]), r: 6 });
      put("text", { class: "note", x: toX(place[0]) + 10 * side, y: toY(place[1]) + 18, "text-anchor": side < 0 ? "start" : "end" }, word);
    });
    put("circle", { class: "here", cx: toX(here[0]), cy: toY(here[1]), r: 6 });
    svg.setAttribute("viewBox", `0 0 ${wide} ${tall}`);
    svg.replaceChildren(...drawn);
    const handle = element("control");
    handle.style.left = `${(100 * toX(b[0])) / wide}%`;
    handle.style.top = `${(100 * toY(b[1])) / tall}%`;
    handle.setAttribute("aria-label", `Control point, ${short(b[0])} along and ${short(b[1])} across; arrow keys move it, Shift moves it further`);
    for (const name of Object.keys(presets)) element(`to-${name}`).setAttribute("aria-pressed", String(named() === name));
  }

  function put(control, moving) {
    state.control = clamp(control);
    drawPlane();
    walk(moving);
    look();
    if (!moving) trace();
  }

  // Images at t

  const tiles = ["forget_shown", "test_shown"].flatMap((name) => rows(name, Infinity)), shown = imagesOf(tiles);

  function buildTiles() {
    let n = 0;
    for (const name of ["forget_shown", "test_shown"]) {
      element(name).replaceChildren(...rows(name, Infinity).map((row) => {
        const canvas = make("canvas", { width: net.side, height: net.side, "aria-hidden": "true" });
        paint(canvas, pixels.subarray(row * size, (row + 1) * size), net.side);
        const button = make("button", { type: "button", id: `tile-${n++}` }, canvas, make("span"), make("b"));
        button.addEventListener("click", () => take(pixels.slice(row * size, (row + 1) * size)));
        return make("li", {}, button);
      }));
    }
  }

  function bars(shares) {
    element("bars").replaceChildren(...classes.map((name, k) => {
      const row = make("li", {}, make("span", {}, name), make("i"), make("b", {}, percent(shares[k])));
      row.style.setProperty("--share", shares[k]);
      if (shares[k] === Math.max(...shares)) row.className = "most";
      return row;
    }));
  }

  async function look() {
    const t = state.t, place = at(t), images = new Float32Array(shown.length + size);
    images.set(shown);
    images.set(ready(state.own), shown.length);
    const [logits] = (await crew.ask("here", [{ place, images }])) ?? [];
    if (!logits) return null;
    tiles.forEach((row, n) => {
      const shares = probabilities(logits, n * classes.length, classes.length), most = shares.indexOf(Math.max(...shares));
      const button = element(`tile-${n}`), right = most === data.labels[row], truth = classes[data.labels[row]];
      const word = `${right ? "✓" : "✗"} ${classes[most]}`;
      button.className = right ? "right" : "wrong";
      button.children[1].textContent = truth;
      button.children[2].textContent = word;
      button.setAttribute("aria-label", `${truth}: the model says ${classes[most]}, ${percent(shares[most])}, which is ${right ? "right" : "wrong"}. Put it on the pad.`);
    });
    const shares = probabilities(logits, tiles.length * classes.length, classes.length);
    bars(shares);
    element("says").textContent = `At t = ${short(t)} the model says ${classes[shares.indexOf(Math.max(...shares))]}.`;
    return { t, logits };
  }

  async function trace() {
    const t = [0, ...inner(FULL), 1], images = ready(state.own);
    const found = await crew.ask("own", t.map((one) => ({ place: at(one), images })), true);
    if (!found) return;
    const shares = found.map((logits) => probabilities(logits, 0, classes.length));
    const best = classes.map((_, k) => [Math.max(...shares.map((one) => one[k])), k]).sort((a, b) => b[0] - a[0]).slice(0, 3);
    const x = (one) => 36 + one * 190, y = (one) => 92 - 80 * one, drawn = [];
    for (const one of [0, 1]) {
      drawn.push(make("line", { class: "grid", x1: x(0), x2: x(1), y1: y(one), y2: y(one) }));
      drawn.push(make("text", { class: "tick", x: 32, y: y(one) + 4, "text-anchor": "end" }, `${100 * one} %`));
    }
    for (const one of [0, 0.5, 1]) drawn.push(make("text", { class: "tick", x: x(one), y: 108, "text-anchor": "middle" }, `${one === 0.5 ? "t = " : ""}${one}`));
    const heights = best.map(([, k]) => y(shares.at(-1)[k])), order = heights.map((_, n) => n).sort((a, b) => heights[a] - heights[b]);
    order.forEach((n, k) => { if (k) heights[n] = Math.max(heights[n], heights[order[k - 1]] + 13); });
    best.forEach(([, k], n) => {
      drawn.push(make("path", { class: `own own${n}`, d: shares.map((one, j) => `${j ? "L" : "M"}${x(t[j])} ${y(one[k]).toFixed(1)}`).join("") }));
      drawn.push(make("text", { class: `note own${n}`, x: 231, y: heights[n] + 4 }, classes[k]));
    });
    drawn.push(make("line", { class: "now", id: "own-now", x1: x(state.t), x2: x(state.t), y1: 10, y2: 92 }));
    const words = best.map(([, k]) => `${classes[k]} ${percent(shares[0][k])}, ${percent(shares[(FULL + 1) / 2][k])}, ${percent(shares.at(-1)[k])}`);
    element("own-path").replaceChildren(...drawn);
    element("own-path").setAttribute("aria-label", `Its probabilities at t = 0, 0.5 and 1: ${words.join("; ")}.`);
  }

  function go(t) {
    state.t = Math.min(1, Math.max(0, t));
    element("t").value = state.t;
    element("t").setAttribute("aria-valuetext", short(state.t));
    element("now").textContent = state.t.toFixed(2);
    drawPlane();
    if (state.curve) drawPanels();
    const line = element("own-now");
    for (const end of line ? ["x1", "x2"] : []) line.setAttribute(end, 36 + state.t * 190);
    return look();
  }

  // The pad

  const pad = element("pad");
  let asked = 0; // pictures, of which only the last is wanted

  function take(some, words = "") {
    asked++;
    element("pad-said").textContent = words;
    state.own = Uint8Array.from(some);
    paint(pad, state.own, net.side);
    look();
    trace();
  }

  /** Put ink around a point of the pad, in its pixels: a soft brush. */
  function ink(x, y) {
    for (let row = 0; row < net.side; row++) for (let column = 0; column < net.side; column++) {
      const far = Math.hypot(column + 0.5 - x, row + 0.5 - y), value = 255 * Math.min(1, Math.max(0, 2 - far));
      const k = row * net.side + column;
      state.own[k] = Math.max(state.own[k], value);
    }
    paint(pad, state.own, net.side);
  }

  let last = null;
  pad.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pad.setPointerCapture(event.pointerId);
    last = null;
    draw(event);
  });
  pad.addEventListener("pointermove", (event) => { if (pad.hasPointerCapture(event.pointerId)) draw(event); });
  for (const kind of ["pointerup", "pointercancel"]) pad.addEventListener(kind, () => { if (last) trace(); last = null; });

  function draw(event) {
    const frame = pad.getBoundingClientRect();
    const x = ((event.clientX - frame.left) / frame.width) * net.side, y = ((event.clientY - frame.top) / frame.height) * net.side;
    const [from, steps] = last ? [last, Math.ceil(Math.hypot(x - last[0], y - last[1]))] : [[x, y], 1];
    for (let k = 1; k <= Math.max(1, steps); k++) ink(from[0] + ((x - from[0]) * k) / Math.max(1, steps), from[1] + ((y - from[1]) * k) / Math.max(1, steps));
    last = [x, y];
    look();
  }

  /** A picture of any size as the network's: its middle square, grey, light on dark. */
  async function upload(file) {
    if (!file) return;
    const mine = ++asked, said = element("pad-said");
    try {
      const picture = await createImageBitmap(file);
      if (mine !== asked) return;
      const edge = Math.min(picture.width, picture.height);
      const canvas = make("canvas", { width: net.side, height: net.side }), context = canvas.getContext("2d");
      context.fillStyle = "white";
      context.fillRect(0, 0, net.side, net.side);
      context.imageSmoothingQuality = "high";
      context.drawImage(picture, (picture.width - edge) / 2, (picture.height - edge) / 2, edge, edge, 0, 0, net.side, net.side);
      const seen = context.getImageData(0, 0, net.side, net.side).data;
      const grey = Array.from({ length: size }, (_, k) => 0.299 * seen[4 * k] + 0.587 * seen[4 * k + 1] + 0.114 * seen[4 * k + 2]);
      const rim = grey.filter((_, k) => k < net.side || k >= size - net.side || k % net.side === 0 || (k + 1) % net.side === 0);
      const light = rim.reduce((a, b) => a + b) / rim.length > 127;
      const cut = picture.width === picture.height ? "" : ", its middle square";
      const turned = light ? ", light and dark exchanged as in the training images" : "";
      take(grey.map((value) => (light ? 255 - value : value)), `${file.name} is on the pad${cut}${turned}.`);
    } catch {
      if (mine === asked) said.textContent = `${file.name} is no picture that this browser reads.`;
    }
  }

  // Controls

  element("t").addEventListener("input", () => { stop(); go(Number(element("t").value)); });
  for (const name of Object.keys(presets)) element(`to-${name}`).addEventListener("click", () => put(presets[name], false));
  element("clear").addEventListener("click", () => take(new Uint8Array(size)));
  element("upload").addEventListener("change", ({ target }) => {
    upload(target.files[0]);
    target.value = ""; // so that the same file can be chosen again
  });
  element("theme").addEventListener("click", () => {
    const root = document.documentElement, dark = getComputedStyle(root).colorScheme.includes("dark");
    root.dataset.theme = dark ? "light" : "dark";
    drawMap();
  });

  const handle = element("control"), field = element("field");
  const placeOf = (event) => {
    const frame = field.getBoundingClientRect();
    const across = (event.clientX - frame.left) / frame.width, down = (event.clientY - frame.top) / frame.height;
    return [box.left + across * (box.right - box.left), box.high - down * (box.high - box.low)];
  };
  field.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    handle.focus({ preventScroll: true });
    field.setPointerCapture(event.pointerId);
    put(placeOf(event), true);
  });
  field.addEventListener("pointermove", (event) => { if (field.hasPointerCapture(event.pointerId)) put(placeOf(event), true); });
  field.addEventListener("pointerup", () => put(state.control, false));
  field.addEventListener("pointercancel", () => put(state.control, false));
  handle.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const step = ((event.shiftKey ? 0.1 : 0.02) * (box.high - box.low));
    put(state.control.map((one, k) => one + way[k] * step), event.repeat);
  });
  handle.addEventListener("keyup", () => { if (state.curve?.of !== all.flat().length) put(state.control, false); });

  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  function stop() {
    clearTimeout(state.timer);
    state.timer = 0;
    element("play").textContent = "Play";
    element("play").setAttribute("aria-pressed", "false");
  }
  async function onward() {
    const step = calm.matches ? 0.1 : 0.02, mine = state.turn;
    await go(state.t >= 1 ? 0 : Number((state.t + step).toFixed(4)));
    if (state.timer && mine === state.turn) state.timer = setTimeout(onward, calm.matches ? 900 : 60);
  }
  element("play").addEventListener("click", () => {
    if (state.timer) return stop();
    element("play").textContent = "Pause";
    element("play").setAttribute("aria-pressed", "true");
    state.turn++;
    state.timer = setTimeout(onward);
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMap);
  buildTiles();
  drawMap();
  drawPlane();
  bars(classes.map(() => 0));
  take(pixels.slice(tiles[0] * size, (tiles[0] + 1) * size));
  go(0.5);
  walk(false);
  return { state, crew, put, go, data, ready, pixels, Network };
}

if (typeof document !== "undefined" && document.getElementById("data")) {
  const source = document.getElementById("code").textContent;
  globalThis.mcutilsLive = mount(JSON.parse(document.getElementById("data").textContent), source);
}
