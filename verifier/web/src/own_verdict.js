// The verdict on a proof of our own format.

import { UNPROVEN, fails } from "./outcome.js";
import { quote } from "./refusal.js";
import { toHex } from "./sha256.js";
import { isWellFormed } from "./strict_json.js";
import { userKeyOf } from "./sum_tree.js";

const PROVEN = [
  "All of the balances shown are counted in the total shown, each exactly once.",
  "On the way up, amounts are only ever added, and none is negative: no hidden debt makes the total smaller.",
  "Your id is part of each of your entries, so nobody else can be shown them as theirs.",
];

const NO_COMMITMENT = "A manifest with a commitment: this one publishes none to the liabilities, so there is nothing to compare with.";
const NO_PUBLICATION =
  "The published commitment: drop the publication’s manifest.json too, or paste the commitment. Without it, the file could lead to a total that nobody published.";
const NO_ID = "Your user id. Without it, this only shows that somebody’s balances are in the total.";

/** Checks with their outcomes, the first sentence about something wrong, and what is missing to be sure. */
class Findings {
  checks = [];
  missing = [];
  problem = null;

  /** A check that was made; `problem` is the sentence of what is wrong, if anything is. */
  made(text, problem) {
    this.checks.push({ outcome: problem ? "fail" : "ok", text });
    this.problem ??= problem ?? null;
  }

  open(text, missing) {
    this.checks.push({ outcome: "open", text });
    this.missing.push(missing);
  }
}

export function judgeAssay({ proof: { proof, climbed }, manifest: named, userId, published, malformed }) {
  const manifest = named?.manifest ?? null;
  const pasted = malformed ? "" : published;
  const stated = toHex(proof.commitment);
  const findings = new Findings();
  findings.made("The file has the form of a proof.");
  const steps = proof.widths.length - 1;
  const parts = `Each of the ${proof.leaves.length} parts leads to the root in ${steps} steps, and every sum on the way is right.`;
  findings.made(parts, climbed.problems[0]?.sentence);
  const own = climbed.commitment === stated ? null : "The commitment in the file is not that of its own root and totals.";
  findings.made("The root makes up the commitment that the file states.", own);
  const isPublished = comparePublication(findings, proof, climbed.commitment, manifest, pasted, malformed);
  const ownerProblem = userId === "" ? null : whyNotTheirs(proof, userId);
  if (userId === "") findings.open("The proof belongs to your user id.", NO_ID);
  else findings.made("The proof belongs to your user id.", ownerProblem);

  const shown = {
    ...shownOf(proof, climbed, manifest),
    checks: findings.checks,
    missing: findings.problem ? [] : findings.missing,
    owned: userId !== "" && !ownerProblem,
    compared: comparison(proof, climbed.commitment, manifest, pasted),
  };
  if (findings.problem) {
    return fails(
      findings.problem,
      findings.problem === ownerProblem ? { ...shown, headline: "This proof is not for the id you typed.", advice: null } : shown,
    );
  }
  if (findings.missing.length > 0) {
    return {
      ...shown,
      verdict: "incomplete",
      ...incompleteWords(userId !== "", isPublished),
      proven: userId ? PROVEN.slice(0, 2) : [],
      unproven: UNPROVEN,
    };
  }
  return {
    ...shown,
    verdict: "holds",
    headline: "Your balances are in the published total.",
    sentence: "Every step from your balances up to the total that was published was recomputed on this device, and all of it is right.",
    proven: PROVEN,
    unproven: UNPROVEN,
  };
}

/** Holds the proof's commitment against what was published; true if it was found there. */
function comparePublication(findings, proof, commitment, manifest, pasted, malformed) {
  if (manifest) {
    const { series, asOf, revision } = manifest;
    const same = series === proof.series && asOf === proof.asOf && revision === proof.revision;
    const another = `The manifest is of another report: ${quote(series)}, ${asOf}, revision ${revision}.`;
    findings.made("The manifest is of the same report.", same ? null : another);
  }
  const known = [
    ...(manifest?.commitment ? [["the manifest", manifest.commitment]] : []),
    ...(pasted ? [["the commitment you pasted", pasted]] : []),
  ];
  const other = known.find(([, hex]) => hex !== commitment);
  const text = "The published commitment is the one that this proof leads to.";
  if (other) findings.made(text, `The proof does not lead to the published total: ${other[0]} says something else.`);
  else if (malformed) findings.open(text, malformed);
  else if (known.length > 0) findings.made(text);
  else findings.open(text, manifest ? NO_COMMITMENT : NO_PUBLICATION);
  return known.length > 0 && !other;
}

/** What the file says, as it is shown whatever the verdict is. */
function shownOf(proof, climbed, manifest) {
  const { series, asOf, revision, leafCount, leaves, assets, root } = proof;
  return {
    kind: "assay",
    report: { series, asOf, revision, leafCount, entity: manifest?.entity ?? null },
    holdings: assets.map(({ symbol, decimals }, i) => {
      const parts = leaves.map((leaf) => leaf.balances[i]);
      return { symbol, decimals, own: parts.reduce((sum, part) => sum + part, 0n), total: root.balances[i], parts };
    }),
    picture: {
      height: proof.widths.length - 1,
      places: leaves.map((leaf) => leaf.position),
      paddings: leaves.map((leaf) => leaf.path.map((sibling) => sibling === null)),
      broken: climbed.problems,
    },
    steps: leaves.map((leaf) => leaf.path.map((sibling) => ({ hash: sibling && toHex(sibling.hash), padding: sibling === null }))),
    weaknesses: [],
  };
}

function comparison(proof, commitment, manifest, pasted) {
  const compared = (name, hex) => ({ name, hex, same: hex === commitment });
  return [
    { name: "Root in the file", hex: toHex(proof.root.hash) },
    { name: "Commitment, recomputed from the root and totals", hex: commitment },
    compared("Commitment stated in the file", toHex(proof.commitment)),
    ...(manifest?.commitment ? [compared("Commitment in the manifest", manifest.commitment)] : []),
    ...(pasted ? [compared("Commitment you pasted", pasted)] : []),
    ...(manifest ? [{ name: "SHA-256 of the manifest: compare it with the announcement", hex: manifest.sha256 }] : []),
  ];
}

function incompleteWords(hasId, hasPublication) {
  if (hasPublication) {
    return {
      headline: "Somebody’s balances are in the published total.",
      sentence: "Nothing is wrong so far. Type your user id to see whether they are yours.",
    };
  }
  return {
    headline: hasId ? "Your balances are in a total — not yet shown to be the published one." : "Somebody’s balances are in a total.",
    sentence: "Nothing is wrong so far, and something is missing to be sure.",
  };
}

function whyNotTheirs(proof, userId) {
  if (!isWellFormed(userId)) return "The user id holds half a character.";
  const key = toHex(proof.userKey);
  if (toHex(userKeyOf(proof, userId)) === key) return null;
  if (toHex(userKeyOf(proof, userId.trim())) === key)
    return "The proof is for your user id without the space before or after it. Remove the space.";
  return `The proof is not for the user id ${quote(userId)}. Check that it is typed exactly as the company writes it; if it is, the proof is another person’s.`;
}
