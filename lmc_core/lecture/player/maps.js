// Pictures of continuous maps: the turned stream, a stretched query/key plane, the direction that
// LayerNorm throws away.

const radians = (degrees) => (degrees * Math.PI) / 180;

/** constant + cosine cos(angle) + sine sin(angle), of nested arrays: what one angle of all planes
 * makes of a weight that touches the stream once. */
function turned({ constant, cosine, sine }, angle) {
  const c = Math.cos(angle),
    s = Math.sin(angle);
  const one = (a, b, d) =>
    Array.isArray(a) ? a.map((each, k) => one(each, b[k], d[k])) : a + b * c + d * s;
  return one(constant, cosine, sine);
}

PICTURES.stream = {
  tall: (w) => 1.35 * w + 385,
  scene(step, values) {
    const { degrees, outputs } = step.data,
      at = degrees.indexOf(+values.angle);
    return {
      angle: +values.angle,
      follow: on(values.follow),
      before: outputs["1"][0],
      after: outputs[values.follow][at],
    };
  },
  paint(pen, scene, step, ui) {
    const { filters, weights, reading, labels } = step.data,
      s = pen.s;
    const whole = { x: 4, y: 40 * s, w: pen.width - 8, h: pen.height - 44 * s };
    const [left, middle, right] = pen.narrow
      ? stack(whole, [0.75 * whole.w, 0.6 * whole.w, 250 * s], 60 * s)
      : columns(whole, [0.42, 0.27, 0.16], [30 * s, 140 * s]);
    if (pen.narrow) {
      right.x += 106 * s;
      right.w -= 112 * s;
    }
    const tiles = mosaic(turned(filters, radians(scene.angle)), pen.narrow ? 8 : 6, 1);
    const cell = Math.min(left.w / tiles[0].length, left.h / tiles.length);
    const width = cell * tiles[0].length,
      x = left.x + (left.w - width) / 2;
    const limit = 0.7 * largest([filters.constant, filters.cosine]);
    pen.image(x, left.y, width, cell * tiles.length, raster(tiles, limit, pen.c.diverging), {
      name: "filters",
    });
    pen.heading(
      left,
      pen.narrow ? "what each coordinate sees" : "what each coordinate sees of a patch",
    );
    const side = Math.min(middle.w, middle.h - 44 * s),
      box = { x: middle.x + (middle.w - side) / 2, y: middle.y, w: side, h: side };
    const was = turned(weights, 0),
      now = turned(weights, radians(scene.angle));
    const shown = now.map((value, k) =>
      reading[k] ? was[k] + (value - was[k]) * scene.follow : value,
    );
    const reach = 2.6 * Math.sqrt(was.reduce((sum, each) => sum + each * each, 0) / was.length);
    const place = (value) => (side * (clamp(value / reach, -1, 1) + 1)) / 2;
    pen.line(
      [
        [box.x, box.y + side],
        [box.x + side, box.y],
      ],
      pen.c.muted,
      { width: 1.5, dash: "6 5" },
    );
    const points = (which) =>
      shown
        .map((value, k) => [box.x + place(was[k]), box.y + side - place(value)])
        .filter((_, k) => reading[k] === which);
    pen.dots(points(0), pen.c.orthogonal, { size: 5.5, alpha: 0.7, name: "writing" });
    pen.dots(points(1), pen.c.permutation, { size: 5.5, alpha: 0.7, name: "reading" });
    pen.heading(box, "each weight now");
    pen.text(box.x + side / 2, box.y + side + 24 * s, "as trained", {
      anchor: "middle",
      size: pen.narrow ? pen.small : pen.large,
    });
    pen.text(box.x, box.y + side + 52 * s, "● writes", { colour: pen.c.orthogonal });
    pen.text(box.x + side, box.y + side + 52 * s, "● reads", {
      anchor: "end",
      colour: pen.c.permutation,
    });
    if (ui.revealed) pen.bars(right, scene.before, scene.after, labels, pen.c.orthogonal);
    else {
      pen.heading(right, "outputs");
      pen.unknown(right);
    }
  },
};

const apply = (m, [x, y]) => [m[0][0] * x + m[0][1] * y, m[1][0] * x + m[1][1] * y];

/** The inverse transpose of a 2x2 matrix. */
function contragredient([[a, b], [c, d]]) {
  const det = a * d - b * c;
  return [
    [d / det, -c / det],
    [-b / det, a / det],
  ];
}

PICTURES.planes = {
  tall: (w) => 1.3 * w + 240,
  scene(step, values) {
    const { strengths, maps, scores } = step.data,
      at = strengths.indexOf(+values.strength);
    const follow = on(values.follow);
    return {
      map: maps[at],
      keys: follow
        ? contragredient(maps[at])
        : [
            [1, 0],
            [0, 1],
          ],
      scores: scores[values.follow][at],
      follow,
    };
  },
  paint(pen, scene, step, ui) {
    const s = pen.s,
      { queries, keys, scores } = step.data;
    const whole = { x: 4, y: 40 * s, w: pen.width - 8, h: pen.height - 48 * s };
    let boxes;
    if (pen.narrow) {
      const [top, below] = stack(whole, [0.5 * whole.w + 40 * s, 0.8 * whole.w], 90 * s);
      boxes = [...columns(top, [1, 1], [12 * s]), below];
    } else boxes = columns(whole, [1, 1, 1], [24 * s, 40 * s]);
    const blue = pen.c.orthogonal,
      grey = scene.follow > 0.5 ? blue : pen.c.plain;
    const parts = [
      ["queries", queries, scene.map, blue, `q → M q`],
      [
        "keys",
        keys,
        scene.keys,
        grey,
        scene.follow > 0.5
          ? `k → M<tspan dy="-0.4em" font-size="70%">−⊤</tspan><tspan dy="0.28em"> k</tspan>`
          : "k → k",
      ],
    ];
    const side = Math.min(boxes[0].w, boxes[0].h - 40 * s);
    if (!pen.narrow)
      boxes.forEach((box) => {
        box.y += 0.3 * Math.max(whole.h - side - 40 * s, 0);
      });
    parts.forEach(([name, points, map, colour, formula], k) => {
      const box = { ...boxes[k], x: boxes[k].x + (boxes[k].w - side) / 2, w: side, h: side };
      const extent = 1.15 * largest(points),
        limit = 1.3 * extent,
        clip = `clip${ui.id}${k}`;
      const at = (point) => {
        const [x, y] = apply(map, point);
        return [box.x + (side * (x / limit + 1)) / 2, box.y + (side * (1 - y / limit)) / 2];
      };
      pen.add(
        `<clipPath id="${clip}"><rect x="${box.x}" y="${box.y}" width="${side}" ` +
          `height="${side}"/></clipPath><g clip-path="url(#${clip})">`,
      );
      for (const tick of range(9).map((i) => extent * (i / 4 - 1))) {
        pen.line([at([tick, -extent]), at([tick, extent])], colour, { width: 1.3, alpha: 0.4 });
        pen.line([at([-extent, tick]), at([extent, tick])], colour, { width: 1.3, alpha: 0.4 });
      }
      pen.dots(points.map(at), colour, { size: 10, name });
      pen.add("</g>");
      pen.heading(box, name, { colour });
      pen.text(box.x + side / 2, box.y + side + 30 * s, formula, {
        raw: true,
        anchor: "middle",
        size: 1.2 * pen.large,
        colour,
      });
    });
    const cell = Math.min(boxes[2].w, pen.narrow ? 1e9 : boxes[2].h - 40 * s);
    const box = { ...boxes[2], x: boxes[2].x + (boxes[2].w - cell) / 2, w: cell, h: cell };
    pen.heading(box, "scores of all pairs");
    if (ui.revealed) {
      pen.image(
        box.x,
        box.y,
        cell,
        cell,
        raster(scene.scores, largest(scores["1"][0]), pen.c.diverging),
        { name: "scores" },
      );
      pen.text(
        box.x + cell / 2,
        box.y + cell + 30 * s,
        `q<tspan dy="-0.4em" font-size="70%">⊤</tspan><tspan dy="0.28em">k / √d</tspan>`,
        { raw: true, anchor: "middle", size: 1.2 * pen.large },
      );
    } else pen.unknown(box);
  },
};

PICTURES.ones = {
  tall: (w) => 0.75 * w + 350,
  scene(step, values) {
    const { degrees, keeping, tilting } = step.data,
      tilts = values.turn === "tilts";
    const at = degrees.indexOf(+values.angle);
    return {
      angle: +values.angle,
      tilt: tilts ? 1 : 0,
      error: power((tilts ? tilting : keeping)[at], 1e-17),
    };
  },
  paint(pen, scene, step, ui) {
    const s = pen.s,
      { points, degrees, keeping, tilting } = step.data;
    const whole = { x: 4, y: 40 * s, w: pen.width - 20 * s, h: pen.height - 110 * s };
    const [side, chart] = pen.narrow
      ? stack({ ...whole, w: pen.width - 8 }, [0.75 * whole.w, 200], 90 * s)
      : columns(whole, [0.52, 0.4], [90 * s]);
    if (pen.narrow) {
      chart.x += 62 * s;
      chart.w -= 70 * s;
    }
    this.side(pen, scene, side, points);
    const { px, py } = pen.axes(chart, {
      x: [-2, 92],
      y: [-17.4, 1.2],
      yticks: POWERS,
      xticks: [0, 30, 60, 90].map((x) => [x, `${x}°`]),
      xtitle: "angle",
    });
    pen.heading({ ...chart, x: chart.x - 58 * s }, "change of the outputs", { left: true });
    const lines = [
      ["keeps it", keeping, pen.c.orthogonal, "", -12.2],
      ["tilts it", tilting, pen.c.plain, "5 3", -3.4],
    ];
    lines.forEach(([name, values, colour, dash, y], k) => {
      const chosen = k === Math.round(scene.tilt),
        whole = !chosen && ui.place >= 1 && (ui.place >= 2 || k === 0);
      if (!chosen && !whole) return;
      const path = degrees
        .map((angle, i) => [angle, power(values[i], 1e-17)])
        .filter(([angle]) => whole || angle <= scene.angle);
      if (chosen) path.push([scene.angle, scene.error]);
      if (ui.revealed) {
        pen.line(
          path.map(([x, z]) => [px(x), py(z)]),
          colour,
          { width: 3.5, dash, name },
        );
        pen.text(px(88), py(y), name, { anchor: "end", colour, size: pen.large });
      }
      if (chosen && ui.revealed)
        pen.dots([[px(scene.angle), py(scene.error)]], colour, { size: 18, name: "now" });
    });
    if (!ui.revealed) pen.unknown(chart);
  },
  /** States of the stream along the floor on which LayerNorm projects, before and after. */
  side(pen, scene, box, points) {
    const s = pen.s,
      angle = radians(scene.angle),
      colour = scene.tilt > 0.5 ? pen.c.plain : pen.c.orthogonal;
    const extent = 1.15 * largest(points.map(([x, y]) => [x, y])),
      scale = Math.min(box.w / (2 * extent), box.h / (1.75 * extent));
    const at = (x, y) => [box.x + box.w / 2 + scale * x, box.y + scale * (extent - y)];
    const states = points.map(([along, other]) => [
      Math.cos(angle) * along - (1 - scene.tilt) * Math.sin(angle) * other,
      scene.tilt * Math.sin(angle) * along,
    ]);
    pen.line(
      states.flatMap(([x, y]) => [at(x, y), at(x, 0), null]),
      colour,
      { width: 1.2, alpha: 0.35, name: "lost" },
    );
    pen.line([at(-extent, 0), at(extent, 0)], pen.c.ink);
    pen.line([at(0, 0), at(0, 0.95 * extent)], pen.c.muted);
    const [x, y] = at(0, 0.97 * extent);
    pen.line(
      [
        [x - 6 * s, y + 12 * s],
        [x, y],
        [x + 6 * s, y + 12 * s],
      ],
      pen.c.muted,
    );
    pen.dots(
      states.map(([a, b]) => at(a, b)),
      colour,
      { size: 8, name: "states" },
    );
    pen.text(x + 12 * s, y + 16 * s, "(1, 1, …, 1)", { colour: pen.c.muted });
    pen.text(at(extent, 0)[0], at(0, 0)[1] + 26 * s, "what LayerNorm keeps", {
      anchor: "end",
      colour: pen.c.muted,
    });
    pen.heading(box, "the stream, seen from the side");
  },
};
