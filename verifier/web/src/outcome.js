// What all verdicts have in common.

const ADVICE =
  "Make sure that the file is whole and of this report. If it still fails, keep it, don’t rely on the total, and ask the company for an answer in public.";

/** The verdict that something is wrong. */
export function fails(sentence, rest) {
  return { missing: [], checks: [], headline: "This proof does not hold.", advice: ADVICE, ...rest, verdict: "fails", sentence };
}

/** What no proof of inclusion shows. */
export const UNPROVEN = [
  "That these are the balances you should have. Compare them with your account at the moment of the report.",
  "That everybody else is in the total. Each person can only check for themselves; the more people do, the harder it is to leave someone out.",
  "That the company holds coins worth the total. That is the other half of the publication: its reserves.",
  "That everyone is shown the same publication. Compare the commitment, or the manifest’s SHA-256, with what was announced in public.",
  "Anything about debts. Only positive balances are in this total.",
];
