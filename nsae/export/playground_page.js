"use strict";
// What one sees and touches.  The equations are in the script above.

const byId = id => document.getElementById(id);
const NEAREST = 8;     // stored images that are shown
const EXAMPLES = 12;   // stored images that one can load at once
const FINE = 8;        // a drawing is averaged from so many times the pixels, along each side
const SHOWN = 48;      // active units in the list
let model, images = [], labels = null, storedY = [], storedZ = [];
let strokes = [], base = null, x, z, full, k, chosen = 0, firstExample = 0;
const off = new Set();
const cursor = { row: 0, column: 0, down: false, shown: false };

// ---- the data

function half(bits) {
  const exponent = bits >> 10 & 31, fraction = bits & 1023;
  return (bits >> 15 ? -1 : 1) * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

async function load() {
  const data = JSON.parse(byId("data").textContent);
  const packed = Uint8Array.from(atob(data.packed), c => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(stream).arrayBuffer();
  let at = 0;
  for (const [name, dtype, size] of data.arrays) {
    const Kind = { uint8: Uint8Array, float16: Uint16Array, float32: Float32Array, float64: Float64Array }[dtype];
    const part = new Kind(bytes.slice(at, at + size * Kind.BYTES_PER_ELEMENT));
    data[name] = dtype === "float16" ? Float64Array.from(part, half) : part;
    at += size * Kind.BYTES_PER_ELEMENT;
  }
  for (let i = 0; i < data.images.length; i += data.d) {
    images.push(Float64Array.from(data.images.subarray(i, i + data.d), v => v * data.white / 255));
  }
  return data;
}

// ---- from strokes to an image

function path(context, strokes, pen, place) {
  context.lineWidth = pen;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    const points = stroke.map(place);
    context.beginPath();
    context.moveTo(...points[0]);
    for (let i = 1; i < points.length - 1; i++) {  // smooth: a curve from middle to middle of its points
      const [a, b] = [points[i], points[i + 1]];
      context.quadraticCurveTo(...a, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
    }
    context.lineTo(...points[points.length - 1]);
    context.stroke();
  }
}

function raster(place) {
  const { height, width } = model;
  const canvas = new OffscreenCanvas(width * FINE, height * FINE);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.strokeStyle = "#fff";
  path(context, strokes, pen() * FINE, point => place(point).map(v => v * FINE));
  const alpha = context.getImageData(0, 0, width * FINE, height * FINE).data;
  const image = new Float64Array(model.d);
  for (let i = 0; i < height * FINE; i++) {
    for (let j = 0; j < width * FINE; j++) {
      image[(i / FINE | 0) * width + (j / FINE | 0)] += alpha[(i * width * FINE + j) * 4 + 3] / 255;
    }
  }
  return image.map(v => v / (FINE * FINE) * model.style.ink * model.white);
}

function drawing() {
  const { style } = model;
  if (!strokes.length) return base ? Float64Array.from(base) : new Float64Array(model.d);
  if (base || !byId("centre").checked) {
    const drawn = raster(point => point);
    return base ? drawn.map((v, l) => Math.max(v, base[l])) : drawn;
  }
  // As in the stored images: the longer side gets its length, then the centre its place.
  const points = strokes.flat(), columns = points.map(p => p[0]), rows = points.map(p => p[1]);
  const [left, right, top, bottom] = [Math.min(...columns), Math.max(...columns), Math.min(...rows), Math.max(...rows)];
  const scale = Math.min(3, Math.max(1, style.extent - pen()) / Math.max(right - left, bottom - top, 1));
  let moved = [style.column - (left + right) / 2 * scale, style.row - (top + bottom) / 2 * scale];
  const place = point => [point[0] * scale + moved[0], point[1] * scale + moved[1]];
  if (style.centre === "mass") {
    const image = raster(place);
    let sum = 0, column = 0, row = 0;
    image.forEach((v, l) => { sum += v; column += v * (l % model.width + .5); row += v * ((l / model.width | 0) + .5); });
    if (sum) moved = [moved[0] + style.column - column / sum, moved[1] + style.row - row / sum];
  }
  return raster(place);
}

const pen = () => Number(byId("pen").value);

// ---- pictures

function picture(canvas, values, most, least = 0) {
  canvas.width = model.width; canvas.height = model.height;
  const context = canvas.getContext("2d"), out = context.createImageData(model.width, model.height);
  values.forEach((v, l) => {
    const light = 255 * Math.min(1, Math.abs(v) / (most || 1));
    const minus = v < 0 && least < 0;  // orange for what takes light away
    out.data.set(minus ? [light, light * .5, 0, 255] : v > 0 ? [light, light, light, 255] : [0, 0, 0, 255], l * 4);
  });
  context.putImageData(out, 0, 0);
  return canvas;
}

function imagePicture(values) { return picture(document.createElement("canvas"), values, model.white); }

function unitPicture(j) {
  const rows = byId("rows").checked ? model.W : model.Vt;
  const row = rows.slice(j * model.d, (j + 1) * model.d);
  return picture(document.createElement("canvas"), row, row.reduce((a, v) => Math.max(a, Math.abs(v)), 0), -1);
}

function showCanvas() {
  const canvas = byId("canvas"), context = canvas.getContext("2d"), zoom = canvas.width / model.width;
  context.imageSmoothingEnabled = false;
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (base) context.drawImage(imagePicture(base), 0, 0, canvas.width, canvas.height);
  context.strokeStyle = "#fff";
  path(context, strokes, pen() * zoom, point => point.map(v => v * zoom));
  if (cursor.shown) {
    context.beginPath();
    context.arc(cursor.column * zoom, cursor.row * zoom, Math.max(6, pen() * zoom / 2), 0, 7);
    context.lineWidth = 3;
    context.strokeStyle = cursor.down ? "#ff9d2e" : "#6fb1ff";
    context.stroke();
  }
}

// ---- what is shown

const element = (tag, attributes = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
};
const label = i => labels ? labels[i] : `image ${i}`;
const shownNumber = v => v.toPrecision(3).replace("-", "−");
const percent = v => `${(100 * v).toFixed(1).replace("-", "−")} %`;
const isActive = value => value > model.activeAbove;
const gated = () => off.size ? full.map((v, j) => off.has(j) ? 0 : v) : full;

function unitButton(j, ...beside) {
  const button = element("button", { className: "unit", type: "button" }, unitPicture(j), ...beside);
  button.dataset.unit = j;
  return button;
}

// For each unit the same two things everywhere: whether it is on, and how strongly it is active.
function mark(button, most) {
  const j = Number(button.dataset.unit), isOff = off.has(j), value = full[j];
  button.classList.toggle("active", isActive(value) && !isOff);
  button.classList.toggle("off", isOff);
  button.style.setProperty("--z", most > 0 ? value / most : 0);
  button.setAttribute("aria-pressed", String(!isOff));
  button.setAttribute("aria-label", `unit ${j}, ${isOff ? "switched off" : `z = ${shownNumber(value)}`}`);
  button.title = `unit ${j}: z = ${shownNumber(value)}${isOff ? ", switched off" : ""}`;
}

function update() {
  x = drawing();
  refresh();
}

function refresh() {
  full = encode(x, k);
  z = gated();
  const rebuilt = decode(z);
  showCanvas();
  picture(byId("x"), x, model.white);
  picture(byId("x_hat"), rebuilt, model.white);
  let error = 0;
  rebuilt.forEach((v, l) => { error += (v - x[l]) ** 2 / 2; });
  const active = z.reduce((n, v) => n + isActive(v), 0);
  byId("error").textContent = shownNumber(error);
  byId("count").textContent = `${active} of ${model.h}`;
  byId("off-count").textContent = off.size ? `, ${off.size} switched off` : "";
  byId("all-on").disabled = !off.size;
  byId("undo").disabled = !strokes.length;
  byId("clear").disabled = !strokes.length && !base;
  showActive();
  showNearest();
  const most = full.reduce((a, v) => Math.max(a, v), 0);
  document.querySelectorAll(".unit").forEach(button => mark(button, most));
}

function showActive() {
  const above = [...full.keys()].filter(j => full[j] > 0).sort((i, j) => full[j] - full[i] || i - j);
  const order = above.filter(j => isActive(full[j]));
  byId("active").replaceChildren(...order.slice(0, SHOWN).map(j =>
    element("li", {}, unitButton(j, element("span", {}, `${j}`), element("b", {}, shownNumber(full[j]))))));
  const others = above.length - Math.min(order.length, SHOWN);
  byId("more").textContent = others ? `and ${others} weaker ones` : "";
  byId("none").hidden = order.length > 0;
}

function nearest() {  // {image, similarity}: the largest similarity first, of equal ones the first image
  const found = storedZ.map((code, image) => ({ image, similarity: contributions(z, code).reduce((a, v) => a + v, 0) }));
  return found.sort((a, b) => b.similarity - a.similarity || a.image - b.image).slice(0, NEAREST);
}

function showNearest() {
  byId("near").hidden = !images.length;
  if (!images.length) return;
  const empty = !dot(z, z), found = empty ? [] : nearest();
  chosen = Math.min(chosen, Math.max(0, found.length - 1));
  byId("no-direction").hidden = !empty;
  byId("why").hidden = empty;
  byId("hits").replaceChildren(...found.map((hit, place) => {
    const button = element("button", { type: "button", className: "hit" }, imagePicture(images[hit.image]),
      element("span", {}, label(hit.image)), element("b", {}, hit.similarity.toFixed(3)));
    button.setAttribute("aria-pressed", String(place === chosen));
    button.setAttribute("aria-label", `${label(hit.image)}, similarity ${hit.similarity.toFixed(3)}: show why`);
    return element("li", {}, button);
  }));
  byId("status").textContent = empty ? "no unit is active" : `nearest: ${label(found[0].image)}`;
  if (!empty) showWhy(found[chosen]);
}

function showWhy({ image, similarity }) {
  const code = storedZ[image], shares = contributions(z, code);
  const order = [...shares.keys()].filter(j => shares[j] > 0).sort((i, j) => shares[j] - shares[i] || i - j);
  byId("pair").replaceChildren(imagePicture(x), element("span", {}, "and"), imagePicture(images[image]));
  const rows = order.slice(0, 8).map(j => {
    const bar = element("i");
    bar.style.width = `${100 * shares[j] / shares[order[0]]}%`;
    return element("tr", {}, element("td", {}, unitButton(j)), element("td", {}, shownNumber(z[j])),
      element("td", {}, shownNumber(code[j])), element("td", { className: "share" }, shares[j].toFixed(3), bar));
  });
  const others = order.slice(8).reduce((sum, j) => sum + shares[j], 0);
  const line = (text, value) => element("tr", { className: "sum" }, element("th", { colSpan: 3, scope: "row" }, text),
    element("td", { className: "share" }, value.toFixed(3)));
  if (order.length > 8) rows.push(line(`${order.length - 8} others`, others));
  rows.push(line("together, the similarity", similarity));
  byId("shares").replaceChildren(...rows);
  const both = order.filter(j => isActive(z[j]) && isActive(code[j])).length;
  byId("why-text").textContent = `${both} units are active in both. The strongest makes ` +
    `${order.length ? percent(shares[order[0]] / similarity) : "nothing"} of the similarity.`;
}

function showExamples() {
  byId("examples").hidden = !images.length;
  const some = Array.from({ length: Math.min(EXAMPLES, images.length) }, (_, i) => (firstExample + i) % images.length);
  byId("example-list").replaceChildren(...some.map(i => {
    const button = element("button", { type: "button", className: "example" }, imagePicture(images[i]));
    button.dataset.image = i;
    button.setAttribute("aria-label", `load ${label(i)}`);
    return element("li", {}, button);
  }));
}

function showUnits() {
  byId("all").replaceChildren(...Array.from({ length: model.h }, (_, j) => {
    const button = unitButton(j);
    button.tabIndex = j ? -1 : 0;
    return button;
  }));
}

function setK(value) {
  k = value;
  byId("k-value").textContent = model.activation === "relu" && k === model.h ? "all" : k;
  storedZ = storedY.map(y => activate(y, k));
}

// ---- what one does

function toggle(j) {
  off.has(j) ? off.delete(j) : off.add(j);
  const list = document.activeElement.closest("#active, #shares");  // they are made anew
  refresh();
  list?.querySelector(`[data-unit="${j}"]`)?.focus();
}

function take(image) {
  strokes = [];
  base = image;
  cursor.down = false;
  update();
}

function listenToPen() {
  const canvas = byId("canvas");
  const at = event => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * model.width, (event.clientY - box.top) / box.height * model.height];
  };
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; update(); });
  };
  canvas.addEventListener("pointerdown", event => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    cursor.shown = cursor.down = false;
    strokes.push([at(event)]);
    soon();
  });
  canvas.addEventListener("pointermove", event => {
    if (!canvas.hasPointerCapture(event.pointerId) || !strokes.length) return;
    const events = event.getCoalescedEvents?.() ?? [];
    strokes[strokes.length - 1].push(...(events.length ? events : [event]).map(at));
    soon();
  });
  canvas.addEventListener("keydown", event => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in moves) {
      cursor.column = Math.min(model.width - 1, Math.max(1, cursor.column + moves[event.key][0]));
      cursor.row = Math.min(model.height - 1, Math.max(1, cursor.row + moves[event.key][1]));
      if (cursor.down) strokes[strokes.length - 1].push([cursor.column, cursor.row]);
    } else if (event.key === " ") {
      cursor.down = !cursor.down;
      if (cursor.down) strokes.push([[cursor.column, cursor.row]]);
    } else if (event.key === "Backspace") {
      strokes.pop();
      cursor.down = false;
    } else {
      return;
    }
    event.preventDefault();
    cursor.shown = true;
    update();
  });
  canvas.addEventListener("blur", () => { cursor.shown = cursor.down = false; showCanvas(); });
}

function listen() {
  listenToPen();
  byId("undo").addEventListener("click", () => { strokes.pop(); update(); });
  byId("clear").addEventListener("click", () => take(null));
  byId("centre").addEventListener("change", update);
  byId("pen").addEventListener("input", update);
  byId("k").addEventListener("input", event => { setK(Number(event.target.value)); refresh(); });
  byId("all-on").addEventListener("click", () => { off.clear(); refresh(); });
  for (const id of ["rows", "columns"]) byId(id).addEventListener("change", () => { showUnits(); refresh(); });
  byId("others").addEventListener("click", () => { firstExample = (firstExample + EXAMPLES) % images.length; showExamples(); });
  document.addEventListener("click", event => {
    const unit = event.target.closest(".unit"), hit = event.target.closest(".hit"), example = event.target.closest(".example");
    if (unit) toggle(Number(unit.dataset.unit));
    if (example) take(images[example.dataset.image]);
    if (hit) {
      chosen = [...byId("hits").children].indexOf(hit.parentElement);
      refresh();
      byId("hits").children[chosen].firstChild.focus();
    }
  });
  byId("all").addEventListener("keydown", event => {  // the sheet of units is one stop of Tab; arrows move in it
    const tiles = [...event.currentTarget.children], here = tiles.indexOf(event.target.closest(".unit"));
    const across = tiles.filter(tile => tile.offsetTop === tiles[0].offsetTop).length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
    if (here < 0 || !step || !tiles[here + step]) return;
    event.preventDefault();
    tiles[here].tabIndex = -1;
    tiles[here + step].tabIndex = 0;
    tiles[here + step].focus();
  });
}

function start(data) {
  model = data;
  labels = model.labels;
  byId("note").textContent = model.note;
  byId("pen").max = Math.ceil(model.style.pen * 2.5);
  byId("pen").value = model.style.pen.toFixed(1);
  byId("extent").textContent = Math.round(model.style.extent);
  byId("what-centre").textContent = model.style.centre === "mass" ? "centre of mass" : "centre";
  byId("as-stored").hidden = !images.length;
  byId("size").textContent = `${model.height} × ${model.width}`;
  const canvas = byId("canvas");
  canvas.width = model.width * 16; canvas.height = model.height * 16;
  cursor.column = Math.round(model.width / 2); cursor.row = Math.round(model.height / 2);
  byId("k").max = model.activation === "relu" ? model.h : Math.min(model.h, Math.max(64, 2 * model.k));
  byId("k").value = model.k;
  byId("k-line").hidden = model.activation === "sigmoid";
  for (const name of ["k-sparse", "relu", "sigmoid"]) {
    document.querySelectorAll(`.${name}`).forEach(e => { e.hidden = model.activation !== name; });
  }
  byId("output").textContent = model.output === "sigmoid" ? "σ(V z + c)" : "V z + c";
  byId("source").textContent = byId("encode").textContent.trim();
  storedY = images.map(preactivation);
  setK(model.k);
  showExamples();
  showUnits();
  listen();
  take(images.length ? images[0] : null);
  document.body.classList.add("ready");
}

load().then(start, error => {
  byId("failed").hidden = false;
  byId("failed").textContent = `This browser cannot open the page (${error}). One of 2023 or newer is needed.`;
});
