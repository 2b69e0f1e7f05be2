// Pictures of barriers: class by class, and what is left for each family.

PICTURES.classes = {
  tall: () => 590,
  scene(step, values, place) {
    const key = Object.values(values).join("|"),
      curve = step.data.curves[key];
    const found = step.data.rungs.findIndex((rung) => rung.key === key);
    const all = step.data.rungs.length - (place < 2 ? 1 : 0);
    return {
      loss: curve.loss,
      top: curve.top,
      label: curve.label,
      meaning: curve.meaning,
      rung: found < 0 ? all : found + 1,
    };
  },
  paint(pen, scene, step, ui) {
    const s = pen.s,
      { lam, curves, rungs } = step.data,
      plain = Object.values(curves)[0].loss;
    let [chart, bars] = beside(pen, [0.52, 0.26], 210, 240 * s);
    if (pen.narrow) bars = { x: 168 * s, y: bars.y, w: pen.width - 290 * s, h: bars.h };
    else bars = { ...bars, w: bars.w - 112 * s };
    const { px, py } = pen.axes(chart, {
      x: [-0.05, 1.05],
      y: [0, 1.22 * Math.max(...plain)],
      yticks: rounded(1.2 * Math.max(...plain)),
      xticks: ENDS,
    });
    pen.heading({ ...chart, x: chart.x - 40 * s }, "loss, nats", { left: true });
    const place = (x, y) => [px(x), py(y)],
      loss = scene.loss,
      last = loss.length - 1,
      colour = pen.c[scene.meaning];
    pen.line([place(0, loss[0]), place(1, loss[last])], pen.c.muted, { dash: "8 6" });
    pen.line(
      lam.map((x, k) => place(x, plain[k])),
      pen.c.plain,
      { width: 2.5, dash: DASH.plain },
    );
    pen.line(
      lam.map((x, k) => place(x, loss[k])),
      colour,
      { width: 5, name: "loss" },
    );
    const chord = loss[0] + (loss[last] - loss[0]) * scene.top,
      peak = between(loss, scene.top * last);
    const [x, y] = place(scene.top, peak),
      foot = py(chord),
      half = 8 * s;
    pen.line(
      [
        [x, foot],
        [x, y],
        null,
        [x - half, foot],
        [x + half, foot],
        null,
        [x - half, y],
        [x + half, y],
      ],
      colour,
      { width: 2.5 },
    );
    pen.text(x, y - 14 * s, scene.label, {
      anchor: "middle",
      size: 1.3 * pen.large,
      weight: 600,
      colour,
      halo: true,
      name: "barrier",
    });
    if (!ui.revealed) {
      pen.unknown(bars);
      return;
    }
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
    const s = pen.s,
      { rows, kinds } = step.data;
    const box = {
      x: (pen.narrow ? 8 : 244) * s,
      y: (pen.narrow ? 70 : 44) * s,
      w: pen.width - (pen.narrow ? 24 : 280) * s,
    };
    box.h = pen.height - box.y - 74 * s;
    const share = scene.as === "share",
      height = box.h / rows.length;
    const ticks = share
      ? [0, 0.2, 0.4, 0.6, 0.8, 1].map((x) => [x, `${Math.round(100 * x)}%`])
      : rounded(scene.high);
    const { px } = pen.axes(box, {
      x: [-0.02 * scene.high, 1.04 * scene.high],
      y: [0, 1],
      xticks: ticks,
      xtitle: share ? "barrier as a share of the plain average's" : "barrier, nats",
    });
    for (const [x] of ticks)
      pen.line(
        [
          [px(x), box.y],
          [px(x), box.y + box.h],
        ],
        pen.c.grid,
        { width: 1 },
      );
    rows.forEach((row, k) => {
      const y = box.y + height * (k + (pen.narrow ? 0.72 : 0.5)),
        words = `${row.name} · ${row.pairs} pair${row.pairs > 1 ? "s" : ""}`;
      if (pen.narrow) pen.text(box.x, y - 14 * s, words);
      else pen.text(box.x - 14 * s, y + 6 * s, words, { anchor: "end" });
      const values = scene.rows[k].map(
        (value) => scene.rows[k][0] + scene.open * (value - scene.rows[k][0]),
      );
      pen.line(
        [
          [px(Math.min(...values)), y],
          [px(Math.max(...values)), y],
        ],
        pen.c.grid,
        { width: 3 },
      );
      values.forEach((value, i) => {
        if (i && !scene.open) return;
        pen.text(px(value), y + 6.5 * s, GLYPHS[i], {
          anchor: "middle",
          size: 21 * s,
          colour: pen.c[kinds[i].meaning],
          name: `mark ${i}`,
        });
      });
    });
    const shown = ui.revealed ? [3, 2, 1, 0] : [0];
    shown.forEach((i, k) => {
      const colour = pen.c[kinds[i].meaning],
        words = `${GLYPHS[i]} ${kinds[i].name}`;
      if (pen.narrow)
        pen.text(8 + (k % 2) * 0.5 * pen.width, (18 + 24 * Math.floor(k / 2)) * s, words, {
          colour,
        });
      else
        pen.text(box.x + box.w * (shown.length > 1 ? [0, 0.27, 0.56, 1][k] : 1), 24 * s, words, {
          colour,
          anchor: k === shown.length - 1 ? "end" : "start",
        });
    });
  },
};
