from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from assay.errors import QualityCrashError, QualityError
from assay.quality.suites import EXPECTATIONS, Suite
from assay.quality.validation import Dataset, validate, validate_many
from assay.warehouse.contracts import write_parquet
from assay.warehouse.session import session
from tests.quality.datasets import BITCOIN, BREAKING, GOOD, PARAMETERS, SCHEMA, delta, listed, owed, ratio, write
from tests.warehouse.samples import FIRST, REPOSITORY, SECOND, Rows, price, wallet, write_rows

DATASETS = sorted(GOOD)


def dataset(folder: Path, name: str, rows: Rows, *, kind: str = "sample") -> Dataset:
    return Dataset(name=name, parquet=write(folder, name, rows, name=kind), parameters=PARAMETERS[name])


def test_good_files_pass_without_a_finding_and_the_docs_are_built(tmp_path: Path) -> None:
    findings = validate_many([dataset(tmp_path, name, GOOD[name]) for name in DATASETS], work=tmp_path / "work", docs=tmp_path / "docs")
    assert findings == []
    assert (tmp_path / "docs/index.html").exists()
    assert len(list((tmp_path / "docs/validations").rglob("*.html"))) == len(DATASETS)
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("name", DATASETS)
def test_every_critical_rule_is_broken_by_its_row_and_the_message_shows_file_rule_and_row(name: str, tmp_path: Path) -> None:
    suite = Suite.load(name, EXPECTATIONS)
    critical = {item["meta"]["name"]: item["meta"]["rule"] for item in suite.expectations if item["severity"] == "critical"}
    # The first needs a file without rows; the second cannot be broken by rows of DECIMAL(38,0) that fit it.
    assert set(BREAKING[name]) == set(critical) - {"not_empty"} - ({"amount_width"} if name == "wallet_balances" else set())
    # One row a rule, each in its own file part, so that a message about three rows shows the right one.
    missed = []
    groups = [dict(list(BREAKING[name].items())[start::3]) for start in range(3)]
    for number, group in enumerate(groups):
        rows = [*GOOD[name], *(row for rows, _ in group.values() for row in rows)]
        broken = dataset(tmp_path, name, rows, kind=f"broken-{number}")
        with pytest.raises(QualityError) as caught:
            validate_many([broken], work=tmp_path)
        message = str(caught.value)
        assert str(broken.parquet) in message
        for rule, (_, shown) in group.items():
            found = re.search(f"the rule {rule} is broken: {re.escape(critical[rule])} Found .*?(?=the rule|$)", message)
            if not found or shown not in found[0]:
                missed.append((rule, found and found[0]))
    assert missed == []


@pytest.mark.parametrize("name", DATASETS)
def test_an_empty_file_fails(name: str, tmp_path: Path) -> None:
    with pytest.raises(QualityError, match=r"not_empty is broken: The dataset has at least one row\. Found 0"):
        validate_many([dataset(tmp_path, name, [])], work=tmp_path)


def test_an_amount_of_39_digits_fails(tmp_path: Path) -> None:
    path = tmp_path / "wallet_balances.parquet"
    good = write(tmp_path, "wallet_balances", [wallet(BITCOIN, 1, "BTC", 10**38 - 1)])
    with session() as connection:
        query = f"select * replace ((select sum(x) from (select amount as x union all select 1::decimal(38, 0))) as amount) from '{good}'"
        write_parquet(connection, query, path)
    with pytest.raises(QualityError, match=r"amount_width is broken: .* amount 1000000"):
        validate("wallet_balances", path, parameters=PARAMETERS["wallet_balances"], work=tmp_path)


WARNINGS: dict[str, tuple[str, Rows, int]] = {
    "third_party_named": ("wallet_registry", [listed(4, custody="third_party")], 1),
    "address_length": ("wallet_registry", [listed(4, address="short")], 1),
    "two_sources": ("wallet_balances", [wallet(BITCOIN, 9, "BTC", 1, sources_asked=1, sources_agreed=1)], 1),
    "few_negative": ("liabilities", [owed(user, -1) for user in range(300, 303)], 1),
    "no_dominant_balance": ("liabilities", [owed(300, 10_000)], 1),
    "price_plausible": ("prices", [price("WBT", "10000001", SECOND)], 1),
    "covered": (
        "reserve_ratios",
        [
            ratio(
                "S", reserves=1_288_503, surplus=-1, ratio_gross="0.99999922", previous_ratio_gross="1", fully_backed=False, status="short"
            )
        ],
        1,
    ),
    "ratio_steady": ("reserve_ratios", [ratio("S", previous_ratio_gross="1.2")], 1),
    "balance_steady": (
        "deposit_deltas",
        [delta("S", current_balance=58_840, change=-58_842, change_percent="-50.00084975")],
        1,
    ),
    "price_steady": ("deposit_deltas", [delta("S", current_price="30000.00000001")], 1),
}


@pytest.mark.parametrize("rule", sorted(WARNINGS))
def test_a_warning_comes_back_as_a_finding_for_the_coverage_table(rule: str, tmp_path: Path) -> None:
    name, rows, count = WARNINGS[rule]
    findings = validate_many([dataset(tmp_path, name, [*GOOD[name], *rows])], work=tmp_path)
    assert [(item.item, item.area, item.severity, item.count) for item in findings] == [
        (f"quality:{name}:{rule}", "quality", "warning", count)
    ]
    assert findings[0].description.startswith(f"Not as expected of {name}: ")


def test_a_finding_tells_nothing_about_a_single_user(tmp_path: Path) -> None:
    rows = [*GOOD["liabilities"], owed(300, 98_765_432), owed(301, -1), owed(302, -1), owed(303, -1)]
    findings = validate_many([dataset(tmp_path, "liabilities", rows)], work=tmp_path)
    assert len(findings) == 2
    assert not [item for item in findings if "98765432" in item.description or "0000000" in item.description]


def test_an_expectation_that_cannot_be_evaluated_is_a_crash_and_not_a_failure(tmp_path: Path) -> None:
    schema = {name: kind for name, kind in SCHEMA["prices"].items() if name != "sources_agreed"}
    path = write_rows(tmp_path / "prices.parquet", schema, [price("BTC", "-1", SECOND)])
    with pytest.raises(QualityCrashError, match=r"prices\.parquet.*sources_agreed.* could not be evaluated"):
        validate("prices", path, parameters=PARAMETERS["prices"], work=tmp_path)


def test_a_missing_parameter_is_a_crash(tmp_path: Path) -> None:
    path = write(tmp_path, "prices", GOOD["prices"])
    with pytest.raises(QualityCrashError, match="the parameter max_age_seconds is missing"):
        validate("prices", path, parameters={"as_of": FIRST}, work=tmp_path)


def test_a_file_that_cannot_be_read_is_a_crash(tmp_path: Path) -> None:
    with pytest.raises(QualityCrashError, match=r"missing\.parquet"):
        validate("prices", tmp_path / "missing.parquet", parameters=PARAMETERS["prices"], work=tmp_path)


def test_docs_show_failures_too(tmp_path: Path) -> None:
    broken = write(tmp_path, "prices", [*GOOD["prices"], price("I", "0", SECOND)])
    with pytest.raises(QualityError):
        validate("prices", broken, parameters=PARAMETERS["prices"], work=tmp_path, docs=tmp_path / "docs")
    (page,) = (tmp_path / "docs/validations").rglob("*.html")
    assert "Failed" in page.read_text()


def test_files_of_one_dataset_are_validated_together(tmp_path: Path) -> None:
    parts = [write(tmp_path, "liabilities", [owed(1, 5)], name=name) for name in ("a", "b")]
    with pytest.raises(QualityError, match="key_unique is broken"):
        validate("liabilities", parts, work=tmp_path)


def test_of_many_files_a_message_names_the_first(tmp_path: Path) -> None:
    parts = [write(tmp_path, "liabilities", [owed(1, 5)], name=name) for name in "abcde"]
    with pytest.raises(QualityError, match=r"c[^,]*parquet and 2 more\)"):
        validate("liabilities", parts, work=tmp_path)


def test_nothing_is_sent_and_nothing_is_written_at_home(tmp_path: Path) -> None:
    """In a process of its own, because what Great Expectations does at import happens once."""
    path = write(tmp_path, "wallet_registry", GOOD["wallet_registry"])
    home = tmp_path / "home"
    home.mkdir()
    program = f"""
import socket
from pathlib import Path
def refuse(*arguments, **options):
    raise SystemExit(f"a network attempt: {{arguments}}")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from assay.quality.validation import validate
assert validate("wallet_registry", Path({str(path)!r}), work=Path({str(tmp_path / "work")!r}), docs=Path({str(tmp_path / "docs")!r})) == []
"""
    environment = os.environ | {"HOME": str(home), "PYTHONPATH": str(REPOSITORY / "plugins")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "%|" not in done.stderr
    assert list(home.rglob("*")) == []
    assert {item.name for item in tmp_path.iterdir()} == {"home", "sample", "work", "docs"}
