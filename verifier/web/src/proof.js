// The form of an inclusion proof, docs/formats/sum_tree.md. What it proves is computed in sum_tree.js.

import { amountProblem } from "./amounts.js";
import { Refusal, quote } from "./refusal.js";
import { fromHex, utf8 } from "./sha256.js";

export const PROOF_FORMAT = "assay-inclusion-proof-v1";

const FEWEST_PARTS = 2;
const MOST_PARTS = 4096;
const FEWEST_LEAVES = 2;
const MOST_LEAVES = 2 ** 40;
const MOST_ASSETS = 1000;
const LONGEST_TEXT = 0xffff;
const HEX_64 = /^[0-9a-f]{64}$/;
const MOMENT = /^(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$/;

function checkKeys(members, keys, what) {
  if (members === null || typeof members !== "object" || Array.isArray(members)) throw new Refusal(`${what} is not a JSON object.`);
  for (const key of Object.keys(members)) {
    if (!keys.includes(key)) throw new Refusal(`${what} has the key ${quote(key)}, which does not belong there.`);
  }
  for (const key of keys) {
    if (!(key in members)) throw new Refusal(`${what} lacks the key “${key}”.`);
  }
}

function checkInteger(value, least, most, what) {
  if (typeof value !== "number") throw new Refusal(`${what} is not a whole number.`);
  if (value < least || value > most) throw new Refusal(`${what} is ${value}, and has to be from ${least} to ${most}.`);
  return value;
}

function checkText(value, what) {
  if (typeof value !== "string") throw new Refusal(`${what} is not a text.`);
  if (utf8(value).length > LONGEST_TEXT) throw new Refusal(`${what} is too long.`);
  return value;
}

function checkArray(value, what) {
  if (!Array.isArray(value)) throw new Refusal(`${what} is not a list.`);
  return value;
}

function checkHash(value, what) {
  if (typeof value !== "string" || !HEX_64.test(value)) throw new Refusal(`${what} is not written as 64 lower-case hexadecimal digits.`);
  return fromHex(value);
}

/** Whether a text is a moment in UTC in whole seconds, of a day that exists. */
export function isMoment(text) {
  if (typeof text !== "string" || !MOMENT.test(text)) return false;
  const moment = new Date(text);
  return !Number.isNaN(moment.getTime()) && moment.toISOString() === text.replace("Z", ".000Z");
}

function checkAssets(listed) {
  const assets = checkArray(listed, "The list of assets").map((asset, i) => {
    checkKeys(asset, ["symbol", "decimals"], `Asset ${i + 1}`);
    const symbol = checkText(asset.symbol, `The symbol of asset ${i + 1}`);
    return { symbol, decimals: checkInteger(asset.decimals, 0, 255, `The number of decimals of ${quote(symbol)}`) };
  });
  checkInteger(assets.length, 1, MOST_ASSETS, "The number of assets");
  for (let i = 1; i < assets.length; i += 1) {
    const order = compareBytes(utf8(assets[i - 1].symbol), utf8(assets[i].symbol));
    if (order === 0) throw new Refusal(`The asset ${quote(assets[i].symbol)} is listed twice.`);
    if (order > 0) throw new Refusal("The assets are not sorted by their symbols.");
  }
  return assets;
}

function compareBytes(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

function checkBalances(listed, assets, where) {
  checkArray(listed, `The list of balances of ${where()}`);
  if (listed.length !== assets.length) {
    throw new Refusal(`The list of balances of ${where()} has ${listed.length} amounts for ${assets.length} assets.`);
  }
  return listed.map((text, i) => {
    const problem = amountProblem(text);
    if (problem) throw new Refusal(`The ${quote(assets[i].symbol)} balance of ${where()}, ${quote(text)}, ${problem}.`);
    return BigInt(text);
  });
}

function checkSibling(sibling, assets, hasSibling, where) {
  if (sibling === null) {
    if (hasSibling) throw new Refusal(`The neighbour at ${where()} is left out, though the tree has one there.`);
    return null;
  }
  if (!hasSibling) throw new Refusal(`The proof shows a neighbour at ${where()}, where the tree ends.`);
  checkKeys(sibling, ["hash", "balances"], `The neighbour at ${where()}`);
  return {
    hash: checkHash(sibling.hash, `The hash of the neighbour at ${where()}`),
    balances: checkBalances(sibling.balances, assets, () => `the neighbour at ${where()}`),
  };
}

function checkLeaf(listed, index, { assets, leafCount, widths }) {
  const name = `Part ${index + 1}`;
  checkKeys(listed, ["part", "position", "nonce", "balances", "path"], name);
  if (listed.part !== index) throw new Refusal(`${name} is numbered otherwise, so parts are missing, doubled or out of order.`);
  const position = checkInteger(listed.position, 0, leafCount - 1, `The position of part ${index + 1}`);
  const path = checkArray(listed.path, `The path of part ${index + 1}`);
  if (path.length !== widths.length - 1) {
    const length = path.length < widths.length - 1 ? "too short" : "too long";
    throw new Refusal(
      `The path of part ${index + 1} is ${length}: it has ${path.length} steps, and the root stands ${widths.length - 1} above the leaves.`,
    );
  }
  let place = position;
  return {
    position,
    nonce: checkHash(listed.nonce, `The nonce of part ${index + 1}`),
    balances: checkBalances(listed.balances, assets, () => `part ${index + 1}`),
    path: path.map((sibling, level) => {
      const hasSibling = siblingOf(place) < widths[level];
      place = Math.floor(place / 2);
      return checkSibling(sibling, assets, hasSibling, () => `step ${level + 1} of part ${index + 1}`);
    }),
  };
}

/** The place beside a place: its number with the last bit turned over. */
export function siblingOf(position) {
  return position % 2 === 0 ? position + 1 : position - 1;
}

/** How many nodes each level has, from the leaves to the root. */
export function levelWidths(leafCount) {
  const widths = [leafCount];
  while (widths.at(-1) > 1) widths.push(Math.ceil(widths.at(-1) / 2));
  return widths;
}

/**
 * Reads what `readJson` gave as a proof.
 * @throws {Refusal} with a sentence, if anything in it is not as the format demands.
 */
export function readProof(document) {
  const keys = ["format", "series", "as_of", "revision", "assets", "leaf_count", "root", "commitment", "user_key", "blind", "leaves"];
  checkKeys(document, keys, "The proof");
  if (document.format !== PROOF_FORMAT) throw new Refusal(`The proof is of the format ${quote(document.format)}, which is unknown here.`);
  const series = checkText(document.series, "The name of the series");
  if (!isMoment(document.as_of)) throw new Refusal("The moment of the report, “as_of”, is not written like 2023-02-17T16:00:00Z.");
  const revision = checkInteger(document.revision, 1, 0xffffffff, "The revision");
  const assets = checkAssets(document.assets);
  const leafCount = checkInteger(document.leaf_count, FEWEST_LEAVES, MOST_LEAVES, "The number of leaves");
  const widths = levelWidths(leafCount);
  checkKeys(document.root, ["hash", "balances"], "The root");

  const listed = checkArray(document.leaves, "The list of your parts");
  checkInteger(listed.length, FEWEST_PARTS, MOST_PARTS, "The number of parts");
  const leaves = listed.map((leaf, index) => checkLeaf(leaf, index, { assets, leafCount, widths }));
  if (new Set(leaves.map((leaf) => leaf.position)).size !== leaves.length) {
    throw new Refusal("Two parts stand at one place of the tree, so one of them is counted twice.");
  }
  return {
    series,
    asOf: document.as_of,
    revision,
    assets,
    leafCount,
    widths,
    root: {
      hash: checkHash(document.root.hash, "The hash of the root"),
      balances: checkBalances(document.root.balances, assets, () => "the root"),
    },
    commitment: checkHash(document.commitment, "The commitment"),
    userKey: checkHash(document.user_key, "The user key"),
    blind: checkHash(document.blind, "The blind"),
    leaves,
  };
}
