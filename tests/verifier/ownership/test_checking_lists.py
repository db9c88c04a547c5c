"""What becomes of the rows of a list; signatures are real, and the command is run as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay_verify.cli import main
from assay_verify.ownership import checking, journal, verification
from assay_verify.ownership.challenge import Challenge, build
from assay_verify.ownership.interface import Statement, UnsupportedError
from assay_verify.ownership.lists import ADDRESS_LIST, LONGEST_LINE
from assay_verify.ownership.sources import PIECE, open_list
from tests.verifier.ownership.list_maker import HEADER, TOTALS, account, honest, row, sign, text

SHARED = Path(__file__).parents[4] / "shared" / "vectors"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "assay-verify"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


def run(path: Path, content: str | bytes, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    code = main(["ownership", str(path), "--json", *options])
    return code, json.loads(capsys.readouterr().out or "{}")


def reasons(document: dict[str, Any]) -> list[str]:
    return [failure["reason"] for failure in document["failures"]] + [text for check in document["checks"] for text in check["failures"]]


def test_a_list_that_holds_ends_with_0_and_says_what_static_means(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(honest(3))
    assert main(["ownership", str(path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "ETH 3" in said
    assert "eip191_hashed 0 3" in said
    assert "3 statements are static" in said
    assert "control was proven once, at an unknown time" in said
    assert "Everything that was checked held (3 verified)" in said


def test_json_counts_by_coin_scheme_and_age(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(path, honest(2), capsys)
    assert (code, document["verdict"], document["rows"]) == (0, "held", 2)
    assert document["coins"] == {"ETH": {"verified": 2}}
    assert document["schemes"] == {"eip191_hashed": {"static": 2}}
    assert document["amounts"] == [{"coin": "ETH", "network": "ETH", "amount": "3.0"}]
    assert document["failures"] == []


BAD_ROWS = {
    "another address": (row(1).replace(account(1), account(2)), "failed"),
    "another text": (row(1).replace("I am an", "I am the"), "failed"),
    "a signature cut off": (row(1).replace(sign(1), sign(1)[:-2]), "failed"),
    "an unknown coin": (row(1).replace("ETH,ETH", "XYZ,XYZ"), "unsupported"),
    "no signature": (row(1).replace(sign(1), ""), "empty"),
    "no text": (row(1).replace("I am an OKX address", ""), "empty"),
    "an empty line": ("", "empty"),
    "a column too few": (row(1).removesuffix(","), "malformed"),
    "a column too many": (row(1) + ",", "malformed"),
    "a line of 10 MB": (row(1) + "," * 10_000_000, "malformed"),
    "a comma in the text": (row(1).replace("I am", "I, am"), "malformed"),
    "an amount in another form": (row(1, amount="1e3"), "malformed"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
@pytest.mark.parametrize("last", [True, False])
def test_one_bad_row_is_found_among_good_ones(path: Path, capsys: pytest.CaptureFixture[str], name: str, last: bool) -> None:
    bad, outcome = BAD_ROWS[name]
    rows = [row(2), row(3), bad] if last else [bad, row(2), row(3)]
    code, document = run(path, text(rows, totals=["ETH,-,4.5"]), capsys)
    assert code in {1, 3}
    assert document["outcomes"] == {**dict.fromkeys(document["outcomes"], 0), "verified": 2, outcome: 1}
    assert [(failure["line"], failure["outcome"]) for failure in document["failures"]] == [(7 if last else 5, outcome)]


def test_what_no_scheme_can_check_is_never_called_verified(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(path, text([row(1), row(2).replace("ETH,ETH", "XYZ,XYZ")], totals=["ETH,-,1.5", "XYZ,-,1.5"]), capsys)
    assert (code, document["verdict"]) == (3, "incomplete")


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"])
def test_a_row_that_is_not_utf8_is_malformed(path: Path, capsys: pytest.CaptureFixture[str], bad: bytes) -> None:
    good = honest(2).encode()
    code, document = run(path, good + row(3).encode().replace(b"I am", bad) + b"\n", capsys)
    assert code == 1
    assert (document["outcomes"]["verified"], document["outcomes"]["malformed"]) == (2, 1)


@pytest.mark.parametrize("content", ["", "\n", f"{TOTALS}\nETH,1,1\n", "some text\n", b"\xff\xfe\0c\0o"])
def test_what_is_no_list_ends_with_2(path: Path, capsys: pytest.CaptureFixture[str], content: str | bytes) -> None:
    assert run(path, content, capsys)[0] == 2


@pytest.mark.parametrize("totals", [[], ["ETH,1,0"], ["ETH,1,5"]])
def test_a_header_without_rows_proves_nothing(path: Path, capsys: pytest.CaptureFixture[str], totals: list[str]) -> None:
    code, document = run(path, text([], totals=totals), capsys)
    assert code == 1
    assert "there was nothing to check; an empty publication proves nothing" in reasons(document)


@pytest.mark.parametrize("second", [row(1, amount="0"), row(1).replace(account(1), "0x" + account(1)[2:].upper())])
def test_a_wallet_that_is_there_twice_fails(path: Path, capsys: pytest.CaptureFixture[str], second: str) -> None:
    code, document = run(path, text([row(1), row(2), second], totals=["ETH,-,4.5"]), capsys)
    assert code == 1
    assert "line 7 has the coin, network and address of line 5" in reasons(document)


def test_one_address_may_hold_several_coins_on_several_networks(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row(1), row(1, coin="USDT-ERC20"), row(1, coin="ETH", network="BASE")]
    assert run(path, text(rows, totals=["ETH,-,3", "USDT-ERC20,5,1.5"]), capsys)[0] == 0


@pytest.mark.parametrize(
    ("totals", "said"),
    [
        (["ETH,100,3.0000000000000000001"], "line 2: ETH is said to be 3.0000000000000000001, and its rows come to 3.0"),
        (["ETH,100,2"], "line 2: ETH is said to be 2, and its rows come to 3.0"),
        (["BTC,100,1", "ETH,100,3"], "line 2: BTC is said to be 1, and its rows come to 0"),
        (["BTC,100,0"], "ETH on ETH has rows, and no total names it"),
        (["ETH,100,3", "ETH,100,3"], "line 3: ETH is there twice"),
    ],
)
def test_totals_are_the_exact_sums_of_their_rows(path: Path, capsys: pytest.CaptureFixture[str], totals: list[str], said: str) -> None:
    code, document = run(path, text([row(1), row(2)], totals=totals), capsys)
    assert code == 1
    assert said in reasons(document)


def test_totals_of_one_network_and_of_all_are_both_understood(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row(1), row(2, coin="ETH-LINEA", network="ETH-LINEA"), row(3, network="base")]
    totals = ["ETH(ALL),-,4.5", "ETH,7,3.0", "ETH-LINEA,7,1.5", "ETH-base,8,1.5", "USDT,9,0"]
    code, document = run(path, text(rows, totals=totals), capsys)
    assert (code, reasons(document)) == (0, [])


def test_long_amounts_are_added_up_to_the_last_digit(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = "9" * 40
    rows = [row(1, amount=f"{whole}.{'0' * 39}1"), row(2, amount=f"0.{'0' * 39}2")]
    assert run(path, text(rows, totals=[f"ETH,1,{whole}.{'0' * 39}3"]), capsys)[0] == 0
    assert run(path, text(rows, totals=[f"ETH,1,{whole}"]), capsys)[0] == 1


def test_a_list_without_totals_is_not_wholly_checked(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path, f"{HEADER}\n{row(1)}\n", capsys)[0] == 3


def named(number: int, **changes: Any) -> str:
    values = {"entity": "Sandbox", "series": "sandbox", "as_of": "2023-02-17T16:00:00Z", "chain": "ETH", "address": account(number)}
    return build(Challenge(**{**values, "block_height": 1, "block_hash": "0xab", **changes}), one_line=True)


def test_a_text_that_names_a_report_is_fresh(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(path, text([row(1, message=named(1)), row(2)], totals=["ETH,-,3"]), capsys)
    assert code == 0
    assert document["ages"] == {"fresh": 1, "static": 1}
    assert document["reports"] == [{"report": ["Sandbox", "sandbox", "2023-02-17T16:00:00Z"], "rows": 1}]


@pytest.mark.parametrize(
    "message", [named(1, address=account(2)), named(1, chain="BASE"), named(1) + " ", named(1).replace("series", "Series")]
)
def test_a_text_that_names_another_wallet_or_is_half_a_challenge_fails(
    path: Path, capsys: pytest.CaptureFixture[str], message: str
) -> None:
    code, document = run(path, text([row(1, message=message)], totals=["ETH,-,1.5"]), capsys)
    assert (code, document["outcomes"]["failed"]) == (1, 1)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the vectors of other projects are not beside the repository")
def test_every_published_signature_of_a_large_list_verifies_in_its_layout(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = json.loads((SHARED / "okx" / "signature_vectors.json").read_text())["vectors"]
    rows = [
        f"{one['coin']},{one['coin']},1,{one['addr']},1,{one['msg']},{one.get('sign1', one.get('sign'))},{one.get('sign2', '')},"
        f"{one.get('script') or one.get('pub', '')},,"
        for one in vectors
    ]
    coins = [one["coin"] for one in vectors]
    totals = [f"{coin},1,{coins.count(coin)}" for coin in dict.fromkeys(coins)]
    code, document = run(path, text(rows, totals=totals), capsys)
    assert document["failures"] == []
    assert (code, document["outcomes"]["verified"]) == (0, len(vectors))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the vectors of other projects are not beside the repository")
def test_the_statements_of_another_project_verify(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ownership", str(SHARED / "summa" / "signatures.csv")]) == 0
    assert "2 verified" in capsys.readouterr().out


def long_list(count: int) -> str:
    """Return a list of several pieces: bad rows cost no cryptography."""
    return text([f"XYZ,XYZ,1,address-{number},1,{'x' * 400},s,,,," for number in range(count)], totals=[f"XYZ,1,{count}"])


def test_pieces_are_whole_lines_and_lines_keep_their_numbers(path: Path) -> None:
    path.write_text(long_list(2_000))
    source = open_list(path)
    pieces = list(source.pieces(source.start, source.first))
    assert len(pieces) > 2
    assert b"".join(piece.content for piece in pieces) == path.read_bytes()[source.start :]
    assert [piece.first for piece in pieces[1:]] == [piece.following for piece in pieces[:-1]]
    assert pieces[-1].following == 2_005


@pytest.mark.parametrize("length", [LONGEST_LINE, LONGEST_LINE + 1, PIECE, PIECE + LONGEST_LINE, PIECE + LONGEST_LINE + 1, 5 * PIECE])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_line_of_any_length_is_one_row(path: Path, length: int, end: bytes) -> None:
    path.write_bytes(f"{HEADER}\n{row(1)}\n".encode() + b"x" * length + (b"\n" + row(2).encode() if end else b"") + end)
    source = open_list(path)
    pieces = list(source.pieces(source.start, source.first))
    assert max(len(piece.content) for piece in pieces) <= PIECE + LONGEST_LINE + 2
    found = [failure for piece in pieces for failure in source.check(piece.first, piece.content).failures]
    assert [(one.line, one.outcome) for one in found] == [(3, "malformed")]
    assert pieces[-1].following == (5 if end else 4)


def test_a_failing_scheme_is_no_verified_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(statement: Statement, network: str) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(checking, "verify_for", stumble)
    tally = checking.check_lines(ADDRESS_LIST, 1, row(1).encode())
    assert [failure.outcome for failure in tally.failures] == ["failed"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(position=st.integers(0, len(row(1)) * 8 - 1))
def test_a_flipped_bit_anywhere_in_a_row_fails_or_breaks_a_total(path: Path, capsys: pytest.CaptureFixture[str], position: int) -> None:
    good = row(1).encode()
    changed = bytearray(good)
    changed[position // 8] ^= 1 << position % 8
    head = f"{TOTALS}\nETH,-,1.5\nETH-ETH,100,1.5\n\n{HEADER}\n".encode()
    code, _ = run(path, head + bytes(changed) + b"\n", capsys)
    start = len("ETH,ETH,")
    outside = start <= position // 8 < start + 3
    # The height is no part of what is signed or added up; hexadecimal digits and a coin's letters mean the same in capitals.
    assert code != 0 or outside or changed.lower() == good.lower()


def stopping_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    take = verification._take

    def counted(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > count:
            raise KeyboardInterrupt
        take(*arguments)

    monkeypatch.setattr(verification, "_take", counted)


def test_a_stopped_run_goes_on_where_it_was_and_says_the_same(
    path: Path, state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(path, long_list(3_000), capsys, "--processes", "1")
    assert list(state.iterdir()) == []
    with monkeypatch.context() as patched:
        stopping_after(2, patched)
        assert main(["ownership", str(path), "--processes", "1"]) == 130
    assert "go on with --resume" in capsys.readouterr().err
    kept = list(state.iterdir())
    assert len(kept) == 1
    resumed = run(path, long_list(3_000), capsys, "--processes", "1", "--resume")
    assert 0 < resumed[1].pop("resumed_rows") < 3_000
    assert whole[1].pop("resumed_rows") == 0
    assert resumed == whole
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("damage", ["torn", "foreign", "gap", "garbage"])
def test_what_was_kept_and_is_damaged_is_checked_again(
    path: Path, state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    whole = run(path, long_list(3_000), capsys, "--processes", "1")
    with monkeypatch.context() as patched:
        stopping_after(3, patched)
        main(["ownership", str(path), "--processes", "1"])
    capsys.readouterr()
    kept = next(state.iterdir())
    lines = kept.read_bytes().splitlines(keepends=True)
    kept.write_bytes(
        {
            "torn": b"".join(lines)[:-100],
            "foreign": lines[0].replace(b"assay-ownership", b"other") + b"".join(lines[1:]),
            "gap": lines[0] + b"".join(lines[2:]),
            "garbage": lines[0] + lines[1] + b"{}\n" + lines[2],
        }[damage]
    )
    resumed = run(path, long_list(3_000), capsys, "--processes", "1", "--resume")
    resumed[1].pop("resumed_rows")
    whole[1].pop("resumed_rows")
    assert resumed == whole


def test_an_altered_file_is_begun_anew(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(long_list(3_000))
    with monkeypatch.context() as patched:
        stopping_after(2, patched)
        main(["ownership", str(path), "--processes", "1"])
    capsys.readouterr()
    _, document = run(path, long_list(3_000).replace("address-7,", "address-x,"), capsys, "--processes", "1", "--resume")
    assert document["resumed_rows"] == 0


def test_nothing_is_kept_beside_the_list(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(long_list(3_000))
    before = set(path.parent.iterdir())
    stopping_after(1, monkeypatch)
    main(["ownership", str(path), "--processes", "1"])
    assert set(path.parent.iterdir()) - before == {path.parent / "state"}


def test_a_folder_that_cannot_be_written_to_only_costs_the_resuming(path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    path.write_text(honest(1))
    assert main(["ownership", str(path), "--state", str(tmp_path / "taken")]) == 0
    assert "could not be kept for --resume" in " ".join(capsys.readouterr().out.split())


def test_a_file_that_changes_meanwhile_is_not_judged(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text(honest(2))
    begin = journal.Journal.begin

    def changing(self: journal.Journal) -> None:
        begin(self)
        path.write_text(honest(3))

    monkeypatch.setattr(journal.Journal, "begin", changing)
    assert main(["ownership", str(path)]) == 2
    assert "was changed while it was read" in capsys.readouterr().err


def test_failures_are_shown_first_and_counted_wholly(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(text([f"ETH,ETH,1,0x{number:040x},1,text,s,,,," for number in range(50)], totals=["ETH,1,50"]))
    assert main(["ownership", str(path)]) == 1
    said = capsys.readouterr().out
    assert "50 of 50 do not verify" in " ".join(said.split())
    assert said.count("line ") == 20
    assert "Do not rely on it" in said


def test_unsupported_is_said_with_the_reason() -> None:
    with pytest.raises(UnsupportedError, match="XYZ"):
        checking.verify_for(Statement(coin="XYZ", address="a", message="m", signatures=("s",)), "XYZ")
