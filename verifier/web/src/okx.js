// What the first- and second-generation files of another exchange have in common, by that exchange's rules
// (https://github.com/okx/proof-of-reserves, README). Their parents bind only the sum of their children, so "holds" means less here.

import { decimalUnits, eightDecimals } from "./amounts.js";
import { Refusal, quote } from "./refusal.js";
import { sha256, toHex, utf8 } from "./sha256.js";

export const ASSETS = ["BTC", "ETH", "USDT"];
/** Amounts are kept in units of 10^-18. */
export const OKX_DECIMALS = 18;
/** 10^-8. */
const SMALLEST = 10n ** 10n;
const HEX_64 = /^[0-9a-f]{64}$/;

export const hashText = (text) => toHex(sha256(utf8(text)));
const amountText = (units) => units.map(eightDecimals).join("");
export const balancesJson = (balances) => JSON.stringify(Object.fromEntries(ASSETS.map((symbol) => [symbol, balances[symbol]])));
export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

export function readBalances(balances, where) {
  if (!isObject(balances) || Object.keys(balances).sort().join() !== ASSETS.join()) {
    throw new Refusal(`The balances of ${where} are not one each of ${ASSETS.join(", ")}.`);
  }
  return ASSETS.map((symbol) => readUnits(balances[symbol], symbol, where));
}

export function readUnits(text, symbol, where) {
  const units = decimalUnits(text);
  if (units !== null) return units;
  if (typeof text === "string" && text.startsWith("-")) {
    throw new Refusal(
      `The ${symbol} balance of ${where} is negative. The exchange's own rules let that pass, and it would hide what is owed to others.`,
    );
  }
  throw new Refusal(`The ${symbol} balance of ${where}, ${quote(text)}, is not a plain decimal number.`);
}

export function readHash(text, where) {
  if (typeof text !== "string" || !HEX_64.test(text))
    throw new Refusal(`The hash of ${where} is not written as 64 lower-case hexadecimal digits.`);
  return text;
}

/** Sums, rounded down to 8 decimals. */
export function add(a, b) {
  return a.map((units, i) => units + b[i] - ((units + b[i]) % SMALLEST));
}

/** Refuses members that no file of the format has. */
export function checkKeys(entry, known, what) {
  const unknown = Object.keys(entry).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new Refusal(`${what} has the key ${quote(unknown)}, which does not belong there.`);
}

export function sameUnits(a, b) {
  return a.every((units, i) => units === b[i]);
}

/** The hash of the node above two others, whose amounts it binds only in sum. */
export function parentHash(left, right, sum, height) {
  return hashText(left + right + amountText(sum) + height);
}

export function holdings(own, total, parts) {
  return ASSETS.map((symbol, i) => ({
    symbol,
    decimals: OKX_DECIMALS,
    own: own[i],
    total: total[i],
    parts: parts.map((part) => part[i]),
  }));
}

export const SUM_ONLY = {
  title: "Each step fixes only the sum of its two sides.",
  text: "Two users with 10 and 7 coins can each be shown a proof that verifies against a total of only 10. A proof that holds does not show that your balance is in the total beside everybody else’s.",
};
export const NOBODY = {
  title: "No user and no report is part of what is hashed.",
  text: "The same entry can be shown to several users with equal balances, and nothing in the hashes says of which report it is.",
};
export const NO_SEPARATORS = {
  title: "Amounts are joined without separators, and leaves and nodes have no mark of their own.",
  text: "Different amounts can make the same hashed text.",
};
export const NEGATIVE = {
  title: "The exchange’s rules let negative neighbours pass.",
  text: "One hidden negative balance would shrink the total. This page refuses such a file; none is on your path.",
};
