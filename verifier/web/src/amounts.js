// Amounts are integers of base units as BigInt, from the first digit to the last. Nothing here is a float.

/** No amount and no sum reaches this. */
export const AMOUNT_LIMIT = 10n ** 38n;
export const AMOUNT_BYTES = 16;

const AMOUNT = /^(?:0|[1-9][0-9]{0,37})$/;
const DECIMAL = /^(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,18})?$/;

/** What is wrong with an amount of base units, as the end of a sentence; null if nothing is. */
export function amountProblem(text) {
  if (typeof text !== "string") return "is not written as text in quotation marks";
  if (AMOUNT.test(text)) return null;
  if (/^-/.test(text)) return "is negative, and a negative balance would hide what is owed to others";
  if (/^0[0-9]/.test(text)) return "begins with a needless zero";
  if (/^[0-9]+$/.test(text)) return "is longer than any amount can be (38 digits)";
  return "is not written in plain digits";
}

/** Writes one amount as 16 bytes, big-endian. */
export function writeAmount(view, offset, amount) {
  view.setBigUint64(offset, amount >> 64n);
  view.setBigUint64(offset + 8, BigInt.asUintN(64, amount));
}

/** Base units in whole units: all digits that say something, with commas between thousands. */
export function inWholeUnits(amount, decimals) {
  const digits = amount.toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(?:[0-9]{3})+$)/g, ",");
  const fraction = decimals === 0 ? "" : digits.slice(-decimals).replace(/0+$/, "");
  return fraction === "" ? whole : `${whole}.${fraction}`;
}

/** A decimal text such as 0.00007282 in units of 10^-18; null if it is not one, negative ones included. */
export function decimalUnits(text) {
  if (typeof text !== "string" || !DECIMAL.test(text)) return null;
  const [whole, fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(18, "0"));
}

/** Units of 10^-18 as a decimal text, rounded down to 8 decimals, without trailing zeros and without commas. */
export function eightDecimals(units) {
  return inWholeUnits(units / 10n ** 10n, 8).replaceAll(",", "");
}
