// Everything that was given, put together into one verdict in plain words. Cheap: it runs at each key that is pressed.

import { judgeBitmex, judgeOkxPath, judgeOkxTree, judgeOkxUser } from "./foreign_verdict.js";
import { fails } from "./outcome.js";
import { judgeAssay } from "./own_verdict.js";
import { Refusal } from "./refusal.js";

const HEX_64 = /^[0-9a-f]{64}$/;
const MALFORMED = "The published hash: what you pasted is not 64 hexadecimal digits. Copy all of it, and nothing else.";

/**
 * `holds`: everything was checked and is right. `weak`: right by the rules of a format that proves less than it seems to.
 * `incomplete`: nothing is wrong, something is missing. `fails`: something is wrong. `unknown`: not a file that is read here.
 * @param {{proof: ?object, tree: ?object, manifest: ?object, userId: string, nonce: string, commitment: string}} given
 *   files as `readFile` read them, and what was typed; empty where nothing was.
 */
export function judge({ proof = null, tree = null, manifest = null, userId = "", nonce = "", commitment = "" }) {
  const published = commitment.trim().toLowerCase();
  const given = { proof, tree, manifest, userId, nonce, published, malformed: published && !HEX_64.test(published) ? MALFORMED : null };
  const main = proof ?? tree;
  if (!main) return null;
  if (main.refusal) return refused(main);
  if (manifest?.refusal) return fails(manifest.refusal, { kind: main.kind, headline: "The manifest cannot be used.", advice: null });
  try {
    return JUDGES[main.kind](given);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return fails(error.message, { kind: main.kind });
  }
}

const JUDGES = { assay: judgeAssay, okxPath: judgeOkxPath, okxUser: judgeOkxUser, okxTree: judgeOkxTree, bitmex: judgeBitmex };

function refused({ kind, refusal }) {
  if (kind === "unknown")
    return { ...fails(refusal, { kind, headline: "This file cannot be checked.", advice: null }), verdict: "unknown" };
  return fails(refusal, { kind, checks: [{ outcome: "fail", text: "The file has the form of a proof." }] });
}
