"""The page of `verifier/web` in a real headless Chromium, opened from the disk as a user would open it.

The browser comes from the npm package `@sparticuz/chromium` and is driven by `playwright-core` (`browser.mjs`). Where it cannot be
started, everything here is skipped.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED
from tests.web import sum_trees
from tests.web.chromium import PAGE, Browser, NoBrowserError, chromium

USER = "1234567"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as started:
            yield started
    except NoBrowserError as error:
        pytest.skip(f"no Chromium can be started here: {error}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as a user has them."""
    made = tmp_path_factory.mktemp("proofs")
    proof = sum_trees.proof(random.Random(1), user_id=USER, leaf_count=28672, parts=3, symbols=["BTC", "DOGE", "ETH"], largest=10**12)
    (made / "proof.json").write_text(json.dumps(proof))
    (made / "manifest.json").write_bytes(sum_trees.manifest(proof))
    (made / "other_manifest.json").write_bytes(sum_trees.manifest(proof, liability_commitment="ab" * 32))
    (made / "commitment.txt").write_text(proof["commitment"])
    sibling = proof["leaves"][1]["path"][6]
    sibling["balances"][0] = str(int(sibling["balances"][0]) + 5)
    (made / "forged.json").write_text(json.dumps(proof))
    return made


def proof_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "proof.json").read_text())  # type: ignore[no-any-return]


def whole(amount: int, decimals: int) -> str:
    units, fraction = divmod(amount, 10**decimals)
    return f"{units:,}" + (f".{fraction:0{decimals}}".rstrip("0") if fraction else "")


def assert_quiet(seen: dict[str, Any]) -> None:
    """Nothing was asked for but the page itself, and nothing was complained about."""
    assert seen["requests"] == [PAGE.as_uri()]
    assert seen["complaints"] == []


def test_files_that_are_dropped_together_with_the_right_id_hold(browser: Browser, folder: Path) -> None:
    seen = browser("visit", dropped=[folder / "proof.json", folder / "manifest.json"], fields={"user-id": USER})
    assert (seen["verdict"], seen["headline"]) == ("holds", "Your balances are in the published total.")
    assert sorted(seen["taken"]) == ["manifest.json", "proof.json"]
    assert seen["missing"] == []
    assert all(check.startswith("✓right: ") for check in seen["checks"])
    assert len(seen["milliseconds"]) == 1  # the browser's own way of taking a dropped file does not come on top
    assert_quiet(seen)
    print(f"\nfrom the drop to the verdict: {seen['milliseconds'][0]:.0f} ms")


def test_it_works_the_same_from_a_web_server_and_asks_it_for_nothing_more(browser: Browser, folder: Path) -> None:
    asked = []

    class Serving(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), partial(Serving, directory=str(PAGE.parent))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/index.html"
        seen = browser("visit", url=url, dropped=[folder / "proof.json", folder / "manifest.json"], fields={"user-id": USER})
        server.shutdown()
    assert (seen["verdict"], seen["complaints"]) == ("holds", [])
    assert asked == ["/index.html"]


def test_own_balances_and_totals_are_shown_in_whole_units_to_the_last_digit(browser: Browser, folder: Path) -> None:
    seen = browser("visit", dropped=[folder / "proof.json"], fields={"user-id": USER})
    proof = proof_of(folder)
    expected = []
    for i, asset in enumerate(proof["assets"]):
        own = sum(int(leaf["balances"][i]) for leaf in proof["leaves"])
        expected.append([asset["symbol"], whole(own, asset["decimals"]), whole(int(proof["root"]["balances"][i]), asset["decimals"])])
    assert seen["holdings"] == expected
    assert proof["root"]["hash"] in seen["hashes"]
    assert proof["commitment"] in seen["hashes"]


def test_files_can_be_chosen_one_by_one(browser: Browser, folder: Path) -> None:
    seen = browser("visit", files=[folder / "proof.json"], manifest=[folder / "manifest.json"], fields={"user-id": USER})
    assert seen["verdict"] == "holds"
    assert_quiet(seen)


def test_a_pasted_commitment_does_instead_of_the_manifest(browser: Browser, folder: Path) -> None:
    commitment = (folder / "commitment.txt").read_text()
    seen = browser("visit", files=[folder / "proof.json"], fields={"user-id": USER, "commitment": f"  {commitment.upper()} "})
    assert seen["verdict"] == "holds"


def test_the_manifest_is_shown_with_the_digest_that_an_announcement_names(browser: Browser, folder: Path) -> None:
    seen = browser("visit", files=[folder / "proof.json"], manifest=[folder / "manifest.json"])
    assert hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest() in seen["hashes"]


@pytest.mark.parametrize(
    ("manifest", "fields", "headline", "missing"),
    [
        ([], {}, "Somebody’s balances are in a total.", ["The published commitment: ", "Your user id. "]),
        ([], {"user-id": USER}, "Your balances are in a total — not yet shown to be the published one.", ["The published commitment: "]),
        (["manifest.json"], {}, "Somebody’s balances are in the published total.", ["Your user id. "]),
        (
            [],
            {"user-id": USER, "commitment": "abc"},
            "Your balances are in a total — not yet shown to be the published one.",
            ["The published hash: "],
        ),
    ],
)
def test_what_is_missing_is_named(
    browser: Browser, folder: Path, manifest: list[str], fields: dict[str, str], headline: str, missing: list[str]
) -> None:
    seen = browser("visit", files=[folder / "proof.json"], manifest=[folder / name for name in manifest], fields=fields)
    assert (seen["verdict"], seen["headline"]) == ("incomplete", headline)
    assert [sentence[: len(start)] for sentence, start in zip(seen["missing"], missing, strict=True)] == missing
    assert_quiet(seen)


@pytest.mark.parametrize(
    ("proof", "manifest", "user_id", "sentence"),
    [
        ("forged.json", "manifest.json", USER, "Added up along the path, part 2 does not come to the stated total of “BTC”."),
        ("proof.json", "other_manifest.json", USER, "The proof does not lead to the published total: the manifest says something else."),
        ("proof.json", "manifest.json", "7654321", "The proof is not for the user id “7654321”."),
        ("proof.json", "manifest.json", USER + " ", "The proof is for your user id without the space before or after it."),
    ],
)
def test_what_does_not_hold_is_said_in_a_sentence(
    browser: Browser, folder: Path, proof: str, manifest: str, user_id: str, sentence: str
) -> None:
    seen = browser("visit", files=[folder / proof], manifest=[folder / manifest], fields={"user-id": user_id})
    assert seen["verdict"] == "fails"
    assert seen["sentence"].startswith(sentence)
    assert any(check.startswith("✕wrong: ") for check in seen["checks"])
    assert "What this means" not in seen["sections"]
    assert_quiet(seen)


def test_the_picture_shows_each_way_and_where_it_breaks(browser: Browser, folder: Path) -> None:
    good = browser("visit", files=[folder / "proof.json"])
    forged = browser("visit", files=[folder / "forged.json"])
    assert (good["leaves"], good["broken"]) == (3, 0)
    assert good["ways"] >= 15 + 2
    assert good["path"].startswith("Each of the 3 parts goes up 15 steps to the root")
    assert forged["broken"] == 1
    assert "Part 2 does not fit the root." in forged["path"]


def test_everything_can_be_done_with_the_keyboard(browser: Browser, folder: Path) -> None:
    seen = browser("keyboard", proof=folder / "proof.json", manifest=folder / "manifest.json", userId=USER)
    assert seen["order"][:6] == ["proof-file", "Remove proof.json", "user-id", "manifest-file", "Remove manifest.json", "commitment"]
    assert all(seen["outlines"])
    assert seen["after"]["verdict"] == "holds"
    assert seen["opened"]
    assert seen["back"] == "manifest-file"
    assert seen["removed"]["verdict"] == "none"
    assert seen["focusAfterRemoval"] == "proof-file"


def test_the_policy_lets_nothing_out_and_nothing_in(browser: Browser) -> None:
    """The page's own origin tries; a server counts who comes."""
    came = []

    class Counting(BaseHTTPRequestHandler):
        def handle(self) -> None:
            came.append(self.client_address)

    with HTTPServer(("127.0.0.1", 0), Counting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        seen = browser("attack", address=f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
    assert came == []
    assert "done" not in {outcome for name, outcome in seen["tried"].items() if name not in {"beacon", "script"}}, seen["tried"]
    assert (seen["title"], seen["location"]) == ("Is my balance in the total?", PAGE.as_uri())
    assert {"connect-src", "img-src", "form-action"} <= set(seen["violations"])


@pytest.mark.parametrize("state", ["empty", "holds", "fails", "incomplete"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Browser, folder: Path, state: str, dark: bool) -> None:
    files = {"empty": [], "holds": ["proof.json", "manifest.json"], "fails": ["forged.json"], "incomplete": ["proof.json"]}[state]
    fields = {"user-id": USER} if state == "holds" else {}
    seen = browser("accessibility", files=[folder / name for name in files], fields=fields, dark=dark, width=360 if dark else 1100)
    assert seen["violations"] == []
    assert seen["passed"] > 10


def test_a_screen_reader_hears_labels_a_live_verdict_and_the_picture_in_words(browser: Browser, folder: Path) -> None:
    seen = browser("accessibility", files=[folder / "proof.json", folder / "manifest.json"], fields={"user-id": USER})
    tree = seen["snapshot"]
    assert seen["live"] == ["status", "polite", "true"]
    assert 'textbox "Your user id"' in tree
    assert 'textbox "or the published commitment"' in tree
    assert 'button "Your proof file Choose a file, or drop it anywhere on this page"' in tree
    assert 'button "Remove proof.json"' in tree
    assert 'img "Drawing of the way up"' in tree
    assert 'columnheader "Everybody’s"' in tree
    assert "Your balances are in the published total." in tree
    for title in ("Verdict", "Your balances", "What was checked", "What this means", "Root and commitment"):
        assert f'heading "{title}" [level=2]' in tree


@pytest.mark.parametrize("name", ["proof.json", "forged.json", "realistic.json"])
def test_a_phone_never_scrolls_sideways(browser: Browser, folder: Path, name: str) -> None:
    if name == "realistic.json":
        proof = sum_trees.proof(random.Random(5), user_id=USER, leaf_count=5 << 24, symbols=sum_trees.ASSETS_22, largest=10**24)
        (folder / name).write_text(json.dumps(proof))
    seen = browser("visit", files=[folder / name], fields={"user-id": USER}, width=360, height=780, open=True)
    assert seen["width"] == 360


@pytest.mark.parametrize(("parts", "most"), [(2, 1000), (256, 5000)])
def test_a_verdict_comes_at_once_for_the_largest_realistic_proofs(browser: Browser, folder: Path, parts: int, most: int) -> None:
    """27 levels and 22 assets. What it took is printed; the limits leave room for a machine that does other things."""
    proof = sum_trees.proof(random.Random(6), user_id=USER, leaf_count=5 << 24, parts=parts, symbols=sum_trees.ASSETS_22, largest=10**24)
    file = folder / f"{parts}_parts.json"
    file.write_text(json.dumps(proof))
    seen = browser("visit", dropped=[file], fields={"user-id": USER, "commitment": proof["commitment"]})
    assert seen["verdict"] == "holds"
    assert seen["leaves"] == parts
    print(f"\n{parts} parts, {file.stat().st_size:,} bytes: {seen['milliseconds'][0]:.0f} ms from the drop to the verdict")
    assert seen["milliseconds"][0] < most


def test_nothing_moves_for_whoever_asked_for_calm(browser: Browser, folder: Path) -> None:
    assert browser("motion", file=folder / "proof.json") == {"calm": False, "others": True}


def test_a_file_of_100_megabytes_is_refused_without_being_read(browser: Browser, tmp_path: Path) -> None:
    big = tmp_path / "big.json"
    with big.open("wb") as file:
        file.write(b"{")
        file.truncate(100_000_000)
    seen = browser("visit", dropped=[big])
    assert (seen["verdict"], seen["headline"]) == ("unknown", "This file cannot be checked.")
    assert seen["sentence"].startswith("The file is larger than 64 MiB and was not read.")
    assert seen["milliseconds"][0] < 1000


def test_markup_in_a_file_stays_text(browser: Browser, tmp_path: Path) -> None:
    markup = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    proof = sum_trees.proof(random.Random(7), user_id=markup, leaf_count=19, symbols=[markup, "A<b>"], series=markup)
    name = "<img src=x>.json"
    (tmp_path / name).write_text(json.dumps(proof))
    (tmp_path / "manifest.json").write_bytes(sum_trees.manifest(proof, entity=markup))
    seen = browser("visit", dropped=[tmp_path / name, tmp_path / "manifest.json"], fields={"user-id": markup}, open=True)
    assert seen["verdict"] == "holds"
    assert name in seen["taken"]
    assert markup in [row[0] for row in seen["holdings"]]
    assert seen["injected"] == 0
    assert_quiet(seen)


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"", b"\xff\xfe\x00", b"hello", b"[1, 2]", b"null", b'{"a": 1}'])
def test_other_files_are_not_taken_for_proofs(browser: Browser, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    seen = browser("visit", files=[tmp_path / "file"])
    assert seen["verdict"] == "unknown"
    assert seen["sentence"].endswith(".")
    assert_quiet(seen)


def test_the_manifest_alone_asks_for_the_proof(browser: Browser, folder: Path) -> None:
    seen = browser("visit", files=[folder / "manifest.json"])
    assert (seen["verdict"], seen["taken"]) == ("none", ["manifest.json"])


@pytest.mark.parametrize(
    ("files", "fields", "verdict", "holdings"),
    [
        (
            ["okx/merkle_proof_file.json"],
            {"commitment": "ac6b39d2a0aa8112bd1aadff5e7d4b5c2b91cd54d595262ba4367f5d2db4160d"},
            "weak",
            ["BTC", "1.000069", "95,088.55505656"],
        ),
        (["okx/user_info_file.json", "okx/full-liabilities-merkle-tree.txt"], {}, "weak", ["BTC", "0.00005", "0.00005"]),
        (["okx/user_info_file.json"], {}, "incomplete", ["BTC", "0.00005", "not known yet"]),
        (
            ["bitmex/generated/liabilities-100-proof.csv"],
            {
                "user-id": "4",
                "nonce": "b4fb0f6cb39e1b47e159996d54121309d92fed531a4f55b7a30772cb5f21cf8a",
                "commitment": "7dd29af138eecd7a6ef59c410f1d4d0b520870ee0a234fe9ba693f1ca1dd084f",
            },
            "holds",
            ["BTC", "40", "40.00004"],
        ),
    ],
    ids=["first generation", "second generation", "user file alone", "BitMEX"],
)
def test_files_of_other_publishers_are_read_and_their_weaknesses_named(
    browser: Browser, files: list[str], fields: dict[str, str], verdict: str, holdings: list[str]
) -> None:
    paths = [SHARED / "vectors" / name for name in files]
    if not all(path.exists() for path in paths):
        pytest.skip(f"the published samples are not in {SHARED / 'vectors'}")
    seen = browser("visit", files=paths, fields=fields)
    assert seen["verdict"] == verdict
    assert seen["holdings"][0] == holdings
    if verdict == "weak":
        assert "Each step fixes only the sum of its two sides." in seen["weaknesses"]
    assert_quiet(seen)
