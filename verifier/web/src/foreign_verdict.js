// Verdicts on the files of other publishers, which prove what their formats can prove.

import { findInBitmexTree, overview } from "./bitmex.js";
import { findInOkxTree } from "./okx_tree.js";
import { UNPROVEN, fails } from "./outcome.js";

/** The last search in a tree: judging again, at the next key that is pressed somewhere else, does not search again. */
const searched = new WeakMap();

function searchOnce(tree, key, search) {
  const last = searched.get(tree);
  if (last && last.key.every((part, i) => part === key[i])) return last.found;
  const found = search();
  searched.set(tree, { key, found });
  return found;
}

const FOREIGN_UNPROVEN = UNPROVEN.filter((sentence) => !sentence.startsWith("Anything about debts"));
const COMPARE_ROOT = "The published root hash: paste it to compare.";

export function judgeOkxPath({ proof: { found }, published, malformed }) {
  return judgeForeign({
    malformed,
    kind: "okxPath",
    format: "Merkle proof of the first generation, as OKX published it",
    found,
    published,
    done: [
      "The hash of the entry follows from its nonce and balances.",
      `All ${found.picture.height} steps lead to the root, and the sums are right.`,
    ],
    missing: [],
    verdict: "weak",
  });
}

export function judgeOkxUser({ proof: { user }, tree, published, malformed }) {
  if (tree?.refusal) return fails(tree.refusal, { kind: "okxUser", headline: "The tree cannot be used.", advice: null });
  const done = ["The hashes of the account and its parts follow from the nonce and balances.", "The parts add up to the balances."];
  if (tree?.kind !== "okxTree") {
    const own = ["BTC", "ETH", "USDT"].map((symbol, i) => ({
      symbol,
      decimals: 18,
      own: user.own[i],
      total: null,
      parts: user.leaves.map((leaf) => leaf.units[i]),
    }));
    return judgeForeign({
      kind: "okxUser",
      format: "User file of the second generation, as OKX published it",
      found: { holdings: own, root: null, picture: null, steps: [], weaknesses: [] },
      published: "",
      done,
      missing: [
        "The full tree (the text file with one node a line): drop it too. Without it, nothing shows that your parts are in any total.",
      ],
      verdict: "incomplete",
    });
  }
  return judgeForeign({
    kind: "okxUser",
    format: "User file and full tree of the second generation, as OKX published them",
    found: searchOnce(tree.tree, [user], () => findInOkxTree(user, tree.tree)),
    published,
    malformed,
    done: [...done, "Each part is a leaf of the tree.", "All hashes and sums of the whole tree are right."],
    missing: [],
    verdict: "weak",
  });
}

export function judgeOkxTree({ tree: { tree }, published, malformed }) {
  const holdings = ["BTC", "ETH", "USDT"].map((symbol, i) => ({ symbol, decimals: 18, own: null, total: tree.root.units[i], parts: [] }));
  return judgeForeign({
    kind: "okxTree",
    format: "Full tree of the second generation, as OKX published it",
    found: { holdings, root: tree.root.hash, picture: null, steps: [], weaknesses: [] },
    published,
    malformed,
    done: ["All hashes and sums of the whole tree are right."],
    missing: ["Your user file: drop it too, to see whether your balances are in this tree."],
    verdict: "incomplete",
  });
}

export function judgeBitmex({ proof, tree, userId, nonce, published, malformed }) {
  const { tree: rows } = proof ?? tree;
  const common = { kind: "bitmex", format: `Full tree at block height ${rows.blockHeight}, as BitMEX published it`, published, malformed };
  const done = ["All hashes and sums of the whole tree are right, each side’s hash and value bound."];
  if (userId === "" || nonce === "") {
    return judgeForeign({
      ...common,
      found: { ...overview(rows, []), holdings: [{ ...overview(rows, []).holdings[0], own: null }], picture: null, steps: [] },
      done,
      missing: ["Your account number and nonce, to find your leaves in this tree."],
      verdict: "incomplete",
    });
  }
  const key = [userId.trim(), nonce.trim().toLowerCase()];
  const found = searchOnce(rows, key, () => findInBitmexTree(rows, ...key));
  const bound = found.accountBound
    ? "The leaves are those of your account number."
    : "The leaves are those of this report’s nonce; the account number does not show in them.";
  return judgeForeign({
    ...common,
    found,
    done: [...done, `${found.picture.places.length} leaves of the tree open with your nonce.`, bound],
    missing: [],
    verdict: "holds",
  });
}

function judgeForeign({ kind, format, found, published: pasted, malformed, done, missing, verdict }) {
  const published = malformed ? "" : pasted;
  const checks = done.map((text) => ({ outcome: "ok", text }));
  const shown = {
    kind,
    format,
    checks,
    missing: [...missing],
    report: null,
    holdings: found.holdings,
    owned: true,
    compared: found.root
      ? [
          { name: "Root, recomputed", hex: found.root },
          ...(published ? [{ name: "Root you pasted", hex: published, same: published === found.root }] : []),
        ]
      : [],
    picture: found.picture && { ...found.picture, broken: [] },
    steps: found.steps,
    weaknesses: found.weaknesses,
    unproven: FOREIGN_UNPROVEN,
  };
  if (found.root) {
    const text = "The root is the published one.";
    if (!published) {
      checks.push({ outcome: "open", text });
      shown.missing.push(malformed ?? COMPARE_ROOT);
    } else {
      checks.push({ outcome: published === found.root ? "ok" : "fail", text });
      if (published !== found.root) return fails("The file does not lead to the root you pasted.", { ...shown, missing: [] });
    }
  }
  const outcome = verdict === "holds" && shown.missing.length > 0 ? "incomplete" : verdict;
  return { ...shown, verdict: outcome, ...foreignWords(outcome, shown.missing.length > 0) };
}

function foreignWords(outcome, somethingMissing) {
  if (outcome === "holds") {
    return {
      headline: "Your balance is in the published total.",
      sentence: "The whole tree was recomputed on this device, and your leaves are in it.",
    };
  }
  if (outcome === "incomplete") {
    return { headline: "Right so far, and incomplete.", sentence: "Nothing is wrong so far, and something is missing to be sure." };
  }
  const compared = somethingMissing ? "" : " It leads to the root you pasted.";
  return {
    headline: "Right by its own rules, which prove less than they seem to.",
    sentence: `All hashes and sums are as this format demands.${compared} The format itself has weaknesses, listed below: a proof like this can hold although your balance is not in the total.`,
  };
}
