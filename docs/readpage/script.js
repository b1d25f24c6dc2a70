"use strict";
(() => {
  const root = document.documentElement;
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  root.classList.add("js");

  // ---- language

  const chinese = one("#lang-zh");
  const setLanguage = () => {
    root.lang = chinese.checked ? "zh-Hans" : "en";
    fitFormulas();
    keepInView();
  };

  // ---- shapes: letters or numbers

  const numbers = one("#numbers");
  const inputs = all(".sizes input[type=number]");
  const ofExample = JSON.parse(one(".flow").dataset.sizes);
  const setShapes = () => {
    const sizes = Object.fromEntries(inputs.map((input) => [input.id.slice(5), input.value]));
    for (const shape of all(".sh")) {
      shape.dataset.t ??= shape.textContent;
      const meant = shape.dataset.m ?? shape.dataset.t;
      const here = shape.closest(".flow") ? ofExample : sizes;  // the arrays of the example are as large as they are
      const shown = numbers.checked ? meant.replace(/[A-Za-z_]\w*/g, (name) => here[name] || name) : shape.dataset.t;
      if (shape.textContent !== shown) shape.textContent = shown;
    }
  };
  for (const input of inputs) {
    input.addEventListener("input", () => {
      numbers.checked = true;
      setShapes();
    });
  }
  numbers.addEventListener("change", setShapes);
  one(".sizes").addEventListener("submit", (event) => event.preventDefault());

  // ---- symbols: marked wherever they occur, with their meaning beside the pointer

  const tip = one("#tip");
  const marks = one("#marks");
  let pinned = null;
  const show = (target) => {
    const name = target.dataset.s;
    const row = one(`tr[data-symbol="${name}"]`);
    if (!row) return;
    marks.textContent = `[data-s="${name}"] * { color: inherit !important; } [data-s="${name}"] { background: var(--mark) !important; color: var(--mark-ink) !important; border-radius: 2px; box-shadow: 0 0 0 2px var(--mark); }`;
    const [label, meaning, shape, python] = row.children;
    const facts = [shape, python].filter((cell) => cell.textContent.trim()).map((cell) => cell.innerHTML);
    tip.innerHTML = `<span class="name">${one("button", label).innerHTML}</span>${meaning.innerHTML}` +
      (facts.length ? `<span class="facts">${facts.join(" · ")}</span>` : "");
    tip.hidden = false;
    tip.dataset.of = name;
    const place = target.getBoundingClientRect();
    const left = Math.min(Math.max(place.left, 10), innerWidth - tip.offsetWidth - 10);
    const above = place.top - tip.offsetHeight - 10;
    const under = place.bottom + 10;
    const bottom = innerHeight - one("#walk").offsetHeight;
    const top = under + tip.offsetHeight < bottom ? under : Math.max(above, 10);
    tip.style.left = `${left}px`;
    tip.style.top = `${top}px`;
  };
  const hide = () => {
    tip.hidden = true;
    marks.textContent = "";
    pinned = null;
  };
  const symbolAt = (event) => event.target.closest?.("[data-s]");
  document.addEventListener("pointerover", (event) => {
    if (pinned || event.pointerType === "touch") return;
    const target = symbolAt(event);
    if (target) show(target);
    else if (!tip.hidden && document.activeElement?.dataset?.s === undefined) hide();
  });
  document.addEventListener("click", (event) => {
    const target = symbolAt(event);
    if (!target) {
      if (pinned) hide();
    } else if (pinned === target) hide();
    else {
      show(target);
      pinned = target;
    }
  });
  document.addEventListener("focusin", (event) => {
    const target = symbolAt(event);
    if (target && target.matches(":focus-visible")) {
      pinned = null;
      show(target);
    }
  });
  document.addEventListener("focusout", (event) => {
    if (symbolAt(event) && !pinned) hide();
  });
  addEventListener("scroll", () => {
    if (!tip.hidden && (pinned || document.activeElement?.dataset?.s)) show(pinned ?? document.activeElement);
  }, { passive: true });

  // ---- the walk: one equation at a time

  const hands = all(".hand[data-step]").sort((a, b) => a.dataset.step - b.dataset.step);
  const cards = all(".card").map((card) => ({ card, steps: card.dataset.steps.split(" ").filter(Boolean).map(Number) }));
  const now = one("#now");
  const at = one("#at");
  const idle = one(".idle", at);
  const stop = one("[data-walk=stop]");
  let step = 0;
  const go = (next) => {
    step = Math.min(Math.max(next, 0), hands.length);
    const walking = step > 0;
    root.classList.toggle("walking", walking);
    for (const old of all(".eq.now, .hand.now")) old.classList.remove("now");
    for (const { card, steps } of cards) {
      card.classList.toggle("now", steps.includes(step));
      card.classList.toggle("later", steps.length > 0 && steps[0] > step);
    }
    now.hidden = stop.hidden = !walking;
    one("[data-walk=back]").disabled = !walking;
    one("[data-walk=on]").disabled = step === hands.length;
    if (!walking) {
      at.replaceChildren(idle);
      return;
    }
    const hand = hands[step - 1];
    const equation = hand.closest(".eq");
    hand.classList.add("now");
    equation.classList.add("now");
    const title = document.createElement("h5");
    title.innerHTML = one("h3", equation).innerHTML;
    const formulas = document.createElement("div");
    formulas.className = "formulas";
    formulas.append(...all(".math", hand).map((formula) => formula.cloneNode(true)));
    now.replaceChildren(title, ...all("p", hand).map((p) => p.cloneNode(true)), formulas);
    now.dataset.step = step;
    at.textContent = `${step} / ${hands.length}`;
    fitFormulas(now);
    document.body.style.paddingBottom = `${one("#walk").offsetHeight + 40}px`;
    equation.scrollIntoView({ block: "start" });
  };
  const moves = { start: () => go(1), on: () => go(step + 1), back: () => go(step - 1), stop: () => go(0) };
  document.addEventListener("click", (event) => {
    const move = event.target.closest?.("[data-walk]");
    if (move) moves[move.dataset.walk]();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.target.matches?.("input, select, textarea, .math, .wide")) return;
    if (event.key === "Escape") {
      if (!tip.hidden) hide();
      else go(0);
    } else if (event.key === "ArrowRight") moves.on();
    else if (event.key === "ArrowLeft") moves.back();
    else return;
    event.preventDefault();
  });

  // ---- formulas that are wider than their column are drawn smaller

  const SMALLEST = 0.54;
  function fitFormulas(from = document) {
    const formulas = all(".math, .card .part", from);
    for (const formula of formulas) formula.style.fontSize = "";
    const sizes = formulas.map((formula) => [
      formula.clientWidth,
      Math.max(0, ...[...formula.children].map((part) => part.getBoundingClientRect().width)),
    ]);
    formulas.forEach((formula, place) => {
      const [room, needed] = sizes[place];
      if (room && needed > room) formula.style.fontSize = `${Math.max(SMALLEST, (room / needed) * 0.985)}em`;
      if (room && needed * SMALLEST > room) formula.tabIndex = 0;
    });
  }
  const keepInView = () => {
    const room = innerHeight - one(".bar").offsetHeight - one("#walk").offsetHeight - 20;
    for (const part of all(".derivation, .machine")) part.classList.toggle("stay", part.offsetHeight < room);
  };
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) fitFormulas();
    width = innerWidth;
    keepInView();
  });

  // ---- paper has no closed parts

  addEventListener("beforeprint", () => {
    for (const closed of all("details:not([open])")) {
      closed.open = true;
      closed.dataset.closed = "";
    }
  });
  addEventListener("afterprint", () => {
    for (const opened of all("details[data-closed]")) {
      opened.open = false;
      delete opened.dataset.closed;
    }
  });

  for (const choice of all(".language")) choice.addEventListener("change", setLanguage);
  for (const label of all(".languages label")) {  // else the next arrow key would change the language back
    label.addEventListener("click", () => setTimeout(() => document.activeElement.blur()));
  }
  for (const opened of all("details")) opened.addEventListener("toggle", () => (fitFormulas(opened), keepInView()));
  setLanguage();
  setShapes();
  go(0);
})();
