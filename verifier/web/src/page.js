// The page: takes files and what is typed, and shows the verdict.

import { el } from "./dom.js";
import { MOST_BYTES, TOO_LONG, readFile } from "./files.js";
import { resultSections, verdictWords } from "./results.js";
import { judge } from "./verdict.js";

const TYPING_PAUSE_MS = 400;
const LOOKS_LIKE_MANIFEST = /manifest[^/]*\.json$/i;
const NAMES = {
  assay: "Assay inclusion proof",
  okxPath: "OKX proof, first generation",
  okxUser: "OKX user file, second generation",
  okxTree: "OKX full tree, second generation",
  bitmex: "BitMEX full tree",
  manifest: "Manifest",
  unknown: "Unknown file",
};

const FOREIGN_HINTS = {
  account: "With the nonce below it finds your leaves in the tree.",
  id: "Not needed: this format names no user.",
};

const byId = (id) => document.getElementById(id);
const idHint = byId("user-id-hint").textContent;
const inputs = { userId: byId("user-id"), nonce: byId("nonce"), commitment: byId("commitment") };
/** Files taken so far: what `readFile` gave, and the file's name. */
const taken = { proof: null, tree: null, manifest: null };

// --- taking files -----------------------------------------------------------------------------------------------------

async function read(file) {
  if (file.size > MOST_BYTES) return { kind: "unknown", refusal: TOO_LONG };
  try {
    return readFile(new Uint8Array(await file.arrayBuffer()));
  } catch (error) {
    if (error instanceof DOMException) return { kind: "unknown", refusal: "The file could not be read from this device." };
    console.error(error);
    return { kind: "unknown", refusal: "This page failed on the file, which is a fault of the page. Nothing was checked." };
  }
}

function placeFor({ kind, refusal }, name, asManifest) {
  if (kind === "manifest") return "manifest";
  if (kind === "okxTree") return "tree";
  const unclear = refusal !== undefined && (kind === "unknown" || kind === "json");
  return unclear && (asManifest || LOOKS_LIKE_MANIFEST.test(name)) ? "manifest" : "proof";
}

async function take(files, asManifest = false) {
  if (files.length === 0) return;
  const begun = performance.now();
  byId("verdict").setAttribute("aria-busy", "true");
  byId("verdict").classList.add("busy");
  // Lets the browser paint that something happens, before the page is busy for a while.
  await new Promise((resolve) => setTimeout(resolve, 0));
  for (const file of files) {
    const item = { ...(await read(file)), name: file.name };
    const place = placeFor(item, file.name, asManifest);
    taken[place] = item;
    if (place === "proof" && item.kind !== "okxUser") taken.tree = null;
    if (place === "tree" && taken.proof && taken.proof.kind !== "okxUser") taken.proof = null;
  }
  show();
  const verdict = byId("verdict");
  verdict.setAttribute("aria-busy", "false");
  verdict.classList.remove("busy");
  performance.measure("verdict", { start: begun });
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (taken.proof || taken.tree) verdict.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
}

function letGo(place) {
  taken[place] = null;
  show();
  byId(place === "manifest" ? "manifest-file" : "proof-file").focus();
}

// --- showing ----------------------------------------------------------------------------------------------------------

function listTaken(list, places) {
  const items = places
    .filter((place) => taken[place])
    .map((place) => {
      const { name, kind, refusal } = taken[place];
      return el(
        "li",
        { class: refusal === undefined ? "read" : "refused" },
        el(
          "span",
          {},
          el("strong", {}, el("bdi", {}, name)),
          ` ${NAMES[kind] ?? NAMES.unknown}`,
          refusal !== undefined && place === "manifest" ? `: ${refusal}` : "",
        ),
        el("button", { type: "button", "aria-label": `Remove ${name}`, click: () => letGo(place) }, "Remove"),
      );
    });
  list.replaceChildren(...items);
}

/** Other formats ask for other things: a nonce, a root instead of a commitment, no id. */
function adaptFields() {
  const kind = (taken.proof ?? taken.tree)?.kind;
  const isForeign = ["okxPath", "okxUser", "okxTree", "bitmex"].includes(kind);
  const isBitmex = kind === "bitmex";
  byId("nonce-field").hidden = !isBitmex;
  byId("user-id-label").textContent = isBitmex ? "Your account number" : "Your user id";
  byId("user-id-hint").textContent = isForeign ? FOREIGN_HINTS[isBitmex ? "account" : "id"] : idHint;
  byId("manifest-drop").hidden = isForeign;
  byId("commitment-label").textContent = isForeign ? "The published root hash" : "or the published commitment";
}

function show() {
  listTaken(byId("taken-proof"), ["proof", "tree"]);
  listTaken(byId("taken-manifest"), ["manifest"]);
  adaptFields();
  showVerdict();
}

function showVerdict() {
  const given = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value]));
  const judged = judge({ ...taken, ...given });
  const words = byId("verdict-words");
  byId("verdict").dataset.verdict = judged?.verdict ?? "none";
  if (!judged) {
    const waiting =
      taken.manifest && !taken.manifest.refusal
        ? "The manifest is read. Now your proof file."
        : "Nothing to check yet. Begin with your proof file.";
    words.replaceChildren(el("p", { class: "waiting" }, waiting));
    byId("results").replaceChildren();
    return;
  }
  words.replaceChildren(verdictWords(judged));
  byId("results").replaceChildren(...resultSections(judged));
}

// --- events -----------------------------------------------------------------------------------------------------------

function onChosen(event) {
  const files = [...event.target.files];
  // So that choosing the same file again, altered, is an event again.
  event.target.value = "";
  take(files, event.target.id === "manifest-file");
}

let pause = null;
function judgeNow() {
  if (pause === null) return;
  clearTimeout(pause);
  pause = null;
  showVerdict();
}
for (const input of Object.values(inputs)) {
  input.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(judgeNow, TYPING_PAUSE_MS);
  });
  // Before the focus goes elsewhere, so that what it goes to is not replaced under it.
  input.addEventListener("change", judgeNow);
}
byId("proof-file").addEventListener("change", onChosen);
byId("manifest-file").addEventListener("change", onChosen);
byId("given").addEventListener("submit", (event) => event.preventDefault());

const root = document.documentElement;
window.addEventListener("dragover", (event) => {
  event.preventDefault();
  root.classList.add("dragging");
});
window.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) root.classList.remove("dragging");
});
window.addEventListener("drop", (event) => {
  event.preventDefault();
  root.classList.remove("dragging");
  take([...event.dataTransfer.files], event.target instanceof Element && event.target.closest(".small") !== null);
});
