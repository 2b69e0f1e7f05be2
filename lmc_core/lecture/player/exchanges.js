// Pictures of exchanges: two units with their matrices, heads with their attention.

// key of a step -> scene(step, values, place), paint(pen, scene, step, ui), and tall(width), the
// height on a phone
const PICTURES = {};

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

/** By how much a thing on its way leaves the line: those of a pair pass at two sides. */
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
    const rows = on(values.rows),
      columns = on(values.columns);
    const { pair, measured } = exchanged(values, step.data.exchanges);
    const before = measured ? measured.before : step.data.exchanges["0,1"].before;
    const after = measured && rows + columns ? measured.after[`${rows}${columns}`] : before;
    return { pair, rows, columns, before, after };
  },
  paint(pen, scene, step, ui) {
    const { incoming, outgoing, labels } = step.data,
      pair = scene.pair.split(",").map(Number);
    const units = incoming.length,
      inputs = incoming[0].length,
      s = pen.s;
    const whole = { x: 26 * s, y: 64 * s, w: pen.width - 30 * s, h: pen.height - 68 * s };
    let parts, bars;
    if (pen.narrow) {
      parts = columns({ ...whole, h: 0.6 * pen.width }, [inputs, units], [40 * s]);
    } else {
      parts = columns(whole, [0.44, 0.33, 0.16], [40 * s, 130 * s]);
      bars = { ...parts[2], h: parts[2].h - 10 * s };
    }
    const cell = Math.min(parts[0].w / inputs, parts[1].w / units, whole.h / (inputs + 1.5));
    if (pen.narrow)
      bars = {
        x: 110 * s,
        y: whole.y + cell * inputs + 64 * s,
        w: pen.width - 120 * s,
        h: 260 * s,
      };
    const colour = pen.c.permutation,
      shades = pen.c.diverging;
    const first = { x: parts[0].x, y: whole.y, w: cell * inputs, h: cell * units };
    const second = { x: parts[1].x, y: whole.y, w: cell * units, h: cell * inputs };
    const limits = [0.8 * largest(incoming), 0.8 * largest(outgoing)];
    for (const k of pairLast(units, pair)) {
      const mark = pair.indexOf(k);
      const y = first.y + cell * stands(k, pair, scene.rows);
      const x = second.x + cell * stands(k, pair, scene.columns);
      const [dx, dy] = [scene.rows, scene.columns].map(
        (share) => 0.9 * cell * aside(k, pair, share),
      );
      pen.image(first.x + dx, y, first.w, cell, still([incoming[k]], limits[0], shades), {
        name: `row ${k}`,
      });
      pen.image(
        x,
        second.y + dy,
        cell,
        second.h,
        still(
          outgoing[k].map((each) => [each]),
          limits[1],
          shades,
        ),
        { name: `column ${k}` },
      );
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
      pen.text(first.x + first.w / 2, below, "y = Σ speaks · σ(listens · x)", {
        size: 1.1 * pen.large,
        anchor: "middle",
      });
      pen.text(first.x + first.w / 2, below + 30 * s, "a sum over all units", {
        anchor: "middle",
        colour: pen.c.muted,
      });
    }
    if (ui.revealed) pen.bars(bars, scene.before, scene.after, labels, colour);
    else {
      pen.heading(bars, "outputs");
      pen.unknown(bars);
    }
  },
};

PICTURES.heads = {
  tall: (w) => 0.5 * w + 380,
  scene(step, values) {
    const exchange = on(values.exchange),
      follow = on(values.follow);
    const { pair, measured } = exchanged(values, step.data.exchanges);
    const before = measured ? measured.before : step.data.exchanges["0,1"].before;
    const after = measured && exchange ? measured.after[follow] : before;
    return { pair, exchange, writing: exchange * follow, before, after };
  },
  paint(pen, scene, step, ui) {
    const { attention, writing, labels } = step.data,
      pair = scene.pair.split(",").map(Number);
    const s = pen.s,
      count = attention.length,
      left = pen.narrow ? 4 : 112 * s;
    const whole = { x: left, y: 44 * s, w: pen.width - left, h: pen.height - 48 * s };
    const maps = { ...whole, w: pen.narrow ? pen.width - 8 : 0.7 * whole.w };
    const step_ = maps.w / count,
      strip = 14 * s,
      gap = 16 * s;
    const size = Math.min(step_ - gap, pen.narrow ? 1e9 : (whole.h - 50 * s) / 2 - strip - 12 * s);
    const row = size + strip + 52 * s,
      colour = pen.c.permutation;
    const limit = largest(writing);
    range(2).forEach((now) => {
      const y = whole.y + now * row;
      const label = now ? "now" : "as trained";
      if (pen.narrow) pen.text(left, y - 8 * s, label, { colour: pen.c.muted });
      else pen.text(left - 14 * s, y + size / 2, label, { anchor: "end", size: pen.large });
      for (const k of pairLast(count, pair)) {
        const share = now ? scene.exchange : 0,
          told = now ? scene.writing : 0;
        const x = maps.x + step_ * stands(k, pair, share),
          lift = aside(k, pair, share) * 0.3 * size;
        const u = maps.x + step_ * stands(k, pair, told),
          drop = y + size + 6 * s;
        const mark = pair.indexOf(k);
        const image = still(
          attention[k].map((line) => line.map(Math.sqrt)),
          0.8,
          pen.c.sequential,
          true,
        );
        pen.image(x, y - lift, size, size, image, { name: now ? `head ${k}` : "trained" });
        pen.image(
          u,
          drop + aside(k, pair, told) * strip,
          size,
          strip,
          still([writing[k]], limit, pen.c.diverging),
          { name: now ? `writing ${k}` : "trained" },
        );
        if (mark < 0) continue;
        pen.rect(x, y - lift, size, size, { stroke: colour, line: 3.5, dash: FRAME[mark] });
        pen.rect(u, drop + aside(k, pair, told) * strip, size, strip, {
          stroke: colour,
          line: 2.5,
          dash: FRAME[mark],
        });
      }
    });
    if (!pen.narrow)
      range(count).forEach((k) =>
        pen.text(maps.x + step_ * k + size / 2, whole.y - 12 * s, `place ${k + 1}`, {
          anchor: "middle",
          size: pen.large,
        }),
      );
    pen.text(maps.x, whole.y + 2 * row - 8 * s, "below each map: weights it writes with", {
      colour: pen.c.muted,
    });
    const bars = pen.narrow
      ? { x: 110 * s, y: whole.y + 2 * row + 50 * s, w: pen.width - 120 * s, h: 250 * s }
      : {
          x: whole.x + 0.7 * whole.w + 120 * s,
          y: whole.y,
          w: 0.3 * whole.w - 126 * s,
          h: 2 * row - 40 * s,
        };
    if (ui.revealed) pen.bars(bars, scene.before, scene.after, labels, colour);
    else {
      pen.heading(bars, "outputs");
      pen.unknown(bars);
    }
  },
};
