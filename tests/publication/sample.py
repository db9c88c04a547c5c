"""A small made-up publication: two moments, three assets, three chains, tables computed here by the book.

The totals are the ones of two reports that an exchange published in early 2023, a thousandth of them. Everything is
computed with integers and fractions in this file, on purpose without `assay.money` and without SQL.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay.commitments.building import build
from assay.commitments.format import COMMITMENT_FILE
from assay.commitments.pipeline import INDEX, TREE, report_of, write_table
from assay.config import (
    Asset,
    Chain,
    LedgerSettings,
    OwnershipSettings,
    PriceSettings,
    PriceSource,
    Settings,
    SignOffSettings,
    Source,
    StabilitySettings,
)

FIRST = datetime(2023, 1, 18, 16, tzinfo=UTC)
SECOND = datetime(2023, 2, 17, 16, tzinfo=UTC)
DECIMALS = {"BTC": 8, "ETH": 18, "USDT": 6}
RESERVES = {
    FIRST: {"BTC": "123.914", "ETH": "1237.943", "USDT": "2985253.792"},
    SECOND: {"BTC": "135.735", "ETH": "1341.238", "USDT": "3117664.819"},
}
LIABILITIES = {
    FIRST: {"BTC": "117.682", "ETH": "1178.993", "USDT": "2955696.824"},
    SECOND: {"BTC": "130.664", "ETH": "1288.504", "USDT": "3053870.994"},
}
DEBTS = {"BTC": "-1.25", "ETH": "-14.5", "USDT": "-20000.5"}
PRICES = {
    FIRST: {"BTC": "20688.78", "ETH": "1514.91", "USDT": "0.99981"},
    SECOND: {"BTC": "24565.3", "ETH": "1694.17523", "USDT": "1.0001"},
}
CHAINS = {"arbitrum": ("ETH", "USDT"), "bitcoin": ("BTC",), "ethereum": ("ETH", "USDT")}
ASKED = {"arbitrum": 1, "bitcoin": 2, "ethereum": 2}

AMOUNT = pa.decimal128(38, 0)
RATIO = pa.decimal128(38, 8)
USD = pa.decimal128(38, 2)
TIME = pa.timestamp("us", tz="UTC")
TEXT, SHORT, LONG, FLAG = pa.string(), pa.int32(), pa.int64(), pa.bool_()

_BLOCK = [("sources_asked", SHORT), ("sources_agreed", SHORT)]
SCHEMAS: dict[str, list[tuple[str, pa.DataType]]] = {
    "wallet_balances": [
        ("as_of", TIME),
        ("chain", TEXT),
        ("address", TEXT),
        ("asset", TEXT),
        ("decimals", SHORT),
        ("amount", AMOUNT),
        ("block_height", LONG),
        ("block_hash", TEXT),
        ("block_time", TIME),
        *_BLOCK,
        ("custody", TEXT),
        ("encumbrance", TEXT),
        ("ownership_status", TEXT),
        ("evidence", TEXT),
        ("read_height", LONG),
        ("read_time", TIME),
    ],
    "snapshot_blocks": [
        ("as_of", TIME),
        ("chain", TEXT),
        ("height", LONG),
        ("hash", TEXT),
        ("time", TIME),
        ("finality", TEXT),
        ("distance_seconds", LONG),
        *_BLOCK,
    ],
    "prices": [
        ("as_of", TIME),
        ("asset", TEXT),
        ("currency", TEXT),
        ("price", RATIO),
        ("source", TEXT),
        ("time", TIME),
        ("sources_agreed", SHORT),
    ],
    "reserve_ratios": [
        ("as_of", TIME),
        ("asset", TEXT),
        ("decimals", SHORT),
        ("reserves", AMOUNT),
        ("reserves_encumbered", AMOUNT),
        ("reserves_proven", AMOUNT),
        ("liabilities_gross", AMOUNT),
        ("liabilities_net", AMOUNT),
        ("liabilities_netted_by_user", AMOUNT),
        ("surplus", AMOUNT),
        ("ratio_gross", RATIO),
        ("ratio_net", RATIO),
        ("ratio_netted_by_user", RATIO),
        ("ratio_unencumbered", RATIO),
        ("ratio_proven", RATIO),
        ("fully_backed", FLAG),
        ("status", TEXT),
        ("previous_as_of", TIME),
        ("previous_ratio_gross", RATIO),
    ],
    "deposit_deltas": [
        ("as_of", TIME),
        ("previous_as_of", TIME),
        ("asset", TEXT),
        ("decimals", SHORT),
        ("previous_balance", AMOUNT),
        ("current_balance", AMOUNT),
        ("change", AMOUNT),
        ("change_percent", RATIO),
        ("previous_price", RATIO),
        ("current_price", RATIO),
        ("previous_value_usd", USD),
        ("current_value_usd", USD),
        ("change_usd", USD),
        ("quantity_effect_usd", USD),
        ("price_effect_usd", USD),
    ],
    "reserve_deltas": [
        ("as_of", TIME),
        ("previous_as_of", TIME),
        ("asset", TEXT),
        ("chain", TEXT),
        ("decimals", SHORT),
        ("previous_amount", AMOUNT),
        ("current_amount", AMOUNT),
        ("change", AMOUNT),
        ("change_percent", RATIO),
    ],
    "address_ownership": [
        ("as_of", TIME),
        *((name, TEXT) for name in ("chain", "address", "scheme", "status", "message", "signatures", "script", "owners")),
        ("signed_at", TIME),
        ("verified_at_block", TEXT),
        ("note", TEXT),
    ],
    "reserve_stability": [
        ("as_of", TIME),
        ("chain", TEXT),
        ("asset", TEXT),
        ("offset_seconds", LONG),
        ("decimals", SHORT),
        ("block_height", LONG),
        ("block_hash", TEXT),
        ("block_time", TIME),
        ("amount", AMOUNT),
        ("amount_at_offset", AMOUNT),
        ("change", AMOUNT),
        ("change_percent", RATIO),
    ],
    "liability_commitment": [
        ("as_of", TIME),
        ("asset", TEXT),
        ("decimals", SHORT),
        ("total", AMOUNT),
        ("leaf_limit", AMOUNT),
        ("leaf_count", LONG),
        ("root_hash", TEXT),
        ("commitment", TEXT),
        ("format", TEXT),
    ],
    "reconciliation": [
        ("as_of", TIME),
        ("previous_as_of", TIME),
        ("asset", TEXT),
        ("decimals", SHORT),
        *(
            (name, AMOUNT)
            for name in ("opening", "deposits", "withdrawals", "trades", "fees", "interest", "adjustments", "rounding", "expected")
        ),
        ("closing", AMOUNT),
        ("unexplained", AMOUNT),
        *((name, pa.decimal128(38, 18)) for name in ("opening_rounding", "flows_rounding", "closing_rounding")),
    ],
    "coverage": [("as_of", TIME), ("item", TEXT), ("area", TEXT), ("severity", TEXT), ("count", LONG), ("description", TEXT)],
}


@dataclass(frozen=True)
class Inputs:
    """What the pipeline hands to `stage`."""

    settings: Settings
    tables: Path
    evidence: dict[str, Path]
    tree: Path
    contracts: Path


def units(text: str, asset: str) -> int:
    return int(Fraction(text) * 10 ** DECIMALS[asset])


def floor8(numerator: int, denominator: int) -> Decimal | None:
    return Decimal(numerator * 10**8 // denominator).scaleb(-8) if denominator > 0 else None


def half_up(value: Fraction, places: int) -> Decimal:
    whole, rest = divmod(abs(value) * 10**places, 1)
    return Decimal((1 if value >= 0 else -1) * (int(whole) + (rest >= Fraction(1, 2)))).scaleb(-places)


def make_inputs(root: Path, as_of: datetime, *, prices: dict[str, str] | None = None) -> Inputs:
    """Write tables, evidence and contracts of one moment under `root`, the same bytes every time."""
    previous = FIRST if as_of == SECOND else None
    blocks = _blocks(as_of)
    wallets, lines = _wallets(as_of, blocks)
    tables = {
        "wallet_balances": wallets,
        "snapshot_blocks": blocks,
        "prices": _prices(as_of, prices or PRICES[as_of]),
        "reserve_ratios": _ratios(as_of, previous),
        "deposit_deltas": _deposit_deltas(as_of, previous, prices or PRICES[as_of]),
        "reserve_deltas": _reserve_deltas(as_of, previous),
        "address_ownership": [
            {"chain": chain, "address": address, "status": "none"}
            for chain, address in sorted({(row["chain"], row["address"]) for row in wallets})
        ],
        "reserve_stability": _stability(as_of, wallets, blocks),
        "reconciliation": _reconciliation(as_of, previous),
        "coverage": _coverage(as_of, wallets),
    }
    folder, contracts = root / "tables", root / "contracts"
    for path in (folder, contracts):
        path.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        schema = pa.schema(SCHEMAS[name])
        pq.write_table(
            pa.Table.from_pylist([{"as_of": as_of} | row for row in rows], schema=schema), folder / f"{name}.parquet", compression="zstd"
        )
        (contracts / f"{name}.odcs.yaml").write_text(f"apiVersion: v3.0.2\nkind: DataContract\nid: {name}\nversion: 1.0.0\n")
    known = settings(root)
    (contracts / "liability_commitment.odcs.yaml").write_text(
        "apiVersion: v3.0.2\nkind: DataContract\nid: liability_commitment\nversion: 1.0.0\n"
    )
    tree = commit(known, folder, as_of, 1, root / "commitment")
    return Inputs(known, folder, _evidence(root / "evidence", lines), tree, contracts)


def commit(settings: Settings, tables: Path, as_of: datetime, revision: int, folder: Path) -> Path:
    """Commit to five users whose balances add up to the tables' liabilities, and write the table of it; return the tree."""
    ratios = pq.read_table(tables / "reserve_ratios.parquet", columns=["asset", "liabilities_gross"]).to_pylist()
    rows = [
        {
            "user_key": _digest("user", number),
            "account_type": "spot",
            "asset": row["asset"],
            "decimals": DECIMALS[row["asset"]],
            "amount": part,
        }
        for row in ratios
        for number, part in enumerate(map(Decimal, _split(int(row["liabilities_gross"]), 5)))
    ]
    schema = pa.schema([("user_key", TEXT), ("account_type", TEXT), ("asset", TEXT), ("decimals", SHORT), ("amount", AMOUNT)])
    folder.mkdir(parents=True, exist_ok=True)
    liabilities = folder / "liabilities.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema).sort_by([("user_key", "ascending"), ("asset", "ascending")]), liabilities)
    build(
        report_of(settings, as_of, revision),
        [liabilities],
        secret=b"a secret that only the tests know",
        tree=folder / TREE,
        index=folder / INDEX,
        work=folder / "work",
        memory_limit="1GB",
        processes=1,
        shard_leaves=1 << 10,
    )
    stated = pq.read_table(write_table(folder / TREE / COMMITMENT_FILE, folder / "commitment.parquet")).to_pylist()
    schema = pa.schema(SCHEMAS["liability_commitment"])
    table = pa.Table.from_pylist([{"as_of": as_of} | row for row in stated], schema=schema)
    pq.write_table(table, tables / "liability_commitment.parquet", compression="zstd")
    return folder / TREE


def settings(root: Path) -> Settings:
    chains = {
        name: Chain(
            name=name,
            family="bitcoin" if name == "bitcoin" else "evm",
            asset=assets[0],
            sources=tuple(
                Source(name=f"{name}-{number}", kind="electrum" if name == "bitcoin" else "jsonrpc", connection=f"{name}_{number}")
                for number in range(1, ASKED[name] + 1)
            ),
        )
        for name, assets in CHAINS.items()
    }
    names = {"BTC": "Bitcoin", "ETH": "Ether", "USDT": "Tether USD"}
    return Settings(
        path=root / "assay.toml",
        digest=hashlib.sha256(b"configuration").hexdigest(),
        series="sandbox-exchange",
        entity="Sandbox Exchange",
        lake=root / "lake",
        registry=root / "registry",
        schedule="0 16 17 * *",
        chunk_size=200,
        memory_limit="1GB",
        ledger=LedgerSettings(kind="postgres", connection="ledger", pseudonym_connection="pseudonyms"),
        prices=PriceSettings(sources=(PriceSource(name="prices", path=root / "prices.csv"),)),
        sign_off=SignOffSettings(required=False),
        stability=StabilitySettings(),
        ownership=OwnershipSettings(),
        assets=MappingProxyType(
            {symbol: Asset(symbol=symbol, name=names[symbol], decimals=decimals) for symbol, decimals in DECIMALS.items()}
        ),
        chains=MappingProxyType(chains),
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def _blocks(as_of: datetime) -> list[dict[str, Any]]:
    heights = {"arbitrum": 9_241, "bitcoin": 156, "ethereum": 4_602}
    later = 60 if as_of == SECOND else 0
    rows = []
    for chain, asked in ASKED.items():
        distance = 41 if chain != "bitcoin" else 2_520
        text = _digest("block", chain, as_of)
        rows.append(
            {
                "chain": chain,
                "height": heights[chain] + later,
                "hash": text if chain == "bitcoin" else "0x" + text,
                "time": as_of - timedelta(seconds=distance),
                "finality": "6 confirmations" if chain == "bitcoin" else "finalized",
                "distance_seconds": distance,
                "sources_asked": asked,
                "sources_agreed": asked,
            }
        )
    return rows


def _stability(as_of: datetime, wallets: list[dict[str, Any]], blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A day before, each chain held a hundredth less of each asset; only ethereum was read a day after, when it held the same."""
    rows = []
    for block in blocks:
        for asset in CHAINS[block["chain"]]:
            total = int(sum(row["amount"] for row in wallets if (row["chain"], row["asset"]) == (block["chain"], asset)))
            moved = {-86_400: -(total // 100)} | ({86_400: 0} if block["chain"] == "ethereum" else {})
            for seconds, change in moved.items():
                text = _digest("block", block["chain"], as_of, seconds)
                rows.append(
                    {
                        "chain": block["chain"],
                        "asset": asset,
                        "offset_seconds": seconds,
                        "decimals": DECIMALS[asset],
                        "block_height": block["height"] + (30 if seconds > 0 else -30),
                        "block_hash": text if block["chain"] == "bitcoin" else "0x" + text,
                        "block_time": as_of + timedelta(seconds=seconds) - timedelta(seconds=block["distance_seconds"]),
                        "amount": Decimal(total),
                        "amount_at_offset": Decimal(total + change),
                        "change": Decimal(change),
                        "change_percent": half_up(Fraction(100 * change, total), 8),
                    }
                )
    return sorted(rows, key=lambda row: (row["chain"], row["asset"], row["offset_seconds"]))


def _split(total: int, parts: int) -> list[int]:
    """Cut a total into unequal parts that add up to it."""
    weights = [(7 * number) % 11 + 1 for number in range(1, parts + 1)]
    pieces = [total * weight // sum(weights) for weight in weights]
    return [total - sum(pieces[1:]), *pieces[1:]]


def _holdings(as_of: datetime) -> Iterable[tuple[str, int, str, int]]:
    """Yield chain, wallet number, asset and amount; zeros included."""
    for asset, total in RESERVES[as_of].items():
        amount = units(total, asset)
        chains = [chain for chain, assets in CHAINS.items() if asset in assets]
        shares = {chains[0]: amount} if len(chains) == 1 else {chains[0]: amount // 5, chains[1]: amount - amount // 5}
        for chain, share in shares.items():
            for number, piece in enumerate([*_split(share, 5), 0], 1):
                yield chain, number, asset, piece


def _wallets(as_of: datetime, blocks: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    by_chain = {block["chain"]: block for block in blocks}
    rows, lines = [], defaultdict(list)
    custody = ["cold", "cold", "hot", "staked", "third_party", "hot"]
    for chain, number, asset, amount in _holdings(as_of):
        address = ("bcrt1q" if chain == "bitcoin" else "0x") + _digest("wallet", chain, number)[:40]
        line = json.dumps({"method": "balance", "params": [address, asset], "result": str(amount)}, sort_keys=True, separators=(",", ":"))
        lines[chain].append(line)
        block = by_chain[chain]
        rows.append(
            {
                "chain": chain,
                "address": address,
                "asset": asset,
                "decimals": DECIMALS[asset],
                "amount": Decimal(amount),
                "block_height": block["height"],
                "block_hash": block["hash"],
                "block_time": block["time"],
                "sources_asked": block["sources_asked"],
                "sources_agreed": block["sources_agreed"],
                "custody": custody[number - 1],
                "encumbrance": "pledged" if number == 4 else "none",
                "ownership_status": "none",
                "evidence": hashlib.sha256(line.encode()).hexdigest(),
                "read_height": None,
                "read_time": None,
            }
        )
    return sorted(rows, key=lambda row: (row["chain"], row["address"], row["asset"])), lines


def _evidence(folder: Path, lines: dict[str, list[str]]) -> dict[str, Path]:
    for chain, asked in ASKED.items():
        for number in range(1, asked + 1):
            path = folder / chain / f"{chain}-{number}" / "balances-00000.jsonl.zst"
            path.parent.mkdir(parents=True, exist_ok=True)
            with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
                stream.write(
                    "".join(line + "\n" for line in sorted(lines[chain], key=lambda line: hashlib.sha256(line.encode()).digest())).encode()
                )
            blocks = folder / chain / "blocks" / f"{chain}-{number}.jsonl.zst"
            blocks.parent.mkdir(parents=True, exist_ok=True)
            with pa.OSFile(str(blocks), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
                stream.write(b'{"method":"block","params":[],"result":1}\n')
    return {chain: folder / chain for chain in ASKED}


def _prices(as_of: datetime, prices: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "asset": asset,
            "currency": "USD",
            "price": Decimal(price),
            "source": "sandbox prices",
            "time": as_of - timedelta(minutes=1),
            "sources_agreed": 2,
        }
        for asset, price in sorted(prices.items())
    ]


def _liabilities(as_of: datetime, asset: str) -> tuple[int, int, int]:
    """Return gross, net and netted by user."""
    gross, debt = units(LIABILITIES[as_of][asset], asset), units(DEBTS[asset], asset)
    return gross, gross + debt, gross + debt // 2


def _encumbered(as_of: datetime, asset: str) -> int:
    return sum(amount for _, number, name, amount in _holdings(as_of) if name == asset and number == 4)


def _ratios(as_of: datetime, previous: datetime | None) -> list[dict[str, Any]]:
    rows = []
    for asset, decimals in DECIMALS.items():
        reserves, encumbered = units(RESERVES[as_of][asset], asset), _encumbered(as_of, asset)
        gross, net, netted = _liabilities(as_of, asset)
        rows.append(
            {
                "asset": asset,
                "decimals": decimals,
                "reserves": Decimal(reserves),
                "reserves_encumbered": Decimal(encumbered),
                "reserves_proven": Decimal(0),
                "liabilities_gross": Decimal(gross),
                "liabilities_net": Decimal(net),
                "liabilities_netted_by_user": Decimal(netted),
                "surplus": Decimal(reserves - gross),
                "ratio_gross": floor8(reserves, gross),
                "ratio_net": floor8(reserves, net),
                "ratio_netted_by_user": floor8(reserves, netted),
                "ratio_unencumbered": floor8(reserves - encumbered, gross),
                "ratio_proven": floor8(0, gross),
                "fully_backed": reserves >= gross,
                "status": "covered" if reserves >= gross else "short",
                "previous_as_of": previous,
                "previous_ratio_gross": previous
                and floor8(units(RESERVES[previous][asset], asset), units(LIABILITIES[previous][asset], asset)),
            }
        )
    return rows


def _deposit_deltas(as_of: datetime, previous: datetime | None, prices: dict[str, str]) -> list[dict[str, Any]]:
    rows = []
    for asset, decimals in DECIMALS.items():
        current, price = _liabilities(as_of, asset)[0], Fraction(prices[asset])
        value = half_up(current * price / 10**decimals, 2)
        row: dict[str, Any] = {
            "asset": asset,
            "decimals": decimals,
            "current_balance": Decimal(current),
            "current_price": Decimal(prices[asset]),
            "current_value_usd": value,
        }
        if previous:
            before, before_price = _liabilities(previous, asset)[0], Fraction(PRICES[previous][asset])
            before_value = half_up(before * before_price / 10**decimals, 2)
            quantity = half_up((current - before) * before_price / 10**decimals, 2)
            row |= {
                "previous_as_of": previous,
                "previous_balance": Decimal(before),
                "change": Decimal(current - before),
                "change_percent": half_up(Fraction(100 * (current - before), before), 8),
                "previous_price": Decimal(PRICES[previous][asset]),
                "previous_value_usd": before_value,
                "change_usd": value - before_value,
                "quantity_effect_usd": quantity,
                "price_effect_usd": value - before_value - quantity,
            }
        rows.append(row)
    return rows


def _by_chain(as_of: datetime) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for chain, _, asset, amount in _holdings(as_of):
        sums[asset, chain] += amount
    return sums


def _reserve_deltas(as_of: datetime, previous: datetime | None) -> list[dict[str, Any]]:
    rows = []
    for (asset, chain), amount in sorted(_by_chain(as_of).items()):
        row: dict[str, Any] = {"asset": asset, "chain": chain, "decimals": DECIMALS[asset], "current_amount": Decimal(amount)}
        if previous:
            before = _by_chain(previous)[asset, chain]
            row |= {
                "previous_as_of": previous,
                "previous_amount": Decimal(before),
                "change": Decimal(amount - before),
                "change_percent": half_up(Fraction(100 * (amount - before), before), 8),
            }
        rows.append(row)
    return rows


def _reconciliation(as_of: datetime, previous: datetime | None) -> list[dict[str, Any]]:
    rows = []
    for asset, decimals in DECIMALS.items():
        closing = _liabilities(as_of, asset)[1]
        # The ledger keeps BTC in more digits than the chain has.
        before, now = (Decimal("1.75"), Decimal("3.25")) if asset == "BTC" else (Decimal(0), Decimal(0))
        after = before if as_of == FIRST else now
        row: dict[str, Any] = {"asset": asset, "decimals": decimals, "closing": Decimal(closing), "closing_rounding": after}
        if previous:
            opening = _liabilities(previous, asset)[1]
            flows = {
                "deposits": units("400.5", asset),
                "withdrawals": -units("300.25", asset),
                "trades": units("-0.5", asset),
                "fees": -units("0.0125", asset),
                "interest": units("0.75", asset),
            }
            unexplained = units("0.000001", asset) if asset == "USDT" else 0
            rounding = 1 if asset == "BTC" else 0
            flows["adjustments"] = closing - unexplained - rounding - opening - sum(flows.values())
            row |= {
                "previous_as_of": previous,
                "opening": Decimal(opening),
                "expected": Decimal(closing - unexplained),
                "unexplained": Decimal(unexplained),
                "rounding": Decimal(rounding),
                "opening_rounding": before,
                "flows_rounding": now - before - rounding,
            }
            row |= {name: Decimal(amount) for name, amount in flows.items()}
        rows.append(row)
    return rows


def _coverage(as_of: datetime, wallets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    items = [
        ("commitment.none", "commitment", "warning", None, "Users cannot check yet that their own balance is part of the liabilities."),
        (
            "rounded_up:BTC",
            "liabilities",
            "info",
            5,
            "The ledger keeps BTC in more digits than its base unit; so many accounts were rounded up.",
        ),
        ("liabilities.negative", "liabilities", "info", 41, "Account balances below zero; they are left out of the gross liabilities."),
        (
            "moments",
            "reserves",
            "info",
            None,
            "Nothing is shown about the time between two snapshots, nor about borrowed assets or debts outside the ledger.",
        ),
        ("ownership.none", "ownership", "warning", len(wallets), "Wallet balances without proof that the entity controls the wallet."),
        ("signature.none", "signature", "warning", None, "This publication carries no signature."),
        ("sign_off.off", "sign_off", "warning", None, "Nobody had to approve this publication; it comes from a sandbox."),
        (
            "sources.single.arbitrum",
            "sources",
            "warning",
            1,
            "Chain arbitrum was read through one source only, so nothing could be compared.",
        ),
    ]
    return [dict(zip(("item", "area", "severity", "count", "description"), item, strict=True)) for item in sorted(items)]
