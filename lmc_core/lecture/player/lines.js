// Pictures of lines: from a network to another with the answers of those between, and from a
// network to its projection.

const ENDS = [
  [0, "network A"],
  [0.5, "half way"],
  [1, "network B"],
];

/** Numbers of an axis from 0: about four round steps. */
function rounded(high) {
  const step = [0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5].find((each) => high / each <= 5) || 10;
  return range(Math.floor(high / step + 1e-9) + 1).map((k) => [
    k * step,
    String(+(k * step).toFixed(2)),
  ]);
}

/** Where a chart and the picture beside it stand. */
function beside(pen, shares, gap, tall) {
  const s = pen.s,
    whole = { x: 50 * s, y: 40 * s, w: pen.width - 54 * s, h: pen.height - 80 * s };
  if (!pen.narrow) return columns(whole, shares, [gap * s]);
  const [chart, other] = stack(whole, [220 * s, tall], 96 * s);
  return [chart, { ...other, x: 4, w: pen.width - 8 }];
}

/** Images in rows with an answer below each, wrong ones struck out. */
function answered(pen, box, images, answers, columnCount, limit) {
  const s = pen.s,
    rows = Math.ceil(images.length / columnCount),
    words = 30 * s,
    gap = 14 * s;
  const size = Math.min(
    (box.w - (columnCount - 1) * gap) / columnCount,
    (box.h - rows * words) / rows,
  );
  const left = box.x + (box.w - columnCount * size - (columnCount - 1) * gap) / 2;
  images.forEach((image, k) => {
    const x = left + (k % columnCount) * (size + gap),
      y = box.y + Math.floor(k / columnCount) * (size + words);
    pen.image(x, y, size, size, still(image, limit, pen.c.sequential, true));
    const { words: name, right } = answers[k],
      colour = right ? pen.c.ink : pen.c.learned;
    pen.text(
      x + size / 2,
      y + size + 20 * s,
      `${right ? "✓" : "✗"} ${
        right
          ? escapeText(name)
          : `<tspan text-decoration="line-through">${escapeText(name)}</tspan>`
      }`,
      {
        raw: true,
        anchor: "middle",
        colour,
        size: Math.min(pen.small, size / 5.2),
        name: "answer",
      },
    );
  });
}

/** The value of a list at a place between two numbers. */
function between(values, at) {
  const low = Math.floor(clamp(at, 0, values.length - 1)),
    high = Math.min(low + 1, values.length - 1);
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
    const { lam, loss, accuracy, answers, targets, images, labels } = step.data,
      s = pen.s;
    const [chart, tiles] = beside(pen, [0.5, 0.44], 70, 1.1 * pen.width);
    const { px, py } = pen.axes(chart, {
      x: [-0.05, 1.05],
      y: [0, 1.12 * Math.max(...loss)],
      yticks: rounded(1.1 * Math.max(...loss)),
      xticks: ENDS,
    });
    pen.heading({ ...chart, x: chart.x - 40 * s }, "loss, nats", { left: true });
    const place = ([x, y]) => [px(x), py(y)],
      grey = pen.c.plain,
      last = lam.length - 1;
    pen.line(
      [
        [0, loss[0]],
        [1, loss[last]],
      ].map(place),
      pen.c.muted,
      { dash: "8 6" },
    );
    if (ui.revealed) {
      if (ui.place > 1)
        pen.line(
          lam.map((x, k) => place([x, loss[k]])),
          grey,
          { width: 4, alpha: 0.5 },
        );
      pen.line(upTo(lam, loss, scene.at).map(place), grey, { width: 4.5, name: "walked" });
    } else pen.unknown(chart);
    pen.dots(
      [
        [0, loss[0]],
        [1, loss[last]],
      ].map(place),
      grey,
      { size: 12 },
    );
    if (ui.revealed || scene.at === 0 || scene.at === last) {
      pen.dots([place([scene.at / last, between(loss, scene.at)])], pen.c.ink, {
        size: 18,
        name: "here",
      });
    }
    const k = Math.round(scene.at),
      least = Math.min(...images.flat(2));
    this.bright =
      this.bright || images.map((image) => image.map((row) => row.map((each) => each - least)));
    const said = targets.map((target, i) => ({
      words: labels[answers[k][i]],
      right: answers[k][i] === target,
    }));
    answered(pen, tiles, this.bright, said, 3, largest(this.bright));
    pen.heading(tiles, `what this network says: ${Math.round(100 * accuracy[k])}% right`);
  },
};

PICTURES.data = {
  tall: (w) => 315 + 0.85 * w,
  scene: (step, values) => ({ at: 10 * values.share, trained: values.trained }),
  paint(pen, scene, step, ui) {
    const s = pen.s,
      [chart, tiles] = beside(pen, [0.46, 0.48], 70, 0.85 * pen.width);
    const one = step.data[scene.trained],
      high = Math.max(...step.data.free.loss, ...step.data.led.loss);
    const { px, py } = pen.axes(chart, {
      x: [-0.05, 1.05],
      y: [0, 1.12 * high],
      yticks: rounded(1.1 * high),
      xticks: [
        [0, "as trained"],
        [1, "average"],
      ],
    });
    pen.heading({ ...chart, x: chart.x - 40 * s }, "loss, nats", { left: true });
    for (const [name, words, colour] of [
      ["free", "trained freely", pen.c.plain],
      ["led", "led to symmetry", pen.c.learned],
    ]) {
      const { shares, loss } = step.data[name],
        chosen = name === scene.trained;
      if (!chosen && ui.place < 2) continue;
      const path = chosen ? upTo(shares, loss, scene.at) : shares.map((x, k) => [x, loss[k]]);
      pen.line(
        path.map(([x, y]) => [px(x), py(y)]),
        colour,
        { width: chosen ? 5 : 3, name },
      );
      if (ui.revealed && (scene.at > 0 || !chosen)) {
        const end = path[path.length - 1];
        pen.text(px(end[0]) - 14 * s, py(end[1]) - 16 * s, words, {
          anchor: end[0] > 0.4 ? "end" : "start",
          colour,
        });
      }
    }
    if (!ui.revealed) pen.unknown(chart);
    pen.dots([[px(scene.at / 10), py(between(one.loss, scene.at))]], pen.c.ink, {
      size: 18,
      name: "here",
    });
    const said = one.labels.flatMap((label, k) =>
      one.answers[Math.round(scene.at)][k].map((each) => ({
        words: String(each),
        right: each === label,
      })),
    );
    this.tiles = this.tiles || {};
    this.tiles[scene.trained] = this.tiles[scene.trained] || one.images.flat();
    answered(
      pen,
      tiles,
      this.tiles[scene.trained],
      said,
      one.images[0].length,
      largest(one.images),
    );
    pen.heading(tiles, "what it says of turned digits");
  },
};
