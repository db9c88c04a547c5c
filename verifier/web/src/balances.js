// The balances and totals of a file, in whole units.

import { inWholeUnits } from "./amounts.js";
import { disclosure, el, section } from "./dom.js";

const count = new Intl.NumberFormat("en");

export function balances(judged) {
  const { holdings, report, format, verdict, owned } = judged;
  if (!holdings || holdings.length === 0) return null;
  const hasOwn = holdings.some(({ own }) => own !== null);
  const held = holdings.filter(({ own }) => own === null || own > 0n);
  const empty = holdings.filter(({ own }) => own === 0n);
  const title = !hasOwn ? "Total of everybody" : owned ? "Your balances" : "The balances in this file";
  const shown = held.length > 0 ? table(held, hasOwn, owned, "held") : el("p", {}, "The file shows no balance above zero.");
  return section(
    "balances",
    title,
    verdict === "fails" ? el("p", { class: "warning" }, "Stated in the file, and not proven:") : null,
    reportLine(report, format),
    shown,
    empty.length > 0 && held.length > 0
      ? disclosure(
          `${empty.length} more ${empty.length === 1 ? "asset" : "assets"} with nothing in ${owned ? "your" : "this"} account`,
          () => table(empty, hasOwn, owned, "empty"),
        )
      : null,
    parts(held),
  );
}

function reportLine(report, format) {
  if (format) return el("p", { class: "report" }, format);
  if (!report) return null;
  const { entity, series, asOf, revision, leafCount } = report;
  const moment = `${asOf.slice(0, 10)} ${asOf.slice(11, 19)} UTC`;
  const revised = revision > 1 ? `, revision ${revision}` : "";
  return el(
    "p",
    { class: "report" },
    el("bdi", {}, entity ?? series),
    `, as of ${moment}${revised} · ${count.format(leafCount)} entries in the tree`,
  );
}

// Roles are written out: where a narrow screen lays rows out as blocks, browsers would forget that this is a table.
function table(holdings, hasOwn, owned, id) {
  const cell = (name, text) =>
    el(
      "td",
      { role: "cell" },
      el("span", { class: "cell-name", "aria-hidden": "true" }, name),
      el("span", { class: "amount" }, breakable(text)),
    );
  const ownName = owned ? "Yours" : "In this file";
  const heads = ["Asset", ...(hasOwn ? [ownName] : []), "Everybody’s"];
  return el(
    "table",
    { class: "holdings", role: "table", id: `holdings-${id}` },
    el("caption", { class: "unseen" }, "Balances and totals in whole units"),
    el(
      "thead",
      { role: "rowgroup" },
      el(
        "tr",
        { role: "row" },
        heads.map((head) => el("th", { scope: "col", role: "columnheader" }, head)),
      ),
    ),
    el(
      "tbody",
      { role: "rowgroup" },
      holdings.map(({ symbol, decimals, own, total }) =>
        el(
          "tr",
          { role: "row" },
          el("th", { scope: "row", role: "rowheader" }, el("bdi", {}, symbol)),
          hasOwn ? cell(ownName, inWholeUnits(own, decimals)) : null,
          cell("Everybody’s", total === null ? "not known yet" : inWholeUnits(total, decimals)),
        ),
      ),
    ),
  );
}

/** An amount that may be broken before its point, where a screen is too narrow for it. */
function breakable(text) {
  const point = text.indexOf(".");
  return point < 0 ? text : [text.slice(0, point), el("wbr"), text.slice(point)];
}

function parts(held) {
  const number = held[0]?.parts.length ?? 0;
  if (number < 2) return null;
  return disclosure(`How this is split into ${count.format(number)} parts`, () =>
    el(
      "div",
      {},
      el(
        "p",
        { class: "hint" },
        "Accounts are cut into random parts that stand at random places of the tree, so that nobody can follow an account in it. The parts add up to the balances above.",
      ),
      el(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": "Parts of the balances" },
        el(
          "table",
          { class: "parts" },
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              el("th", { scope: "col" }, "Part"),
              held.map(({ symbol }) => el("th", { scope: "col" }, el("bdi", {}, symbol))),
            ),
          ),
          el(
            "tbody",
            {},
            Array.from({ length: number }, (_, i) =>
              el(
                "tr",
                {},
                el("th", { scope: "row" }, String(i + 1)),
                held.map(({ parts: amounts, decimals }) => el("td", { class: "amount" }, inWholeUnits(amounts[i], decimals))),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}
