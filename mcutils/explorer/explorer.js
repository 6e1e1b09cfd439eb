// The explorer's drawing: panels, tolerance, plane, images and classes of one path or two, from the numbers of a book.
//
// One plain module with two homes: anywidget calls `render` in a notebook, an exported page calls `page`. A move along
// t changes marks and words and draws nothing anew. What a user named enters the document as text only.

// --- Numbers -------------------------------------------------------------------------------------------------------

const SIGNS = { loss_retain: 1, loss_forget: -1 }; // of what is bad: to rise above the chord, to fall below it
const ALWAYS = ["loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget"];
const NO_FORGET = "the trace holds no forget split";
const PAGE = 24; // images that are shown at once
const MARKS = ["●", "■"],
  LETTERS = ["a", "b"];
const MOST_EPS = 100; // G, the widest tolerance that a link may ask for
const BEAT = 250; // milliseconds between two points at speed 1
const finite = (value) => typeof value === "number" && Number.isFinite(value);

function bytes(text, size) {
  const raw = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  return size === 2 ? new Uint16Array(raw.buffer) : raw;
}

function opened(chapter) {
  const { images } = chapter;
  if (!images) return chapter;
  const places = new Map(images.rows.map((row, place) => [row, place]));
  const predicted = bytes(images.predicted, images.bytes);
  const unpacked = { predicted, sure: bytes(images.sure, 1), places, size: images.rows.length };
  return { ...chapter, images: { ...images, ...unpacked, none: images.bytes === 2 ? 65535 : 255 } };
}

const said = (images, k, place) => images.predicted[k * images.size + place];
const knows = (images, k, place) => said(images, k, place) === images.labels[place];

export function chord(values, t, k) {
  const [first, last] = [values[0], values[values.length - 1]];
  return finite(first) && finite(last) ? (1 - t[k]) * first + t[k] * last : null;
}

export function excess({ values, t }, name) {
  const found = values[name];
  if (!found) return null;
  return found.map((value, k) => {
    const line = chord(found, t, k);
    return finite(value) && finite(line) ? value - line : null;
  });
}

// Where MCU(eps) breaks for a loss; without G eps is in nats. What is not finite breaks it.
export function breaks(chapter, name, eps) {
  const over = excess(chapter, name);
  if (!over) return null;
  const sizes = chapter.values[name].filter((_, k) => over[k] !== null).map(Math.abs);
  const limit = eps * (chapter.gap || 1) + 1e-12 * Math.max(0, ...sizes);
  return over.map((one) => !(one !== null && SIGNS[name] * one <= limit));
}

// Where the retain barrier or the forget deficit is, its size in nats, and words for it.
export function extreme(chapter, name) {
  const over = Object.hasOwn(SIGNS, name) ? excess(chapter, name) : null;
  if (!over || over.includes(null)) return null;
  const signed = over.map((one) => SIGNS[name] * one);
  const k = signed.indexOf(Math.max(...signed));
  const size = Math.max(0, signed[k]);
  const amount = chapter.gap ? `${(size / chapter.gap).toFixed(3)} G` : `${size.toFixed(3)} nats`;
  return { k, size, words: `${SIGNS[name] > 0 ? "barrier" : "deficit"} ${amount}` };
}

// Stretches of t around broken points, up to half way to their neighbours.
export function spans(broken, t) {
  const edge = (k) => (k === 0 ? t[0] : k === t.length ? t[t.length - 1] : (t[k - 1] + t[k]) / 2);
  const found = [];
  broken.forEach((is, k) => {
    if (!is) return;
    const last = found[found.length - 1];
    if (last && last[1] === edge(k)) last[1] = edge(k + 1);
    else found.push([edge(k), edge(k + 1)]);
  });
  return found;
}

export function nearest(t, value) {
  let best = 0;
  t.forEach((one, k) => {
    if (Math.abs(one - value) < Math.abs(t[best] - value)) best = k;
  });
  return best;
}

// Of each class at a point: how many there are and are right, and what most of the others are called.
export function byClass({ truth, answer, counts }, k) {
  const found = new Map();
  truth.forEach((label, p) => {
    const one = found.get(label) || { right: 0, of: 0, most: null, times: 0 };
    found.set(label, one);
    one.of += counts[k][p];
    if (answer[p] === label) one.right = counts[k][p];
    else if (answer[p] !== null && counts[k][p] > one.times) [one.most, one.times] = [answer[p], counts[k][p]];
  });
  return found;
}

// A loss of a plane at a place, linear between the four places of its grid around it.
export function lossAt({ x, y, values }, name, place) {
  const [[j, u], [i, v]] = [x, y].map((grid, axis) => {
    const low = Math.max(0, Math.min(grid.length - 2, grid.findLastIndex((one) => one <= place[axis])));
    return [low, Math.min(1, Math.max(0, (place[axis] - grid[low]) / (grid[low + 1] - grid[low])))];
  });
  const [a, b] = [values[name][i], values[name][i + 1]];
  if (![a[j], a[j + 1], b[j], b[j + 1]].every(finite)) return null;
  return (1 - v) * ((1 - u) * a[j] + u * a[j + 1]) + v * ((1 - u) * b[j] + u * b[j + 1]);
}

// A quadratic path with its control point at a place of its plane's grid, by its numbers: where its points lie, and the
// losses that the plane has there. Nothing is fitted and no model is evaluated.
export function bent(chapter, plane, [j, i]) {
  const [start, , end] = chapter.plane.nodes,
    control = [plane.x[j], plane.y[i]];
  const on = (t) => control.map((at, k) => (1 - t) ** 2 * start[k] + 2 * t * (1 - t) * at + t ** 2 * end[k]);
  const spots = chapter.t.map(on),
    line = chapter.plane.line.map((_, k, all) => on(k / (all.length - 1)));
  const values = {};
  for (const name of Object.keys(SIGNS)) values[name] = spots.map((one) => lossAt(plane, name, one));
  return { t: chapter.t, gap: chapter.gap, control, spots, line, values };
}

export function ticks(low, high, count = 4) {
  const raw = (high - low) / count;
  if (!(raw > 0) || !Number.isFinite(raw)) return [];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 2.5, 5, 10].find((m) => m * power >= raw * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1)
    found.push(Number((k * step).toPrecision(12)));
  return found;
}

function shown(metric, value, sign = false) {
  if (!finite(value)) return "not finite";
  const text = (metric.factor * value).toFixed(metric.digits);
  if (Number(text) === 0) return text.replace("-", "");
  return sign && value > 0 ? `+${text}` : text;
}

const at3 = (t) => t.toFixed(3);
const brief = (t) => String(Number(t.toFixed(3))); // as it is read out: 0.5

// The mark of a path before words about it, where there are two.
const tag = (chapters, which) => (chapters.length > 1 ? `${MARKS[which]} ` : "");

function verdict(chapter, eps) {
  const found = Object.keys(SIGNS).map((name) => [name.slice(5), breaks(chapter, name, eps)]);
  if (found.some(([, one]) => !one)) return "cannot be told without retain and forget loss";
  const bad = found.filter(([, one]) => one.includes(true)).map(([split]) => split);
  return bad.length ? `breaks for ${bad.join(" and ")}` : "holds";
}

// --- Nodes ---------------------------------------------------------------------------------------------------------

function put(node, given, inside) {
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...inside.flat(3).filter((one) => one !== null && one !== undefined && one !== ""));
  return node;
}
const h = (tag, given = {}, ...inside) => put(document.createElement(tag), given, inside);
const s = (tag, given = {}, ...inside) =>
  put(document.createElementNS("http://www.w3.org/2000/svg", tag), given, inside);
const round = (value) => Math.round(value * 10) / 10;
const line = (points) => (points.length ? `M${points.map(([x, y]) => `${round(x)} ${round(y)}`).join("L")}` : "");
const word = (x, y, text, anchor = "middle", kind = "tick") =>
  s("text", { class: kind, x: round(x), y: round(y), "text-anchor": anchor }, text);

// The mark of a path: a disc of the first, a square of the second.
function mark(which, size, kind) {
  const shape = which
    ? s("rect", { x: -size * 0.9, y: -size * 0.9, width: size * 1.8, height: size * 1.8 })
    : s("circle", { r: size });
  return s("g", { class: `${kind} c${LETTERS[which]}` }, shape);
}
const place = (node, x, y) => node.setAttribute("transform", `translate(${round(x)} ${round(y)})`);

// --- Words that are explained --------------------------------------------------------------------------------------

const curve = (bend) => `M8 42Q48 ${42 + bend} 88 30`;
const SKETCH = {
  chord: () => [
    s("path", { class: "curve ca", d: curve(-50) }),
    s("path", { class: "chord ca strong", d: "M8 42L88 30" }),
  ],
  barrier: () => [...SKETCH.chord(), s("path", { class: "mark ca", d: "M47 36V14" })],
  deficit: () => [
    s("path", { class: "curve ca", d: "M8 20Q48 72 88 14" }),
    s("path", { class: "chord ca strong", d: "M8 20L88 14" }),
    s("path", { class: "mark ca", d: "M47 17V44" }),
  ],
  G: () => [
    s("path", { class: "original", d: "M8 46H88" }),
    s("rect", { class: "retrained", x: 8, y: 10, width: 80, height: 6 }),
    s("path", { class: "mark", d: "M48 44V18" }),
  ],
  MCU: () => [
    s("rect", { class: "holds ca", x: 8, y: 20, width: 80, height: 16 }),
    s("path", { class: "chord ca strong", d: "M8 28H88" }),
    s("path", { class: "curve ca", d: "M8 28Q48 -14 88 28" }),
  ],
  recipe: () => [
    s("path", { class: "polygon", d: "M8 44L48 6L88 44" }),
    s("path", { class: "curve ca", d: "M8 44Q48 6 88 44" }),
    s("rect", { class: "control", x: 44, y: 2, width: 8, height: 8 }),
  ],
  band: () => [
    s("path", { class: "band ca", d: "M8 34Q48 -8 88 20V32Q48 14 8 46Z" }),
    s("path", { class: "curve ca", d: "M8 40Q48 2 88 26" }),
  ],
  retrained: () => [
    s("rect", { class: "retrained", x: 8, y: 14, width: 80, height: 12 }),
    s("path", { class: "level", d: "M8 20H88" }),
  ],
  original: () => [
    s("path", { class: "original", d: "M8 30H88" }),
    s("path", { class: "diamond", d: "M48 24l6 6l-6 6l-6 -6Z" }),
  ],
};
const TERMS = {
  chord: "The straight line between a path's values at its two ends: what the path is compared with at every t.",
  barrier: "How far the retain loss rises above its chord at most: what is lost on the way and known at the ends.",
  deficit:
    "How far the forget loss falls below its chord at most: on the way the forgotten images fit better than at the ends.",
  G: "The gap: forget loss of retrained models, which never saw the forget set, minus that of the original. All there is to forget.",
  MCU: "MCU(ε) holds while the retain loss is at most ε G above its chord and the forget loss at most ε G below its own.",
  recipe:
    "How the control point of a curve was fitted; corrected sends one t per step through all losses and the gradient through the curve.",
  band: "Where the value lies with 95 % confidence, had other examples been drawn.",
  retrained: "Models trained without the forget set from the start: mean and range. This is what unlearning aims at.",
  original: "The model before anything was unlearned.",
};

// One bubble for explanations and hovered values, which are told to a screen reader by what they describe.
function bubble(root, id) {
  const node = h("div", { class: "bubble", id, role: "tooltip", hidden: true });
  let owner = null;
  function show(x, y, ...inside) {
    node.replaceChildren(...inside.flat());
    node.hidden = false;
    const box = root.getBoundingClientRect();
    const left = Math.min(Math.max(4, x - box.left + 12), Math.max(4, box.width - node.offsetWidth - 4));
    const below = y - box.top + 14;
    const tall = y + 14 + node.offsetHeight > window.innerHeight && below - node.offsetHeight - 24 > 0;
    node.style.left = `${left}px`;
    node.style.top = `${tall ? below - node.offsetHeight - 26 : below}px`;
  }
  function hide() {
    node.hidden = true;
    owner?.removeAttribute("aria-describedby");
    owner = null;
  }
  function term(name, text = name) {
    const button = h("button", { type: "button", class: "term" }, text);
    const open = () => {
      const box = button.getBoundingClientRect();
      const picture = s(
        "svg",
        { viewBox: "0 0 96 52", width: 96, height: 52, "aria-hidden": "true" },
        SKETCH[name](),
      );
      show(box.left, box.bottom - 8, picture, h("p", {}, TERMS[name]));
      owner = button;
      button.setAttribute("aria-describedby", id);
    };
    for (const event of ["mouseenter", "focus", "click"]) button.addEventListener(event, open);
    for (const event of ["mouseleave", "blur"]) button.addEventListener(event, hide);
    return button;
  }
  return { node, show, hide, term };
}

// --- Plots ---------------------------------------------------------------------------------------------------------

const LEFT = 46,
  RIGHT = 14,
  TOP = 10,
  BOTTOM = 24,
  LETTER = 7; // pixels, about the widest that a letter of a label is

function axes(width, height, left = LEFT) {
  const x = (t) => left + t * (width - left - RIGHT);
  const bottom = height - BOTTOM;
  const words = [
    [0, "0 start", "start"],
    [0.25, "0.25"],
    [0.5, "t = 0.5"],
    [0.75, "0.75"],
    [1, "end 1", "end"],
  ];
  const nodes = words.map(([t, text, anchor]) => [
    s("path", { class: "axis", d: `M${round(x(t))} ${bottom}v4` }),
    word(x(t) + (t === 1 ? 6 : t === 0 ? -6 : 0), bottom + 16, text, anchor),
  ]);
  return [s("path", { class: "axis", d: `M${left} ${bottom}H${width - RIGHT}` }), ...nodes.flat()];
}

function hatches(uid) {
  return s(
    "defs",
    {},
    LETTERS.map((letter, k) =>
      s(
        "pattern",
        {
          id: `${uid}-${letter}`,
          width: 6,
          height: 6,
          patternUnits: "userSpaceOnUse",
          patternTransform: `rotate(${k ? -45 : 45})`,
        },
        s("path", { class: `hatch c${letter}`, d: "M0 0V6" }),
      ),
    ),
  );
}

function rangeOf(chapters, name, more) {
  const values = chapters
    .flatMap((one) => [
      ...(one.values[name] || []),
      ...(one.levels[name] || []),
      ...(one.bands[name] || []).flat(),
      ...(name in one.original ? [one.original[name]] : []),
    ])
    .concat(more)
    .filter(finite);
  const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  const pad = 0.08 * (high - low) || 0.05 * Math.abs(high) || 0.5;
  return [low - pad, high + pad];
}

// One metric along the paths of a group; `move` takes a number of a point for each path of the view. `dragged` is one of
// them with another control point.
function panel({ uid, metric, name, chapters, group, eps, width, height, dragged }) {
  const other = dragged && group.includes(dragged.which) ? dragged.values[name] : null;
  const [low, high] = rangeOf(chapters, name, other || []);
  const bottom = height - BOTTOM;
  const x = (t) => LEFT + t * (width - LEFT - RIGHT);
  const y = (value) => TOP + ((high - value) / (high - low)) * (bottom - TOP);
  const nodes = [hatches(uid)],
    over = [],
    dots = [],
    telling = [];
  for (const tick of ticks(low * metric.factor, high * metric.factor)) {
    const down = y(tick / metric.factor);
    nodes.push(
      s("path", { class: "grid", d: `M${LEFT} ${round(down)}H${width - RIGHT}` }),
      word(LEFT - 6, down + 4, String(tick), "end"),
    );
  }
  nodes.push(axes(width, height));
  const levels = (chapters[0].levels[name] || []).filter(finite);
  if (levels.length) {
    const [most, least] = [Math.max(...levels), Math.min(...levels)];
    const mean = y(levels.reduce((sum, one) => sum + one, 0) / levels.length);
    nodes.push(
      s("rect", {
        class: "retrained",
        x: LEFT,
        y: round(y(most) - 1),
        width: width - LEFT - RIGHT,
        height: round(y(least) - y(most) + 2),
      }),
    );
    nodes.push(s("path", { class: "level", d: `M${LEFT} ${round(mean)}H${width - RIGHT}` }));
  }
  const first = chapters[0].original[name];
  if (finite(first)) {
    nodes.push(s("path", { class: "original", d: `M${LEFT} ${round(y(first))}H${width - RIGHT}` }));
    nodes.push(s("path", { class: "diamond", d: `M${width - RIGHT} ${round(y(first) - 5)}l5 5l-5 5l-5 -5Z` }));
  }
  const labels = [];
  for (const which of group) {
    const chapter = chapters[which],
      values = chapter.values[name];
    if (!values) continue;
    const { t } = chapter,
      letter = LETTERS[which];
    for (const [from, to] of spans(Object.hasOwn(SIGNS, name) ? breaks(chapter, name, eps) : [], t)) {
      nodes.push(
        s("rect", {
          class: "broken",
          x: round(x(from)),
          y: TOP,
          width: round(x(to) - x(from)),
          height: bottom - TOP,
          fill: `url(#${uid}-${letter})`,
        }),
      );
    }
    const band = chapter.bands[name];
    if (band) {
      const edge = [...t.map((u, k) => [u, band[0][k]]), ...t.map((u, k) => [u, band[1][k]]).reverse()];
      const points = edge.filter(([, value]) => finite(value)).map(([u, value]) => [x(u), y(value)]);
      if (points.length > 2) nodes.push(s("path", { class: `band c${letter}`, d: `${line(points)}Z` }));
    }
    const last = values.length - 1;
    if (finite(values[0]) && finite(values[last])) {
      nodes.push(
        s("path", {
          class: `chord c${letter}`,
          d: line([
            [x(0), y(values[0])],
            [x(1), y(values[last])],
          ]),
        }),
      );
    }
    for (const run of runs(values)) {
      nodes.push(s("path", { class: `curve c${letter}`, d: line(run.map((k) => [x(t[k]), y(values[k])])) }));
    }
    values.forEach((value, k) => {
      if (finite(value))
        nodes.push(s("circle", { class: `point c${letter}`, cx: round(x(t[k])), cy: round(y(value)), r: 1.6 }));
    });
    for (const k of [0, last]) {
      if (finite(values[k]))
        nodes.push(s("circle", { class: `end c${letter}`, cx: round(x(t[k])), cy: round(y(values[k])), r: 4 }));
    }
    if (other && dragged.which === which) {
      for (const run of runs(other))
        nodes.push(s("path", { class: `bent c${letter}`, d: line(run.map((k) => [x(t[k]), y(other[k])])) }));
      const found = extreme(dragged, name);
      telling.push(`With the control point dragged, on the plane: ${found ? found.words : "not finite"}.`);
    }
    const lost = values.filter((one) => !finite(one)).length;
    telling.push(`${chapter.label}: from ${shown(metric, values[0])} to ${shown(metric, values[last])}.`);
    if (lost) telling.push(`${lost} values are not finite.`);
    const found = extreme(chapter, name);
    if (found) telling.push(`Largest ${found.words}, at t = ${brief(t[found.k])}.`);
    if (found && found.size > 0) {
      const [u, top, base] = [x(t[found.k]), y(values[found.k]), y(chord(values, t, found.k))];
      nodes.push(s("path", { class: `mark c${letter}`, d: `M${round(u)} ${round(base)}V${round(top)}` }));
      labels.push({
        u,
        t: t[found.k],
        y: SIGNS[name] > 0 ? Math.min(top, base) - 9 : Math.max(top, base) + 17,
        which,
        words: found.words,
      });
    }
    const now = s("path", { class: `now c${letter}`, d: `M0 ${TOP}V${bottom}` });
    const dot = mark(which, 5, "dot");
    over.push(now, dot);
    dots.push((at) => {
      const k = at[which],
        value = values[k];
      place(now, x(t[k]), 0);
      place(dot, x(t[k]), finite(value) ? y(value) : -999);
    });
  }
  labels.forEach((one, k) => {
    let spot = Math.min(Math.max(one.y, TOP + 10), bottom - 5);
    const other = labels[k - 1],
      words = `${tag(chapters, one.which)}${one.words}`,
      side = one.t < 0.25 ? "start" : one.t > 0.75 ? "end" : "middle";
    [one.left, one.right] = extent(one.u, side, words);
    if (other && one.left < other.right && other.left < one.right && Math.abs(other.spot - spot) < 14)
      spot = other.spot + (other.spot > bottom - 30 ? -14 : 14);
    one.spot = spot;
    over.unshift(word(one.u, spot, words, side, `marked c${LETTERS[one.which]}`));
  });
  const heading = `${metric.title} (${metric.unit})`;
  const svg = s(
    "svg",
    {
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `${heading} along the path. ${telling.join(" ")}`,
    },
    nodes,
    over,
  );
  return {
    svg,
    move: (at) => dots.forEach((one) => one(at)),
    toT: (px) => Math.min(1, Math.max(0, (px - LEFT) / (width - LEFT - RIGHT))),
  };
}

// About where a label begins and ends that is anchored at x.
function extent(x, anchor, words) {
  const long = LETTER * words.length,
    from = x - { start: 0, middle: 0.5, end: 1 }[anchor] * long;
  return [from, from + long];
}

function runs(values) {
  const found = [];
  values.forEach((value, k) => {
    if (!finite(value)) return;
    if (k && finite(values[k - 1])) found[found.length - 1].push(k);
    else found.push([k]);
  });
  return found;
}

// Where along each path the two inequalities of MCU(eps) break: a hatched cross where one does, a tinted tick elsewhere.
function strip({ uid, chapters, eps, width }) {
  const ROW = 17,
    left = 74;
  const rows = chapters.flatMap((chapter, which) =>
    Object.keys(SIGNS)
      .map((name) => ({ chapter, which, name, broken: breaks(chapter, name, eps) }))
      .filter((one) => one.broken),
  );
  const height = 2 + ROW * Math.max(1, rows.length) + BOTTOM;
  const x = (t) => left + t * (width - left - RIGHT);
  const nodes = [hatches(uid), axes(width, height, left)],
    telling = [],
    over = [];
  rows.forEach(({ chapter, which, name, broken }, row) => {
    const top = 2 + row * ROW,
      letter = LETTERS[which],
      { t } = chapter,
      split = name.slice(5);
    nodes.push(
      s("rect", { class: `holds c${letter}`, x: left, y: top, width: width - left - RIGHT, height: ROW - 3 }),
    );
    for (const [from, to] of spans(
      broken.map((one) => !one),
      t,
    )) {
      if (x(to) - x(from) > 14) nodes.push(word(x(from) + 10, top + 11.5, "✓", "middle", `sign c${letter}`));
    }
    for (const [from, to] of spans(broken, t)) {
      const box = { x: round(x(from)), y: top, width: round(x(to) - x(from)), height: ROW - 3 };
      nodes.push(
        s("rect", { ...box, class: "breaks" }),
        s("rect", { ...box, class: `broken c${letter}`, fill: `url(#${uid}-${letter})` }),
      );
      if (x(to) - x(from) > 14) nodes.push(word(x(from) + 10, top + 11.5, "✗", "middle", `sign c${letter}`));
    }
    nodes.push(word(left - 6, top + 11, `${tag(chapters, which)}${split}`, "end", `tick c${letter}`));
    const bad = t.filter((_, k) => broken[k]);
    const how = bad.length
      ? `breaks at ${bad.length} of ${t.length} points, from t = ${brief(bad[0])} to ${brief(bad[bad.length - 1])}`
      : "holds at every point";
    telling.push(`${split} ${how}${which ? " of the second path" : ""}`);
  });
  const marks = chapters.map((_, which) =>
    s("path", { class: `now c${LETTERS[which]}`, d: `M0 0V${height - BOTTOM}` }),
  );
  over.push(...marks);
  const svg = s(
    "svg",
    {
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `Where MCU(${eps}) holds along t: ${telling.join("; ") || "not known"}.`,
    },
    nodes,
    over,
  );
  return {
    svg,
    move: (at) => marks.forEach((one, which) => place(one, x(chapters[which].t[at[which]]), 0)),
    toT: (px) => Math.min(1, Math.max(0, (px - left) / (width - left - RIGHT))),
  };
}

// A loss on a plane of weights, in tints on a logarithmic scale with contours and a colour bar, and the paths in it.
function map({ uid, plane, number, name, metric, chapters, width, height }) {
  const right = 52,
    top = 10,
    bottom = 34;
  const { x: xs, y: ys } = plane,
    values = plane.values[name];
  const [x0, x1, y0, y1] = [xs[0], xs[xs.length - 1], ys[0], ys[ys.length - 1]];
  const wide = width - LEFT - right,
    high = height - top - bottom;
  const px = ([x, y]) => [LEFT + ((x - x0) / (x1 - x0)) * wide, top + ((y1 - y) / (y1 - y0)) * high];
  const logs = values.map((row) => row.map((one) => (finite(one) ? Math.log10(Math.max(one, 1e-4)) : null)));
  const all = logs.flat().filter(finite);
  const [low, most] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
  const span = most - low || 1;
  const nodes = [
    hatches(uid),
    s("image", {
      class: "tint",
      x: LEFT,
      y: top,
      width: wide,
      height: high,
      preserveAspectRatio: "none",
      href: raster(logs, low, span),
    }),
  ];
  for (let level = 1; level < 9; level += 1) {
    const edges = contour(logs, low + (span * level) / 9).map((edge) =>
      edge.map(([i, j]) => px([mix(xs, j), mix(ys, i)])),
    );
    nodes.push(s("path", { class: "contour", d: edges.map(line).join("") }));
  }
  nodes.push(s("path", { class: "axis", d: `M${LEFT} ${top}h${wide}v${high}h${-wide}Z` }));
  for (const one of ticks(x0, x1)) nodes.push(word(px([one, y0])[0], height - bottom + 14, String(one)));
  for (const one of ticks(y0, y1)) nodes.push(word(LEFT - 6, px([x0, one])[1] + 4, String(one), "end"));
  nodes.push(word(LEFT + wide / 2, height - 4, "distance in weight space"));
  const bar = LEFT + wide + 10;
  nodes.push(
    s(
      "defs",
      {},
      s(
        "linearGradient",
        { id: `${uid}-bar`, x1: 0, y1: 1, x2: 0, y2: 0 },
        s("stop", { class: "stop", offset: 0, "stop-opacity": 0 }),
        s("stop", { class: "stop", offset: 1, "stop-opacity": TINT }),
      ),
    ),
  );
  nodes.push(s("rect", { class: "scale", x: bar, y: top, width: 9, height: high, fill: `url(#${uid}-bar)` }));
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    nodes.push(
      word(
        bar + 12,
        top + high * (1 - share) + (share === 1 ? 8 : share === 0 ? 0 : 4),
        Number((10 ** (low + span * share)).toPrecision(2)).toString(),
        "start",
      ),
    );
  }
  const over = [],
    moves = [],
    here = new Map();
  const bend = s("g", {});
  let bendAt = () => {};
  chapters.forEach((chapter, which) => {
    const path = chapter.plane;
    if (path.why || path.number !== number) return;
    const d = line(path.line.map(px)),
      letter = LETTERS[which];
    if (path.nodes.length > 2) nodes.push(s("path", { class: "polygon", d: line(path.nodes.map(px)) }));
    nodes.push(s("path", { class: "halo", d }), s("path", { class: `curve c${letter}`, d }));
    const dot = mark(which, 6, "spot");
    over.push(dot);
    moves.push((at) => place(dot, ...px(path.spots[at[which]])));
    path.nodes.forEach((node, k) =>
      here.set(String(node), k === 0 ? "start" : k === path.nodes.length - 1 ? "end" : "control point"),
    );
  });
  const names = [];
  for (const { at, name: called } of plane.models) {
    const [x, y] = px(at),
      role = here.get(String(at));
    const words = called && role !== "control point" ? (role ? `${role}: ${called}` : called) : role || "";
    const kind = /^original/.test(called)
      ? "diamond"
      : /^retrained/.test(called)
        ? "triangle"
        : role === "control point" || called === "control point"
          ? "control"
          : "end";
    const shapes = {
      diamond: () => s("path", { class: "diamond", d: `M${x} ${y - 6}l6 6l-6 6l-6 -6Z` }),
      triangle: () => s("path", { class: "triangle", d: `M${x} ${y - 6}l6 11h-12Z` }),
      control: () => s("rect", { class: "control", x: x - 4, y: y - 4, width: 8, height: 8 }),
      end: () => s("circle", { class: "end", cx: x, cy: y, r: 4.5 }),
    };
    nodes.push(shapes[kind]());
    const side = x < LEFT + 0.3 * wide ? "start" : x > LEFT + 0.7 * wide ? "end" : "middle",
      [from, to] = extent(x, side, words || called);
    let down = y > top + high - 26 ? y - 11 : y + 18;
    if (names.some((one) => from < one.to && one.from < to && Math.abs(one.down - down) < 14))
      down = down > y ? y - 11 : y + 18;
    names.push({ from, to, down });
    nodes.push(word(x, down, words || called, side, "name"));
  }
  over.unshift(bend);
  const telling = `${metric.title} on a plane of weights, ${(10 ** low).toPrecision(2)} to ${(10 ** most).toPrecision(2)} nats, darker tints are higher; the path runs from start to end.`;
  const svg = s(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": telling },
    nodes,
    over,
  );
  const toPlane = (left, down) => [x0 + ((left - LEFT) / wide) * (x1 - x0), y1 - ((down - top) / high) * (y1 - y0)];
  return {
    svg,
    move(at) {
      for (const one of moves) one(at);
      bendAt(at);
    },
    px,
    // Draws the path whose control point is dragged, or takes it away; places of the grid are numbers [column, row].
    bend(found, at) {
      bend.replaceChildren();
      bendAt = () => {};
      if (!found) return;
      const d = line(found.line.map(px)),
        spot = mark(found.which, 4, "spot");
      bend.append(s("path", { class: "halo", d }), s("path", { class: `bent c${LETTERS[found.which]}`, d }), spot);
      bendAt = (all) => place(spot, ...px(found.spots[all[found.which]]));
      bendAt(at);
    },
    grid(left, down) {
      const [x, y] = toPlane(left, down);
      return [nearest(xs, x), nearest(ys, y)];
    },
    // The point of the first path that is nearest on the screen, and the loss under the pointer.
    near(left, down) {
      const path = chapters[0].plane;
      const far = path.spots.map((spot) => Math.hypot(px(spot)[0] - left, px(spot)[1] - down));
      return far.indexOf(Math.min(...far));
    },
    read(left, down) {
      const [x, y] = toPlane(left, down),
        j = nearest(xs, x),
        i = nearest(ys, y);
      return { x: xs[j], y: ys[i], value: values[i][j] };
    },
  };
}
const TINT = 0.72; // how dark the highest loss is
const mix = (grid, at) => {
  const k = Math.min(grid.length - 2, Math.floor(at));
  return grid[k] + (at - k) * (grid[k + 1] - grid[k]);
};

function raster(logs, low, span) {
  const fine = 5,
    [rows, columns] = [(logs.length - 1) * fine + 1, (logs[0].length - 1) * fine + 1];
  const canvas = h("canvas", { width: columns, height: rows }),
    pen = canvas.getContext("2d");
  const pixels = pen.createImageData(columns, rows);
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < columns; j += 1) {
      const [a, b] = [
        Math.min(logs.length - 2, Math.floor(i / fine)),
        Math.min(logs[0].length - 2, Math.floor(j / fine)),
      ];
      const [u, v] = [i / fine - a, j / fine - b];
      const corners = [logs[a][b], logs[a][b + 1], logs[a + 1][b], logs[a + 1][b + 1]];
      const value = corners.every(finite)
        ? (1 - u) * ((1 - v) * corners[0] + v * corners[1]) + u * ((1 - v) * corners[2] + v * corners[3])
        : low;
      pixels.data[4 * ((rows - 1 - i) * columns + j) + 3] = Math.round((255 * TINT * (value - low)) / span); // black, more or less of it
    }
  }
  pen.putImageData(pixels, 0, 0);
  return canvas.toDataURL();
}

// Pieces of the line where a grid of values has one level, by marching squares, in numbers of rows and columns.
export function contour(grid, level) {
  const found = [];
  for (let i = 0; i + 1 < grid.length; i += 1) {
    for (let j = 0; j + 1 < grid[0].length; j += 1) {
      const corners = [
          [i, j],
          [i, j + 1],
          [i + 1, j + 1],
          [i + 1, j],
        ],
        v = corners.map(([a, b]) => grid[a][b]);
      if (!v.every(finite)) continue;
      const cuts = [];
      for (let side = 0; side < 4; side += 1) {
        const next = (side + 1) % 4;
        if (v[side] > level === v[next] > level) continue;
        const u = (level - v[side]) / (v[next] - v[side]);
        cuts.push(corners[side].map((one, axis) => one + u * (corners[next][axis] - one)));
      }
      if (cuts.length >= 2) found.push(cuts.slice(0, 2));
      if (cuts.length === 4) found.push(cuts.slice(2));
    }
  }
  return found;
}

// --- Images and classes --------------------------------------------------------------------------------------------

const ORDERS = {
  rise: "come back most first",
  turns: "change most often first",
  known: "right longest first",
  class: "by class",
};
const KINDS = {
  all: "all",
  inside: "right only inside",
  gone: "wrong only inside",
  kept: "right all along",
  never: "wrong all along",
  change: "right at one end only",
};

// What happens to each forget image along a path: of which kind it is, how often right, how often its answer turns.
function stories(chapter) {
  const { images, t } = chapter,
    last = t.length - 1;
  return images.rows.map((row, i) => {
    let known = 0,
      turns = 0;
    for (let k = 0; k <= last; k += 1) {
      known += knows(images, k, i);
      turns += k > 0 && said(images, k, i) !== said(images, k - 1, i);
    }
    const [a, b] = [knows(images, 0, i), knows(images, last, i)];
    const kind = known === last + 1 ? "kept" : known === 0 ? "never" : a !== b ? "change" : a ? "gone" : "inside";
    return { row, i, known, turns, kind, label: images.labels[i] };
  });
}

function arranged(found, order, only) {
  const chosen = only === "all" ? [...found] : found.filter((one) => one.kind === only);
  const by = {
    rise: (one) => one.i,
    turns: (one) => -one.turns,
    known: (one) => -one.known,
    class: (one) => one.label,
  }[order];
  return chosen.sort((a, b) => by(a) - by(b) || a.i - b.i);
}

const share = (count, of) => (of ? `${Math.round((100 * count) / of)} %` : "–");

function gallery({ book, chapters, chosen, start }) {
  const first = chapters[0],
    { images, t } = first,
    sheet = book.pictures,
    last = t.length - 1;
  const spots = new Map(sheet ? sheet.rows.map((row, k) => [row, k]) : []);
  const moves = [];
  const cells = chosen.slice(start, start + PAGE).map(({ row, i, label }) => {
    const truth = book.classes[label];
    const spot = spots.get(row),
      box = { role: "img", "aria-label": `forget image ${row}, ${truth}` };
    if (spot !== undefined) {
      const lines = Math.ceil(sheet.rows.length / sheet.columns),
        [c, r] = [spot % sheet.columns, Math.floor(spot / sheet.columns)];
      const at = (k, of) => (of > 1 ? (100 * k) / (of - 1) : 0);
      box.style = `--w:${sheet.width};--h:${sheet.height};background-size:${100 * sheet.columns}% ${100 * lines}%;background-position:${at(c, sheet.columns)}% ${at(r, lines)}%`;
    } else box.class = "none";
    const stops = t.map((_, k) => {
      const colour = knows(images, k, i) ? "var(--know)" : "var(--gone)";
      return `${colour} ${(100 * k) / (last + 1)}% ${(100 * (k + 1)) / (last + 1)}%`;
    });
    const along = h(
      "span",
      { class: "along", style: `background:linear-gradient(90deg,${stops.join(",")})` },
      h("u"),
    );
    const lines = chapters.map((chapter, which) => {
      const j = chapter.images?.places.get(row);
      if (j === undefined) return null;
      const node = h("span", { class: "said" });
      moves.push((at) => {
        const k = at[which],
          answer = said(chapter.images, k, j),
          right = knows(chapter.images, k, j);
        const sure = `${chapter.images.sure[k * chapter.images.size + j]} %`;
        const words =
          answer === chapter.images.none ? "no prediction" : right ? sure : `${sure} ${book.classes[answer]}`;
        node.dataset.predicted = answer === chapter.images.none ? -1 : answer;
        node.title = answer === chapter.images.none ? "" : book.classes[answer];
        node.textContent = `${tag(chapters, which)}${right ? "✓" : "✗"} ${words}`;
      });
      return node;
    });
    const cell = h("li", { "data-row": row }, h("i", box), h("div", {}, h("b", {}, truth), lines), along);
    moves.push((at) => {
      cell.className = knows(images, at[0], i) ? "in" : "out";
      along.firstChild.style.left = `${(100 * at[0]) / last}%`;
    });
    return cell;
  });
  return { cells, move: (at) => moves.forEach((one) => one(at)) };
}

const NONE = { right: 0, of: 0, most: null, times: 0 };

// How many of each class are predicted right at t, with both ends, and what the others are called most.
function tally({ book, chapters }) {
  const drawn = chapters.map((chapter, which) => ({ chapter, which })).filter(({ chapter }) => chapter.images);
  const present = [...new Set(drawn[0].chapter.images.labels)].sort((a, b) => a - b);
  const counted = ({ images }, k) => byClass(images.called, k);
  const moves = [];
  const ends = drawn.map(({ chapter }) => [0, chapter.t.length - 1].map((k) => counted(chapter, k)));
  const rows = present.map((label) => {
    const bars = drawn.map(({ which }, n) => {
      const fill = h("span", { class: `fill c${LETTERS[which]}` });
      const marks = ends[n].map((found, side) => {
        const { right, of } = found.get(label) || NONE;
        return h("u", { class: side ? "last" : "first", style: `left:${(100 * right) / (of || 1)}%` });
      });
      return { fill, node: h("span", { class: `track c${LETTERS[which]}` }, fill, marks) };
    });
    const words = h("span", { class: "share" }),
      taken = h("span", { class: "taken" });
    moves.push((all) => {
      all.forEach((found, n) => {
        const { right, of } = found.get(label) || NONE;
        bars[n].fill.style.width = `${(100 * right) / (of || 1)}%`;
      });
      const { right, of, most, times } = all[0].get(label) || NONE;
      words.textContent = share(right, of);
      taken.textContent = times ? `→ ${book.classes[most]} ${times}` : "";
    });
    return h(
      "li",
      {},
      h("span", { class: "class" }, book.classes[label]),
      h(
        "span",
        { class: "tracks" },
        bars.map((one) => one.node),
      ),
      words,
      taken,
    );
  });
  const move = (at) => {
    const all = drawn.map(({ chapter, which }) => counted(chapter, at[which]));
    moves.forEach((one) => one(all));
  };
  return { rows, move };
}

const LISTED = 14, // pairs of classes that a list shows
  WIDEST = 16; // classes that a matrix has a row for; of more there is a list
const TALLIES = { right: "right by class", called: "what they are called" };

// What the forget images are called at t: a row for each class that they are of, a column for each name they get.
function confusion({ book, chapter, which, several }) {
  const { truth, answer, counts } = chapter.images.called,
    last = chapter.t.length - 1;
  const named = (label) => (label === null ? "no prediction" : book.classes[label]);
  const tell = (p, k) => {
    const of = (at) => counts[at][p];
    const wrong = answer[p] === null ? named(null) : `called ${named(answer[p])}`;
    const what = truth[p] === answer[p] ? "called right" : wrong;
    return [
      h("p", {}, `${named(truth[p])}, ${what}: ${of(k)} at t = ${brief(chapter.t[k])}`),
      h("p", {}, `${of(0)} at the start, ${of(last)} at the end`),
    ];
  };
  const rows = [...new Set(truth)].sort((a, b) => a - b);
  const order = (one) => (one === null ? Infinity : one);
  const columns = [...new Set([...rows, ...answer])].sort((a, b) => order(a) - order(b));
  const title = several ? h("caption", {}, `${MARKS[which]} ${chapter.label}`) : null;
  if (columns.length > WIDEST) {
    const wrong = truth.map((_, p) => p).filter((p) => truth[p] !== answer[p]);
    const body = h("tbody", {});
    const move = (k) => {
      const most = wrong.filter((p) => counts[k][p]).sort((a, b) => counts[k][b] - counts[k][a] || a - b);
      body.replaceChildren(
        ...most.slice(0, LISTED).map((p) => {
          const cells = [0, k, last].map((at) => h("td", { "data-pair": p }, String(counts[at][p])));
          return h("tr", {}, h("th", { scope: "row" }, `${named(truth[p])} → ${named(answer[p])}`), cells);
        }),
      );
    };
    const head = ["most often", "start", "at t", "end"].map((text) => h("th", { scope: "col" }, text));
    return { node: h("table", { class: "called list" }, title, h("thead", {}, h("tr", {}, head)), body), move, tell };
  }
  const pairs = new Map(truth.map((label, p) => [`${label} ${answer[p]}`, p]));
  const sizes = new Map([...byClass({ truth, answer, counts }, 0)].map(([label, { of }]) => [label, of]));
  const cells = [];
  const body = rows.map((label) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", title: named(label) }, h("span", {}, named(label))),
      columns.map((column) => {
        const p = pairs.get(`${label} ${column}`);
        if (p === undefined) return h("td", { class: label === column ? "own" : null });
        const cell = h("td", { "data-pair": p, class: label === column ? "own" : null });
        cells.push({ cell, p, of: sizes.get(label), was: null });
        return cell;
      }),
    ),
  );
  const head = columns.map((column) => h("th", { scope: "col", title: named(column) }, h("span", {}, named(column))));
  const move = (k) => {
    for (const one of cells) {
      const count = counts[k][one.p];
      if (count === one.was) continue;
      one.was = count;
      one.cell.textContent = count || "";
      one.cell.style.setProperty("--n", Math.sqrt(count / one.of).toFixed(3)); // so that few are seen too
    }
  };
  const top = h("thead", {}, h("tr", {}, h("td", {}, "is ↓ called →"), head));
  return { node: h("table", { class: "called" }, title, top, h("tbody", {}, body)), move, tell };
}

// --- The table -----------------------------------------------------------------------------------------------------

const COLUMNS = [
  ["t", "at t"],
  ["start", "start"],
  ["end", "end"],
  ["chord", "chord at t"],
  ["excess", "t − chord"],
  ["retrained", "retrained"],
];

function table({ book, chapters, metrics, at }) {
  const rows = [];
  chapters.forEach((chapter, which) => {
    const { t } = chapter,
      k = at[which];
    if (chapters.length > 1)
      rows.push(
        h(
          "tr",
          { class: "of" },
          h(
            "th",
            { scope: "rowgroup", colspan: 7 },
            h("b", { class: `c${LETTERS[which]}` }, MARKS[which]),
            ` ${chapter.label}, t = ${at3(t[k])}`,
          ),
        ),
      );
    for (const name of metrics) {
      const values = chapter.values[name],
        metric = book.metrics[name];
      if (!values) continue;
      const levels = chapter.levels[name],
        base = chord(values, t, k);
      const found = {
        t: values[k],
        start: values[0],
        end: values[values.length - 1],
        chord: base,
        excess: finite(values[k]) && finite(base) ? values[k] - base : null,
      };
      found.retrained = levels.length ? levels.reduce((sum, one) => sum + one, 0) / levels.length : null;
      const cells = COLUMNS.map(([column]) =>
        h(
          "td",
          { "data-metric": name, "data-at": column, "data-value": String(found[column] ?? NaN) },
          column === "retrained" && !levels.length ? "–" : shown(metric, found[column], column === "excess"),
        ),
      );
      rows.push(h("tr", {}, h("th", { scope: "row" }, `${metric.title} (${metric.unit})`), cells));
    }
  });
  const first = chapters[0],
    k = at[0];
  return h(
    "table",
    { class: "readout", "data-k": k, "data-t": first.t[k] },
    h("caption", {}, "t = ", h("b", {}, at3(first.t[k])), `, point ${k + 1} of ${first.t.length}`),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("td"),
        COLUMNS.map(([, text]) => h("th", { scope: "col" }, text)),
      ),
    ),
    h("tbody", {}, rows),
  );
}

// --- The whole -----------------------------------------------------------------------------------------------------

export const quote = (text) => JSON.stringify(text); // a text as code has it, whatever it holds

// The page of images as a kernel counts it, which knows one order only.
const known = ({ page, order, only }) => (order === "rise" && only === "all" ? page : 0);

export function code(given, state) {
  const { path, t, metric, splits, eps, compare, beside } = state,
    page = known(state);
  const parts = [given, quote(path), `t=${Number(t.toPrecision(6))}`, `metric=${quote(metric)}`];
  const many = splits.map(quote).join(", ") + (splits.length === 1 ? "," : "");
  parts.push(`splits=(${many})`, `eps=${Number(eps.toPrecision(6))}`);
  if (compare) parts.push(`compare=${quote(compare)}`, `beside=${beside ? "True" : "False"}`);
  if (page) parts.push(`page=${page}`);
  return `import mcutils as mc\n\nmc.explore(${parts.join(", ")})`;
}

let drawings = 0;

// Draws into `root`. `home` is what the place it lives in can do: `moved(state)` hears of each change, `pick(axis, value)`
// and `save(kind)` ask a kernel, `theme()` turns light and dark; what is missing has no control.
export function draw(root, home = {}) {
  drawings += 1;
  const uid = `mcx${drawings}`,
    tips = bubble(root, `${uid}-tip`);
  let book = null,
    chapters = [],
    parts = [],
    stage = {},
    timer = null,
    offers = {},
    told = [],
    tallied = null,
    pictured = null,
    dragged = null,
    width = 0;
  let bentName = null,
    bendAll = () => {};
  let state = {
    path: "",
    compare: "",
    beside: false,
    k: 0,
    metric: "loss",
    splits: ["retain", "forget"],
    eps: 0.1,
    page: 0,
    plane: "loss_forget",
    order: "rise",
    only: "all",
    tally: "right",
    control: null, // of the dragged path, its place on the plane's grid
    speed: 1,
  };
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");

  // What stays: the bar, the drawers and the places of all parts.
  const button = (text, name, click, more = {}) =>
    h(
      "button",
      {
        type: "button",
        "aria-label": name === text ? null : name,
        title: name === text ? null : name,
        onclick: click,
        ...more,
      },
      text,
    );
  const play = button("▶ Play", "▶ Play", () => run(timer === null), { class: "play", "aria-pressed": "false" });
  const slider = h("input", {
    type: "range",
    class: "t",
    min: 0,
    max: 1,
    step: 1,
    value: 0,
    "aria-label": "t, the place along the path",
    "data-lm-suppress-shortcuts": true,
    oninput: () => go(Number(slider.value)),
  });
  const now = h("output", { class: "at" });
  const select = (name, options, change, more = {}) =>
    h(
      "select",
      {
        "aria-label": name,
        "data-lm-suppress-shortcuts": true,
        onchange: (event) => change(event.target.value),
        ...more,
      },
      options.map(([value, text]) => h("option", { value }, text)),
    );
  const speed = select(
    "speed",
    [
      ["0.5", "½×"],
      ["1", "1×"],
      ["2", "2×"],
      ["4", "4×"],
    ],
    (value) => {
      state.speed = Number(value);
      if (timer !== null) run(true);
    },
    { class: "speed" },
  );
  speed.value = "1";
  const drawers = {};
  const opener = (name, text) => {
    const inside = h("div", { class: `drawer ${name}`, id: `${uid}-${name}`, hidden: true });
    const toggle = h(
      "button",
      { type: "button", class: `opens ${name}`, "aria-expanded": "false", "aria-controls": `${uid}-${name}` },
      text,
    );
    toggle.addEventListener("click", () => {
      inside.hidden = !inside.hidden;
      toggle.setAttribute("aria-expanded", String(!inside.hidden));
      if (name === "values") values();
    });
    drawers[name] = inside;
    return toggle;
  };
  const turn = home.theme && button("◐", "dark or light", home.theme, { class: "theme" });
  const bar = h(
    "div",
    { class: "bar" },
    play,
    button("◀", "one point back", () => go(state.k - 1), { class: "step back" }),
    slider,
    button("▶", "one point on", () => go(state.k + 1), { class: "step on" }),
    now,
    speed,
    h(
      "span",
      { class: "openers" },
      opener("choose", "Choose"),
      opener("values", "Values"),
      opener("keep", "Save"),
      turn,
    ),
  );
  const status = h("div", { class: "message", role: "status", "aria-live": "polite" });
  const head = h("div", { class: "head" }),
    legend = h("div", { class: "legend" });
  const section = (name) => {
    stage[name] = h("section", { class: name });
    return stage[name];
  };
  root.classList.add("mcx", "mcutils-explorer");
  root.dataset.lmSuppressShortcuts = "";
  root.replaceChildren(
    bar,
    drawers.choose,
    drawers.values,
    drawers.keep,
    status,
    head,
    h(
      "div",
      { class: "stage" },
      section("panels"),
      section("strip"),
      section("plane"),
      section("images"),
      section("classes"),
    ),
    tips.node,
  );
  const hush = (event) => {
    if (event.key === "Escape") tips.hide();
  };
  root.addEventListener("keydown", hush);

  // Controls that stay while what they control is drawn anew.
  const control = (text, field, name = "") => h("label", { class: name }, h("span", {}, text), field);
  const metric = select("metric", [], (value) => change({ metric: value }), { class: "metric" });
  const splits = {};
  const boxes = ["retain", "forget", "valid", "test"].map((split) => {
    splits[split] = h("input", {
      type: "checkbox",
      "data-lm-suppress-shortcuts": true,
      onchange: () => {
        const wanted = Object.keys(splits).filter((one) => splits[one].checked);
        if (!wanted.length) {
          splits[split].checked = true;
          say("at least one split is shown.");
        } else change({ splits: wanted });
      },
    });
    return h("label", { class: `split ${split}` }, splits[split], split);
  });
  const mode = select(
    "compare",
    [
      ["no", "no"],
      ["overlaid", "overlaid"],
      ["beside", "side by side"],
    ],
    (value) => compare(value, other.value),
    { class: "compare" },
  );
  const other = select("with", [], (value) => compare(mode.value, value), { class: "with" });
  const eps = h("input", {
    type: "range",
    class: "eps",
    min: 0,
    max: 1,
    step: 0.01,
    "aria-label": "tolerance ε",
    "data-lm-suppress-shortcuts": true,
    oninput: () => change({ eps: Number(eps.value) }, ["panels", "strip"]),
  });
  const tolerance = h("output", {});
  const order = select(
    "order of the images",
    Object.entries(ORDERS),
    (value) => change({ order: value, page: 0 }, ["images"]),
    { class: "order" },
  );
  const only = select("which images", [], (value) => change({ only: value, page: 0 }, ["images"]), { class: "only" });
  const surface = select(
    "loss on the plane",
    [
      ["loss_retain", "retain loss"],
      ["loss_forget", "forget loss"],
    ],
    (value) => change({ plane: value }, ["plane"]),
    { class: "surface" },
  );
  const counted = select(
    "forget images by class",
    Object.entries(TALLIES),
    (value) => change({ tally: value }, ["classes"]),
    { class: "counted" },
  );
  const before = button("◀", "previous images", () => change({ page: Math.max(0, state.page - 1) }, ["images"]), {
    class: "before",
  });
  const after = button("▶", "next images", () => change({ page: state.page + 1 }, ["images"]), { class: "after" });
  const picks = h("div", { class: "picks" });
  const shownAs = h(
    "fieldset",
    {},
    h("legend", {}, "Panels"),
    control("metric", metric),
    h("span", { class: "splits", role: "group", "aria-label": "splits" }, boxes),
  );
  const compared = h(
    "fieldset",
    {},
    h("legend", {}, "A second path"),
    control("compare", mode),
    control("with", other, "wide"),
  );
  drawers.choose.append(picks, shownAs, compared);
  const pre = h("pre", { tabindex: 0 });
  const copied = button("copy the code", "copy the code", async () => {
    try {
      await navigator.clipboard.writeText(pre.textContent);
      say("The code is copied.");
    } catch {
      say("The browser does not let a page copy: mark the code and copy it by hand.");
    }
  });
  const kinds = (home.save ? ["png", "svg", "html"] : []).map((kind) =>
    button(`save ${kind}`, `save ${kind}`, () => home.save(kind), { class: `save-${kind}` }),
  );
  drawers.keep.append(
    h(
      "p",
      {},
      copied,
      " ",
      kinds.flatMap((one) => [one, " "]),
    ),
    pre,
  );

  function say(words) {
    status.textContent = words;
    status.classList.toggle("told", Boolean(words));
  }

  function run(on) {
    window.clearInterval(timer);
    const beat = (still.matches ? 4 : 1) * BEAT; // who wants little motion gets slow steps
    timer = on ? window.setInterval(() => go((state.k + 1) % chapters[0].t.length), beat / state.speed) : null;
    play.textContent = on ? "❚❚ Pause" : "▶ Play";
    play.setAttribute("aria-pressed", String(on));
  }

  const first = () => chapters[0];
  const points = () => [state.k, ...chapters.slice(1).map((one) => nearest(one.t, first().t[state.k]))];

  function go(k) {
    const next = Math.min(Math.max(0, k), first().t.length - 1);
    if (next === state.k) {
      slider.value = next;
      return;
    }
    state.k = next;
    move();
    home.moved?.(outward());
  }

  function move() {
    const at = points(),
      t = first().t[state.k];
    slider.value = state.k;
    slider.setAttribute("aria-valuetext", brief(t));
    now.textContent = `t = ${at3(t)}`;
    for (const one of parts) one.move(at);
    if (pictured) pictured.textContent = right(at[0]);
    if (!drawers.values.hidden) values();
    pre.textContent = code(offers.given || "paths", outward());
  }

  function right(k) {
    const { images } = first();
    let count = 0;
    for (let i = 0; i < images.size; i += 1) count += knows(images, k, i);
    return `${count} of ${images.size} right`;
  }

  const outward = () => ({ ...state, path: first().name, compare: chapters[1]?.name || "", t: first().t[state.k] });

  function change(changes, which = Object.keys(PARTS)) {
    state = { ...state, ...changes };
    settle(which);
    home.moved?.(outward());
  }

  function compare(how, name) {
    if (how === "no") change({ compare: "" });
    else if (book.chapters.some((one) => one.name === name)) change({ compare: name, beside: how === "beside" });
    else home.compare?.(name, how === "beside");
  }

  function values() {
    const wanted = [...new Set([...metrics(), ...ALWAYS])].filter((name) => first().values[name]);
    const summary = chapters.map((chapter, which) => {
      const words = Object.keys(SIGNS)
        .map((name) => [name.slice(5), extreme(chapter, name), chapter.t])
        .filter(([, one]) => one)
        .map(([split, one, t]) => `${split} ${one.words}${one.size > 0 ? ` at t = ${brief(t[one.k])}` : ""}`);
      words.push(chapter.gap ? `G = ${chapter.gap.toFixed(3)} nats` : "G is not known, so ε is in nats");
      return h("p", { class: "note" }, `${tag(chapters, which)}${words.join("; ")}.`);
    });
    const top = drawers.values.scrollLeft;
    drawers.values.replaceChildren(
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "values" },
        table({ book, chapters, metrics: wanted, at: points() }),
      ),
      ...summary,
    );
    drawers.values.scrollLeft = top;
  }

  // Names of the metrics in the panels, one for each split where the quantity has any.
  function asked() {
    const found = book.quantities.find((one) => one.name === state.metric);
    if (!found.splits.length) return [state.metric];
    const names = found.splits.filter((split) => state.splits.includes(split));
    return (names.length ? names : found.splits.slice(0, 1)).map((split) => `${state.metric}_${split}`);
  }
  const metrics = () => asked().filter((name) => first().values[name]);

  // Parts of the stage: each draws itself anew and says how it moves.
  const empty = (title, why) => h("div", { class: "empty" }, h("h3", {}, title), h("p", {}, `${why}.`));

  function drags(svg, toK, read) {
    let held = false;
    const at = (event) => {
      const box = svg.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const set = (event) => {
      go(toK(...at(event)));
    };
    svg.addEventListener("pointerdown", (event) => {
      held = true;
      svg.setPointerCapture?.(event.pointerId);
      run(false);
      set(event);
    });
    svg.addEventListener("pointerup", () => {
      held = false;
    });
    svg.addEventListener("pointercancel", () => {
      held = false;
    });
    svg.addEventListener("pointermove", (event) => {
      if (held) set(event);
      tips.show(event.clientX, event.clientY, ...read(...at(event)));
    });
    svg.addEventListener("pointerleave", tips.hide);
    return svg;
  }
  const alongT = (one) => (px) => nearest(first().t, one.toT(px));
  const tall = (usual) => Math.round(usual * (root.clientWidth >= 1560 ? 1.25 : root.clientWidth < 1200 ? 0.85 : 1));
  const room = (node) => Math.max(240, Math.floor(node.clientWidth || 360));

  function hover(name, k) {
    const spoken = book.metrics[name],
      at = [k, ...chapters.slice(1).map((one) => nearest(one.t, first().t[k]))];
    const lines = chapters.map((chapter, which) => {
      const found = chapter.values[name];
      if (!found) return null;
      const value = found[at[which]],
        base = chord(found, chapter.t, at[which]);
      const apart = finite(value) && finite(base) ? `, ${shown(spoken, value - base, true)} from its chord` : "";
      return h(
        "p",
        {},
        h("b", { class: `c${LETTERS[which]}` }, MARKS[which]),
        ` ${shown(spoken, value)} ${spoken.unit}${apart}`,
      );
    });
    const moved = dragged?.values[name]?.[at[dragged.which]];
    if (finite(moved)) lines.push(h("p", {}, `control point dragged: ${shown(spoken, moved)} ${spoken.unit}`));
    return [h("p", {}, `${spoken.title} at t = ${brief(first().t[k])}`), lines];
  }

  const PARTS = {
    panels(box) {
      const paths = chapters.map((_, which) => which),
        groups = state.beside ? paths.map((one) => [one]) : [paths];
      const figures = metrics().flatMap((name) =>
        groups.map((group) => ({ name, group, box: h("figure", { class: "panel" }) })),
      );
      const missing = asked()
        .filter((name) => !first().values[name])
        .map((name) => h("p", { class: "note" }, `No ${book.metrics[name].title}: ${first().lacking[name]}.`));
      box.classList.toggle("many", figures.length > 2);
      box.classList.toggle("one", figures.length === 1);
      box.replaceChildren(...figures.map((one) => one.box), ...missing);
      const drawn = figures.map(({ name, group, box: figure }, n) => {
        const spoken = book.metrics[name],
          of = state.beside ? ` · ${MARKS[group[0]]} ${short(group[0])}` : "";
        figure.append(h("figcaption", {}, `${spoken.title} (${spoken.unit})${of}`));
        const size = { width: room(figure), height: tall(figures.length > 2 ? 158 : 214) };
        const given = { uid: `${uid}-p${n}`, metric: spoken, name, chapters, group, eps: state.eps, dragged };
        const one = panel({ ...given, ...size });
        figure.append(drags(one.svg, alongT(one), (px) => hover(name, alongT(one)(px))));
        return one;
      });
      return { move: (at) => drawn.forEach((one) => one.move(at)) };
    },
    strip(box) {
      const one = strip({ uid: `${uid}-s`, chapters, eps: state.eps, width: room(box) });
      tolerance.textContent = first().gap ? `${state.eps.toFixed(2)} G` : `${state.eps.toFixed(2)} nats`;
      eps.max = Math.max(1, state.eps);
      eps.value = state.eps;
      const verdicts = chapters.map((chapter, which) =>
        h("span", { class: `verdict c${LETTERS[which]}` }, `${tag(chapters, which)}${verdict(chapter, state.eps)}`),
      );
      if (!box.querySelector(".eps"))
        box.append(
          h(
            "h3",
            {},
            tips.term("MCU", "MCU(ε)"),
            h("label", { class: "tolerance" }, "ε ", eps, " ", tolerance),
            h("span", { class: "verdicts" }),
          ),
          h("div", { class: "plot" }),
          legend,
        );
      box.querySelector(".verdicts").replaceChildren(...verdicts);
      const read = (px) => {
        const k = alongT(one)(px);
        return [
          h("p", {}, `t = ${brief(first().t[k])}`),
          chapters.map((chapter, which) =>
            h(
              "p",
              {},
              h("b", { class: `c${LETTERS[which]}` }, MARKS[which]),
              ` ${Object.keys(SIGNS)
                .map((name) => [name.slice(5), breaks(chapter, name, state.eps)])
                .filter(([, broken]) => broken)
                .map(
                  ([split, broken]) =>
                    `${split} ${broken[nearest(chapter.t, first().t[k])] ? "✗ breaks" : "✓ holds"}`,
                )
                .join(", ")}`,
            ),
          ),
        ];
      };
      box.querySelector(".plot").replaceChildren(drags(one.svg, alongT(one), read));
      return one;
    },
    plane(box) {
      const where = first().plane;
      if (where.why) {
        box.replaceChildren(empty("Plane of weights", where.why));
        bendAll = () => {};
        return { move() {} };
      }
      const plane = book.planes[where.number],
        both = root.clientWidth >= 1560;
      const names = both ? Object.keys(SIGNS) : [state.plane];
      const off = ["original", "retrained"].filter((role) => !plane.models.some((one) => one.name.startsWith(role)));
      const heading = h(
        "h3",
        {},
        "Plane of weights ",
        both ? "" : surface,
        h("span", { class: "soft" }, off.length ? ` ${off.join(" and ")} lie off it` : ""),
      );
      surface.value = state.plane;
      const plots = h("div", { class: "plots" });
      const which = loose(),
        words = h("p", { class: "note bending", "aria-live": "polite" }),
        handles = [];
      box.replaceChildren(heading, plots, ...(which < 0 ? [] : [words]));
      const figures = names.map((name) =>
        h("figure", { class: "panel" }, both ? h("figcaption", {}, `${book.metrics[name].title} (nats)`) : null),
      );
      plots.append(...figures);
      const drawn = names.map((name, n) => {
        const figure = figures[n];
        const one = map({
          uid: `${uid}-m${n}`,
          plane,
          number: where.number,
          name,
          metric: book.metrics[name],
          chapters,
          width: room(figure),
          height: tall(286),
        });
        const read = (x, y) => {
          const at = one.read(x, y);
          return [
            h(
              "p",
              {},
              `${book.metrics[name].title} ${shown(book.metrics[name], at.value)} nats at (${at.x.toFixed(2)}, ${at.y.toFixed(2)})`,
            ),
            h("p", {}, `nearest: t = ${brief(first().t[one.near(x, y)])}`),
          ];
        };
        const field = h("div", { class: "field" }, drags(one.svg, one.near, read));
        figure.append(field);
        if (which >= 0) {
          handles.push(handle(one, which, n));
          field.append(handles[n]);
        }
        return one;
      });
      const show = () => {
        if (which < 0) return;
        const at = dragged ? dragged.control : chapters[which].plane.nodes[1];
        drawn.forEach((one, n) => {
          one.bend(dragged, points());
          const [x, y] = one.px(at);
          Object.assign(handles[n].style, { left: `${round(x)}px`, top: `${round(y)}px` });
        });
        const here = at.map((value) => value.toFixed(2)).join(", ");
        handles[0].setAttribute("aria-label", `control point at (${here}); arrow keys move it, Escape puts it back`);
        words.replaceChildren(...bending(plane, which));
      };
      bendAll = show;
      show();
      return { move: (at) => drawn.forEach((one) => one.move(at)) };
    },
    images(box) {
      pictured = null;
      if (!first().images) {
        box.replaceChildren(empty("Forget images", first().why || NO_FORGET));
        return { move() {} };
      }
      pictured = h("b", {});
      const counts = {};
      for (const one of told) counts[one.kind] = (counts[one.kind] || 0) + 1;
      offer(
        only,
        Object.entries(KINDS).map(([kind, text]) => [
          kind,
          `${text}: ${kind === "all" ? told.length : counts[kind] || 0}`,
        ]),
        state.only,
      );
      order.value = state.order;
      const chosen = arranged(told, state.order, state.only),
        pages = Math.max(1, Math.ceil(chosen.length / PAGE));
      state.page = Math.min(state.page, pages - 1);
      before.disabled = state.page === 0;
      after.disabled = state.page >= pages - 1;
      const start = state.page * PAGE,
        one = gallery({ book, chapters, chosen, start });
      const range = chosen.length
        ? `${start + 1}–${Math.min(start + PAGE, chosen.length)} of ${chosen.length}`
        : "none";
      const heading = h(
        "h3",
        {},
        "Forget images ",
        pictured,
        h("span", { class: "tools" }, only, order, before, h("span", { class: "soft" }, range), after),
      );
      const notes = first().nopictures ? [`Numbers for pictures: ${first().nopictures}.`] : [];
      chapters.forEach((chapter, which) => {
        if (!chapter.images) notes.push(`${tag(chapters, which)}without images: ${chapter.why || NO_FORGET}.`);
      });
      const grid = h("ul", { class: "cells", "aria-label": `forget set, images ${range}` }, one.cells);
      if (book.pictures) grid.style.setProperty("--sheet", `url(${book.pictures.source})`);
      grid.classList.toggle("bare", !book.pictures);
      box.replaceChildren(heading, ...notes.map((words) => h("p", { class: "note" }, words)), grid);
      return one;
    },
    classes(box) {
      if (!first().images) {
        box.replaceChildren();
        return { move() {} };
      }
      counted.value = state.tally;
      const key = state.tally === "right" ? h("span", { class: "soft" }, "│ start  ┊ end  → called most") : null;
      const heading = h("h3", {}, "Forget images ", h("span", { class: "tools left" }, counted), key);
      if (state.tally === "right") {
        const one = tally({ book, chapters });
        const name = "forget accuracy by class at t";
        box.replaceChildren(heading, h("ul", { class: "tally", tabindex: 0, "aria-label": name }, one.rows));
        return one;
      }
      const drawn = chapters
        .map((chapter, which) => ({ chapter, which }))
        .filter(({ chapter }) => chapter.images)
        .map(({ chapter, which }) => ({ which, ...confusion({ book, chapter, which, several: chapters.length > 1 }) }));
      const inside = h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "what the forget images are called at t" },
        drawn.map((one) => one.node),
      );
      inside.addEventListener("pointermove", (event) => {
        const cell = event.target.closest("[data-pair]"),
          one = drawn.find(({ node }) => node.contains(cell));
        if (one) tips.show(event.clientX, event.clientY, ...one.tell(Number(cell.dataset.pair), points()[one.which]));
        else tips.hide();
      });
      inside.addEventListener("pointerleave", tips.hide);
      box.replaceChildren(heading, inside);
      return { move: (at) => drawn.forEach((one) => one.move(at[one.which])) };
    },
  };

  // Which path has a control point that can be dragged on the plane that is shown; -1 if none has.
  function loose() {
    const { number, why } = first().plane;
    return why ? -1 : chapters.findIndex(({ plane }) => plane.quadratic && plane.number === number);
  }

  // The dragged path by the state, which is forgotten where another path is shown or the plane has no such place.
  function drag() {
    const which = loose(),
      name = which < 0 ? "" : chapters[which].name,
      plane = book.planes[first().plane.number];
    const [j, i] = state.control || [];
    const there = finite(plane?.x[j]) && finite(plane?.y[i]);
    if (!there || (bentName !== null && bentName !== name)) state.control = null;
    bentName = name;
    dragged = which < 0 || !state.control ? null : { which, ...bent(chapters[which], plane, state.control) };
  }

  function bend(to) {
    if (String(to) === String(state.control)) return;
    state.control = to;
    settle(["panels"]);
    home.moved?.(outward());
  }

  // A control point that is dragged from place to place of the plane's grid, back at its own where it was fitted.
  function handle(one, which, n) {
    const node = h("button", {
      type: "button",
      class: `handle c${LETTERS[which]}`,
      title: "drag the control point",
      tabindex: n ? -1 : null,
      "aria-hidden": n ? "true" : null,
    });
    let held = false;
    const set = (event) => {
      const box = one.svg.getBoundingClientRect();
      const at = [event.clientX - box.left, event.clientY - box.top],
        to = one.grid(...at);
      const plane = book.planes[first().plane.number];
      const far = (place) => Math.hypot(...one.px(place).map((value, axis) => value - at[axis]));
      bend(far(chapters[which].plane.nodes[1]) <= far([plane.x[to[0]], plane.y[to[1]]]) ? null : to);
    };
    node.addEventListener("pointerdown", (event) => {
      held = true;
      node.setPointerCapture(event.pointerId);
      run(false);
    });
    node.addEventListener("pointermove", (event) => held && set(event));
    for (const event of ["pointerup", "pointercancel"])
      node.addEventListener(event, () => {
        held = false;
      });
    node.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (event.key === "Escape") bend(null);
      if (!way) return;
      event.preventDefault();
      const { x, y } = book.planes[first().plane.number],
        [at, up] = chapters[which].plane.nodes[1];
      const from = state.control || [nearest(x, at), nearest(y, up)];
      bend([x, y].map((grid, axis) => Math.min(grid.length - 1, Math.max(0, from[axis] + way[axis]))));
    });
    return node;
  }

  // What the plane says of the dragged path, and what that is not.
  function bending(plane, which) {
    const square = h("span", { class: `c${LETTERS[which]} square` });
    if (!dragged) return ["Drag the control point ", square, " of the curve."];
    const found = Object.keys(SIGNS).map((name) => [name.slice(5), extreme(dragged, name)]);
    const here = dragged.control.map((one) => one.toFixed(2)).join(", ");
    const sizes = found.map(([split, one]) => `${split} ${one ? one.words : "not finite"}`).join(", ");
    return [
      s("svg", { class: "swatch", width: 26, height: 8, viewBox: "0 0 26 8", "aria-hidden": "true" }, [
        s("path", { class: `bent c${LETTERS[which]}`, d: "M0 4H26" }),
      ]),
      ` ${tag(chapters, which)}Control point at (${here}): ${sizes}; `,
      `MCU(${Number(state.eps.toPrecision(3))}) ${verdict(dragged, state.eps)}. `,
      `Read from the plane, not fitted: ${plane.about}. `,
      button("put it back", "put it back", () => bend(null), { class: "back-again" }),
    ];
  }

  function short(which) {
    const curves = chapters.map((one) => one.kind || one.label);
    return new Set(curves).size === curves.length ? curves[which] : chapters[which].label;
  }

  function offer(field, options, value) {
    const text = JSON.stringify(options);
    if (field.dataset.offered !== text) {
      field.dataset.offered = text;
      field.replaceChildren(...options.map(([one, words]) => h("option", { value: one }, words)));
    }
    field.value = value;
  }

  function swatch(...inside) {
    return s("svg", { class: "swatch", width: 26, height: 12, viewBox: "0 0 26 12", "aria-hidden": "true" }, inside);
  }

  function headings() {
    const marks = chapters.length > 1;
    head.replaceChildren(
      ...chapters.map((chapter, which) => {
        const sizes = Object.keys(SIGNS)
          .map((name) => [name, extreme(chapter, name)])
          .filter(([, one]) => one)
          .map(([name, one]) => [
            name === "loss_retain" ? "barrier" : "deficit",
            one.words.split(" ").slice(1).join(" "),
          ]);
        return h(
          which ? "p" : "h2",
          { class: `path c${LETTERS[which]}` },
          swatch(
            s("path", { class: `curve c${LETTERS[which]}`, d: "M0 6H26" }),
            mark(which, 4, `dot c${LETTERS[which]}`),
          ),
          h("span", { class: "label" }, chapter.label),
          sizes.map(([term, amount]) => h("span", { class: "fact" }, tips.term(term), ` ${amount}`)),
          h(
            "span",
            { class: "fact" },
            tips.term("G"),
            chapter.gap ? ` ${chapter.gap.toFixed(3)} nats` : " not known",
          ),
        );
      }),
    );
    for (const dot of head.querySelectorAll(".dot")) place(dot, 13, 6);
    const has = (part) => metrics().some((name) => first()[part][name] && [first()[part][name]].flat().length);
    const key = (picture, ...words) => h("span", { class: "key" }, picture, words);
    legend.replaceChildren(
      ...[
        key(swatch(s("path", { class: "chord ca strong", d: "M0 6H26" })), tips.term("chord")),
        has("bands")
          ? key(
              swatch(s("rect", { class: "band ca", width: 26, height: 12 })),
              tips.term("band", "95 % over examples"),
            )
          : null,
        has("levels")
          ? key(
              swatch(
                s("rect", { class: "retrained", y: 1, width: 26, height: 10 }),
                s("path", { class: "level", d: "M0 6H26" }),
              ),
              tips.term("retrained", "retrained models"),
            )
          : null,
        has("original")
          ? key(
              swatch(
                s("path", { class: "original", d: "M0 6H26" }),
                s("path", { class: "diamond", d: "M13 1l5 5l-5 5l-5 -5Z" }),
              ),
              tips.term("original", "original model"),
            )
          : null,
        ...chapters.map((_, which) =>
          key(
            swatch(
              hatches(`${uid}-k${which}`),
              s("rect", {
                class: `broken c${LETTERS[which]}`,
                width: 26,
                height: 12,
                fill: `url(#${uid}-k${which}-${LETTERS[which]})`,
              }),
            ),
            `${marks ? `${MARKS[which]} ` : ""}MCU breaks`,
          ),
        ),
        first().kind && first().kind !== "linear" ? key(null, tips.term("recipe")) : null,
      ].filter(Boolean),
    );
  }

  // Controls as the state has them.
  function controls() {
    offer(
      metric,
      book.quantities.map((one) => [one.name, one.label]),
      state.metric,
    );
    const there = book.quantities.find((one) => one.name === state.metric).splits;
    for (const [split, one] of Object.entries(splits)) {
      one.checked = state.splits.includes(split) && there.includes(split);
      one.disabled = !there.includes(split);
    }
    const others =
      offers.others ||
      book.chapters
        .filter((one) => one !== first())
        .map((one) => [one.name, one.label])
        .filter(([name]) => name !== first().name);
    mode.value = chapters.length > 1 ? (state.beside ? "beside" : "overlaid") : "no";
    const formerly = others.some(([name]) => name === other.value) ? other.value : others[0]?.[0];
    offer(other, others, chapters[1]?.name || formerly || "");
    compared.hidden = !others.length;
    const groups = new Map();
    for (const one of offers.picks || []) {
      if (!groups.has(one.group)) groups.set(one.group, []);
      groups.get(one.group).push(one);
    }
    if (picks.dataset.offered === JSON.stringify(offers.picks || [])) {
      for (const one of offers.picks || [])
        picks.querySelector(`[data-axis="${CSS.escape(one.axis)}"]`).value = one.value;
      return;
    }
    const focus = picks.contains(document.activeElement) ? document.activeElement.dataset.axis : null;
    picks.dataset.offered = JSON.stringify(offers.picks || []);
    picks.replaceChildren(
      ...[...groups].map(([group, choices]) =>
        h(
          "fieldset",
          {},
          h("legend", {}, group),
          choices.map((one) => {
            const field = select(`${group} ${one.label}`, one.options, (value) => home.pick?.(one.axis, value), {
              "data-axis": one.axis,
              class: `pick ${one.axis.replaceAll(" ", "-")}`,
            });
            field.value = one.value;
            return control(one.axis === "recipe" ? tips.term("recipe") : one.label, field, one.wide ? "wide" : "");
          }),
        ),
      ),
    );
    if (focus) picks.querySelector(`[data-axis="${CSS.escape(focus)}"]`)?.focus();
  }

  // Draws what has changed, at the state's place.
  function settle(which = Object.keys(PARTS)) {
    if (!book) return;
    const found = book.chapters.find((one) => one.name === state.path) || book.chapters[0];
    const second = state.compare && book.chapters.find((one) => one.name === state.compare && one !== found);
    chapters = [found, ...(second ? [second] : [])];
    if (!second) state.compare = "";
    if (!book.quantities.some((one) => one.name === state.metric)) state.metric = "loss";
    state.k = Math.min(state.k, found.t.length - 1);
    if (tallied !== found) {
      told = found.images ? stories(found) : [];
      tallied = found;
    }
    slider.max = found.t.length - 1;
    tips.hide();
    drag();
    if (which.length === Object.keys(PARTS).length) {
      headings();
      controls();
    }
    root.classList.toggle("compared", chapters.length > 1);
    Object.keys(PARTS).forEach((name, n) => {
      if (which.includes(name)) parts[n] = PARTS[name](stage[name]);
    });
    bendAll();
    move();
  }

  const watch = new ResizeObserver(() => {
    if (!book || Math.abs(root.clientWidth - width) < 2) return;
    width = root.clientWidth;
    settle();
  });
  watch.observe(root);

  return {
    // Another book, state or offers; what is not given stays.
    show(changes) {
      if (changes.book) {
        book = { ...changes.book, chapters: changes.book.chapters.map(opened) };
        tallied = null;
      }
      if (changes.offers) offers = changes.offers;
      if (changes.state) state = { ...state, ...changes.state };
      width = root.clientWidth;
      settle();
    },
    go,
    say,
    state: () => outward(),
    chapters: () => chapters,
    close() {
      run(false);
      watch.disconnect();
      root.removeEventListener("keydown", hush);
      root.replaceChildren();
      book = null;
      parts = [];
      told = [];
      chapters = [];
    },
  };
}

// --- Two homes -----------------------------------------------------------------------------------------------------

// In a notebook. What the reader does is written to `here`, which nothing here reads: a kernel's echo moves no slider.
// What the kernel wants shown comes by `there`, after the book it is about.
function render({ model, el }) {
  let last = null,
    waiting = null;
  const send = () => {
    waiting = null;
    model.set("here", last);
    model.save_changes();
  };
  const one = draw(el, {
    moved(state) {
      last = { ...state, page: known(state) };
      if (waiting === null) waiting = window.setTimeout(send, 80);
    },
    pick: (axis, value) => model.send({ does: "pick", axis, value }),
    compare: (name, beside) => model.send({ does: "compare", name, beside }),
    save: (kind) => {
      if (waiting !== null) {
        window.clearTimeout(waiting);
        send();
      }
      model.send({ does: "save", kind });
    },
  });
  let shownBook = null;
  const show = () => {
    const { state, offers } = model.get("there"),
      book = model.get("book");
    if (!book.chapters) return;
    window.clearTimeout(waiting);
    waiting = null;
    one.show({ state, offers, book: book === shownBook ? null : { ...book, pictures: model.get("pictures") } });
    shownBook = book;
    one.say(model.get("message") || ""); // one change has both, and their order is nobody's
  };
  const tell = () => one.say(model.get("message"));
  model.on("change:there", show);
  model.on("change:message", tell);
  show();
  return () => {
    window.clearTimeout(waiting);
    model.off("change:there", show);
    model.off("change:message", tell);
    one.close();
  };
}

// In a page that holds its numbers. Its link tells its state, `#pair=NAME&t=0.5`; `lesson=1` leaves out all controls.
export function page(root) {
  const data = JSON.parse(document.getElementById("data").textContent),
    { chapters } = data.book;
  const dark = (on) => document.documentElement.classList.toggle("mcx-dark", on);
  const asked = window.matchMedia("(prefers-color-scheme: dark)");
  dark(asked.matches);
  asked.addEventListener("change", () => dark(asked.matches));
  let waiting = null;
  const keep = (state) => {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(() => {
      const { path, t, metric, splits, eps, compare, beside, page: number, order, only, tally: classes } = state,
        link = new URLSearchParams();
      link.set("pair", path);
      for (const [name, value] of Object.entries({
        t,
        metric,
        splits: splits.join(","),
        eps,
        compare,
        beside: beside ? 1 : "",
        page: number || "",
        order,
        only,
        classes,
        control: state.control?.join() || "",
      })) {
        if (value !== "" && String(value) !== String(usual[name]))
          link.set(name, typeof value === "number" ? Number(value.toPrecision(6)) : value);
      }
      if (root.classList.contains("lesson")) link.set("lesson", "1");
      window.history.replaceState(null, "", `#${link}`);
    }, 300);
  };
  const usual = { metric: "loss", splits: "retain,forget", eps: 0.1, order: "rise", only: "all", classes: "right" };
  const one = draw(root, { moved: keep, theme: () => dark() });
  const follow = () => {
    const link = new URLSearchParams(window.location.hash.slice(1)),
      state = {};
    const named = (text) => chapters.find((chapter) => chapter.name === text || chapter.label === text)?.name;
    const path = named(link.get("pair")) || data.state.path,
      { t } = chapters.find((chapter) => chapter.name === path);
    state.path = path;
    const numbered = (name) => Number(link.get(name)?.trim() || NaN);
    if (numbered("t") >= 0 && numbered("t") <= 1) state.k = nearest(t, numbered("t"));
    if (data.book.quantities.some(({ name }) => name === link.get("metric"))) state.metric = link.get("metric");
    const splits = (link.get("splits") || "")
      .split(",")
      .filter((split) => ["retain", "forget", "valid", "test"].includes(split));
    if (splits.length) state.splits = splits;
    if (numbered("eps") >= 0 && numbered("eps") <= MOST_EPS) state.eps = numbered("eps");
    if (link.has("compare")) state.compare = named(link.get("compare")) || "";
    if (link.has("beside")) state.beside = link.get("beside") === "1";
    if (link.has("page")) state.page = Math.max(0, Math.floor(numbered("page") || 0));
    if (Object.hasOwn(ORDERS, link.get("order"))) state.order = link.get("order");
    if (Object.hasOwn(KINDS, link.get("only"))) state.only = link.get("only");
    if (Object.hasOwn(TALLIES, link.get("classes"))) state.tally = link.get("classes");
    if (/^\d+,\d+$/.test(link.get("control"))) state.control = link.get("control").split(",").map(Number);
    root.classList.toggle("lesson", link.get("lesson") === "1");
    return state;
  };
  one.show({ book: data.book, offers: data.offers, state: { ...data.state, ...follow() } });
  window.addEventListener("hashchange", () => one.show({ state: follow() }));
  return one;
}

export default { render };
