// The second generation: a user's file with several leaves, and the text of the whole tree that they stand in.

import {
  ASSETS,
  NEGATIVE,
  NOBODY,
  NO_SEPARATORS,
  SUM_ONLY,
  add,
  balancesJson,
  checkKeys,
  hashText,
  holdings,
  isObject,
  parentHash,
  readBalances,
  readHash,
  readUnits,
  sameUnits,
} from "./okx.js";
import { Refusal } from "./refusal.js";

const TREE_LINE = /^([0-9a-f]{64}),([1-9][0-9]?),\{"BTC":"([^"]*)","ETH":"([^"]*)","USDT":"([^"]*)"\}$/;

/** A user's file of the second generation: several leaves that add up to the user's balances. */
export function checkOkxUser(document) {
  const { hash, nodes, nonce, totalBalances } = document;
  checkKeys(document, ["hash", "nodes", "nonce", "totalBalances"], "The file");
  const own = readBalances(totalBalances, "your account");
  if (typeof nonce !== "string" || hashText(nonce + balancesJson(totalBalances)) !== readHash(hash, "your account")) {
    throw new Refusal("The hash of your account does not follow from its nonce and balances.");
  }
  if (!Array.isArray(nodes) || nodes.length === 0 || !nodes.every(isObject)) throw new Refusal("The file lists no parts.");
  const leaves = nodes.map((node, i) => {
    const where = `part ${i + 1}`;
    checkKeys(node, ["balances", "hash"], `Part ${i + 1}`);
    const units = readBalances(node.balances, where);
    if (hashText(hash + ASSETS.map((symbol) => node.balances[symbol]).join("")) !== readHash(node.hash, where)) {
      throw new Refusal(`The hash of ${where} does not follow from your account and its balances.`);
    }
    return { hash: node.hash, units };
  });
  if (!sameUnits(own, leaves.map((leaf) => leaf.units).reduce(add))) throw new Refusal("Your parts do not add up to your balances.");
  return { own, leaves };
}

/** The whole tree of the second generation: one node a line, the root first, from right to left within a level. */
export function checkOkxTree(text) {
  const levels = readLevels(text);
  const top = levels.length - 1;
  if (top < 2 || levels[top].length !== 1) throw new Refusal("The tree has no single root.");
  let hasPadding = false;
  for (let height = 2; height <= top; height += 1) {
    const [below, here] = [levels[height - 1], levels[height]];
    const parents = below.length / 2;
    // A level with an odd number of nodes is made even by a copy of its last node without balances.
    const isPadded = here.length === parents + 1 && here.length % 2 === 0 && isEmptyCopy(here[parents], here[parents - 1]);
    if (!Number.isInteger(parents) || (here.length !== parents && !isPadded)) {
      throw new Refusal(`The nodes of height ${height - 1} are not two for each of height ${height}.`);
    }
    for (let p = 0; p < parents; p += 1) checkNode(here[p], below[2 * p], below[2 * p + 1], height);
    hasPadding ||= isPadded || isEmptyCopy(below.at(-1), below.at(-2));
  }
  return { levels, top, hasPadding, root: levels[top][0] };
}

/** The nodes by height, each level from left to right. */
function readLevels(text) {
  const levels = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line === "") continue;
    const found = TREE_LINE.exec(line);
    if (!found) throw new Refusal(`Line ${i + 1} of the tree is not a hash, a height and balances of ${ASSETS.join(", ")}.`);
    const units = ASSETS.map((symbol, asset) => readUnits(found[3 + asset], symbol, `line ${i + 1}`));
    (levels[Number(found[2])] ??= []).push({ hash: found[1], units });
  }
  for (let height = 1; height < levels.length; height += 1) {
    if (!levels[height]) throw new Refusal(`The tree has no nodes of height ${height}.`);
    levels[height].reverse();
  }
  return levels;
}

function isEmptyCopy(node, original) {
  return node.hash === original.hash && node.units.every((units) => units === 0n);
}

function checkNode(node, left, right, height) {
  const sum = add(left.units, right.units);
  if (!sameUnits(sum, node.units)) throw new Refusal(`A node of height ${height} is not the sum of the two below it.`);
  if (parentHash(left.hash, right.hash, sum, height) !== node.hash) {
    throw new Refusal(`The hash of a node of height ${height} does not follow from those below it.`);
  }
}

/** A user's file held against the whole tree. */
export function findInOkxTree(user, tree) {
  const placesOf = new Map();
  tree.levels[1].forEach((leaf, place) => {
    // Padding repeats the last leaf's hash; it is told by its balances.
    const key = `${leaf.hash} ${leaf.units.join()}`;
    placesOf.set(key, [...(placesOf.get(key) ?? []), place]);
  });
  const places = user.leaves.map((leaf, i) => {
    const place = placesOf.get(`${leaf.hash} ${leaf.units.join()}`)?.shift();
    if (place === undefined) throw new Refusal(`Part ${i + 1} of your balances is not among the leaves of the tree.`);
    return place;
  });
  const height = tree.top - 1;
  const isPadding = (place, level) => place % 2 === 0 && isEmptyCopy(tree.levels[level + 1][place + 1], tree.levels[level + 1][place]);
  const paths = places.map((place) => Array.from({ length: height }, (_, level) => Math.floor(place / 2 ** level)));
  const weaknesses = [SUM_ONLY, NOBODY, NEGATIVE, NO_SEPARATORS];
  if (tree.hasPadding) {
    weaknesses.push({
      title: "Padding repeats the hash beside it.",
      text: "It is told from a real entry only by its empty balances, which the hash above binds only in sum.",
    });
  }
  return {
    holdings: holdings(
      user.own,
      tree.root.units,
      user.leaves.map((leaf) => leaf.units),
    ),
    root: tree.root.hash,
    picture: { height, places, paddings: paths.map((path) => path.map(isPadding)) },
    steps: paths.map((path) =>
      path.map((place, level) => {
        const sibling = place % 2 === 0 ? place + 1 : place - 1;
        return { hash: tree.levels[level + 1][sibling].hash, padding: isPadding(place, level) };
      }),
    ),
    weaknesses,
  };
}
