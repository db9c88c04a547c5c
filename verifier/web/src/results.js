// What is shown below the inputs: the verdict in words, balances, picture, comparisons, and what they mean.

import { balances } from "./balances.js";
import { disclosure, el, section, svg } from "./dom.js";
import { pathInWords } from "./path_layout.js";
import { drawPath } from "./picture.js";

const TAGS = { holds: "Holds", weak: "Holds by weak rules", incomplete: "Incomplete", fails: "Does not hold", unknown: "Not readable" };
const ICONS = {
  holds: "M9 21l8 8 14-17",
  weak: "M20 10v12M20 28v2",
  incomplete: "M20 10v12M20 28v2",
  fails: "M12 12l16 16M28 12L12 28",
  unknown: "M15 16q0-5 5-5t5 4q0 3-3 4.5t-2 4M20 29v1",
};
const OUTCOMES = { ok: ["✓", "right"], fail: ["✕", "wrong"], open: ["?", "not checked"] };

/** The words of the live region. */
export function verdictWords(judged) {
  const { verdict, headline, sentence, advice, missing } = judged;
  return el(
    "div",
    { class: "words" },
    svg(
      "svg",
      { class: "icon", viewBox: "0 0 40 40", "aria-hidden": "true", focusable: "false" },
      svg("circle", { cx: 20, cy: 20, r: 19 }),
      svg("path", { d: ICONS[verdict] }),
    ),
    el(
      "div",
      {},
      el("p", { class: "tag" }, TAGS[verdict]),
      el("p", { class: "headline" }, headline),
      el("p", { class: "sentence" }, sentence),
      advice ? el("p", { class: "advice" }, advice) : null,
      missing.length > 0
        ? [
            el("p", { class: "missing-title" }, "What is missing:"),
            el(
              "ul",
              { class: "missing" },
              missing.map((words) => el("li", {}, words)),
            ),
          ]
        : null,
    ),
  );
}

/** Everything below the verdict. */
export function resultSections(judged) {
  if (judged.verdict === "unknown") return [];
  return [balances(judged), picture(judged), checks(judged), weaknesses(judged), meaning(judged), compared(judged)].filter(
    (section) => section !== null,
  );
}

// --- picture ----------------------------------------------------------------------------------------------------------

function picture({ picture: drawn, steps, report, owned }) {
  if (!drawn) return null;
  return section(
    "path",
    owned ? "The way from your parts to the total" : "The way from the parts to the total",
    el(
      "p",
      { class: "legend" },
      el("span", { class: "key own" }, "the way up"),
      el("span", { class: "key sibling" }, "neighbours that are added, each with all that is below it"),
      drawn.paddings.some((path) => path.includes(true)) ? el("span", { class: "key padding" }, "nothing there: padding") : null,
    ),
    el("div", { class: "drawing" }, drawPath(drawn, report?.leafCount)),
    el("p", { class: "hint", id: "path-words" }, pathInWords(drawn)),
    steps.length > 0 ? disclosure("Step by step", () => stepByStep(drawn, steps)) : null,
  );
}

function stepByStep(drawn, steps) {
  const body = el("tbody");
  const show = (part) => {
    body.replaceChildren(
      ...steps[part].map(({ hash, padding }, level) => {
        const isLeft = Math.floor(drawn.places[part] / 2 ** level) % 2 === 1;
        const side = padding ? "padding" : isLeft ? "left" : "right";
        return el(
          "tr",
          {},
          el("th", { scope: "row" }, String(level + 1)),
          el("td", {}, side),
          el("td", { class: "hash" }, hash ?? "computed"),
        );
      }),
    );
  };
  show(0);
  const choice = el(
    "select",
    { id: "step-part", change: (event) => show(Number(event.target.value)) },
    steps.map((_, part) => el("option", { value: String(part) }, `Part ${part + 1}`)),
  );
  const head = el(
    "thead",
    {},
    el(
      "tr",
      {},
      ["Step", "Neighbour", "Its hash"].map((name) => el("th", { scope: "col" }, name)),
    ),
  );
  return el(
    "div",
    {},
    steps.length > 1 ? el("p", {}, el("label", { for: "step-part" }, "Show "), choice) : null,
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Steps" }, el("table", { class: "steps" }, head, body)),
  );
}

// --- checks and meaning -----------------------------------------------------------------------------------------------

function checks({ checks: made }) {
  if (made.length === 0) return null;
  const items = made.map(({ outcome, text }) => {
    const [sign, word] = OUTCOMES[outcome];
    return el(
      "li",
      { class: outcome },
      el("span", { class: "sign", "aria-hidden": "true" }, sign),
      el("span", {}, el("span", { class: "unseen" }, `${word}: `), text),
    );
  });
  return section("checks", "What was checked", el("ul", { class: "checks" }, items));
}

function weaknesses({ weaknesses: known }) {
  if (!known || known.length === 0) return null;
  return section(
    "weaknesses",
    "Weaknesses of this format",
    el(
      "dl",
      { class: "weaknesses" },
      known.map(({ title, text }) => [el("dt", {}, title), el("dd", {}, text)]),
    ),
  );
}

function meaning({ verdict, proven = [], unproven = [] }) {
  if (verdict === "fails" || (proven.length === 0 && unproven.length === 0)) return null;
  const listed = (title, sentences) =>
    sentences.length > 0
      ? el(
          "div",
          {},
          el("h3", {}, title),
          el(
            "ul",
            {},
            sentences.map((words) => el("li", {}, words)),
          ),
        )
      : null;
  return section("meaning", "What this means", el("div", { class: "columns" }, listed("Proven", proven), listed("Not proven", unproven)));
}

function compared({ compared: values }) {
  if (!values || values.length === 0) return null;
  const rows = values.map(({ name, hex, same }) => {
    const verdict = same === undefined ? null : el("span", { class: same ? "same" : "other" }, same ? "✓ the same" : "✕ another");
    return [el("dt", {}, name, " ", verdict), el("dd", { class: "hash" }, hex)];
  });
  return section("compared", "Root and commitment", el("dl", { class: "compared" }, rows));
}
