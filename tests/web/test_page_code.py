"""What the page consists of, and its JavaScript under Node, without a browser."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import json
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED
from tests.web import forgeries, sum_trees
from tests.web.node import HERE, NODE, Given, judge, run

WEB = HERE.parent.parent / "verifier" / "web"
VECTORS = SHARED / "vectors"
NONCE = "b4fb0f6cb39e1b47e159996d54121309d92fed531a4f55b7a30772cb5f21cf8a"


def builder() -> Any:
    spec = importlib.util.spec_from_file_location("web_build", WEB / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def vector(name: str) -> bytes:
    path = VECTORS / name
    if not path.exists():
        pytest.skip(f"the published samples are not in {VECTORS}")
    return path.read_bytes()


def test_the_page_is_what_its_sources_give() -> None:
    assert builder().page() == (WEB / "index.html").read_text(encoding="utf-8"), "run `python verifier/web/build.py`"


def test_the_policy_allows_this_script_and_this_style_and_nothing_else() -> None:
    page = (WEB / "index.html").read_text(encoding="utf-8")
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/=]{44}'", rules["script-src"])
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/=]{44}'", rules["style-src"])
    assert not {"connect-src", "font-src", "frame-src", "worker-src"} & rules.keys()
    assert page.index("Content-Security-Policy") < page.index("<style")


def test_the_page_names_no_other_address() -> None:
    """But namespaces, which nobody asks for, and the pages where others' formats are described."""
    page = (WEB / "index.html").read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", page))
    assert addresses == {
        "http://www.w3.org/2000/svg",
        "https://github.com/okx/proof-of-reserves,",
        "https://github.com/BitMEX/proof-of-reserves-liabilities",
    }
    assert "innerHTML" not in page
    assert "localStorage" not in page
    assert not re.search(r'\s(?:style|on\w+)="', page)


def test_the_script_of_the_page_can_be_parsed(tmp_path: Path) -> None:
    script = tmp_path / "script.js"
    script.write_text(builder().script(), encoding="utf-8")
    assert subprocess.run([NODE, "--check", str(script)], capture_output=True, text=True, check=False).stderr == ""


def test_its_sha256_and_hmac_are_those_of_the_standard_library() -> None:
    rng = random.Random(1)
    lengths = [*range(130), 1000, 4095, 4096, 100_000]
    pairs = [(rng.randbytes(rng.choice([0, 1, 32, 63, 64, 65, 200])), rng.randbytes(length)) for length in lengths]
    lines = run("digests.mjs", (json.dumps({"key": key.hex(), "message": message.hex()}) for key, message in pairs))
    expected = [[hashlib.sha256(message).hexdigest(), hmac.new(key, message, "sha256").hexdigest()] for key, message in pairs]
    assert [json.loads(line) for line in lines] == expected


@pytest.mark.parametrize("forger", forgeries.FORGERIES, ids=lambda forger: forger.__name__)
def test_each_forgery_is_refused_with_a_sentence(forger: forgeries.Forger) -> None:
    rng = random.Random(2)
    proof = sum_trees.proof(rng, user_id="1", leaf_count=21, parts=3)
    [judged] = judge([Given(proof=forgeries.forge(rng, forger, proof), user_id="1", commitment=proof["commitment"])])
    assert judged.verdict == "fails"
    assert re.fullmatch(r"[A-Z].{15,}\.", judged.sentence, re.DOTALL), judged.sentence


def test_a_file_longer_than_any_proof_is_not_parsed() -> None:
    [judged] = judge([Given(proof=b"[" * (64 * 1024 * 1024 + 1))])
    assert judged.verdict == "unknown"
    assert judged.sentence.startswith("The file is larger than 64 MiB and was not read.")


def replaced_everywhere(document: Any, value: Any) -> Iterator[Any]:
    """Copies in each of which one value, however deep, is another."""
    members = document.items() if isinstance(document, dict) else enumerate(document)
    for key, member in list(members):
        if member != value:
            yield document | {key: value} if isinstance(document, dict) else [*document[:key], value, *document[key + 1 :]]
        if isinstance(member, dict | list):
            for altered in replaced_everywhere(member, value):
                yield document | {key: altered} if isinstance(document, dict) else [*document[:key], altered, *document[key + 1 :]]


@pytest.mark.parametrize("value", [None, {}, [], True, 7, "x", {"a": {}}, [[None]], "1" * 40])
@pytest.mark.parametrize("kind", ["own", "okx_path", "okx_user"])
def test_any_value_of_another_type_is_refused_with_a_sentence(kind: str, value: Any) -> None:
    documents: dict[str, Callable[[], Any]] = {
        "own": lambda: sum_trees.proof(random.Random(8), user_id="1", leaf_count=5),
        "okx_path": lambda: json.loads(vector("okx/merkle_proof_file.json")),
        "okx_user": lambda: json.loads(vector("okx/user_info_file.json")),
    }
    altered = [json.dumps(one).encode() for one in replaced_everywhere(documents[kind](), value)]
    judged = judge([Given(proof=one, user_id="1") for one in altered])
    # The audit's number has no meaning in any rule of that format; nor has the nonce of a neighbour, which need not be shown.
    meaningless = {"auditId", "nonce"} if kind == "okx_path" else set()
    passed = [one for one, said in zip(altered, judged, strict=True) if said.verdict not in {"fails", "unknown"}]
    assert len(altered) > 10
    assert [one for one in passed if not any(differs_only_in(json.loads(one), documents[kind](), name) for name in meaningless)] == []
    assert all(said.sentence.endswith(".") for said in judged)


def differs_only_in(one: Any, other: Any, name: str) -> bool:
    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(member) for key, member in value.items() if key != name}
        return [without(member) for member in value] if isinstance(value, list) else value

    return bool(without(one) == without(other))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"series": "another"}, "The manifest is of another report: “another”"),
        ({"as_of": "2023-01-18T16:00:00Z"}, "The manifest is of another report"),
        ({"revision": 2}, "The manifest is of another report"),
        ({"liability_commitment": "0" * 64}, "The proof does not lead to the published total: the manifest says something else."),
        ({"liability_commitment": "xyz"}, "The manifest’s “liability_commitment” is not written"),
        ({"entity": 5}, "The manifest lacks “entity”."),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(changed: dict[str, Any], sentence: str) -> None:
    proof = sum_trees.proof(random.Random(3), user_id="1", leaf_count=21)
    [judged] = judge([Given(proof=json.dumps(proof).encode(), manifest=sum_trees.manifest(proof, **changed), user_id="1")])
    assert judged.verdict == "fails"
    assert judged.sentence.startswith(sentence)


def test_a_manifest_that_is_not_in_its_canonical_form_is_refused() -> None:
    proof = sum_trees.proof(random.Random(3), user_id="1", leaf_count=21)
    manifest = json.dumps(json.loads(sum_trees.manifest(proof)), indent=1).encode()
    [judged] = judge([Given(proof=json.dumps(proof).encode(), manifest=manifest, user_id="1")])
    assert (judged.verdict, judged.headline) == ("fails", "The manifest cannot be used.")


def test_a_manifest_without_commitment_leaves_the_proof_incomplete() -> None:
    proof = sum_trees.proof(random.Random(3), user_id="1", leaf_count=21)
    members = json.loads(sum_trees.manifest(proof))
    del members["liability_commitment"]
    manifest = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    [judged] = judge([Given(proof=json.dumps(proof).encode(), manifest=manifest, user_id="1")])
    assert judged.verdict == "incomplete"
    assert "publishes none" in judged.missing[0]


# --- formats of others ------------------------------------------------------------------------------------------------


def eight_decimals(amount: Decimal) -> str:
    text = f"{amount:.8f}".rstrip("0").rstrip(".")
    return text or "0"


def first_generation(own: str, neighbour: str, total: str, user: str) -> tuple[bytes, str]:
    """A proof of two leaves by the rules of the first generation, with whatever balance for the neighbour."""

    def balances(bitcoin: str) -> dict[str, str]:
        return {"BTC": bitcoin, "ETH": "0", "USDT": "0"}

    def leaf(bitcoin: str, nonce: str) -> str:
        return hashlib.sha256((nonce + json.dumps(balances(bitcoin), separators=(",", ":"))).encode()).hexdigest()

    hashes = {"a": leaf("10", "aa" * 32), "b": leaf("7", "bb" * 32)}
    root = hashlib.sha256((hashes["a"] + hashes["b"] + eight_decimals(Decimal(total)) + "00" + "2").encode()).hexdigest()
    other = "b" if user == "a" else "a"
    document = {
        "path": [
            {"auditId": "1", "balances": balances(neighbour), "type": 2 if user == "a" else 1, "hash": hashes[other], "height": 1},
            {"auditId": "1", "balances": balances(total), "type": 3, "hash": root, "height": 2},
        ],
        "self": {
            "auditId": "1",
            "balances": balances(own),
            "type": 1 if user == "a" else 2,
            "nonce": user * 64,
            "hash": hashes[user],
            "height": 1,
        },
    }
    return json.dumps(document).encode(), root


def test_the_flaw_of_the_first_generation_is_named_where_its_rules_let_it_pass() -> None:
    """Ten coins and seven are owed; both owners see a proof that holds against a total of ten."""
    (for_a, root_a), (for_b, root_b) = first_generation("10", "0", "10", "a"), first_generation("7", "3", "10", "b")
    assert root_a == root_b
    for judged in judge([Given(proof=for_a, commitment=root_a), Given(proof=for_b, commitment=root_b)]):
        assert judged.verdict == "weak"
        assert "prove less than they seem to" in judged.headline
        assert judged.weaknesses[0] == "Each step fixes only the sum of its two sides."


def test_the_same_flaw_does_not_exist_in_our_format() -> None:
    """The owner of the larger part is shown a neighbour with nothing, the sums are right, and the hashes are not."""
    proof = sum_trees.proof(random.Random(4), user_id="1", leaf_count=2, symbols=["BTC"])
    smaller = copy_of(proof)
    a, b = (int(leaf["balances"][0]) for leaf in proof["leaves"])
    for leaf, own in zip(smaller["leaves"], (a, b), strict=True):
        leaf["path"][0]["balances"][0] = str(max(a, b) - own)
    smaller["root"]["balances"][0] = str(max(a, b))
    [judged] = judge([Given(proof=json.dumps(smaller).encode(), user_id="1")])
    assert judged.verdict == "fails"


def copy_of(document: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def test_a_negative_neighbour_is_refused_although_the_exchange_lets_it_pass() -> None:
    proof, _ = first_generation("10", "-3", "7", "a")
    [judged] = judge([Given(proof=proof)])
    assert judged.verdict == "fails"
    assert "is negative" in judged.sentence


def test_the_published_proof_of_the_first_generation_holds_by_its_rules() -> None:
    proof = vector("okx/merkle_proof_file.json")
    root = json.loads(proof)["path"][-1]["hash"]
    right, other, alone = judge([Given(proof=proof, commitment=root), Given(proof=proof, commitment="0" * 64), Given(proof=proof)])
    assert (right.verdict, right.missing, other.verdict, alone.missing) == (
        "weak",
        [],
        "fails",
        ["The published root hash: paste it to compare."],
    )
    assert right.own == {"BTC": "1.000069", "ETH": "0.99908176", "USDT": "19,398.33550812"}
    assert right.total["USDT"] == "3,137,909,428.88369702"
    assert {"The file shows a stranger’s balances.", "Padding repeats the hash beside it."} <= set(right.weaknesses)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"USDT":"19398.33550812"', '"USDT":"19398.33550813"'),
        ('"BTC":"0.00377799"', '"BTC":"0.00377798"'),
        ("747aa1c09adcd812", "747aa1c09adcd813"),
        ('"type":3', '"type":2'),
        ('"type":4', '"type":2'),
        ('"height":5', '"height":6'),
        ('"USDT":"3137909428.88369702"', '"USDT":"3137909428.88369701"'),
        ('"USDT":"2124931876.47247327"', '"USDT":"2.1e9"'),
        ('"self"', '"path":[],"self"'),
        ('"height":1}}', '"height":2}}'),
        ('"height":1}}', '"height":1,"more":1}}'),
        ('"type":2,"nonce"', '"type":1,"nonce"'),
    ],
)
def test_an_altered_proof_of_the_first_generation_is_refused(old: str, new: str) -> None:
    text = vector("okx/merkle_proof_file.json").decode()
    altered = text.replace(old, new, 1) if old != '"type":4' else text.replace('"hash":"f4cdc4f3', '"hash":"f4cdc4f4', 1)
    assert altered != text
    [judged] = judge([Given(proof=altered.encode())])
    assert judged.verdict == "fails"
    assert judged.sentence.endswith(".")


def test_the_published_tree_of_the_second_generation_holds_by_its_rules() -> None:
    user, tree = vector("okx/user_info_file.json"), vector("okx/full-liabilities-merkle-tree.txt")
    root = tree[:64].decode()
    both, alone, only_tree = judge([Given(proof=user, tree=tree, commitment=root), Given(proof=user), Given(tree=tree)])
    assert (both.verdict, both.missing, both.own["BTC"], both.total["USDT"]) == ("weak", [], "0.00005", "1.42045977")
    assert "Each step fixes only the sum of its two sides." in both.weaknesses
    assert (alone.verdict, only_tree.verdict) == ("incomplete", "incomplete")
    assert alone.missing[0].startswith("The full tree")
    assert only_tree.missing[0].startswith("Your user file")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("tree", '"BTC":"0.0000487","ETH":"0","USDT":"0"}', '"BTC":"0.0000488","ETH":"0","USDT":"0"}'),
        ("tree", "9efbc1a68c383bd8", "9efbc1a68c383bd9"),
        ("tree", '"ETH":"0.1"', '"ETH":"-0.1"'),
        ("tree", ",6,", ",7,"),
        ("tree", ',1,{"BTC":"0","ETH":"0","USDT":"0"}', ',1,{"BTC":"0","ETH":"0","USDT":"0","X":"1"}'),
        ("user", '"BTC": "0.00005"', '"BTC": "0.00006"'),
        ("user", '"BTC": "0.0000487"', '"BTC": "0.0000488"'),
        ("user", "b6f6ea75", "b6f6ea76"),
    ],
)
def test_altered_files_of_the_second_generation_are_refused(file: str, old: str, new: str) -> None:
    files = {"user": vector("okx/user_info_file.json").decode(), "tree": vector("okx/full-liabilities-merkle-tree.txt").decode()}
    altered = files[file].replace(old, new, 1)
    assert altered != files[file]
    files[file] = altered
    [judged] = judge([Given(proof=files["user"].encode(), tree=files["tree"].encode())])
    assert judged.verdict == "fails"


def test_a_part_cannot_be_counted_twice_in_one_leaf_of_the_second_generation() -> None:
    user, tree = json.loads(vector("okx/user_info_file.json")), vector("okx/full-liabilities-merkle-tree.txt")
    user["nodes"] = [user["nodes"][0], user["nodes"][0]]
    user["totalBalances"] = {"BTC": "0.0000974", "ETH": "0", "USDT": "0"}
    balances = json.dumps(user["totalBalances"], separators=(",", ":"))
    user["hash"] = hashlib.sha256((user["nonce"] + balances).encode()).hexdigest()
    for node in user["nodes"]:
        node["hash"] = hashlib.sha256((user["hash"] + "0.0000487" + "0" + "0").encode()).hexdigest()
    [judged] = judge([Given(proof=json.dumps(user).encode(), tree=tree)])
    assert judged.verdict == "fails"
    assert judged.sentence == "Part 1 of your balances is not among the leaves of the tree."


def test_the_published_tree_of_bitmex_opens_with_account_and_nonce() -> None:
    tree = vector("bitmex/generated/liabilities-100-proof.csv")
    root = tree.split(b"\n")[1][:64].decode()
    report_nonce = hashlib.sha256(bytes.fromhex(NONCE) + (100).to_bytes(8, "little") + (4).to_bytes(8, "little")).hexdigest()
    givens = [
        Given(proof=tree, user_id="4", nonce=NONCE, commitment=root),
        Given(proof=tree, user_id="4", nonce=report_nonce, commitment=root),
        Given(proof=tree, user_id="5", nonce=NONCE, commitment=root),
        Given(proof=tree, user_id="four", nonce=NONCE),
        Given(proof=tree, user_id="4", nonce=NONCE[:-1]),
        Given(proof=tree, commitment=root),
        Given(proof=tree, user_id="4", nonce=NONCE, commitment="0" * 64),
    ]
    judged = judge(givens)
    assert [one.verdict for one in judged] == ["holds", "holds", "fails", "fails", "fails", "incomplete", "fails"]
    assert (judged[0].own, judged[0].total) == ({"BTC": "40"}, {"BTC": "40.00004"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (",4000004000", ",4000004001"),
        (",486", ",-486"),
        (",514", ",515"),
        ("block_height:100", "block_height:101"),
        ("ff131435", "ff131436"),
    ],
)
def test_an_altered_tree_of_bitmex_is_refused(old: str, new: str) -> None:
    text = vector("bitmex/generated/liabilities-100-proof.csv").decode()
    altered = text.replace(old, new, 1)
    assert altered != text
    [judged] = judge([Given(proof=altered.encode(), user_id="4", nonce=NONCE)])
    assert judged.verdict == "fails"


def test_a_tree_of_bitmex_with_a_row_missing_is_refused() -> None:
    rows = vector("bitmex/generated/liabilities-100-proof.csv").splitlines()
    [judged] = judge([Given(proof=b"\n".join(rows[:-1]), user_id="4", nonce=NONCE)])
    assert (judged.verdict, judged.sentence) == ("fails", "Rows are missing: the lowest level is not complete.")
