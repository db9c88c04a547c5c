// Drives a real Chromium over the page: commands in lines of standard input, one JSON object each, answers in lines of standard
// output. The first line says whether a browser could be started.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

import packaged from "@sparticuz/chromium";
import { chromium } from "playwright-core";

const PAGE = new URL("../../verifier/web/index.html", import.meta.url).href;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

async function start() {
  // The package's own arguments run everything in one process, which ends with the first page that is closed.
  const args = ["--no-sandbox", "--disable-gpu"];
  return chromium.launch({ executablePath: await packaged.executablePath(), args, headless: true, timeout: 60_000 });
}

/** Opens the page, and keeps what it asks for and what it complains about. */
async function open(browser, { width = 1100, height = 900, dark = false, calm = true, url = PAGE }) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: calm ? "reduce" : "no-preference",
    hasTouch: width < 500,
  });
  const seen = { requests: [], complaints: [] };
  context.on("request", (request) => seen.requests.push(request.url()));
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  // Somebody has to listen before the page is there, or the first chooser may open unnoticed.
  page.on("filechooser", () => {});
  page.on("console", (message) => seen.complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  await page.goto(url);
  return { page, context, seen };
}

/** Lets the browser itself drop files from the disk in the middle of an element. */
async function drop(page, selector, files) {
  const session = await page.context().newCDPSession(page);
  await page.locator(selector).scrollIntoViewIfNeeded();
  const box = await page.locator(selector).boundingBox();
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2, data: { items: [], files, dragOperationsMask: 1 } };
  for (const type of ["dragEnter", "dragOver", "drop"]) await session.send("Input.dispatchDragEvent", { type, ...at });
}

async function settled(page, takes) {
  await page.waitForFunction((least) => performance.getEntriesByName("verdict").length >= least, takes);
}

/** What a user sees now. */
async function state(page, seen) {
  const shown = await page.evaluate(() => {
    const text = (selector) => document.querySelector(selector)?.textContent ?? null;
    const texts = (selector) => [...document.querySelectorAll(selector)].map((element) => element.textContent);
    return {
      verdict: document.querySelector("#verdict").dataset.verdict,
      headline: text(".headline"),
      sentence: text(".sentence"),
      missing: texts(".missing li"),
      checks: texts(".checks li"),
      sections: texts("#results h2"),
      holdings: [...document.querySelectorAll("#holdings-held tbody tr")].map((row) => [
        row.querySelector("th").textContent,
        ...[...row.querySelectorAll(".amount")].map((amount) => amount.textContent),
      ]),
      hashes: texts("#compared dd"),
      taken: texts(".taken li strong"),
      weaknesses: texts(".weaknesses dt"),
      ways: document.querySelectorAll(".path .way").length,
      leaves: document.querySelectorAll(".path .leaf").length,
      broken: document.querySelectorAll(".path .cross").length,
      path: text("#path-words"),
      width: document.documentElement.scrollWidth,
      injected: document.querySelectorAll("main img, main script, main iframe").length,
      milliseconds: performance.getEntriesByName("verdict").map(({ duration }) => duration),
    };
  });
  return { ...shown, ...seen };
}

const COMMANDS = {
  /** Gives files and ids, and tells what is shown then. */
  async visit(
    browser,
    { files = [], manifest = [], dropped = [], dropOn = "#proof-drop", fields = {}, open: opened = false, picture, ...view },
  ) {
    const { page, context, seen } = await open(browser, view);
    let takes = 0;
    if (files.length > 0) {
      await page.setInputFiles("#proof-file", files);
      await settled(page, ++takes);
    }
    if (manifest.length > 0) {
      await page.setInputFiles("#manifest-file", manifest);
      await settled(page, ++takes);
    }
    if (dropped.length > 0) {
      await drop(page, dropOn, dropped);
      takes += 1;
      await settled(page, takes);
    }
    for (const [id, text] of Object.entries(fields)) await page.fill(`#${id}`, text);
    if (Object.keys(fields).length > 0) await page.waitForTimeout(600);
    if (opened) for (const summary of await page.locator("summary").all()) await summary.click();
    if (picture) await page.screenshot({ path: picture, fullPage: true });
    const answer = await state(page, seen);
    await context.close();
    return answer;
  },

  /** Uses nothing but the keyboard: goes through the page with Tab, gives a file, an id and a manifest, and removes the file. */
  async keyboard(browser, { proof, manifest, userId }) {
    const { page, context, seen } = await open(browser, {});
    const focused = () =>
      page.evaluate(
        () => document.activeElement.id || document.activeElement.getAttribute("aria-label") || document.activeElement.textContent,
      );
    const outlined = () =>
      page.evaluate(() => getComputedStyle(document.activeElement.closest(".drop") ?? document.activeElement).outlineStyle !== "none");
    const order = [];
    const outlines = [];
    const tab = async () => {
      await page.keyboard.press("Tab");
      order.push(await focused());
      outlines.push(await outlined());
    };
    const choose = async (file) => {
      const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.keyboard.press("Enter")]);
      await chooser.setFiles(file);
    };
    await tab();
    await choose(proof);
    await settled(page, 1);
    await tab();
    await tab();
    await page.keyboard.type(userId);
    await tab();
    await choose(manifest);
    await settled(page, 2);
    await tab();
    await tab();
    await page.waitForTimeout(600);
    const after = await state(page, seen);
    await tab();
    await page.keyboard.press("Enter");
    const opened = await page.evaluate(() => document.activeElement.parentElement.open);
    for (let i = 0; i < 3; i += 1) await page.keyboard.press("Shift+Tab");
    const back = await focused();
    await page.focus("#taken-proof button");
    await page.keyboard.press("Space");
    const removed = await state(page, seen);
    const focusAfterRemoval = await focused();
    await context.close();
    return { order, outlines, after, opened, back, removed, focusAfterRemoval };
  },

  /** Tries from inside what the content-security-policy forbids. */
  async attack(browser, { address }) {
    const { page, context, seen } = await open(browser, {});
    const outcome = await page.evaluate(async (target) => {
      const violations = [];
      document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => violations.push(effectiveDirective));
      const attempt = async (act) => {
        try {
          await act();
          return "done";
        } catch (error) {
          return error.name;
        }
      };
      const load = (tag, name, url) =>
        new Promise((resolve, reject) => {
          const element = document.createElement(tag);
          element.onload = resolve;
          element.onerror = () => reject(new DOMException("", "Blocked"));
          element[name] = url;
          document.body.append(element);
        });
      const tried = {
        fetch: await attempt(() => fetch(target)),
        socket: await attempt(
          () =>
            new Promise((resolve, reject) => {
              const socket = new WebSocket(target.replace("http", "ws"));
              socket.onopen = resolve;
              socket.onerror = () => reject(new DOMException("", "Blocked"));
            }),
        ),
        beacon: await attempt(() => navigator.sendBeacon(target, "x")),
        image: await attempt(() => load("img", "src", target)),
        markup: await attempt(() => (document.body.innerHTML = "<b>x</b>")),
        evaluated: await attempt(() => globalThis.eval("1")),
        worker: await attempt(() => new Worker(URL.createObjectURL(new Blob(["1"])))),
      };
      const script = document.createElement("script");
      tried.script = await attempt(() => {
        script.textContent = "document.title = 'taken over'";
        document.body.append(script);
      });
      const form = document.createElement("form");
      form.action = target;
      form.method = "post";
      document.body.append(form);
      form.submit();
      await new Promise((resolve) => setTimeout(resolve, 300));
      return { tried, violations, title: document.title, location: location.href };
    }, address);
    await context.close();
    return { ...outcome, requests: seen.requests };
  },

  /** The page as assistive technology sees it, and what axe finds wrong with it. */
  async accessibility(browser, { files = [], fields = {}, ...view }) {
    const { page, context } = await open(browser, view);
    if (files.length > 0) {
      await page.setInputFiles("#proof-file", files);
      await settled(page, 1);
    }
    for (const [id, text] of Object.entries(fields)) await page.fill(`#${id}`, text);
    await page.waitForTimeout(600);
    for (const summary of await page.locator("summary").all()) await summary.click();
    const snapshot = await page.locator("body").ariaSnapshot();
    await page.evaluate(AXE);
    const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const live = await page.evaluate(() =>
      ["role", "aria-live", "aria-atomic"].map((name) => document.querySelector("#verdict-words").getAttribute(name)),
    );
    await context.close();
    return {
      snapshot,
      live,
      passed: passes.length,
      violations: violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`),
    };
  },

  /** Whether anything moves for somebody who asked for calm, and for everybody else. */
  async motion(browser, { file }) {
    const moves = async (calm) => {
      const { page, context } = await open(browser, { calm });
      await page.setInputFiles("#proof-file", file);
      await settled(page, 1);
      const names = await page.evaluate(() => getComputedStyle(document.querySelector("#results .card")).animationName);
      await context.close();
      return names !== "none";
    };
    return { calm: await moves(true), others: await moves(false) };
  },
};

let browser;
try {
  browser = await start();
} catch (error) {
  say({ failure: String(error).split("\n")[0] });
  process.exit(0);
}
say({ version: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...options } = JSON.parse(line);
  try {
    say({ answer: await COMMANDS[command](browser, options) });
  } catch (error) {
    say({ error: error.stack });
  }
}
await browser.close();
