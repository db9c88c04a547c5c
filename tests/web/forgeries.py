"""Ways to alter a proof: each makes, from one that holds, something that must not."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

Document = dict[str, Any]
Forger = Callable[[random.Random, Document], None]


def _flip(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text))
    return text[:at] + rng.choice([digit for digit in "0123456789abcdef" if digit != text[at]]) + text[at + 1 :]


def _sibling(rng: random.Random, proof: Document) -> Document | None:
    shown = [sibling for leaf in proof["leaves"] for sibling in leaf["path"] if sibling is not None]
    return rng.choice(shown) if shown else None


def _some_balances(rng: random.Random, proof: Document) -> list[Any]:
    sibling = _sibling(rng, proof)
    return rng.choice([rng.choice(proof["leaves"]), proof["root"], *([sibling] if sibling else [])])["balances"]  # type: ignore[no-any-return]


def hash_altered(rng: random.Random, proof: Document) -> None:
    sibling = _sibling(rng, proof)
    places = [(proof, name) for name in ("commitment", "user_key", "blind")] + [
        (proof["root"], "hash"),
        (rng.choice(proof["leaves"]), "nonce"),
    ]
    members, name = rng.choice([*places, *([(sibling, "hash")] * 3 if sibling else [])])
    members[name] = _flip(rng, members[name])


def hash_in_capitals(rng: random.Random, proof: Document) -> None:
    proof["commitment"] = "AB" + proof["commitment"][2:]


def hash_shortened(rng: random.Random, proof: Document) -> None:
    proof["root"]["hash"] = proof["root"]["hash"][:-2]


def amount_one_more(rng: random.Random, proof: Document) -> None:
    balances = _some_balances(rng, proof)
    at = rng.randrange(len(balances))
    balances[at] = str(int(balances[at]) + 1)


def amount_badly_written(rng: random.Random, proof: Document) -> None:
    balances = _some_balances(rng, proof)
    at = rng.randrange(len(balances))
    balances[at] = rng.choice(
        ["-1", "-0", "1e3", "1.0", "007", "", " 5", "0x10", "٣", "1_000", "9" * 39, "1" + "0" * 400, 5, None, True, "NaN", "+1"]
    )


def negative_sibling_hides_a_debt(rng: random.Random, proof: Document) -> None:
    """The sums come out right: what the sibling takes away, the root lacks."""
    sibling = _sibling(rng, proof)
    target = sibling or rng.choice(proof["leaves"])
    taken = int(target["balances"][0]) + rng.randrange(1, 1000)
    target["balances"][0] = str(int(target["balances"][0]) - taken)
    proof["root"]["balances"][0] = str(max(0, int(proof["root"]["balances"][0]) - taken))


def sums_match_while_children_do_not(rng: random.Random, proof: Document) -> None:
    """One unit moves from the user's part to its neighbour, so that every sum above stays."""
    leaf = rng.choice([leaf for leaf in proof["leaves"] if leaf["path"][0] is not None] or proof["leaves"])
    leaf["balances"][0] = str(int(leaf["balances"][0]) + 1)
    if leaf["path"][0] is not None:
        leaf["path"][0]["balances"][0] = str(abs(int(leaf["path"][0]["balances"][0]) - 1))


def path_shortened(rng: random.Random, proof: Document) -> None:
    path = rng.choice(proof["leaves"])["path"]
    del path[rng.randrange(len(path))]


def path_lengthened(rng: random.Random, proof: Document) -> None:
    path = rng.choice(proof["leaves"])["path"]
    path.insert(rng.randrange(len(path) + 1), rng.choice([None, copy.deepcopy(path[0])]))


def steps_swapped(rng: random.Random, proof: Document) -> None:
    path = rng.choice(proof["leaves"])["path"]
    if len(path) < 2 or path[0] == path[-1]:
        path.append(None)
    path[0], path[-1] = path[-1], path[0]


def padding_for_a_sibling(rng: random.Random, proof: Document) -> None:
    path = rng.choice(proof["leaves"])["path"]
    at = rng.randrange(len(path))
    nothing = ["0"] * len(proof["assets"])
    path[at] = None if path[at] is not None else {"hash": "00" * 32, "balances": nothing}


def sides_changed(rng: random.Random, proof: Document) -> None:
    leaf = rng.choice(proof["leaves"])
    leaf["position"] ^= 1


def position_out_of_the_tree(rng: random.Random, proof: Document) -> None:
    rng.choice(proof["leaves"])["position"] = rng.choice([proof["leaf_count"], -1, 2**53, 1.5, "3", None, True])


def part_doubled(rng: random.Random, proof: Document) -> None:
    proof["leaves"][1] = {**proof["leaves"][0], "part": 1}


def part_left_out(rng: random.Random, proof: Document) -> None:
    del proof["leaves"][rng.randrange(len(proof["leaves"]))]


def parts_out_of_order(rng: random.Random, proof: Document) -> None:
    proof["leaves"].reverse()


def one_part_only(rng: random.Random, proof: Document) -> None:
    proof["leaves"] = proof["leaves"][:1]


def assets_swapped(rng: random.Random, proof: Document) -> None:
    if len(proof["assets"]) == 1:
        proof["assets"][0]["symbol"] += "X"
    proof["assets"].reverse()


def asset_renamed(rng: random.Random, proof: Document) -> None:
    proof["assets"][-1]["symbol"] += "2"


def decimals_changed(rng: random.Random, proof: Document) -> None:
    proof["assets"][0]["decimals"] += 1


def asset_left_out(rng: random.Random, proof: Document) -> None:
    for listed in [proof["assets"], proof["root"]["balances"], *(leaf["balances"] for leaf in proof["leaves"])]:
        listed.pop()


def of_another_report(rng: random.Random, proof: Document) -> None:
    name, value = rng.choice([("as_of", "2023-01-18T16:00:00Z"), ("series", "another"), ("revision", proof["revision"] + 1)])
    proof[name] = value


def moment_badly_written(rng: random.Random, proof: Document) -> None:
    proof["as_of"] = rng.choice(["2023-02-17", "2023-02-30T16:00:00Z", "2023-02-17T16:00:00+00:00", "2023-02-17t16:00:00z", 5, ""])


def leaf_count_changed(rng: random.Random, proof: Document) -> None:
    proof["leaf_count"] = rng.choice([proof["leaf_count"] + 1, proof["leaf_count"] * 2, 1, 0, 2**40 + 1, "7"])


def key_left_out(rng: random.Random, proof: Document) -> None:
    members = rng.choice([proof, proof["root"], proof["assets"][0], proof["leaves"][0]])
    del members[rng.choice([name for name in members if name != "format"])]


def key_added(rng: random.Random, proof: Document) -> None:
    rng.choice([proof, proof["root"], proof["assets"][0], proof["leaves"][0]])["note"] = "hello"


def other_type(rng: random.Random, proof: Document) -> None:
    name = rng.choice([name for name in proof if name != "format"])
    proof[name] = rng.choice([None, [], {}, 5, "text", True])


def leaf_shown_as_a_node(rng: random.Random, proof: Document) -> None:
    """The first part's sibling takes the part's place one level up, as if it stood there."""
    for leaf in proof["leaves"]:
        leaf["path"] = leaf["path"][1:]
        leaf["position"] //= 2
    proof["leaf_count"] = (proof["leaf_count"] + 1) // 2


FORGERIES: tuple[Forger, ...] = (
    hash_altered,
    hash_in_capitals,
    hash_shortened,
    amount_one_more,
    amount_badly_written,
    negative_sibling_hides_a_debt,
    sums_match_while_children_do_not,
    path_shortened,
    path_lengthened,
    steps_swapped,
    padding_for_a_sibling,
    sides_changed,
    position_out_of_the_tree,
    part_doubled,
    part_left_out,
    parts_out_of_order,
    one_part_only,
    assets_swapped,
    asset_renamed,
    decimals_changed,
    asset_left_out,
    of_another_report,
    moment_badly_written,
    leaf_count_changed,
    key_left_out,
    key_added,
    other_type,
    leaf_shown_as_a_node,
)


def forge(rng: random.Random, forger: Forger, proof: Document) -> bytes:
    """An altered copy, as a file."""
    forged = copy.deepcopy(proof)
    forger(rng, forged)
    assert forged != proof
    return json.dumps(forged, ensure_ascii=False).encode()


def _said_twice(text: str, proof: Document) -> str:
    return text.replace('"commitment": ', f'"commitment": "{"0" * 64}", "commitment": ', 1)


WRITTEN_OTHERWISE: dict[str, Callable[[str, Document], str]] = {
    "a key twice": _said_twice,
    "a key twice, once escaped": lambda text, proof: text.replace('"revision"', f'"\\u0072evision": {proof["revision"]}, "revision"', 1),
    "exponent": lambda text, proof: text.replace('"part": 1', '"part": 1e0', 1),
    "fraction": lambda text, proof: text.replace('"part": 1', '"part": 1.0', 1),
    "leading zero": lambda text, proof: text.replace('"part": 1', '"part": 01', 1),
    "10^400": lambda text, proof: text.replace('"part": 1', '"part": 1' + "0" * 400, 1),
    "NaN": lambda text, proof: text.replace('"part": 1', '"part": NaN', 1),
    "negative": lambda text, proof: text.replace('"part": 0', '"part": -0', 1),
    "cut off": lambda text, proof: text[: len(text) // 2],
    "something after the end": lambda text, proof: text + "{}",
    "comma too many": lambda text, proof: text[:-1] + ",}",
    "comment": lambda text, proof: "/* hello */" + text,
    "nested a hundred thousand deep": lambda text, proof: text[:-1] + ', "note": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "half a character": lambda text, proof: text.replace('"series": "', '"series": "\\ud800', 1),
}
"""Alterations of the text, which no document can show."""
