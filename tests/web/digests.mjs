// SHA-256 and HMAC-SHA256 by the page's own code: lines with the hexadecimal digits of a key and a message in, of both digests out.

import { createInterface } from "node:readline";

import { fromHex, hmacSha256, sha256, toHex } from "../../verifier/web/src/sha256.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { key, message } = JSON.parse(line);
  console.log(JSON.stringify([toHex(sha256(fromHex(message))), toHex(hmacSha256(fromHex(key), fromHex(message)))]));
}
