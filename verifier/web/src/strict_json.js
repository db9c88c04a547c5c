// A strict reader of JSON (RFC 8259). JSON.parse keeps the last of two equal keys, turns 1e2 and 1.0 into integers and rounds
// long numbers, all in silence: two readers of one file could then see two different proofs.

import { Refusal, quote } from "./refusal.js";

const DEEPEST = 32;
const MOST_CONTAINERS = 1_000_000;
const WHITE_SPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
/** Matches everywhere, and ends where a text ends or holds something that is not plain. */
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const NUMBER = /-?[0-9][0-9.eE+-]*/y;
const HEX4 = /^[0-9a-fA-F]{4}$/;

/** The text of a file. */
export function decode(bytes) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refusal("The file is not text in UTF-8.");
  }
  if (text.charCodeAt(0) === 0xfeff) throw new Refusal("The file begins with a byte order mark, which JSON does not allow.");
  return text;
}

/** What a JSON text says. Objects have no prototype; every number is an integer from 0 to 2^53 − 1. */
export function readJson(text) {
  let at = 0;
  let containers = 0;

  const refuse = (problem) => {
    throw new Refusal(`${problem} (at character ${at + 1}).`);
  };
  const skipSpace = () => {
    while (WHITE_SPACE.has(text.charCodeAt(at))) at += 1;
  };
  const open = (depth) => {
    at += 1;
    containers += 1;
    if (depth > DEEPEST) refuse("The file is nested too deeply to be a proof");
    if (containers > MOST_CONTAINERS) refuse("The file has more parts than any proof");
    skipSpace();
  };
  /** After a member: true if another one follows. */
  const another = (end) => {
    skipSpace();
    const character = text[at];
    if (character !== "," && character !== end) refuse("The file is cut off, or is not JSON");
    at += 1;
    skipSpace();
    return character === ",";
  };

  function value(depth) {
    switch (text[at]) {
      case "{":
        return object(depth + 1);
      case "[":
        return array(depth + 1);
      case '"':
        return string();
      case "t":
        return word("true", true);
      case "f":
        return word("false", false);
      case "n":
        return word("null", null);
      default:
        return number();
    }
  }

  function object(depth) {
    const members = Object.create(null);
    open(depth);
    if (text[at] === "}") {
      at += 1;
      return members;
    }
    do {
      if (text[at] !== '"') refuse("The file is cut off, or is not JSON");
      const key = string();
      if (key in members) refuse(`The key ${quote(key)} stands twice in one object, so the file can be read in two ways`);
      skipSpace();
      if (text[at] !== ":") refuse("The file is cut off, or is not JSON");
      at += 1;
      skipSpace();
      members[key] = value(depth);
    } while (another("}"));
    return members;
  }

  function array(depth) {
    const items = [];
    open(depth);
    if (text[at] === "]") {
      at += 1;
      return items;
    }
    do items.push(value(depth));
    while (another("]"));
    return items;
  }

  function string() {
    const start = at + 1;
    PLAIN.lastIndex = start;
    PLAIN.test(text);
    at = PLAIN.lastIndex;
    if (text[at] === '"') {
      at += 1;
      return text.slice(start, at - 1);
    }
    return stringWithEscapes(start);
  }

  function stringWithEscapes(begun) {
    let read = "";
    let start = begun;
    while (text[at] !== '"') {
      if (at >= text.length) refuse("The file is cut off");
      if (text[at] !== "\\") refuse("A text holds a control character");
      read += text.slice(start, at) + escape();
      start = at;
      PLAIN.lastIndex = at;
      PLAIN.test(text);
      at = PLAIN.lastIndex;
    }
    read += text.slice(start, at);
    if (!isWellFormed(read)) refuse("A text holds half a character");
    at += 1;
    return read;
  }

  function escape() {
    const letter = text[at + 1];
    if (letter === "u") {
      const digits = text.slice(at + 2, at + 6);
      if (!HEX4.test(digits)) refuse("A text holds an escape that does not exist");
      at += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    if (!Object.hasOwn(ESCAPES, letter ?? "")) refuse("A text holds an escape that does not exist");
    at += 2;
    return ESCAPES[letter];
  }

  function number() {
    NUMBER.lastIndex = at;
    const digits = NUMBER.exec(text)?.[0];
    if (digits === undefined) refuse(at >= text.length ? "The file is cut off" : "The file is not JSON");
    if (digits[0] === "-") refuse(`A number is negative, ${quote(digits)}`);
    if (/[^0-9]/.test(digits))
      refuse(`A number is written with a fraction or an exponent, ${quote(digits)}; only plain digits are allowed`);
    if (digits[0] === "0" && digits !== "0") refuse(`A number has a leading zero, ${quote(digits)}`);
    const integer = Number(digits);
    if (!Number.isSafeInteger(integer)) refuse(`A number is longer than any that may stand in the file, ${quote(digits)}`);
    at += digits.length;
    return integer;
  }

  function word(letters, meaning) {
    if (!text.startsWith(letters, at)) refuse("The file is not JSON");
    at += letters.length;
    return meaning;
  }

  skipSpace();
  if (at >= text.length) refuse("The file is empty");
  const read = value(0);
  skipSpace();
  if (at < text.length) refuse("Something stands after the end of the JSON text");
  return read;
}

/** Whether a text has no half of a surrogate pair alone: only then has it a UTF-8 form. */
export function isWellFormed(text) {
  try {
    encodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** The RFC 8785 form of what `readJson` gave. Its strings and integers are JSON.stringify's, its order is that of UTF-16. */
export function canonicalJson(read) {
  if (Array.isArray(read)) return `[${read.map(canonicalJson).join(",")}]`;
  if (read === null || typeof read !== "object") return JSON.stringify(read);
  const members = Object.keys(read)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(read[key])}`);
  return `{${members.join(",")}}`;
}
