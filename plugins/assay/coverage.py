"""What a publication says of its own limits before any table is computed: rows for the table `coverage`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.config import Chain, Settings
from assay.lake import replacing_file
from assay.quality.validation import Finding
from assay.warehouse import contracts

COVERAGE_SCHEMA = pa.schema(
    [("item", pa.string()), ("area", pa.string()), ("severity", pa.string()), ("count", pa.int64()), ("description", pa.string())]
)
_Item = tuple[str, str, str, str]
"""Item, area, severity, description."""


def write_items(settings: Settings, path: Path) -> Path:
    """Write what is not covered and no table shows: the configuration's statements, and the parts that this version lacks."""
    stated = [
        *((f"note:{number}", "reserves", "info", note) for number, note in enumerate(settings.notes, 1)),
        *(
            (f"excluded:{number}", "liabilities", "warning", f"Not in the liabilities: {text}")
            for number, text in enumerate(settings.ledger.excluded, 1)
        ),
        ("account_types", "liabilities", "info", f"Account types in the liabilities: {', '.join(settings.ledger.account_types)}."),
        (
            "liability_commitment",
            "commitment",
            "info",
            (
                "The sum tree holds the positive balances of every user. It proves that a balance is in the total only to users who check their own "
                "proof; a user who was left out and never checks goes unnoticed."
            ),
        ),
        ("signature", "signature", "warning", "The manifest is not signed; the log binds publications to each other and to no key."),
    ]
    stated += [item for chain in settings.chains.values() for item in _without_proof(chain)]
    if not settings.sign_off.required:
        stated.append(("sign_off", "sign_off", "warning", "Published without the approval of two people: the configuration turns it off."))
    items = [
        {"item": item, "area": area, "severity": severity, "count": None, "description": text} for item, area, severity, text in stated
    ]
    with replacing_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(items, schema=COVERAGE_SCHEMA), temporary, compression="zstd")
    return path


def complete(path: Path, findings: Sequence[Finding], as_of: datetime, *, contracts_folder: Path) -> None:
    """Add what the expectations warned of to a table of coverage, in its place.

    Raises:
        ContractError: A defect: the table breaks its contract.
    """
    table = pq.read_table(path)
    rows = pa.Table.from_pylist([{"as_of": as_of, **asdict(finding)} for finding in findings], schema=table.schema)
    with replacing_file(path) as temporary:
        pq.write_table(pa.concat_tables([table, rows]).sort_by("item"), temporary, compression="zstd")
    contracts.check_file(contracts.load_contracts(contracts_folder)["coverage"], path)


def _without_proof(chain: Chain) -> Iterator[_Item]:
    """Yield what of a chain's balances nobody can check without asking a node."""
    if chain.family == "bitcoin" and chain.sources[0].kind == "electrum":
        return
    if not chain.proofs:
        text = f"The balances of {chain.name} rest on archived answers without a proof; check them with a node of your own."
        yield f"unproven:{chain.name}", "reserves", "info", text
        return
    for token in chain.tokens.values():
        if token.balance_slot < 0:
            reason = f" ({token.slot_note})" if token.slot_note else ""
            text = f"The {token.asset} balances of {chain.name} rest on archived answers without a proof: the contract keeps them in no plain slot{reason}."
            yield f"unproven:{chain.name}:{token.asset}", "reserves", "info", text
