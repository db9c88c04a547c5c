// A proof of the first generation: one leaf and its path.

import {
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
  sameUnits,
} from "./okx.js";
import { Refusal } from "./refusal.js";

const KEYS = ["auditId", "balances", "type", "nonce", "hash", "height"];
const LEFT = 1;
const RIGHT = 2;
const ROOT = 3;
const PADDING = 4;
/** More entries than any path has. */
const LONGEST = 50;

const NEIGHBOUR_SHOWN = {
  title: "The file shows a stranger’s balances.",
  text: "The neighbour’s entry stands in it with its nonce, and yours stands in the neighbour’s file.",
};
const PADDING_REPEATS = {
  title: "Padding repeats the hash beside it.",
  text: "It has no mark of its own, so it cannot be told from a real entry by its hash.",
};
const ONE_ENTRY = { title: "Your whole balance is one entry.", text: "Its place in the tree can be followed." };

/** Checks the document and says what is in it. */
export function checkOkxPath(document) {
  const { self, path } = document;
  if (!isObject(self) || !Array.isArray(path) || path.length < 2 || path.length > LONGEST || !path.every(isObject)) {
    throw new Refusal("The file lacks the user’s own entry or the path.");
  }
  for (const [i, entry] of [self, ...path].entries()) checkKeys(entry, KEYS, i === 0 ? "Your entry" : `Entry ${i} of the path`);
  const root = path.at(-1);
  const siblings = path.slice(0, -1);
  const neighbourShown = typeof siblings[0].nonce === "string";
  checkLeaf(self, "your entry");
  if (neighbourShown) checkLeaf(siblings[0], "the neighbour");

  if (self.height !== 1 || ![LEFT, RIGHT].includes(self.type))
    throw new Refusal("Your entry is not said to be a leaf on the left or right.");
  const own = readBalances(self.balances, "your entry");
  let node = { hash: self.hash, units: own };
  for (const [i, sibling] of siblings.entries()) node = nodeAbove(node, sibling, i + 1);
  const place = siblings.reduce((sum, { type }, i) => (type === LEFT ? sum + 2 ** i : sum), 0);
  if ((self.type === RIGHT) !== (place % 2 === 1)) {
    throw new Refusal("Your entry and its neighbour claim the same side.");
  }
  const total = checkRoot(root, node, path.length);

  const paddings = siblings.map(({ type }) => type === PADDING);
  const weaknesses = [SUM_ONLY, NOBODY, NEGATIVE, NO_SEPARATORS, ONE_ENTRY];
  if (neighbourShown) weaknesses.push(NEIGHBOUR_SHOWN);
  if (paddings.includes(true)) weaknesses.push(PADDING_REPEATS);
  return {
    holdings: holdings(own, total, []),
    root: root.hash,
    picture: { height: siblings.length, places: [place], paddings: [paddings] },
    steps: [siblings.map(({ hash }, i) => ({ hash, padding: paddings[i] }))],
    weaknesses,
  };
}

function checkLeaf(entry, where) {
  readBalances(entry.balances, where);
  if (typeof entry.nonce !== "string") throw new Refusal(`The nonce of ${where} is missing.`);
  if (hashText(entry.nonce + balancesJson(entry.balances)) !== readHash(entry.hash, where)) {
    throw new Refusal(`The hash of ${where} does not follow from its nonce and balances.`);
  }
}

function nodeAbove(node, sibling, height) {
  const where = `step ${height}`;
  if (sibling.height !== height) throw new Refusal(`The heights of the path are not in order at ${where}.`);
  const units = readBalances(sibling.balances, where);
  const hash = readHash(sibling.hash, where);
  if (![LEFT, RIGHT, PADDING].includes(sibling.type)) throw new Refusal(`At ${where} the file says neither left nor right.`);
  if (sibling.type === PADDING && (hash !== node.hash || units.some((amount) => amount !== 0n))) {
    throw new Refusal(`The padding at ${where} is not an empty copy of its neighbour.`);
  }
  const sum = add(node.units, units);
  const [left, right] = sibling.type === LEFT ? [hash, node.hash] : [node.hash, hash];
  return { hash: parentHash(left, right, sum, height + 1), units: sum };
}

function checkRoot(root, node, height) {
  if (root.type !== ROOT || root.height !== height) throw new Refusal("The last entry of the path is not the root.");
  const total = readBalances(root.balances, "the root");
  if (!sameUnits(total, node.units)) throw new Refusal("Added up along the path, the balances do not come to the root’s.");
  if (readHash(root.hash, "the root") !== node.hash) {
    throw new Refusal("The path does not lead to the root: something on it was altered.");
  }
  return total;
}
