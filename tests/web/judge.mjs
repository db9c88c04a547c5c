// Judges what stands in the lines of standard input, one JSON object each, with the page's own modules.

import { createInterface } from "node:readline";

import { inWholeUnits } from "../../verifier/web/src/amounts.js";
import { readFile } from "../../verifier/web/src/files.js";
import { judge } from "../../verifier/web/src/verdict.js";

function amounts(holdings, name) {
  const known = holdings.filter((holding) => holding[name] !== null);
  return Object.fromEntries(known.map((holding) => [holding.symbol, inWholeUnits(holding[name], holding.decimals)]));
}

for await (const line of createInterface({ input: process.stdin })) {
  const { files, ...typed } = JSON.parse(line);
  const read = Object.fromEntries(
    Object.entries(files).map(([name, base64]) => [name, readFile(new Uint8Array(Buffer.from(base64, "base64")))]),
  );
  const { verdict, headline, sentence, missing, weaknesses = [], holdings = [] } = judge({ ...read, ...typed });
  const titles = weaknesses.map(({ title }) => title);
  console.log(
    JSON.stringify({
      verdict,
      headline,
      sentence,
      missing,
      weaknesses: titles,
      own: amounts(holdings, "own"),
      total: amounts(holdings, "total"),
    }),
  );
}
