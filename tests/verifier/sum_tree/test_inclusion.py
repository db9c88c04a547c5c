"""One user's proof: what holds, and every way in which somebody might forge or break one. The trees are tree_maker's, not the publishing program's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_verify.findings import Exit, UnusableInputError
from assay_verify.sum_tree import formats, inclusion
from assay_verify.sum_tree.inclusion import Expected
from assay_verify.sum_tree.verified import VerifiedProof
from tests.verifier.sum_tree.tree_maker import Tree, altered, make_tree, sample_tree, written

TREE = sample_tree()
USER = "user-2"
LIMIT = 10**38


def expected(tree: Tree = TREE, user: str = USER) -> Expected:
    return Expected(user_id=user, commitment=tree.commitment.hex())


def check(document: object, tree: Tree = TREE, user: str = USER) -> VerifiedProof:
    return inclusion.check(document, expected(tree, user))


def failures(verified: VerifiedProof) -> list[str]:
    return [failure for made in verified.findings.checks for failure in made.failures]


def assert_refused(verified: VerifiedProof, *, saying: str = "") -> None:
    assert verified.findings.exit_code == Exit.FAILED
    said = failures(verified)
    assert said
    assert any(saying in failure for failure in said), said
    assert all(len(failure) < 400 and "\n" not in failure for failure in said)
    assert not verified.proven


def check_text(text: str | bytes) -> VerifiedProof:
    return formats.check_content(text if isinstance(text, bytes) else text.encode(), expected())


@pytest.mark.parametrize("leaf_count", [15, 16, 17, 21, 31, 32, 33, 64])
def test_every_user_of_a_tree_has_a_proof_that_holds(leaf_count: int) -> None:
    tree = sample_tree(leaf_count)
    for user in tree.users:
        verified = inclusion.check(tree.proof(user), expected(tree, user))
        assert verified.findings.exit_code == Exit.HELD, failures(verified)
        assert len(verified.proven) == 2


def test_balances_and_totals_are_shown_in_whole_units_to_the_last_digit() -> None:
    verified = check(TREE.proof(USER))
    assert [(one.asset, one.own, one.total) for one in verified.holdings] == [
        ("BTC", "0.00002008", "0.0001004"),
        ("USDT", "100,000,000,000,000.000007", "500,000,000,000,000.000035"),
    ]
    assert (verified.leaves, verified.parts) == (21, 3)


def test_without_a_user_id_it_says_that_it_could_not_check_whose_proof_it_is() -> None:
    verified = inclusion.check(TREE.proof(USER), Expected(commitment=TREE.commitment.hex()))
    assert verified.findings.exit_code == Exit.INCOMPLETE
    assert any("whose proof it is could not be checked" in made.left_out for made in verified.findings.checks)
    accepted = inclusion.check(TREE.proof(USER), Expected(commitment=TREE.commitment.hex(), without_user=True))
    assert accepted.findings.exit_code == Exit.HELD
    assert any(sentence.startswith("Whose proof this is") for sentence in accepted.not_proven)


def test_without_a_published_commitment_it_is_incomplete_unless_that_was_asked_for() -> None:
    assert inclusion.check(TREE.proof(USER), Expected(user_id=USER)).findings.exit_code == Exit.INCOMPLETE
    accepted = inclusion.check(TREE.proof(USER), Expected(user_id=USER, without_commitment=True))
    assert accepted.findings.exit_code == Exit.HELD
    assert any("the totals are the published ones" in sentence for sentence in accepted.not_proven)


def test_another_users_id_is_refused() -> None:
    assert_refused(check(TREE.proof(USER), user="user-3"), saying="user key")
    assert_refused(check(TREE.proof(USER), user=" user-2"), saying="user key")


def test_a_tree_of_the_custodians_own_making_for_one_user_is_not_the_published_one() -> None:
    private = make_tree({USER: ((1, 1), (2, 2))}, leaf_count=16)
    assert_refused(check(private.proof(USER)), saying="another tree")


def leaf_places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of a JSON document that holds a single value."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from leaf_places(entry, (*path, key))
    elif isinstance(value, list):
        for at, entry in enumerate(value):
            yield from leaf_places(entry, (*path, at))
    else:
        yield path


def nearby(value: Any) -> list[Any]:
    """Other values of the same form, and of none."""
    if isinstance(value, int):
        return [value + 1, value - 1, str(value), None]
    if value is None:
        return [{"hash": "00" * 32, "balances": ["0", "0"]}, 0, ""]
    if len(value) == 64:
        flipped = f"{int(value[0], 16) ^ 1:x}{value[1:]}"
        return [
            flipped,
            value[:-1] + ("0" if value[-1] != "0" else "1"),
            value.upper() if value != value.upper() else value + "0",
            value[:-2],
            None,
        ]
    if value.isdigit():
        return [str(int(value) + 1), "-" + value, "0" + value, value + ".0", value + "e0", " " + value, int(value), None]
    return [value + "x", "", None, 1]


@pytest.mark.parametrize("place", list(leaf_places(TREE.proof(USER))), ids=lambda place: "/".join(map(str, place)))
def test_every_altered_field_is_refused(place: tuple[str | int, ...]) -> None:
    proof = TREE.proof(USER)
    value: Any = proof
    for step in place:
        value = value[step]
    for other in nearby(value):
        assert_refused(check(altered(proof, *place, to=other)))


@pytest.mark.parametrize("place", [(), ("root",), ("assets", 0), ("leaves", 1), ("leaves", 1, "path", 1)], ids=str)
def test_every_missing_or_additional_member_is_refused(place: tuple[str | int, ...]) -> None:
    proof = TREE.proof(USER)
    holder: Any = proof
    for step in place:
        holder = holder[step]
    for key in holder:
        less = {name: entry for name, entry in holder.items() if name != key}
        assert_refused(check(altered(proof, *place, to=less) if place else less), saying=f"lacks '{key}'")
    more = {**holder, "comment": "trust me"}
    assert_refused(check(altered(proof, *place, to=more) if place else more), saying="unknown member 'comment'")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_proofs_of_random_trees_hold_and_do_not_hold_with_a_random_bit_turned(data: st.DataObject) -> None:
    assets = tuple((f"A{at}", data.draw(st.integers(0, 30))) for at in range(data.draw(st.integers(1, 3))))
    amount = st.integers(0, 10**34) | st.sampled_from([0, 1, 2**63, 2**64 - 1, 2**64])
    balances = st.tuples(*[amount] * len(assets))
    users = data.draw(st.dictionaries(st.text(max_size=8), st.lists(balances, min_size=2, max_size=5).map(tuple), min_size=1, max_size=5))
    leaves = sum(len(parts) for parts in users.values())
    tree = make_tree(users, assets=assets, leaf_count=data.draw(st.integers(leaves, leaves + 40)), seed=data.draw(st.integers()))
    user = data.draw(st.sampled_from(tree.users))
    verified = inclusion.check(json.loads(json.dumps(tree.proof(user))), expected(tree, user))
    assert verified.findings.exit_code == Exit.HELD, failures(verified)

    text = bytearray(json.dumps(tree.proof(user)).encode())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert formats.check_content(bytes(text), expected(tree, user)).findings.exit_code == Exit.FAILED
    except UnusableInputError as error:
        assert str(error).endswith(".")  # noqa: PT017 - either refusal will do


# -- Forged proofs. Each is made by somebody who knows the whole tree, and may publish another one. --


def replace_sibling(level: int, balances: list[str]) -> dict[str, Any]:
    return altered(TREE.proof(USER), "leaves", 0, "path", level, "balances", to=balances)


def test_a_sibling_with_a_negative_balance_is_refused() -> None:
    assert_refused(check(replace_sibling(0, ["-1", "0"])), saying="'-1', and an amount is digits")


def test_a_sibling_whose_balance_wraps_around_is_refused() -> None:
    # The sum modulo 2^128 would be what the forger wants.
    assert_refused(check(replace_sibling(0, [str(2**128 - 1), "0"])), saying="below 10^38")
    assert_refused(check(replace_sibling(0, [str(LIMIT), "0"])), saying="below 10^38")


def test_a_sum_that_reaches_the_limit_is_refused() -> None:
    assert_refused(check(replace_sibling(0, [str(LIMIT - 1), str(LIMIT - 1)])), saying="a sum reaches 10^38")


def forge(change: Callable[[Tree], None]) -> Tree:
    """A tree that its publisher altered before committing to it, with every hash above computed anew."""
    tree = sample_tree()
    change(tree)
    return tree


def rebuild(tree: Tree, level: int) -> None:
    del tree.levels[level + 1 :]
    while len(tree.levels[-1]) > 1:
        tree.levels.append(tree.above(len(tree.levels) - 1))


def test_sums_that_match_while_children_do_not_are_refused() -> None:
    """Two users of 10 and 7 are shown two splits of one total of 10: the flaw of trees in which a parent binds only the sum of its children."""
    users: dict[str, tuple[tuple[int, ...], ...]] = {"has 10": ((10, 0), (0, 0)), "has 7": ((7, 0), (0, 0))}
    first, second = made_lie(users, "has 7", 0), made_lie(users, "has 10", 3)
    assert first.root[1] == second.root[1] == (10, 0)
    # Each tree holds for the one user it was made for; but they are two trees, and one commitment is published.
    assert inclusion.check(first.proof("has 10"), expected(first, "has 10")).findings.exit_code == Exit.HELD
    assert inclusion.check(second.proof("has 7"), expected(second, "has 7")).findings.exit_code == Exit.HELD
    assert_refused(inclusion.check(second.proof("has 7"), expected(first, "has 7")), saying="another tree")
    stitched = {**second.proof("has 7"), "root": first.proof("has 10")["root"], "commitment": first.commitment.hex()}
    assert_refused(inclusion.check(stitched, expected(first, "has 7")), saying="the hashes along its path")


def made_lie(users: dict[str, tuple[tuple[int, ...], ...]], other: str, pretended: int) -> Tree:
    """A tree in which a user's first leaf has its own hash, and a smaller balance than that hash binds."""
    lie = make_tree(users, leaf_count=4)
    position = next(at for at, leaf in enumerate(lie.leaves) if leaf.user == other and leaf.part == 0)
    lie.levels[0][position] = (lie.levels[0][position][0], (pretended, 0))
    rebuild(lie, 0)
    return lie


def test_balances_moved_from_a_sibling_to_the_one_above_are_refused() -> None:
    proof = TREE.proof(USER)
    path = proof["leaves"][0]["path"]
    level = next(at for at in range(len(path) - 1) if path[at] and path[at + 1] and int(path[at]["balances"][0]) > 0)
    moved = altered(proof, "leaves", 0, "path", level, "balances", 0, to=str(int(path[level]["balances"][0]) - 1))
    moved = altered(moved, "leaves", 0, "path", level + 1, "balances", 0, to=str(int(path[level + 1]["balances"][0]) + 1))
    verified = check(moved)
    assert_refused(verified, saying="the hashes along its path")
    assert not any("sums along its path" in failure for failure in failures(verified)), "the sums are right, and only the hashes tell"


def test_a_root_that_claims_less_than_is_below_it_is_refused() -> None:
    """The hashes are right, and the publisher committed to lower totals beside the root's hash."""
    less = (TREE.root[1][0] - 1, TREE.root[1][1])
    commitment = TREE.commitment_to(TREE.root[0], less).hex()
    proof = TREE.proof(USER) | {"root": written((TREE.root[0], less)), "commitment": commitment}
    assert_refused(
        inclusion.check(proof, Expected(user_id=USER, commitment=commitment)), saying="the sums along its path are not those of the root"
    )


def test_a_path_that_was_shortened_or_lengthened_is_refused() -> None:
    proof = TREE.proof(USER)
    path = proof["leaves"][0]["path"]
    for other in (path[:-1], path[1:], [*path, path[-1]], [*path, None], []):
        assert_refused(check(altered(proof, "leaves", 0, "path", to=other)), saying="entries, not 5")


def test_a_tree_of_another_height_under_the_same_root_is_refused() -> None:
    """The number of leaves, and so the length of paths, is bound by the commitment."""
    proof = TREE.proof(USER)
    for leaf in proof["leaves"]:
        del leaf["path"][0]
        leaf["position"] >>= 1
    assert_refused(check(proof | {"leaf_count": 11}))


def test_an_inner_node_presented_as_a_leaf_is_refused() -> None:
    """A node's hash is of other bytes than any leaf's, whatever nonce or balances are claimed."""
    proof = TREE.proof(USER)
    own = {leaf["position"] for leaf in proof["leaves"]}
    free = next(at for at in range(0, 20, 2) if not {at, at + 1} & own)
    left, right = TREE.levels[0][free], TREE.levels[0][free + 1]
    node = TREE.levels[1][free // 2]
    assert TREE.node(1, left, right) == node
    for nonce in (node[0].hex(), left[0].hex(), right[0].hex()):
        leaf = {"part": 0, "position": free, "nonce": nonce, "balances": written(node)["balances"], "path": TREE.path(free)}
        assert_refused(check(altered(proof, "leaves", 0, to=leaf)), saying="the hashes along its path")


def test_a_leaf_presented_as_a_node_is_refused() -> None:
    """A leaf put where a node of level 1 stands, with the tree above computed anew, leads its user to no root."""
    position = next(at for at, leaf in enumerate(TREE.leaves) if leaf.user == USER)

    def lift(tree: Tree) -> None:
        tree.levels[1][position >> 1] = tree.levels[0][position]
        rebuild(tree, 1)

    tree = forge(lift)
    assert_refused(inclusion.check(tree.proof(USER), expected(tree)), saying="along its path")


def test_padding_presented_as_a_user_is_refused() -> None:
    """Padding has a hash of its own kind, which no nonce leads to; and where padding stands, no sibling may be given."""
    tree = sample_tree(21)
    proof = tree.proof(USER)
    leaf = {"part": 0, "position": 20, "nonce": tree.padding(0)[0].hex(), "balances": ["0", "0"], "path": tree.path(20)}
    assert_refused(inclusion.check(altered(proof, "leaves", 0, to=leaf), expected(tree)))
    beyond = altered(proof, "leaves", 0, to={**leaf, "position": 21})
    assert_refused(inclusion.check(beyond, expected(tree)), saying="position is 21")


def test_padding_given_where_a_node_stands_is_refused_and_a_node_where_padding_stands() -> None:
    tree = sample_tree(21)
    user = next(leaf.user for leaf in reversed(tree.leaves) if leaf.user in tree.blinds)
    proof = tree.proof(user)
    places = [(part, level) for part, leaf in enumerate(proof["leaves"]) for level in range(len(leaf["path"]))]
    padded = [(part, level) for part, level in places if proof["leaves"][part]["path"][level] is None]
    assert padded
    for part, level in places:
        to = written(tree.padding(level)) if (part, level) in padded else None
        saying = "must be null" if (part, level) in padded else "not a JSON object"
        assert_refused(inclusion.check(altered(proof, "leaves", part, "path", level, to=to), expected(tree, user)), saying=saying)


def test_a_proof_of_another_report_is_refused() -> None:
    for settings_ in ({"as_of": "2023-01-18T16:00:00Z"}, {"revision": 2}, {"series": "other"}):
        other = sample_tree(**settings_)
        assert inclusion.check(other.proof(USER), expected(other)).findings.exit_code == Exit.HELD
        assert_refused(check(other.proof(USER)), saying="another tree")
        # Nor can it be relabelled.
        same = {key: TREE.proof(USER)[key] for key in ("series", "as_of", "revision", "commitment", "root")}
        assert_refused(check({**other.proof(USER), **same}))


def test_swapped_assets_are_refused() -> None:
    proof = TREE.proof(USER)
    renamed = altered(altered(proof, "assets", 0, "symbol", to="USDT"), "assets", 1, "symbol", to="BTC")
    assert_refused(check(renamed), saying="not in the order")
    assert_refused(check(altered(proof, "assets", to=proof["assets"][::-1])), saying="not in the order")
    assert_refused(check(altered(proof, "assets", 0, "symbol", to="BCH")))
    turned = altered(proof, "leaves", 0, "balances", to=proof["leaves"][0]["balances"][::-1])
    assert_refused(check(turned), saying="along its path")


def test_an_asset_listed_twice_is_refused() -> None:
    proof = TREE.proof(USER)
    assert_refused(check(altered(proof, "assets", 1, to=proof["assets"][0])), saying="one is there twice")


def test_one_leaf_shown_twice_to_one_user_is_refused() -> None:
    proof = TREE.proof(USER)
    twice = altered(proof, "leaves", 1, to={**proof["leaves"][0], "part": 1})
    assert_refused(check(twice), saying="two of its leaves have one position")


def test_one_leaf_shown_to_two_users_is_refused() -> None:
    """Two users of equal balances; the second gets the first one's leaves."""
    tree = make_tree({"one": ((5, 5), (1, 1)), "other": ((5, 5), (1, 1))}, leaf_count=16)
    stolen = {**tree.proof("one"), "blind": tree.proof("other")["blind"], "user_key": tree.proof("other")["user_key"]}
    assert_refused(inclusion.check(stolen, expected(tree, "other")), saying="along its path")
    assert_refused(inclusion.check(tree.proof("one"), expected(tree, "other")), saying="user key")


def test_a_part_that_is_kept_back_is_noticed() -> None:
    """Every leaf binds how many parts there are, so a proof cannot show some of them."""
    proof = TREE.proof(USER)
    assert_refused(check(altered(proof, "leaves", to=proof["leaves"][:2])), saying="along its path")


def test_a_user_with_one_part_alone_is_refused() -> None:
    tree = make_tree({USER: ((1, 1),), "other": ((1, 1), (2, 2))}, leaf_count=16)
    assert_refused(inclusion.check(tree.proof(USER), expected(tree)), saying="leaves has 1 entries, not 2 to 4,096")


def test_the_last_amount_below_the_limit_is_taken() -> None:
    tree = make_tree({USER: ((LIMIT - 1, 0), (0, 0))}, leaf_count=2)
    assert inclusion.check(tree.proof(USER), expected(tree)).findings.exit_code == Exit.HELD


def test_a_tree_whose_own_sums_overflow_is_refused() -> None:
    tree = make_tree({USER: ((LIMIT - 1, 0), (1, 0))}, leaf_count=2)
    assert_refused(inclusion.check(tree.proof(USER), expected(tree)), saying="below 10^38")


# -- Bad input --


def text_with(old: str, new: str) -> str:
    text = json.dumps(TREE.proof(USER))
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"revision": 1', '"revision": 1, "revision": 1', "'revision' is there twice"),
        ('"leaf_count": 21', '"leaf_count": 21.0', "has a fraction or an exponent"),
        ('"leaf_count": 21', '"leaf_count": 2.1e1', "has a fraction or an exponent"),
        ('"leaf_count": 21', '"leaf_count": 21e0', "has a fraction or an exponent"),
        ('"leaf_count": 21', '"leaf_count": NaN', "NaN is no number"),
        ('"leaf_count": 21', '"leaf_count": -Infinity', "-Infinity is no number"),
        ('"leaf_count": 21', f'"leaf_count": 1{"0" * 400}', "401 characters"),
        ('"leaf_count": 21', f'"leaf_count": {"9" * 100_000}', "100,000 characters"),
        ('"part": 0', '"part": -0', "-0"),
        ('"part": 0', '"part": false', "part"),
        ('"revision": 1', '"revision": true', "revision"),
        ('"revision": 1', '"revision": 4294967296', "not an integer from 1 to 4,294,967,295"),
        ('"revision": 1', '"revision": 0', "not an integer from 1"),
        ('"balances": ["', '"balances": ["1e', "an amount is digits"),
        ('"balances": ["', f'"balances": ["1{"0" * 400}', "an amount is digits"),
        ('"balances": ["', '"balances": ["+', "an amount is digits"),
        ('"balances": ["', '"balances": ["٣', "an amount is digits"),
        ('"balances": ["', '"balances": ["1_', "an amount is digits"),
        ('"series": "sandbox"', '"series": "\\ud800"', "not a text"),
        ('"series": "sandbox"', '"series": ["sandbox"]', "'series' is not of type str"),
        ('"as_of": "2023-02-17T16:00:00Z"', '"as_of": "2023-02-30T16:00:00Z"', "not a UTC time"),
        ('"as_of": "2023-02-17T16:00:00Z"', '"as_of": "2023-02-17 16:00:00"', "not a UTC time"),
        ('"decimals": 8', '"decimals": 256', "not an integer from 0 to 255"),
        ('"leaf_count": 21', '"leaf_count": 1', "not an integer from 2"),
        ('"leaf_count": 21', '"leaf_count": 1099511627777', "not an integer from 2"),
    ],
)
def test_what_two_programs_might_read_differently_is_refused_with_a_sentence(old: str, new: str, said: str) -> None:
    verified = check_text(text_with(old, new))
    assert_refused(verified, saying=said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe{}", "is not UTF-8"),
        (json.dumps(TREE.proof(USER)).encode("utf-16"), "is not UTF-8"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (json.dumps(TREE.proof(USER)).encode()[:-1], "is not JSON"),
        (b'{"leaf_count": 021}', "is not JSON"),
        (b"[]", "no JSON object"),
        (b"17", "no JSON object"),
        (b"{}", "of no known format"),
        (b'{"format": "assay-inclusion-proof-v2"}', "'assay-inclusion-proof-v2', which is unknown here"),
        (b'{"format": 7}', "unknown here"),
    ],
)
def test_what_is_no_proof_at_all_is_unusable(content: bytes, said: str) -> None:
    with pytest.raises(UnusableInputError, match=said):
        check_text(content)


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"format":"assay-inclusion-proof-v1","leaves":['])
def test_deep_nesting_is_refused_with_a_sentence(opening: str) -> None:
    assert_refused(check_text(opening * 200_000), saying="nested too deeply")


def test_a_control_character_from_the_file_reaches_no_terminal() -> None:
    tree = sample_tree(series="a\x1b[2Jb\u202ec")
    verified = inclusion.check(tree.proof(USER), expected(tree))
    assert verified.findings.exit_code == Exit.HELD
    assert verified.report[0].isprintable()
    refused = check(altered(TREE.proof(USER), "as_of", to="\x1b[2J"))
    assert all(failure.isprintable() for failure in failures(refused))


def test_python_numbers_that_json_has_none_of_are_refused() -> None:
    for value in (float("nan"), 21.0, True, 10**400, b"21"):
        assert_refused(check(altered(TREE.proof(USER), "leaf_count", to=value)))
