// What every picture needs: values between two scenes, colours of numbers, and small images of
// matrices. A scene is a plain object of numbers, texts and arrays.

const ease = (t) => (t < 0.5 ? 4 * t ** 3 : 1 - (2 - 2 * t) ** 3 / 2);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const range = (count) => Array.from({ length: count }, (_, k) => k);

/** The scene a share `t` of the way from one to another; texts change half way. */
function mix(from, to, t) {
  if (typeof from === "number" && typeof to === "number") return from + (to - from) * t;
  if (Array.isArray(from) && Array.isArray(to) && from.length === to.length) {
    return from.map((each, k) => mix(each, to[k], t));
  }
  if (from && to && typeof from === "object" && !Array.isArray(from)) {
    return Object.fromEntries(Object.keys(to).map((key) => [key, mix(from[key], to[key], t)]));
  }
  return t < 0.5 ? from : to;
}

/** Text as it may stand in SVG. */
function escapeText(text) {
  const named = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return String(text).replace(/[&<>"]/g, (each) => named[each]);
}

/** Red, green and blue of a hexadecimal colour. */
function channels(colour) {
  return [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
}

/** The ink, white or nearly black, that is read better on a colour (contrast of WCAG 2.2). */
function inkOn(colour) {
  const linear = channels(colour).map((each) => {
    const c = each / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return 1.05 / (light + 0.05) > (light + 0.05) / 0.0557 ? "#ffffff" : "#0f161c";
}

/** 256 colours between some, as red, green, blue. */
function gradient(colours) {
  const stops = colours.map(channels);
  const found = new Uint8ClampedArray(256 * 3);
  for (let k = 0; k < 256; k++) {
    const at = (k / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    for (let c = 0; c < 3; c++) {
      found[3 * k + c] = stops[low][c] + (stops[low + 1][c] - stops[low][c]) * (at - low);
    }
  }
  return found;
}

const canvas = document.createElement("canvas");
const brush = canvas.getContext("2d", { willReadFrequently: true });
const gradients = new Map();

/**
 * An image of a matrix, one pixel a number, as a data address.
 *
 * `colours` runs from -limit to limit, or from 0 where `positive`; a number that is no number is
 * transparent.
 */
function raster(values, limit, colours, positive) {
  const name = colours.join();
  if (!gradients.has(name)) gradients.set(name, gradient(colours));
  const table = gradients.get(name);
  const height = values.length,
    width = values[0].length;
  canvas.width = width;
  canvas.height = height;
  const image = brush.createImageData(width, height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const value = values[row][column],
        at = 4 * (row * width + column);
      if (!Number.isFinite(value)) continue;
      const share = positive ? value / limit : (value / limit + 1) / 2;
      const k = 3 * Math.round(255 * clamp(share, 0, 1));
      image.data.set([table[k], table[k + 1], table[k + 2], 255], at);
    }
  }
  brush.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

const kept = new WeakMap();

/** The image of a matrix that does not change, made once for each scale of colours. */
function still(values, limit, colours, positive) {
  if (!kept.has(values)) kept.set(values, new Map());
  const made = kept.get(values),
    name = `${limit} ${colours.join()}`;
  if (!made.has(name)) made.set(name, raster(values, limit, colours, positive));
  return made.get(name);
}

/** Matrices side by side, row by row, with gaps that hold no number. */
function mosaic(tiles, columns, gap) {
  const height = tiles[0].length,
    width = tiles[0][0].length;
  const rows = Math.ceil(tiles.length / columns);
  const line = () => new Array(columns * (width + gap) - gap).fill(NaN);
  const found = Array.from({ length: rows * (height + gap) - gap }, line);
  tiles.forEach((tile, k) => {
    const top = Math.floor(k / columns) * (height + gap),
      left = (k % columns) * (width + gap);
    tile.forEach((row, i) =>
      row.forEach((value, j) => {
        found[top + i][left + j] = value;
      }),
    );
  });
  return found;
}

/** The largest absolute value of nested arrays. */
function largest(values) {
  return Array.isArray(values) ? Math.max(...values.map(largest)) : Math.abs(values);
}
