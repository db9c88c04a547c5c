// Which of the known files somebody has dropped. All costly work is done here, once a file.

import { checkBitmexTree } from "./bitmex.js";
import { MANIFEST_FORMAT, readManifest } from "./manifest.js";
import { checkOkxPath } from "./okx_path.js";
import { checkOkxTree, checkOkxUser } from "./okx_tree.js";
import { readProof } from "./proof.js";
import { Refusal } from "./refusal.js";
import { decode, readJson } from "./strict_json.js";
import { climb } from "./sum_tree.js";

/** No proof and no tree that is read here is longer. */
export const MOST_BYTES = 64 * 1024 * 1024;

export const TOO_LONG =
  "The file is larger than 64 MiB and was not read. No proof is; the longer trees of other publishers are for the program assay-verify.";

const KINDS = {
  assay: (document) => {
    const proof = readProof(document);
    return { proof, climbed: climb(proof) };
  },
  okxPath: (document) => ({ found: checkOkxPath(document) }),
  okxUser: (document) => ({ user: checkOkxUser(document) }),
  okxTree: (text) => ({ tree: checkOkxTree(text) }),
  bitmex: (text) => ({ tree: checkBitmexTree(text) }),
};

/** What a text begins like. */
function kindOfText(text) {
  if (text.startsWith("block_height:")) return "bitmex";
  if (/^[0-9a-f]{64},/.test(text)) return "okxTree";
  const start = /\S/.exec(text)?.[0];
  if (start === undefined) throw new Refusal("The file is empty.");
  return start === "{" || start === "[" ? "json" : "unknown";
}

/** The kind of a JSON document: by what stands in it, not by the file's name. */
function kindOfDocument(document) {
  const has = (...keys) => keys.every((key) => key in document);
  if (Array.isArray(document)) return "unknown";
  if (document.format === MANIFEST_FORMAT) return "manifest";
  if (has("format") || has("leaves") || has("user_key")) return "assay";
  if (has("self", "path")) return "okxPath";
  if (has("nodes", "totalBalances")) return "okxUser";
  return "unknown";
}

/**
 * Reads and checks a dropped file.
 * @param {Uint8Array} bytes
 * @returns {{kind: string, refusal?: string}} with what was found; `refusal` is the sentence why the file was not accepted.
 */
export function readFile(bytes) {
  let kind = "unknown";
  try {
    if (bytes.length > MOST_BYTES) throw new Refusal(TOO_LONG);
    const text = decode(bytes);
    let content = text;
    kind = kindOfText(text);
    if (kind === "json") {
      content = readJson(text);
      kind = kindOfDocument(content);
    }
    if (kind === "unknown") throw new Refusal("This is none of the files that can be checked here.");
    if (kind === "manifest") return { kind, manifest: readManifest(bytes) };
    return { kind, ...KINDS[kind](content) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { kind, refusal: error.message };
  }
}
