// The whole tree of another exchange, by its rules (https://github.com/BitMEX/proof-of-reserves-liabilities): a sound sum tree over
// one asset. A user finds the own leaves in it with account number and nonce.

import { Refusal, quote } from "./refusal.js";
import { fromHex, hmacSha256, join, sha256, toHex } from "./sha256.js";

const HEADER = /^block_height:(0|[1-9][0-9]{0,15})$/;
const ROW = /^([0-9a-f]{64}),(0|[1-9][0-9]{0,19})$/;
const HEX_64 = /^[0-9a-f]{64}$/;
const LARGEST = 2n ** 64n - 1n;
const DECIMALS = 8;

function littleEndian(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

function nodeBytes({ hash, value }) {
  return join(fromHex(hash), littleEndian(value));
}

/** Reads the tree and recomputes every node: rows from the root to the leaves, each level from left to right. */
export function checkBitmexTree(text) {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  const header = HEADER.exec(lines[0] ?? "");
  if (!header) throw new Refusal("The first line does not name a block height.");
  const rows = lines.slice(1).map((line, i) => {
    const found = ROW.exec(line);
    if (!found && /,-/.test(line)) throw new Refusal(`The value in line ${i + 2} is negative, and would hide what is owed to others.`);
    if (!found) throw new Refusal(`Line ${i + 2}, ${quote(line)}, is not a hash and a value.`);
    const value = BigInt(found[2]);
    if (value > LARGEST) throw new Refusal(`The value in line ${i + 2} is too large to be one.`);
    return { hash: found[1], value };
  });
  const height = Math.log2(rows.length + 1) - 1;
  if (rows.length === 0 || !Number.isInteger(height)) throw new Refusal("Rows are missing: the lowest level is not complete.");
  const firstLeaf = 2 ** height - 1;
  for (let i = 0; i < firstLeaf; i += 1) {
    const [left, right] = [rows[2 * i + 1], rows[2 * i + 2]];
    if (left.value + right.value !== rows[i].value) throw new Refusal(`The value in line ${i + 2} is not the sum of the two below it.`);
    if (toHex(sha256(join(nodeBytes(left), nodeBytes(right)))) !== rows[i].hash) {
      throw new Refusal(`The hash in line ${i + 2} does not follow from the two below it.`);
    }
  }
  return { blockHeight: Number(header[1]), height, rows, firstLeaf };
}

/** The leaves of an account: its nonce may be the one of this report, or the account's own, from which this one follows. */
export function findInBitmexTree(tree, accountText, nonceText) {
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(accountText)) throw new Refusal("The account number is not written in plain digits.");
  if (!HEX_64.test(nonceText)) throw new Refusal("The nonce is not written as 64 lower-case hexadecimal digits.");
  const nonce = fromHex(nonceText);
  const derived = sha256(join(nonce, littleEndian(tree.blockHeight), littleEndian(accountText)));
  const leaves = tree.rows.slice(tree.firstLeaf);
  const placesWith = (key) =>
    leaves.flatMap(({ hash, value }, place) =>
      toHex(hmacSha256(key, join(littleEndian(value), littleEndian(place)))) === hash ? [place] : [],
    );
  const byAccount = placesWith(derived);
  const places = byAccount.length > 0 ? byAccount : placesWith(nonce);
  if (places.length === 0) throw new Refusal("No leaf of the tree belongs to this account number and nonce.");
  const parts = places.map((place) => leaves[place].value);
  const row = (level, place) => tree.rows[2 ** (tree.height - level) - 1 + place];
  return {
    accountBound: byAccount.length > 0,
    ...overview(tree, parts),
    picture: { height: tree.height, places, paddings: places.map(() => Array(tree.height).fill(false)) },
    steps: places.map((place) =>
      Array.from({ length: tree.height }, (_, level) => {
        const own = Math.floor(place / 2 ** level);
        return { hash: row(level, own % 2 === 0 ? own + 1 : own - 1).hash, padding: false };
      }),
    ),
  };
}

/** What the tree says even without an account. */
export function overview(tree, parts) {
  const own = parts.reduce((sum, value) => sum + value, 0n);
  return {
    holdings: [{ symbol: "BTC", decimals: DECIMALS, own, total: tree.rows[0].value, parts }],
    root: tree.rows[0].hash,
    weaknesses: [
      { title: "One asset only.", text: "Balances in anything else are not in it." },
      { title: "Leaves and nodes have no mark of their own.", text: "They are told apart only by being hashed in different ways." },
      {
        title: "The nonce of an account stays the same.",
        text: "Whoever learns it finds the account’s leaves in every report. Don’t give it to anybody.",
      },
    ],
  };
}
