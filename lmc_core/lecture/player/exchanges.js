// Pictures of exchanges: two units with their matrices, heads with their attention, experts with
// their router, a hundred permutations.

const PICTURES = {}; // key of a step -> { scene(step, values, place), paint(pen, scene, step, ui), tall }

const on = (value) => (value === "1" ? 1 : 0);
const FRAME = ["", "6 4"]; // dashes of the frames around the two that change places

/** Which two things are marked, the smaller first, and what was measured of their exchange. */
function exchanged(values, found) {
  const pair = [values.a - 1, values.b - 1];
  return { pair: pair.join(), measured: found[[...pair].sort((x, y) => x - y).join()] };
}

/** Where thing `k` stands when the two of a pair have gone a share of their way. */
function stands(k, pair, share) {
  const other = k === pair[0] ? pair[1] : k === pair[1] ? pair[0] : k;
  return k + (other - k) * share;
}

/** By how much a thing on its way leaves the line: one of a pair passes before, the other behind. */
function aside(k, pair, share) {
  const side = k === pair[0] ? 1 : k === pair[1] ? -1 : 0;
  return pair[0] === pair[1] ? 0 : side * Math.sin(Math.PI * clamp(share, 0, 1));
}

/** Those of a pair last, so that they are drawn over the others. */
function pairLast(count, pair) {
  return range(count).sort((x, y) => pair.includes(x) - pair.includes(y) || x - y);
}

PICTURES.units = {
  tall: (w) => 0.5 * w + 375,
  scene(step, values) {
    const rows = on(values.rows), columns = on(values.columns);
    const { pair, measured } = exchanged(values, step.data.exchanges);
    const before = measured ? measured.before : step.data.exchanges["0,1"].before;
    const after = measured && rows + columns ? measured.after[`${rows}${columns}`] : before;
    return { pair, rows, columns, before, after };
  },
  paint(pen, scene, step, ui) {
    const { incoming, outgoing, labels } = step.data, pair = scene.pair.split(",").map(Number);
    const units = incoming.length, inputs = incoming[0].length, s = pen.s;
    const whole = { x: 26 * s, y: 64 * s, w: pen.width - 30 * s, h: pen.height - 68 * s };
    let parts, bars;
    if (pen.narrow) {
      parts = columns({ ...whole, h: 0.6 * pen.width }, [inputs, units], [40 * s]);
    } else {
      parts = columns(whole, [0.44, 0.33, 0.16], [40 * s, 130 * s]);
      bars = { ...parts[2], h: parts[2].h - 10 * s };
    }
    const cell = Math.min(parts[0].w / inputs, parts[1].w / units, whole.h / (inputs + 1.5));
    if (pen.narrow) bars = { x: 110 * s, y: whole.y + cell * inputs + 64 * s, w: pen.width - 120 * s, h: 260 * s };
    const colour = pen.c.permutation, shades = pen.c.diverging;
    const first = { x: parts[0].x, y: whole.y, w: cell * inputs, h: cell * units };
    const second = { x: parts[1].x, y: whole.y, w: cell * units, h: cell * inputs };
    const limits = [0.8 * largest(incoming), 0.8 * largest(outgoing)];
    for (const k of pairLast(units, pair)) {
      const mark = pair.indexOf(k);
      const y = first.y + cell * stands(k, pair, scene.rows);
      const x = second.x + cell * stands(k, pair, scene.columns);
      const [dx, dy] = [scene.rows, scene.columns].map((share) => 0.9 * cell * aside(k, pair, share));
      pen.image(first.x + dx, y, first.w, cell, still([incoming[k]], limits[0], shades), { name: `row ${k}` });
      pen.image(x, second.y + dy, cell, second.h, still(outgoing[k].map((each) => [each]), limits[1], shades),
        { name: `column ${k}` });
      if (mark < 0) continue;
      const look = { stroke: colour, line: 3.5, dash: FRAME[mark] };
      pen.rect(first.x + dx, y, first.w, cell, look);
      pen.rect(x, second.y + dy, cell, second.h, look);
      const letter = { size: pen.large, colour, weight: 600, anchor: "middle" };
      pen.text(first.x - 14 * s, y + cell / 2 + 7 * s, "AB"[mark], letter);
      pen.text(x + cell / 2, second.y - 7 * s, "AB"[mark], letter);
    }
    const sub = (word) => `W<tspan dy="${0.25 * pen.large}" font-size="75%">${word}</tspan>`;
    const words = pen.narrow ? ["", ""] : ["listens: rows of ", "speaks: columns of "];
    const above = (box) => ({ ...box, y: box.y - 24 * s });
    pen.heading(above(first), words[0] + sub("in"), { raw: true });
    pen.heading(above(second), words[1] + sub("out"), { raw: true });
    if (!pen.narrow) {
      const below = first.y + first.h + (pen.height - first.y - first.h) / 2;
      pen.text(first.x + first.w / 2, below, "y = Σ speaks · σ(listens · x)",
        { size: 1.1 * pen.large, anchor: "middle" });
      pen.text(first.x + first.w / 2, below + 30 * s, "a sum over all units", { anchor: "middle", colour: pen.c.muted });
    }
    if (ui.revealed) pen.bars(bars, scene.before, scene.after, labels, colour);
    else { pen.heading(bars, "outputs"); pen.unknown(bars); }
  },
};

PICTURES.heads = {
  tall: (w) => 0.5 * w + 380,
  scene(step, values) {
    const exchange = on(values.exchange), follow = on(values.follow);
    const { pair, measured } = exchanged(values, step.data.exchanges);
    const before = measured ? measured.before : step.data.exchanges["0,1"].before;
    const after = measured && exchange ? measured.after[follow] : before;
    return { pair, exchange, writing: exchange * follow, before, after };
  },
  paint(pen, scene, step, ui) {
    const { attention, writing, labels } = step.data, pair = scene.pair.split(",").map(Number);
    const s = pen.s, count = attention.length, left = pen.narrow ? 4 : 112 * s;
    const whole = { x: left, y: 44 * s, w: pen.width - left, h: pen.height - 48 * s };
    const maps = { ...whole, w: pen.narrow ? pen.width - 8 : 0.7 * whole.w };
    const step_ = maps.w / count, strip = 14 * s, gap = 16 * s;
    const size = Math.min(step_ - gap, pen.narrow ? 1e9 : (whole.h - 50 * s) / 2 - strip - 12 * s);
    const row = size + strip + 52 * s, colour = pen.c.permutation;
    const limit = largest(writing);
    range(2).forEach((now) => {
      const y = whole.y + now * row;
      const label = now ? "now" : "as trained";
      if (pen.narrow) pen.text(left, y - 8 * s, label, { colour: pen.c.muted });
      else pen.text(left - 14 * s, y + size / 2, label, { anchor: "end", size: pen.large });
      for (const k of pairLast(count, pair)) {
        const share = now ? scene.exchange : 0, told = now ? scene.writing : 0;
        const x = maps.x + step_ * stands(k, pair, share), lift = aside(k, pair, share) * 0.3 * size;
        const u = maps.x + step_ * stands(k, pair, told), drop = y + size + 6 * s;
        const mark = pair.indexOf(k);
        const image = still(attention[k].map((line) => line.map(Math.sqrt)), 0.8, pen.c.sequential, true);
        pen.image(x, y - lift, size, size, image, { name: now ? `head ${k}` : "trained" });
        pen.image(u, drop + aside(k, pair, told) * strip, size, strip, still([writing[k]], limit, pen.c.diverging),
          { name: now ? `writing ${k}` : "trained" });
        if (mark < 0) continue;
        pen.rect(x, y - lift, size, size, { stroke: colour, line: 3.5, dash: FRAME[mark] });
        pen.rect(u, drop + aside(k, pair, told) * strip, size, strip, { stroke: colour, line: 2.5, dash: FRAME[mark] });
      }
    });
    if (!pen.narrow) range(count).forEach((k) => pen.text(maps.x + step_ * k + size / 2, whole.y - 12 * s,
      `place ${k + 1}`, { anchor: "middle", size: pen.large }));
    pen.text(maps.x, whole.y + 2 * row - 8 * s, "below each map: weights it writes with", { colour: pen.c.muted });
    const bars = pen.narrow
      ? { x: 110 * s, y: whole.y + 2 * row + 50 * s, w: pen.width - 120 * s, h: 250 * s }
      : { x: whole.x + 0.7 * whole.w + 120 * s, y: whole.y, w: 0.3 * whole.w - 126 * s, h: 2 * row - 40 * s };
    if (ui.revealed) pen.bars(bars, scene.before, scene.after, labels, colour);
    else { pen.heading(bars, "outputs"); pen.unknown(bars); }
  },
};

const EXPERTS = ["permutation", "orthogonal", "activation", "dual"]; // colours that tell four apart
const LINE = 16; // characters in a line

PICTURES.experts = {
  tall: (w) => 0.28 * w + 0.36 * w + 420,
  scene(step, values) {
    const exchange = on(values.exchange), follow = on(values.follow), pair = [values.a - 1, values.b - 1];
    const at = (k) => (exchange && !follow ? stands(k, pair, 1) : k);
    return { pair: pair.join(), exchange, follow: exchange * follow, served: step.data.choice.map(at).join("") };
  },
  paint(pen, scene, step, ui) {
    const { router, text, rungs } = step.data, pair = scene.pair.split(",").map(Number), s = pen.s;
    const left = pen.narrow ? pen.width - 8 : 0.56 * pen.width, chip = 116 * s;
    const rows = { x: chip + 8 * s, y: 40 * s, w: left - chip - 8 * s, h: pen.narrow ? 0.3 * pen.width : 0.4 * pen.height };
    const lines = Math.ceil(text.length / LINE), top = rows.y + rows.h + 54 * s;
    const cell = Math.min(left / LINE, pen.narrow ? 1e9 : (pen.height - top - 4 * s) / lines * 1.6);
    const high = Math.min(1.3 * cell, pen.narrow ? cell : (pen.height - top - 4 * s) / lines);
    const height = rows.h / router.length, limit = largest(router);
    for (const k of pairLast(router.length, pair)) {
      const colour = pen.c[EXPERTS[k]], inset = 3 * s;
      const y = rows.y + height * stands(k, pair, scene.exchange), dx = aside(k, pair, scene.exchange) * 0.25 * chip;
      const z = rows.y + height * stands(k, pair, scene.follow), shift = aside(k, pair, scene.follow) * 0.25 * chip;
      pen.rect(Math.max(dx, 0), y + inset, chip - 8 * s, height - 2 * inset, { fill: colour, name: `expert ${k}` });
      pen.text(Math.max(dx, 0) + (chip - 8 * s) / 2, y + height / 2 + 6 * s, `expert ${"ABCD"[k]}`,
        { anchor: "middle", colour: inkOn(colour) });
      pen.image(rows.x + shift, z + inset, rows.w, height - 2 * inset, still([router[k]], limit, pen.c.diverging),
        { name: `router ${k}` });
      pen.rect(rows.x + shift - 4 * s, z + inset, 4 * s, height - 2 * inset, { fill: colour });
    }
    pen.heading(rows, "rows of the router");
    pen.heading({ x: 0, y: top, w: left }, "which expert serves each character");
    [...text].forEach((character, k) => {
      const colour = pen.c[EXPERTS[scene.served[k]]], x = cell * (k % LINE), y = top + high * Math.floor(k / LINE);
      pen.rect(x, y, cell - 2, high - 2, { fill: colour, name: "character" });
      pen.text(x + cell / 2, y + high / 2 + 6 * s, character.trim() ? character : "·",
        { anchor: "middle", colour: inkOn(colour), size: Math.min(pen.small, 0.9 * cell) });
    });
    const box = pen.narrow
      ? { x: 130 * s, y: top + high * lines + 60 * s, w: pen.width - 190 * s, h: 180 * s }
      : { x: left + 190 * s, y: rows.y + 40 * s, w: pen.width - left - 250 * s, h: 0.6 * pen.height };
    pen.text(pen.narrow ? pen.width / 2 : (left + pen.width) / 2 + 20 * s, box.y - 14 * s, "barrier between two mixtures, nats",
      { anchor: "middle", size: pen.narrow ? pen.small : Math.min(pen.large, (pen.width - left) / 17) });
    if (ui.revealed) pen.ladder(box, rungs, rungs.length);
    else pen.unknown(box);
  },
};

const POWERS = [[-15, "10⁻¹⁵"], [-10, "10⁻¹⁰"], [-5, "10⁻⁵"], [0, "1"]];
const power = (value, least) => Math.log10(Math.max(value, least));

PICTURES.permutations = {
  tall: () => 420,
  scene: (step, values, place) => ({ moves: place ? +values.moves : 0, random: on(values.random) }),
  paint(pen, scene, step) {
    const { distances, permuted, random } = step.data, s = pen.s;
    const box = { x: 78 * s, y: 40 * s, w: pen.width - 100 * s, h: pen.height - 110 * s };
    const { px, py } = pen.axes(box, {
      x: [-0.03, 1.5], y: [-17, 2.2], yticks: POWERS, xticks: [0, 0.5, 1, 1.5].map((x) => [x, String(x)]),
      xtitle: pen.narrow ? "distance of the weights" : "distance of the weights, as a share of their length",
    });
    pen.heading({ ...box, x: 4 * s }, "change of the outputs", { left: true });
    const points = (values, count) => range(count).map((k) => [px(distances[k]), py(power(values[k], 1e-16))]);
    const label = (y, words, colour) =>
      pen.text(box.x + box.w, py(y), words, { anchor: "end", colour, size: pen.narrow ? pen.small : pen.large });
    if (scene.random > 0) {
      pen.dots(points(random, Math.round(scene.random * (scene.moves || 10))), pen.c.plain, { size: 12, hollow: true, name: "random" });
      label(-3.2, pen.narrow ? "○ moved at random" : "○ moved at random: another function", pen.c.plain);
    }
    if (scene.moves > 0) {
      pen.dots(points(permuted, Math.floor(scene.moves)), pen.c.permutation, { size: 11, cap: "square", alpha: 0.8, name: "permuted" });
      label(-13.4, pen.narrow ? "■ permuted: same function" : "■ permuted: the same function, up to rounding", pen.c.permutation);
    } else pen.unknown(box);
  },
};
