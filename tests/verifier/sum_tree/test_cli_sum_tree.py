"""The commands `inclusion` and `tree` as somebody types them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay_verify.cli import main
from tests.verifier.sum_tree.test_tree import TREE, publication
from tests.verifier.sum_tree.tree_maker import altered, sample_tree

SOURCE = Path(__file__).parents[3] / "verifier" / "src"
USER = "user-2"
COMMITMENT = TREE.commitment.hex()


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(TREE.proof(USER)))
    return path


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_proof_that_holds_is_told_in_plain_words(proof: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inclusion", str(proof), "--user", USER, "--commitment", COMMITMENT]) == 0
    out = said(capsys)
    for words in (
        "series sandbox, 2023-02-17T16:00:00Z, revision 1",
        "3 of 21 leaves",
        f"commitment {COMMITMENT}",
        "asset yours owed to all users",
        "BTC 0.00002008 0.0001004",
        "USDT 100,000,000,000,000.000007 500,000,000,000,000.000035",
        "What this proves - The balances shown, of the user id that was given, are counted in the published totals",
        "What this does not prove",
        "The proof holds (5 checks",
    ):
        assert words in out
    assert "\x1b" not in out


def test_a_publication_is_read_for_its_commitment(proof: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = publication(tmp_path)
    assert main(["inclusion", str(proof), "--user", USER, "--publication", str(folder)]) == 0
    assert "The commitment is the one in the publication's manifest." in said(capsys)
    other = tmp_path / "other.json"
    other.write_text(json.dumps(sample_tree(seed=5).proof(USER)))
    assert main(["inclusion", str(other), "--user", USER, "--publication", str(folder)]) == 1
    assert "it is of another tree" in said(capsys)


def test_what_was_left_out_ends_with_3_and_with_0_when_it_was_asked_for(proof: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inclusion", str(proof), "--commitment", COMMITMENT]) == 3
    assert "whose proof it is could not be checked: no user id was given; give yours with --user" in said(capsys)
    assert main(["inclusion", str(proof), "--user", USER]) == 3
    assert "give the folder with --publication" in said(capsys)
    assert main(["inclusion", str(proof), "--no-user", "--no-commitment"]) == 0
    out = said(capsys)
    assert "Whose proof this is: it names nobody" in out
    assert "That the totals are the published ones" in out


def test_the_user_id_can_come_from_the_standard_input(
    proof: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, code in ((f"{USER}\n", 0), (f"{USER}\r\n", 0), ("user-3\n", 1), (f"{USER} \n", 1), ("", 2), ("\n", 2)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(line))
        assert main(["inclusion", str(proof), "--user", "-", "--commitment", COMMITMENT]) == code, repr(line)
    assert "No user id came from the standard input" in capsys.readouterr().err


def test_a_forged_proof_ends_with_1_and_shows_no_balances(proof: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof.write_text(json.dumps(altered(TREE.proof(USER), "leaves", 0, "path", 0, "balances", 0, to="-1")))
    assert main(["inclusion", str(proof), "--user", USER, "--commitment", COMMITMENT]) == 1
    out = said(capsys)
    assert "'-1', and an amount is digits in quotation marks" in out
    assert "This proof does not hold. Do not rely on it" in out
    assert "yours" not in out
    assert "What this proves" not in out


def test_json_holds_every_check_and_the_balances(proof: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inclusion", str(proof), "--user", USER, "--commitment", COMMITMENT, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["verdict"], document["exit_code"], document["leaf_count"], document["parts"]) == ("held", 0, 21, 3)
    assert document["holdings"][0] == {"asset": "BTC", "own": "0.00002008", "total": "0.0001004"}
    assert all(check["held"] and check["compared"] > 0 for check in document["checks"])
    proof.write_text("[" * 100_000)
    assert main(["inclusion", str(proof), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "failed"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be checked: it is not JSON"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"{}", "is of no known format"),
        (b'{"format": "assay-inclusion-proof-v9"}', "which is unknown here"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_what_is_no_proof_ends_with_2_and_a_sentence(
    proof: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    proof.unlink() if content is None else proof.write_bytes(content)
    assert main(["inclusion", str(proof), "--no-user"]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_file_of_100_mb_is_refused_before_it_is_read(
    proof: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with proof.open("wb") as file:
        file.write(b"{")
        file.truncate(100_000_000)
    monkeypatch.setattr(json, "loads", lambda *_args, **_options: pytest.fail("it was read"))
    assert main(["inclusion", str(proof), "--no-user"]) == 2
    assert "is larger than 64 MiB" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file here")
def test_an_endless_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inclusion", "/dev/zero", "--no-user"]) == 2
    assert "is larger than 64 MiB" in capsys.readouterr().err


def test_folders_and_contradicting_options_end_with_2(proof: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inclusion", str(tmp_path)]) == 2
    assert main(["inclusion", str(proof), "--user", "\udcff"]) == 2
    assert main(["inclusion", str(proof), "--publication", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 3
    for options in (["--user", "x", "--no-user"], ["--commitment", "00", "--no-commitment"], ["--commitment", "00", "--publication", "x"]):
        with pytest.raises(SystemExit) as ended:
            main(["inclusion", str(proof), *options])
        assert ended.value.code == 2


@pytest.mark.parametrize("commitment", ["", "00", "ab" * 32, COMMITMENT[:-1], "0x" + COMMITMENT])
def test_another_commitment_ends_with_1(proof: Path, commitment: str) -> None:
    assert main(["inclusion", str(proof), "--user", USER, "--commitment", commitment]) == 1


def test_a_tree_that_holds_is_told_in_plain_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = publication(tmp_path)
    assert main(["tree", str(folder), "--processes", "1"]) == 0
    out = said(capsys)
    for words in (
        "21 leaves, 23 nodes above them",
        f"commitment {COMMITMENT}",
        "asset owed in total BTC 0.0001004",
        "The liabilities that the published ratios are computed with are these totals.",
        "That each leaf belongs to a real user, and no user is left out",
        "The tree holds (10 checks",
    ):
        assert words in out
    assert main(["tree", str(folder / "liability_tree"), "--processes", "1"]) == 0
    assert "That this is the published tree" in said(capsys)


def test_a_tree_that_does_not_hold_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = publication(tmp_path, gross=1)
    assert main(["tree", str(folder), "--processes", "1"]) == 1
    out = said(capsys)
    assert "This tree does not hold. Do not rely on it" in out
    assert "owed in total" not in out


def test_a_trees_json_holds_every_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tree", str(publication(tmp_path)), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["leaf_count"], document["node_count"], document["commitment"]) == (21, 23, COMMITMENT)
    assert document["totals"][0] == {"asset": "BTC", "total": "0.0001004"}
    assert all(check["held"] for check in document["checks"])


def test_a_folder_without_a_tree_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tree", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_both_run_on_their_own_in_several_processes(tmp_path: Path, proof: Path) -> None:
    folder = publication(tmp_path)
    for arguments in (["tree", str(folder), "--processes", "2"], ["inclusion", str(proof), "--user", USER, "--publication", str(folder)]):
        done = subprocess.run(
            [sys.executable, "-m", "assay_verify", *arguments],
            env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        assert done.stderr == ""
