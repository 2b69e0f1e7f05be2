// Pictures of experts with their router, and of a hundred permutations.

const EXPERTS = ["permutation", "orthogonal", "activation", "dual"]; // colours that tell four apart
const LINE = 16; // characters in a line

PICTURES.experts = {
  tall: (w) => 0.28 * w + 0.36 * w + 420,
  scene(step, values) {
    const exchange = on(values.exchange),
      follow = on(values.follow),
      pair = [values.a - 1, values.b - 1];
    const at = (k) => (exchange && !follow ? stands(k, pair, 1) : k);
    return {
      pair: pair.join(),
      exchange,
      follow: exchange * follow,
      served: step.data.choice.map(at).join(""),
    };
  },
  paint(pen, scene, step, ui) {
    const { router, text, rungs } = step.data,
      pair = scene.pair.split(",").map(Number),
      s = pen.s;
    const left = pen.narrow ? pen.width - 8 : 0.56 * pen.width,
      chip = 116 * s;
    const rows = {
      x: chip + 8 * s,
      y: 40 * s,
      w: left - chip - 8 * s,
      h: pen.narrow ? 0.3 * pen.width : 0.4 * pen.height,
    };
    const lines = Math.ceil(text.length / LINE),
      top = rows.y + rows.h + 54 * s;
    const cell = Math.min(
      left / LINE,
      pen.narrow ? 1e9 : ((pen.height - top - 4 * s) / lines) * 1.6,
    );
    const high = Math.min(1.3 * cell, pen.narrow ? cell : (pen.height - top - 4 * s) / lines);
    const height = rows.h / router.length,
      limit = largest(router);
    for (const k of pairLast(router.length, pair)) {
      const colour = pen.c[EXPERTS[k]],
        inset = 3 * s;
      const y = rows.y + height * stands(k, pair, scene.exchange),
        dx = aside(k, pair, scene.exchange) * 0.25 * chip;
      const z = rows.y + height * stands(k, pair, scene.follow),
        shift = aside(k, pair, scene.follow) * 0.25 * chip;
      pen.rect(Math.max(dx, 0), y + inset, chip - 8 * s, height - 2 * inset, {
        fill: colour,
        name: `expert ${k}`,
      });
      pen.text(
        Math.max(dx, 0) + (chip - 8 * s) / 2,
        y + height / 2 + 6 * s,
        `expert ${"ABCD"[k]}`,
        { anchor: "middle", colour: inkOn(colour) },
      );
      pen.image(
        rows.x + shift,
        z + inset,
        rows.w,
        height - 2 * inset,
        still([router[k]], limit, pen.c.diverging),
        { name: `router ${k}` },
      );
      pen.rect(rows.x + shift - 4 * s, z + inset, 4 * s, height - 2 * inset, { fill: colour });
    }
    pen.heading(rows, "rows of the router");
    pen.heading({ x: 0, y: top, w: left }, "which expert serves each character");
    [...text].forEach((character, k) => {
      const colour = pen.c[EXPERTS[scene.served[k]]],
        x = cell * (k % LINE),
        y = top + high * Math.floor(k / LINE);
      pen.rect(x, y, cell - 2, high - 2, { fill: colour, name: "character" });
      pen.text(x + cell / 2, y + high / 2 + 6 * s, character.trim() ? character : "·", {
        anchor: "middle",
        colour: inkOn(colour),
        size: Math.min(pen.small, 0.9 * cell),
      });
    });
    const box = pen.narrow
      ? { x: 130 * s, y: top + high * lines + 60 * s, w: pen.width - 250 * s, h: 180 * s }
      : {
          x: left + 190 * s,
          y: rows.y + 40 * s,
          w: pen.width - left - 295 * s,
          h: 0.6 * pen.height,
        };
    pen.text(
      pen.narrow ? pen.width / 2 : (left + pen.width) / 2 + 20 * s,
      box.y - 14 * s,
      "barrier between two mixtures, nats",
      {
        anchor: "middle",
        size: pen.narrow ? pen.small : Math.min(pen.large, (pen.width - left) / 17),
      },
    );
    if (ui.revealed) pen.ladder(box, rungs, rungs.length);
    else pen.unknown(box);
  },
};

const POWERS = [
  [-15, "10⁻¹⁵"],
  [-10, "10⁻¹⁰"],
  [-5, "10⁻⁵"],
  [0, "1"],
];
const power = (value, least) => Math.log10(Math.max(value, least));

PICTURES.permutations = {
  tall: () => 420,
  scene: (step, values, place) => ({ moves: place ? +values.moves : 0, random: on(values.random) }),
  paint(pen, scene, step) {
    const { distances, permuted, random } = step.data,
      s = pen.s;
    const box = { x: 78 * s, y: 40 * s, w: pen.width - 100 * s, h: pen.height - 110 * s };
    const { px, py } = pen.axes(box, {
      x: [-0.03, 1.5],
      y: [-17, 2.2],
      yticks: POWERS,
      xticks: [0, 0.5, 1, 1.5].map((x) => [x, String(x)]),
      xtitle: pen.narrow
        ? "distance of the weights"
        : "distance of the weights, as a share of their length",
    });
    pen.heading({ ...box, x: 4 * s }, "change of the outputs", { left: true });
    const points = (values, count) =>
      range(count).map((k) => [px(distances[k]), py(power(values[k], 1e-16))]);
    const label = (y, words, colour) =>
      pen.text(box.x + box.w, py(y), words, {
        anchor: "end",
        colour,
        size: pen.narrow ? pen.small : pen.large,
      });
    if (scene.random > 0) {
      pen.dots(points(random, Math.round(scene.random * (scene.moves || 10))), pen.c.plain, {
        size: 12,
        hollow: true,
        name: "random",
      });
      label(
        -3.2,
        pen.narrow ? "○ moved at random" : "○ moved at random: another function",
        pen.c.plain,
      );
    }
    if (scene.moves > 0) {
      pen.dots(points(permuted, Math.floor(scene.moves)), pen.c.permutation, {
        size: 11,
        cap: "square",
        alpha: 0.8,
        name: "permuted",
      });
      label(
        -13.4,
        pen.narrow ? "■ permuted: same function" : "■ permuted: same function, up to rounding",
        pen.c.permutation,
      );
    } else pen.unknown(box);
  },
};
