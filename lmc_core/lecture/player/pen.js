// What pictures are drawn with: SVG as text. Sizes grow with the window: `s` is 1 for one that is
// 800 pixels high.

const FAMILY = "'IBM Plex Sans', 'Helvetica Neue', Arial, sans-serif";
const DASH = { plain: "5 3", permutation: "11 4", orthogonal: "", learned: "16 4" };

class Pen {
  constructor(width, height, s, narrow, colours) {
    Object.assign(this, { width, height, s, narrow, c: colours });
    this.small = 17 * s; // sizes of type
    this.large = 21 * s;
    this.parts = [];
  }

  add(text) {
    this.parts.push(text);
  }

  /** Words at a place; `raw` words are SVG themselves. */
  text(x, y, words, { size, anchor = "start", colour, weight = 400, raw, halo, name } = {}) {
    const more =
      (weight === 400 ? "" : ` font-weight="${weight}"`) +
      (halo
        ? ` stroke="${this.c.paper}" stroke-width="${5 * this.s}" paint-order="stroke"` +
          ' stroke-linejoin="round"'
        : "") +
      (name ? ` data-name="${name}"` : "");
    this.add(
      `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-size="${(size || this.small).toFixed(
        1,
      )}" text-anchor="${anchor}" fill="${colour || this.c.ink}"${more}>${
        raw ? words : escapeText(words)
      }</text>`,
    );
  }

  rect(x, y, width, height, { fill = "none", stroke, line = 2, dash = "", alpha = 1, name } = {}) {
    const edge = stroke
      ? ` stroke="${stroke}" stroke-width="${line * this.s}" stroke-dasharray="${dash}"`
      : "";
    this.add(
      `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${Math.max(width, 0).toFixed(
        1,
      )}" height="${Math.max(height, 0).toFixed(1)}" fill="${fill}" fill-opacity="${alpha}"${edge}${
        name ? ` data-name="${name}"` : ""
      }/>`,
    );
  }

  /** A line through points [x, y]; null interrupts it. */
  line(points, colour, { width = 2, dash = "", alpha = 1, name } = {}) {
    let d = "",
      up = true;
    for (const point of points) {
      if (point) d += `${up ? "M" : "L"}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
      up = !point;
    }
    const dashes = dash
      .split(" ")
      .map((each) => each * this.s)
      .join(" ");
    this.add(
      `<path d="${d}" fill="none" stroke="${colour}" stroke-width="${
        width * this.s
      }" stroke-opacity="${alpha}" stroke-linejoin="round"${
        dash ? ` stroke-dasharray="${dashes}"` : ""
      }${name ? ` data-name="${name}"` : ""}/>`,
    );
  }

  /** Dots at points, as one path. */
  dots(points, colour, { size = 8, alpha = 1, cap = "round", hollow, name } = {}) {
    const r = (size * this.s) / 2;
    const ring = `a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
    const d = points
      .map(([x, y]) => `M${(hollow ? x - r : x).toFixed(1)} ${y.toFixed(1)}${hollow ? ring : "h0"}`)
      .join("");
    this.add(
      `<path d="${d}" fill="none" stroke="${colour}" stroke-width="${
        (hollow ? 2 : size) * this.s
      }" stroke-opacity="${alpha}" stroke-linecap="${cap}"${name ? ` data-name="${name}"` : ""}/>`,
    );
  }

  image(x, y, width, height, address, { alpha = 1, name } = {}) {
    this.add(
      `<image x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(
        1,
      )}" opacity="${alpha}" preserveAspectRatio="none" style="image-rendering:pixelated"${
        name ? ` data-name="${name}"` : ""
      } href="${address}"/>`,
    );
  }

  /** A question mark where the answer will be. */
  unknown(box) {
    this.text(box.x + box.w / 2, box.y + box.h / 2 + 20 * this.s, "?", {
      size: 60 * this.s,
      anchor: "middle",
      colour: this.c.muted,
    });
  }

  /** Words above a box, in its middle or at its left. */
  heading(box, words, { left, ...more } = {}) {
    this.text(left ? box.x : box.x + box.w / 2, box.y - 10 * this.s, words, {
      size: this.narrow ? this.small : this.large,
      anchor: left ? "start" : "middle",
      ...more,
    });
  }

  /** Axes of a box: functions from numbers to places, after drawing ticks and grid. */
  axes(box, { x, y, xticks = [], yticks = [], xtitle }) {
    const px = (value) => box.x + (box.w * (value - x[0])) / (x[1] - x[0]);
    const py = (value) => box.y + box.h - (box.h * (value - y[0])) / (y[1] - y[0]);
    const bottom = box.y + box.h;
    for (const [value, words] of yticks) {
      this.line(
        [
          [box.x, py(value)],
          [box.x + box.w, py(value)],
        ],
        this.c.grid,
        { width: 1 },
      );
      this.text(box.x - 8 * this.s, py(value) + 6 * this.s, words, {
        anchor: "end",
        colour: this.c.muted,
      });
    }
    for (const [value, words] of xticks) {
      const half = 0.3 * this.small * words.length; // about; words at the edge stay inside
      this.text(clamp(px(value), half, this.width - half), bottom + 24 * this.s, words, {
        anchor: "middle",
        colour: this.c.muted,
      });
    }
    if (xtitle) {
      this.text(box.x + box.w / 2, bottom + 50 * this.s, xtitle, {
        size: this.narrow ? this.small : this.large,
        anchor: "middle",
      });
    }
    return { px, py };
  }

  /** Bars to the right, now (filled) over before (outlined), with names at their left. */
  bars(box, before, now, names, colour) {
    this.heading(box, "outputs");
    const low = Math.min(0, ...before, ...now),
      high = Math.max(0, ...before, ...now);
    const step = box.h / names.length,
      thick = 0.7 * step;
    const px = (value) => box.x + (box.w * (value - low)) / (high - low || 1);
    names.forEach((name, k) => {
      const top = box.y + k * step + (step - thick) / 2;
      const bar = (value) => [Math.min(px(0), px(value)), top, Math.abs(px(value) - px(0)), thick];
      this.rect(...bar(now[k]), { fill: colour, alpha: 0.55, name: "now" });
      this.rect(...bar(before[k]), { stroke: this.c.ink, line: 2 });
      this.text(box.x - 8 * this.s, top + thick / 2 + 6 * this.s, name, {
        anchor: "end",
        size: Math.min(this.small, 0.95 * step),
      });
    });
  }

  /** Bars of barriers from the top down, each with its name and number; `shown` of them. */
  ladder(box, rungs, shown) {
    const high = Math.max(...rungs.map((rung) => rung.value)),
      step = box.h / rungs.length;
    rungs.forEach((rung, k) => {
      const share = clamp(shown - k, 0, 1),
        y = box.y + k * step;
      if (share === 0) return;
      const length = (box.w * rung.value * share) / high;
      this.rect(box.x, y + 0.17 * step, length, 0.66 * step, {
        fill: this.c[rung.meaning],
        name: "rung",
      });
      this.text(box.x - 8 * this.s, y + step / 2 + 6 * this.s, rung.name, { anchor: "end" });
      if (share === 1)
        this.text(box.x + length + 6 * this.s, y + step / 2 + 6 * this.s, rung.label);
    });
  }

  svg() {
    return this.parts.join("");
  }
}

/** Boxes side by side, of shares of what the gaps between them leave. */
function columns(box, shares, gaps) {
  const free = box.w - gaps.reduce((sum, each) => sum + each, 0);
  const whole = shares.reduce((sum, each) => sum + each, 0);
  let x = box.x;
  return shares.map((share, k) => {
    const w = (free * share) / whole,
      found = { x, y: box.y, w, h: box.h };
    x += w + (gaps[k] || 0);
    return found;
  });
}

/** Boxes below each other, of heights in pixels. */
function stack(box, heights, gap) {
  let y = box.y;
  return heights.map((h) => {
    const found = { x: box.x, y, w: box.w, h };
    y += h + gap;
    return found;
  });
}
