"""Other publishers' formats: their own samples verify, altered ones don't, and the known attack passes on theirs, which is said.

The samples are in the folder of vectors beside the repository; what is built here is made by the same rules, written out again.
"""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from assay_verify.findings import Exit, UnusableInputError
from assay_verify.sum_tree import formats
from assay_verify.sum_tree.formats import Foreign
from assay_verify.sum_tree.inclusion import Expected
from assay_verify.sum_tree.verified import VerifiedProof

VECTORS = Path(__file__).parents[4] / "shared" / "vectors"
FIRST = VECTORS / "okx" / "merkle_proof_file.json"
USER_FILE = VECTORS / "okx" / "user_info_file.json"
FULL_TREE = VECTORS / "okx" / "full-liabilities-merkle-tree.txt"
BITMEX = VECTORS / "bitmex" / "generated" / "liabilities-100-proof.csv"
NONCES = {
    "1": ("4b014f71332f674b47ccec77ac055c7f6e94f7968afe15b9ffb63b9c392ee97a", "0.00001"),
    "2": ("b88860add96111d84d38a500266df715158f91375d9aaa98aa58356f9a872412", "0.00003"),
    "4": ("b4fb0f6cb39e1b47e159996d54121309d92fed531a4f55b7a30772cb5f21cf8a", "40"),
}

needs_vectors = pytest.mark.skipif(not VECTORS.is_dir(), reason="the folder of other publishers' samples is not beside the repository")


def failures(verified: VerifiedProof) -> list[str]:
    return [failure for made in verified.findings.checks for failure in made.failures]


def check_json(document: object, commitment: str | None = None) -> VerifiedProof:
    return formats.check_content(json.dumps(document).encode(), Expected(commitment=commitment))


# -- First generation --


@needs_vectors
def test_a_proof_of_the_first_generation_verifies_and_its_weaknesses_are_named() -> None:
    verified = formats.check_file(FIRST, Expected())
    assert verified.findings.exit_code == Exit.HELD
    assert [one.own for one in verified.holdings] == ["1.000069", "0.99908176", "19398.33550812"]
    said = " ".join(verified.weaknesses)
    for weakness in (
        "only the sum of its children",
        "Negative balances pass",
        "No leaf says whose it is",
        "No report is named",
        "without separators",
    ):
        assert weakness in said
    assert "cut short" not in said
    assert not verified.notices


@needs_vectors
def test_its_root_is_compared_with_the_published_one_where_that_is_given() -> None:
    root = json.loads(FIRST.read_text())["path"][-1]["hash"]
    assert formats.check_file(FIRST, Expected(commitment=root)).findings.exit_code == Exit.HELD
    assert formats.check_file(FIRST, Expected(commitment="00" * 32)).findings.exit_code == Exit.FAILED


@needs_vectors
@pytest.mark.parametrize("entry", ["self", *range(24)], ids=str)
@pytest.mark.parametrize("member", ["balances", "hash", "height", "type"])
def test_every_altered_field_of_the_first_generation_is_refused(entry: str | int, member: str) -> None:
    document = json.loads(FIRST.read_text())
    node = document["self"] if entry == "self" else document["path"][entry]
    other: dict[str, Any] = {
        "balances": {**node["balances"], "ETH": "0.12345678"},
        "hash": "ab" * 32,
        "height": node["height"] + 1,
        "type": {1: 2, 2: 1}.get(node["type"], 5),
    }
    node[member] = other[member]
    assert check_json(document).findings.exit_code == Exit.FAILED


def sum_only(
    node: tuple[str, dict[str, str]], sibling: tuple[str, dict[str, str]], total: dict[str, str], nonce: str, *, left: bool
) -> dict[str, Any]:
    """A proof of the first generation over two leaves, of which the sibling's balances are whatever is wanted."""
    hashes = node[0] + sibling[0] if left else sibling[0] + node[0]
    root = hashlib.sha256((hashes + "".join(total.values()) + "2").encode()).hexdigest()
    return {
        "self": {"auditId": "1", "balances": node[1], "type": 1 if left else 2, "nonce": nonce, "hash": node[0], "height": 1},
        "path": [
            {"auditId": "1", "balances": sibling[1], "type": 2 if left else 1, "hash": sibling[0], "height": 1},
            {"auditId": "1", "balances": total, "type": 3, "hash": root, "height": 2},
        ],
    }


def amounts(btc: str) -> dict[str, str]:
    return {"BTC": btc, "ETH": "0", "USDT": "0"}


def leaf(btc: str, nonce: str) -> tuple[str, dict[str, str]]:
    balances = amounts(btc)
    return hashlib.sha256((nonce + json.dumps(balances, separators=(",", ":"))).encode()).hexdigest(), balances


def test_two_users_of_10_and_7_verify_against_one_root_of_10() -> None:
    """The known attack. It passes by the rules of that format; its counterpart on our own format is in test_inclusion."""
    ten, seven = leaf("10", "aa" * 32), leaf("7", "bb" * 32)
    first = sum_only(ten, (seven[0], amounts("0")), amounts("10"), "aa" * 32, left=True)
    second = sum_only(seven, (ten[0], amounts("3")), amounts("10"), "bb" * 32, left=False)
    root = first["path"][-1]
    assert root == second["path"][-1]
    for proof, own in ((first, "10"), (second, "7")):
        verified = check_json(proof, commitment=root["hash"])
        assert verified.findings.exit_code == Exit.HELD, failures(verified)
        assert (verified.holdings[0].own, verified.holdings[0].total) == (own, "10")
        assert any("users can be shown different splits of one sum" in weakness for weakness in verified.weaknesses)


def test_a_negative_sibling_passes_there_and_is_pointed_out() -> None:
    ten = leaf("10", "aa" * 32)
    proof = sum_only(ten, ("cd" * 32, amounts("-9.5")), amounts("0.5"), "aa" * 32, left=True)
    verified = check_json(proof)
    assert verified.findings.exit_code == Exit.HELD, failures(verified)
    assert any("negative" in notice for notice in verified.notices)


def test_hashes_that_are_cut_short_pass_there_and_are_pointed_out() -> None:
    ten = leaf("10", "aa" * 32)
    verified = check_json(sum_only(ten, ("cd" * 8, amounts("1")), amounts("11"), "aa" * 32, left=True))
    assert verified.findings.exit_code == Exit.HELD
    assert any("cut short" in weakness for weakness in verified.weaknesses)


@pytest.mark.parametrize("amount", ["1e3", "NaN", "Infinity", "", "1" * 400, "0x1", "1.", ".5", 7, None])
def test_amounts_that_are_no_plain_decimals_are_refused(amount: Any) -> None:
    ten = leaf("10", "aa" * 32)
    proof = sum_only(ten, ("cd" * 32, {**amounts("1"), "BTC": "1"}), amounts("11"), "aa" * 32, left=True)
    proof["path"][0]["balances"]["BTC"] = amount
    assert check_json(proof).findings.exit_code == Exit.FAILED


@pytest.mark.parametrize(
    "document", [{"self": None, "path": []}, {"self": {}, "path": {}}, {"self": {"balances": {}}, "path": [1, 2]}], ids=str
)
def test_a_malformed_proof_of_the_first_generation_is_refused(document: object) -> None:
    verified = check_json(document)
    assert verified.findings.exit_code == Exit.FAILED
    assert failures(verified)


# -- Second generation --


@needs_vectors
def test_a_user_file_of_the_second_generation_verifies_with_its_tree() -> None:
    verified = formats.check_file(USER_FILE, Expected(), Foreign(tree=FULL_TREE))
    assert verified.findings.exit_code == Exit.HELD, failures(verified)
    assert [(one.own, one.total) for one in verified.holdings] == [("0.00005", "0.00005"), ("0", "0.1"), ("0", "1.42045977")]
    assert (verified.parts, verified.leaves) == (2, 22)
    assert verified.weaknesses


@needs_vectors
def test_without_the_tree_it_is_incomplete() -> None:
    verified = formats.check_file(USER_FILE, Expected())
    assert verified.findings.exit_code == Exit.INCOMPLETE
    assert any("--tree" in made.left_out for made in verified.findings.checks)


@needs_vectors
def test_every_altered_line_of_its_tree_is_refused(tmp_path: Path) -> None:
    lines = FULL_TREE.read_text().splitlines()
    altered = tmp_path / "tree.txt"
    for number, line in enumerate(lines):
        hash_text, height, balances = line.split(",", 2)
        less = balances.replace('"USDT":"', '"USDT":"1')
        for other in (f"{'ab' * 32},{height},{balances}", f"{hash_text},{height},{less}", f"{hash_text},9,{balances}", ""):
            changed = [*lines[:number], *([other] if other else []), *lines[number + 1 :]]
            altered.write_text("\n".join(changed) + "\n")
            verified = formats.check_file(USER_FILE, Expected(), Foreign(tree=altered))
            assert verified.findings.exit_code == Exit.FAILED, (number, other)


@needs_vectors
@pytest.mark.parametrize("change", ["hash", "nonce", "total", "balance", "leaf", "fewer", "more"])
def test_an_altered_user_file_is_refused(change: str) -> None:
    document = json.loads(USER_FILE.read_text())
    changed = copy.deepcopy(document)
    if change in {"hash", "nonce"}:
        changed[change] = "ab" * 32
    elif change == "total":
        changed["totalBalances"]["BTC"] = "0.00006"
    elif change == "balance":
        changed["nodes"][0]["balances"]["BTC"] = "0.0000488"
    elif change == "leaf":
        changed["nodes"][0]["hash"] = "ab" * 32
    elif change == "fewer":
        changed["nodes"].pop()
    else:
        changed["nodes"].append(changed["nodes"][0])
    verified = formats.check_content(json.dumps(changed).encode(), Expected(), Foreign(tree=FULL_TREE))
    assert verified.findings.exit_code == Exit.FAILED


@pytest.mark.parametrize(
    "text",
    ["", "\n", "x", f"{'ab' * 32},1,{{}}\n", "a,b,c\n", f"{'ab' * 32},2,[1,2,3]\n", "a" * 5000, f"{'ab' * 32},{'9' * 400},{{}}\n"],
    ids=range(8),
)
@needs_vectors
def test_a_malformed_tree_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tree.txt").write_text(text)
    verified = formats.check_file(USER_FILE, Expected(), Foreign(tree=tmp_path / "tree.txt"))
    assert verified.findings.exit_code == Exit.FAILED


@needs_vectors
def test_a_tree_that_is_not_there_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(UnusableInputError, match="--tree"):
        formats.check_file(USER_FILE, Expected(), Foreign(tree=tmp_path / "nowhere.txt"))


# -- The BitMEX form --


@needs_vectors
@pytest.mark.parametrize("account", NONCES)
def test_an_account_finds_its_leaves_in_a_tree_of_the_bitmex_form(account: str) -> None:
    nonce, own = NONCES[account]
    verified = formats.check_file(BITMEX, Expected(user_id=account), Foreign(nonce=nonce, is_report_nonce=False))
    assert verified.findings.exit_code == Exit.HELD, failures(verified)
    assert (verified.holdings[0].own, verified.holdings[0].total) == (own, "40.00004")
    assert verified.leaves == 8


@needs_vectors
def test_the_nonce_of_the_report_alone_will_do_and_binds_no_account() -> None:
    height, account = (100).to_bytes(8, "little"), (2).to_bytes(8, "little")
    nonce = hashlib.sha256(bytes.fromhex(NONCES["2"][0]) + height + account).hexdigest()
    verified = formats.check_file(BITMEX, Expected(), Foreign(nonce=nonce))
    assert verified.findings.exit_code == Exit.HELD
    assert verified.holdings[0].own == "0.00003"
    assert any("no account is bound" in weakness for weakness in verified.weaknesses)


@needs_vectors
@pytest.mark.parametrize(("account", "nonce"), [("3", NONCES["2"][0]), ("2", NONCES["1"][0]), ("2", "00" * 32)])
def test_another_account_or_nonce_finds_nothing(account: str, nonce: str) -> None:
    verified = formats.check_file(BITMEX, Expected(user_id=account), Foreign(nonce=nonce, is_report_nonce=False))
    assert verified.findings.exit_code == Exit.FAILED
    assert "no leaf is made with this secret" in " ".join(failures(verified))


@needs_vectors
def test_every_altered_line_of_the_tree_is_refused(tmp_path: Path) -> None:
    lines = BITMEX.read_text().splitlines()
    altered = tmp_path / "tree.csv"
    for number, line in enumerate(lines[1:], start=1):
        hash_text, value = line.split(",")
        for other in (
            f"{'ab' * 32},{value}",
            f"{hash_text},{int(value) + 1}",
            f"{hash_text},-{value}",
            f"{hash_text},{2**64}",
            f"{hash_text},1e3",
            None,
        ):
            changed = [*lines[:number], *([] if other is None else [other]), *lines[number + 1 :]]
            altered.write_text("\n".join(changed) + "\n")
            verified = formats.check_file(altered, Expected(user_id="2"), Foreign(nonce=NONCES["2"][0], is_report_nonce=False))
            assert verified.findings.exit_code == Exit.FAILED, (number, other)


@needs_vectors
@pytest.mark.parametrize(("account", "nonce"), [("2", "xyz"), ("two", NONCES["2"][0]), (None, NONCES["2"][0]), ("9" * 30, NONCES["2"][0])])
def test_an_account_or_nonce_that_is_none_is_unusable(account: str | None, nonce: str) -> None:
    with pytest.raises(UnusableInputError):
        formats.check_file(BITMEX, Expected(user_id=account), Foreign(nonce=nonce, is_report_nonce=False))


@pytest.mark.parametrize("text", ["block_height:", "block_height:100\n", "block_height:x\n", "block_height:100\nab,1\n"], ids=str)
def test_a_malformed_tree_of_the_bitmex_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tree.csv").write_text(text)
    assert formats.check_file(tmp_path / "tree.csv", Expected()).findings.exit_code == Exit.FAILED


@needs_vectors
def test_a_publication_cannot_be_compared_with_another_publishers_proof(tmp_path: Path) -> None:
    for path in (FIRST, USER_FILE, BITMEX):
        with pytest.raises(UnusableInputError, match="--publication"):
            formats.check_file(path, Expected(publication=tmp_path))
