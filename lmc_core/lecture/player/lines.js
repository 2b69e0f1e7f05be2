// Pictures of lines between networks: the average and its answers, the barrier class by class, what
// is left for each family, and a network on the way to its projection.

const ENDS = [[0, "network A"], [0.5, "half way"], [1, "network B"]];

/** Numbers of an axis from 0: about four round steps. */
function rounded(high) {
  const step = [0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5].find((each) => high / each <= 5) || 10;
  return range(Math.floor(high / step + 1e-9) + 1).map((k) => [k * step, String(+(k * step).toFixed(2))]);
}

/** Where a chart and the picture beside it stand. */
function beside(pen, shares, gap, tall) {
  const s = pen.s, whole = { x: 50 * s, y: 40 * s, w: pen.width - 54 * s, h: pen.height - 80 * s };
  if (!pen.narrow) return columns(whole, shares, [gap * s]);
  const [chart, other] = stack(whole, [220 * s, tall], 96 * s);
  return [chart, { ...other, x: 4, w: pen.width - 8 }];
}

/** Images in rows with an answer below each, wrong ones struck out. */
function answered(pen, box, images, answers, columnCount, limit) {
  const s = pen.s, rows = Math.ceil(images.length / columnCount), words = 30 * s, gap = 14 * s;
  const size = Math.min((box.w - (columnCount - 1) * gap) / columnCount, (box.h - rows * words) / rows);
  const left = box.x + (box.w - columnCount * size - (columnCount - 1) * gap) / 2;
  images.forEach((image, k) => {
    const x = left + (k % columnCount) * (size + gap), y = box.y + Math.floor(k / columnCount) * (size + words);
    pen.image(x, y, size, size, still(image, limit, pen.c.sequential, true));
    const { words: name, right } = answers[k], colour = right ? pen.c.ink : pen.c.learned;
    pen.text(x + size / 2, y + size + 20 * s, `${right ? "✓" : "✗"} ${right ? escapeText(name)
      : `<tspan text-decoration="line-through">${escapeText(name)}</tspan>`}`,
      { raw: true, anchor: "middle", colour, size: Math.min(pen.small, size / 5.2), name: "answer" });
  });
}

/** The value of a list at a place between two numbers. */
function between(values, at) {
  const low = Math.floor(clamp(at, 0, values.length - 1)), high = Math.min(low + 1, values.length - 1);
  return values[low] + (values[high] - values[low]) * (at - low);
}

/** The part of a curve up to a place between two of its points. */
function upTo(xs, ys, at) {
  const found = range(Math.floor(at) + 1).map((k) => [xs[k], ys[k]]);
  found.push([between(xs, at), between(ys, at)]);
  return found;
}

PICTURES.average = {
  tall: (w) => 315 + 1.1 * w,
  scene: (step, values) => ({ at: 10 * values.lam }),
  paint(pen, scene, step, ui) {
    const { lam, loss, accuracy, answers, targets, images, labels } = step.data, s = pen.s;
    const [chart, tiles] = beside(pen, [0.5, 0.44], 70, 1.1 * pen.width);
    const { px, py } = pen.axes(chart, {
      x: [-0.05, 1.05], y: [0, 1.12 * Math.max(...loss)], yticks: rounded(1.1 * Math.max(...loss)), xticks: ENDS,
    });
    pen.heading({ ...chart, x: chart.x - 40 * s }, "loss, nats", { left: true });
    const place = ([x, y]) => [px(x), py(y)], grey = pen.c.plain, last = lam.length - 1;
    pen.line([[0, loss[0]], [1, loss[last]]].map(place), pen.c.muted, { dash: "8 6" });
    if (ui.revealed) {
      if (ui.place > 1) pen.line(lam.map((x, k) => place([x, loss[k]])), grey, { width: 4, alpha: 0.5 });
      pen.line(upTo(lam, loss, scene.at).map(place), grey, { width: 4.5, name: "walked" });
    } else pen.unknown(chart);
    pen.dots([[0, loss[0]], [1, loss[last]]].map(place), grey, { size: 12 });
    if (ui.revealed || scene.at === 0 || scene.at === last) {
      pen.dots([place([scene.at / last, between(loss, scene.at)])], pen.c.ink, { size: 18, name: "here" });
    }
    const k = Math.round(scene.at), least = Math.min(...images.flat(2));
    this.bright = this.bright || images.map((image) => image.map((row) => row.map((each) => each - least)));
    const said = targets.map((target, i) => ({ words: labels[answers[k][i]], right: answers[k][i] === target }));
    answered(pen, tiles, this.bright, said, 3, largest(this.bright));
    pen.heading(tiles, `what this network says: ${Math.round(100 * accuracy[k])}% right`);
  },
};

PICTURES.data = {
  tall: (w) => 315 + 0.85 * w,
  scene: (step, values) => ({ at: 10 * values.share, trained: values.trained }),
  paint(pen, scene, step, ui) {
    const s = pen.s, [chart, tiles] = beside(pen, [0.46, 0.48], 70, 0.85 * pen.width);
    const one = step.data[scene.trained], high = Math.max(...step.data.free.loss, ...step.data.led.loss);
    const { px, py } = pen.axes(chart, {
      x: [-0.05, 1.05], y: [0, 1.12 * high], yticks: rounded(1.1 * high), xticks: [[0, "as trained"], [1, "average"]],
    });
    pen.heading({ ...chart, x: chart.x - 40 * s }, "loss, nats", { left: true });
    for (const [name, words, colour] of [["free", "trained freely", pen.c.plain], ["led", "led to symmetry", pen.c.learned]]) {
      const { shares, loss } = step.data[name], chosen = name === scene.trained;
      if (!chosen && ui.place < 2) continue;
      const path = chosen ? upTo(shares, loss, scene.at) : shares.map((x, k) => [x, loss[k]]);
      pen.line(path.map(([x, y]) => [px(x), py(y)]), colour, { width: chosen ? 5 : 3, name });
      if (ui.revealed && (scene.at > 0 || !chosen)) {
        const end = path[path.length - 1];
        pen.text(px(end[0]) - 14 * s, py(end[1]) - 16 * s, words, { anchor: end[0] > 0.4 ? "end" : "start", colour });
      }
    }
    if (!ui.revealed) pen.unknown(chart);
    pen.dots([[px(scene.at / 10), py(between(one.loss, scene.at))]], pen.c.ink, { size: 18, name: "here" });
    const said = one.labels.flatMap((label, k) => one.answers[Math.round(scene.at)][k]
      .map((each) => ({ words: String(each), right: each === label })));
    this.tiles = this.tiles || {};
    this.tiles[scene.trained] = this.tiles[scene.trained] || one.images.flat();
    answered(pen, tiles, this.tiles[scene.trained], said, one.images[0].length, largest(one.images));
    pen.heading(tiles, "what it says of turned digits");
  },
};

PICTURES.classes = {
  tall: () => 590,
  scene(step, values, place) {
    const key = Object.values(values).join("|"), curve = step.data.curves[key];
    const found = step.data.rungs.findIndex((rung) => rung.key === key);
    const all = step.data.rungs.length - (place < 2 ? 1 : 0);
    return { loss: curve.loss, top: curve.top, label: curve.label, meaning: curve.meaning, rung: found < 0 ? all : found + 1 };
  },
  paint(pen, scene, step, ui) {
    const s = pen.s, { lam, curves, rungs } = step.data, plain = Object.values(curves)[0].loss;
    let [chart, bars] = beside(pen, [0.52, 0.26], 210, 240 * s);
    if (pen.narrow) bars = { x: 168 * s, y: bars.y, w: pen.width - 232 * s, h: bars.h };
    else bars = { ...bars, w: bars.w - 70 * s };
    const { px, py } = pen.axes(chart, {
      x: [-0.05, 1.05], y: [0, 1.22 * Math.max(...plain)], yticks: rounded(1.2 * Math.max(...plain)), xticks: ENDS,
    });
    pen.heading({ ...chart, x: chart.x - 40 * s }, "loss, nats", { left: true });
    const place = (x, y) => [px(x), py(y)], loss = scene.loss, last = loss.length - 1, colour = pen.c[scene.meaning];
    pen.line([place(0, loss[0]), place(1, loss[last])], pen.c.muted, { dash: "8 6" });
    pen.line(lam.map((x, k) => place(x, plain[k])), pen.c.plain, { width: 2.5, dash: DASH.plain });
    pen.line(lam.map((x, k) => place(x, loss[k])), colour, { width: 5, name: "loss" });
    const chord = loss[0] + (loss[last] - loss[0]) * scene.top, peak = between(loss, scene.top * last);
    const [x, y] = place(scene.top, peak), foot = py(chord), half = 8 * s;
    pen.line([[x, foot], [x, y], null, [x - half, foot], [x + half, foot], null, [x - half, y], [x + half, y]], colour, { width: 2.5 });
    pen.text(x, y - 14 * s, scene.label, { anchor: "middle", size: 1.3 * pen.large, weight: 600, colour, halo: true, name: "barrier" });
    if (!ui.revealed) { pen.unknown(bars); return; }
    pen.ladder(bars, rungs, scene.rung);
    pen.heading(bars, "barrier, nats");
  },
};

const GLYPHS = ["●", "■", "◆", "✚"];

PICTURES.remains = {
  tall: (w) => 660,
  scene(step, values, place) {
    const rows = step.data.rows.map((row) => row[values.as]);
    return { rows, high: Math.max(...rows.flat()), as: values.as, open: place ? 1 : 0 };
  },
  paint(pen, scene, step, ui) {
    const s = pen.s, { rows, kinds } = step.data;
    const box = { x: (pen.narrow ? 8 : 244) * s, y: (pen.narrow ? 70 : 44) * s, w: pen.width - (pen.narrow ? 24 : 280) * s };
    box.h = pen.height - box.y - 74 * s;
    const share = scene.as === "share", height = box.h / rows.length;
    const ticks = share ? [0, 0.2, 0.4, 0.6, 0.8, 1].map((x) => [x, `${Math.round(100 * x)}%`]) : rounded(scene.high);
    const { px } = pen.axes(box, {
      x: [-0.02 * scene.high, 1.04 * scene.high], y: [0, 1], xticks: ticks,
      xtitle: share ? "barrier as a share of the plain average's" : "barrier, nats",
    });
    for (const [x] of ticks) pen.line([[px(x), box.y], [px(x), box.y + box.h]], pen.c.grid, { width: 1 });
    rows.forEach((row, k) => {
      const y = box.y + height * (k + (pen.narrow ? 0.72 : 0.5)), words = `${row.name} · ${row.pairs} pair${row.pairs > 1 ? "s" : ""}`;
      if (pen.narrow) pen.text(box.x, y - 14 * s, words);
      else pen.text(box.x - 14 * s, y + 6 * s, words, { anchor: "end" });
      const values = scene.rows[k].map((value) => scene.rows[k][0] + scene.open * (value - scene.rows[k][0]));
      pen.line([[px(Math.min(...values)), y], [px(Math.max(...values)), y]], pen.c.grid, { width: 3 });
      values.forEach((value, i) => {
        if (i && !scene.open) return;
        pen.text(px(value), y + 6.5 * s, GLYPHS[i], { anchor: "middle", size: 21 * s, colour: pen.c[kinds[i].meaning], name: `mark ${i}` });
      });
    });
    const shown = ui.revealed ? [3, 2, 1, 0] : [0];
    shown.forEach((i, k) => {
      const colour = pen.c[kinds[i].meaning], words = `${GLYPHS[i]} ${kinds[i].name}`;
      if (pen.narrow) pen.text(8 + (k % 2) * 0.5 * pen.width, (18 + 24 * Math.floor(k / 2)) * s, words, { colour });
      else pen.text(box.x + box.w * (shown.length > 1 ? [0, 0.27, 0.56, 1][k] : 1), 24 * s, words, { colour, anchor: k === shown.length - 1 ? "end" : "start" });
    });
  },
};
