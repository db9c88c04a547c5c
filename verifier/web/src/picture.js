// The way from the user's parts up to the root, drawn.

import { svg } from "./dom.js";
import { AXIS, LEFT, MOST_WITH_SIBLINGS, WIDTH, layOut, siblingDistance } from "./path_layout.js";

const STEP = 26;
const TOP = 64;
const BOTTOM = 66;
const MIDDLE = (WIDTH - AXIS + LEFT) / 2;

const count = new Intl.NumberFormat("en");

/** An SVG; `pathInWords` has to stand beside it under the id `path-words`. */
export function drawPath(picture, leafCount) {
  const { height, places, broken } = picture;
  const drawing = new Drawing(picture);
  for (const level of drawing.levels.keys()) drawing.drawLevel(level);
  if (drawing.withSiblings) for (const problem of broken) drawing.cross(problem);
  drawing.drawRoot();
  const yours = places.length === 1 ? "Your entry" : `Your ${places.length} parts`;
  const total = drawing.y(0) + BOTTOM;
  return svg(
    "svg",
    {
      class: "path",
      viewBox: `0 0 ${WIDTH} ${total}`,
      role: "img",
      "aria-label": "Drawing of the way up",
      "aria-describedby": "path-words",
    },
    axis(height, leafCount, drawing.y),
    drawing.edges,
    drawing.dots,
    drawing.marks,
    label("strong", MIDDLE, drawing.y(height) - 32, "Total of everybody"),
    label("strong", MIDDLE, total - 8, yours),
  );
}

function label(kind, x, y, words) {
  return svg("text", { class: `label ${kind}`, x, y, "text-anchor": "middle" }, words);
}

function curve(x1, y1, x2, y2) {
  if (Math.abs(x1 - x2) < 1.6 * STEP) return `M${x1} ${y1}L${x2} ${y2}`;
  const middle = (y1 + y2) / 2;
  return `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`;
}

/** Edges, dots and marks, kept apart because they lie upon each other in this order. */
class Drawing {
  edges = [];
  dots = [];
  marks = [];

  constructor(picture) {
    this.picture = picture;
    this.levels = layOut(picture);
    this.withSiblings = picture.places.length <= MOST_WITH_SIBLINGS;
    this.thinnest = Math.max(0.5, Math.min(1.75, 40 / picture.places.length));
    this.brokenParts = new Set(picture.broken.map(({ part }) => part));
    this.y = (level) => TOP + (picture.height - level) * STEP;
  }

  drawLevel(level) {
    const { height } = this.picture;
    if (level === height) return;
    const nodes = this.levels[level];
    const distance = siblingDistance(nodes);
    const weight = (this.thinnest + 4 * (level / height) ** 2).toFixed(2);
    for (const [place, node] of nodes) {
      const state = node.parts.every((part) => this.brokenParts.has(part)) ? " broken" : "";
      const parent = this.levels[level + 1].get(Math.floor(place / 2));
      this.edges.push(svg("path", { class: `way${state}`, d: this.#upwards(node.x, parent, level), "stroke-width": weight }));
      if (this.withSiblings) this.#drawSibling(place, node, parent, level, distance);
      if (level === 0) this.#drawLeaf(node, state);
      else if (this.withSiblings) this.dots.push(svg("circle", { class: `own${state}`, cx: node.x, cy: this.y(level), r: 3.5 }));
    }
  }

  #upwards(x, parent, level) {
    return curve(x, this.y(level), parent.x, this.y(level + 1));
  }

  #drawSibling(place, node, parent, level, distance) {
    const isLeft = place % 2 === 1;
    if (this.levels[level].has(isLeft ? place - 1 : place + 1)) return;
    const x = node.x + (isLeft ? -distance : distance);
    const kind = this.picture.paddings[node.parts[0]][level] ? "sibling padding" : "sibling";
    this.edges.push(svg("path", { class: kind, d: this.#upwards(x, parent, level) }));
    this.dots.push(svg("circle", { class: kind, cx: x, cy: this.y(level), r: 4 }));
  }

  #drawLeaf({ x, parts }, state) {
    this.dots.push(svg("circle", { class: `own leaf${state}`, cx: x, cy: this.y(0), r: this.withSiblings ? 7 : 2.5 }));
    if (this.withSiblings && this.picture.places.length > 1) this.marks.push(label("", x, this.y(0) + 24, `part ${parts[0] + 1}`));
  }

  /** Marks where a part does not fit, on the way into that level. */
  cross({ part, level }) {
    const node = (at) => this.levels[at].get(Math.floor(this.picture.places[part] / 2 ** at));
    const x = (node(level - 1).x + node(level).x) / 2;
    const y = (this.y(level - 1) + this.y(level)) / 2;
    this.marks.push(svg("path", { class: "cross", d: `M${x - 7} ${y - 7}l14 14M${x + 7} ${y - 7}l-14 14` }));
  }

  drawRoot() {
    const { height } = this.picture;
    const [{ x }] = this.levels[height].values();
    const state = this.brokenParts.size > 0 ? " broken" : "";
    this.dots.push(
      svg("circle", { class: `root-halo${state}`, cx: x, cy: this.y(height), r: 20 }),
      svg("circle", { class: `root${state}`, cx: x, cy: this.y(height), r: 11 }),
    );
  }
}

/** How many entries a node of a level holds at most: what shows that the way leads to everybody. */
function axis(height, leafCount, y) {
  const marks = [];
  for (let level = 0; level <= height; level += 5) {
    if (level > 0 && height - level < 2) break;
    marks.push(...tick(y(level), count.format(2 ** level)));
  }
  if (leafCount) marks.push(...tick(y(height), count.format(leafCount)));
  marks.push(svg("text", { class: "label", x: WIDTH - AXIS + 14, y: y(height) - 32 }, "entries below"));
  return svg("g", { class: "axis", "aria-hidden": "true" }, ...marks);
}

function tick(y, words) {
  return [
    svg("path", { class: "tick", d: `M8 ${y}H${WIDTH - AXIS + 8}` }),
    svg("text", { class: "label", x: WIDTH - AXIS + 14, y: y + 4 }, words),
  ];
}
