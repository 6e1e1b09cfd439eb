// What a panel of a notebook is given in place of `explorer.js`, whose text lies in its model: a browser never frees a
// module that it has read, so that all panels of a page share one.

const MODULES = Symbol.for("mcutils.modules"); // text -> what it exports; one for each version, however many panels

async function read(text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    return await import(address);
  } finally {
    URL.revokeObjectURL(address);
  }
}

function module(text) {
  globalThis[MODULES] ??= new Map();
  const known = globalThis[MODULES];
  if (!known.has(text)) {
    const found = read(text);
    known.set(text, found);
    found.catch(() => known.delete(text)); // the next panel tries again
  }
  return known.get(text);
}

async function render({ model, el }) {
  const text = model.get("module");
  if (!text) return undefined; // closed before it was drawn
  return (await module(text)).default.render({ model, el });
}

export default { render };
