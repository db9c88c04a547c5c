// A publication's manifest.json (docs/formats/manifest.md), as far as a user's proof is concerned.

import { Refusal, quote } from "./refusal.js";
import { sha256, toHex } from "./sha256.js";
import { canonicalJson, decode, readJson } from "./strict_json.js";

export const MANIFEST_FORMAT = "assay-manifest-v1";

const HEX_64 = /^[0-9a-f]{64}$/;

/**
 * What a manifest says of its report, and the digest by which the log and an announcement name it.
 * @throws {Refusal} if the bytes are no manifest. One without commitment is a manifest.
 */
export function readManifest(bytes) {
  const text = decode(bytes);
  const document = readJson(text);
  if (document === null || typeof document !== "object" || document.format !== MANIFEST_FORMAT) {
    throw new Refusal(`The file is no manifest of the format “${MANIFEST_FORMAT}”.`);
  }
  if (canonicalJson(document) !== text)
    throw new Refusal("The manifest is not in its canonical form, so it is not the file that was published.");
  const { entity, series, as_of: asOf, revision, liability_commitment: commitment = null } = document;
  for (const [key, value] of Object.entries({ entity, series, as_of: asOf })) {
    if (typeof value !== "string") throw new Refusal(`The manifest lacks ${quote(key)}.`);
  }
  if (typeof revision !== "number") throw new Refusal("The manifest lacks “revision”.");
  if (commitment !== null && (typeof commitment !== "string" || !HEX_64.test(commitment))) {
    throw new Refusal("The manifest’s “liability_commitment” is not written as 64 lower-case hexadecimal digits.");
  }
  return { entity, series, asOf, revision, commitment, sha256: toHex(sha256(bytes)) };
}
