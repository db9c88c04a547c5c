// Where the ways from the user's parts up to the root run, and the same in words.

export const WIDTH = 640;
export const AXIS = 142;
export const LEFT = 56;
const SIBLING_DISTANCE = 24;
/** With more parts than this, only the ways themselves are drawn. */
export const MOST_WITH_SIBLINGS = 8;

/** The nodes of all ways by level: place → x, and which parts go through. Ways lean towards each other as they rise. */
export function layOut({ height, places }) {
  const order = places.map((place, part) => ({ place, part })).sort((a, b) => a.place - b.place);
  const room = WIDTH - AXIS - LEFT;
  const middle = LEFT + room / 2;
  const levels = [new Map(order.map(({ place, part }, i) => [place, { away: room * ((i + 0.5) / order.length - 0.5), parts: [part] }]))];
  for (let level = 1; level <= height; level += 1) {
    const above = new Map();
    for (const [place, node] of levels[level - 1]) {
      const parent = Math.floor(place / 2);
      const met = above.get(parent);
      above.set(parent, met ? { away: (met.away + node.away) / 2, parts: [...met.parts, ...node.parts] } : { ...node });
    }
    levels.push(above);
  }
  levels.forEach((nodes, level) => {
    const lean = 1 - (level / Math.max(1, height)) ** 3;
    for (const node of nodes.values()) node.x = middle + node.away * lean;
  });
  return levels;
}

/** How far from a way its neighbours are drawn: nearer where ways come close. */
export function siblingDistance(nodes) {
  const xs = [...nodes.values()].map(({ x }) => x).sort((a, b) => a - b);
  const gaps = xs.slice(1).map((x, i) => x - xs[i]);
  return Math.max(9, Math.min(SIBLING_DISTANCE, ...gaps.map((gap) => 0.38 * gap)));
}

/** Where two parts' ways meet first, as [step, parts]. */
function meetings(levels) {
  const met = [];
  for (let level = 1; level < levels.length; level += 1) {
    for (const [place, node] of levels[level]) {
      const below = [2 * place, 2 * place + 1].filter((child) => levels[level - 1].has(child));
      if (below.length === 2) met.push({ level, parts: node.parts.map((part) => part + 1).sort((a, b) => a - b) });
    }
  }
  return met;
}

const list = new Intl.ListFormat("en");

/** The picture in words. */
export function pathInWords(picture) {
  const { height, places, broken } = picture;
  const way = places.length === 1 ? "Your entry goes" : `Each of the ${places.length} parts goes`;
  const sentences = [
    `${way} up ${height} steps to the root, which holds the total of everybody. At each step, a neighbour is added with all that stands below it.`,
  ];
  if (places.length <= MOST_WITH_SIBLINGS) {
    for (const { level, parts } of meetings(layOut(picture))) {
      sentences.push(`Parts ${list.format(parts.map(String))} ${level === height ? "meet at the root" : `meet at step ${level}`}.`);
    }
  } else {
    sentences.push("The parts meet on their way. With so many of them, neighbours are not drawn.");
  }
  for (const { part, level } of broken.slice(0, 4))
    sentences.push(`Part ${part + 1} does not fit ${level === height ? "the root" : `at step ${level}`}.`);
  if (broken.length > 4) sentences.push(`${broken.length - 4} more parts do not fit.`);
  return sentences.join(" ");
}
