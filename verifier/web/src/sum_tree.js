// The hashes and sums of docs/formats/sum_tree.md, over a proof whose form proof.js has checked.

import { AMOUNT_BYTES, AMOUNT_LIMIT, writeAmount } from "./amounts.js";
import { quote } from "./refusal.js";
import { join, sha256, toHex, utf8 } from "./sha256.js";

const VERSION = "assay-sum-tree-v1";
const TAG = { context: 0, leaf: 1, node: 2, padding: 3, userKey: 4, commitment: 5 };
const HASH_BYTES = 32;

function unsigned(value, size) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes.subarray(8 - size);
}

function text(value) {
  const bytes = utf8(value);
  return join(unsigned(bytes.length, 2), bytes);
}

function amounts(balances) {
  const bytes = new Uint8Array(AMOUNT_BYTES * balances.length);
  const view = new DataView(bytes.buffer);
  balances.forEach((amount, i) => writeAmount(view, AMOUNT_BYTES * i, amount));
  return bytes;
}

/** What binds version, report and assets into every hash below. */
export function contextOf({ series, asOf, revision, assets }) {
  const listed = assets.map(({ symbol, decimals }) => join(text(symbol), unsigned(decimals, 1)));
  return sha256(
    join(unsigned(TAG.context, 1), text(VERSION), text(series), text(asOf), unsigned(revision, 4), unsigned(assets.length, 2), ...listed),
  );
}

/** Who a leaf belongs to, which only somebody with the blind and the id can recompute. */
export function userKeyOf({ series, asOf, blind }, userId) {
  return sha256(join(unsigned(TAG.userKey, 1), text(VERSION), text(series), text(asOf), blind, utf8(userId)));
}

export function leafHash(context, userKey, part, parts, nonce, balances) {
  return sha256(join(unsigned(TAG.leaf, 1), context, userKey, unsigned(part, 4), unsigned(parts, 4), nonce, amounts(balances)));
}

export function paddingHash(context, level) {
  return sha256(join(unsigned(TAG.padding, 1), context, unsigned(level, 1)));
}

export function commitmentOf(context, leafCount, root) {
  return sha256(join(unsigned(TAG.commitment, 1), context, unsigned(leafCount, 8), root.hash, amounts(root.balances)));
}

/** Hashes nodes of one tree, in one buffer: a proof has thousands of them. */
class NodeHasher {
  constructor(context, assetCount) {
    this.childBytes = HASH_BYTES + AMOUNT_BYTES * assetCount;
    this.start = 2 + HASH_BYTES;
    this.buffer = new Uint8Array(this.start + 2 * this.childBytes);
    this.view = new DataView(this.buffer.buffer);
    this.buffer[0] = TAG.node;
    this.buffer.set(context, 1);
  }

  #write(offset, { hash, balances }) {
    this.buffer.set(hash, offset);
    balances.forEach((amount, i) => writeAmount(this.view, offset + HASH_BYTES + AMOUNT_BYTES * i, amount));
  }

  hash(level, left, right) {
    this.buffer[1 + HASH_BYTES] = level;
    this.#write(this.start, left);
    this.#write(this.start + this.childBytes, right);
    return sha256(this.buffer);
  }
}

function sameBytes(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The node above two children; null with the asset's number if a sum is too large. */
function parentOf(hasher, level, left, right) {
  const balances = left.balances.map((amount, i) => amount + right.balances[i]);
  const overflown = balances.findIndex((sum) => sum >= AMOUNT_LIMIT);
  return { balances, overflown, hash: overflown < 0 ? hasher.hash(level, left, right) : null };
}

/**
 * Goes from each part up to the root.
 * @returns {{context: string, problems: {part: number, level: number, sentence: string}[], commitment: string}} no problem if every
 *   part leads to the root; and the commitment that the root of the proof comes to.
 */
export function climb(proof) {
  const context = contextOf(proof);
  const hasher = new NodeHasher(context, proof.assets.length);
  const problems = [];
  for (const part of proof.leaves.keys()) {
    const problem = climbFrom(part, proof, context, hasher);
    if (problem) problems.push({ part, ...problem });
  }
  return { context: toHex(context), problems, commitment: toHex(commitmentOf(context, proof.leafCount, proof.root)) };
}

function climbFrom(part, { assets, leaves, root, userKey }, context, hasher) {
  const leaf = leaves[part];
  const nothing = assets.map(() => 0n);
  let place = leaf.position;
  let node = { hash: leafHash(context, userKey, part, leaves.length, leaf.nonce, leaf.balances), balances: leaf.balances };
  for (const [below, shown] of leaf.path.entries()) {
    const level = below + 1;
    const sibling = shown ?? { hash: paddingHash(context, below), balances: nothing };
    const above = place % 2 === 0 ? parentOf(hasher, level, node, sibling) : parentOf(hasher, level, sibling, node);
    if (above.overflown >= 0) {
      const symbol = quote(assets[above.overflown].symbol);
      return { level, sentence: `The sum of ${symbol} at step ${level} of part ${part + 1} is too large to be an amount.` };
    }
    node = above;
    place = Math.floor(place / 2);
  }
  const level = leaf.path.length;
  const other = assets.findIndex((_, i) => node.balances[i] !== root.balances[i]);
  if (other >= 0) {
    const symbol = quote(assets[other].symbol);
    return { level, sentence: `Added up along the path, part ${part + 1} does not come to the stated total of ${symbol}.` };
  }
  if (sameBytes(node.hash, root.hash)) return null;
  const wrong = "its balances, its owner or something on its path is not what was committed to";
  return { level, sentence: `Part ${part + 1} does not lead to the root: ${wrong}.` };
}
