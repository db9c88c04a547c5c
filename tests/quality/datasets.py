"""A good file of each dataset, and rows that break each critical rule."""

from __future__ import annotations

from pathlib import Path

from assay.lake import format_as_of
from assay.warehouse.contracts import load_contracts
from tests.warehouse.samples import CONTRACTS, FIRST, SCHEMAS, SECOND, Row, Rows, block, liability, price, user_key, wallet, write_rows

NOW, BEFORE = format_as_of(SECOND), format_as_of(FIRST)
BITCOIN, ETHEREUM = block("bitcoin", SECOND, 200), block("ethereum", SECOND, 300)
CONTRACTED = {name: {column.name: column.type for column in contract.columns} for name, contract in load_contracts(CONTRACTS).items()}
SCHEMA: dict[str, dict[str, str]] = {
    "wallet_registry": dict.fromkeys(("chain", "address", "custody", "encumbrance", "label"), "VARCHAR") | {"row": "BIGINT"},
    "wallet_balances": SCHEMAS["wallet_balances"],
    "liabilities": SCHEMAS["liabilities"],
    "prices": SCHEMAS["prices"],
    "reserve_ratios": CONTRACTED["reserve_ratios"],
    "deposit_deltas": CONTRACTED["deposit_deltas"],
}
PARAMETERS: dict[str, dict[str, object]] = {
    "wallet_registry": {},
    "wallet_balances": {"as_of": SECOND},
    "liabilities": {},
    "prices": {"as_of": SECOND, "max_age_seconds": 3600},
    "reserve_ratios": {"as_of": SECOND},
    "deposit_deltas": {"as_of": SECOND},
}


def listed(number: int, /, **other: object) -> Row:
    row: Row = {
        "chain": "bitcoin",
        "address": f"bc1q-address-{number:03}",
        "custody": "cold",
        "encumbrance": "none",
        "label": "",
        "row": number,
    }
    return row | other


def ratio(asset: str, /, **other: object) -> Row:
    row: Row = {
        "as_of": NOW, "asset": asset, "decimals": 8, "reserves": 1_341_238, "reserves_encumbered": 0, "reserves_proven": 0, "liabilities_gross": 1_288_504,
        "liabilities_net": 1_288_000, "liabilities_netted_by_user": 1_288_400, "surplus": 52_734, "ratio_gross": "1.04092653",
        "ratio_net": "1.04133385", "ratio_netted_by_user": "1.04101055", "ratio_unencumbered": "1.04092653", "ratio_proven": "0.00000000", "fully_backed": True,
        "status": "covered", "previous_as_of": BEFORE, "previous_ratio_gross": "1.05000000",
    }  # fmt: skip
    return row | other


def delta(asset: str, /, **other: object) -> Row:
    row: Row = {
        "as_of": NOW, "previous_as_of": BEFORE, "asset": asset, "decimals": 8, "previous_balance": 117_682, "current_balance": 130_664,
        "change": 12_982, "change_percent": "11.03142367", "previous_price": "20000", "current_price": "24000", "previous_value_usd": "23.54",
        "current_value_usd": "31.36", "change_usd": "7.82", "quantity_effect_usd": "2.60", "price_effect_usd": "5.22",
    }  # fmt: skip
    return row | other


def owed(user: int, amount: int, /, **other: object) -> Row:
    return liability(user, "BTC", amount, **other)


GOOD: dict[str, Rows] = {
    "wallet_registry": [listed(2), listed(3, custody="third_party", label="Bank")],
    "wallet_balances": [wallet(BITCOIN, 1, "BTC", 0), wallet(BITCOIN, 2, "BTC", 5), wallet(ETHEREUM, 1, "ETH", 7), wallet(ETHEREUM, 1, "USDT", 7)],
    "liabilities": [owed(user, 100) for user in range(200)],
    "prices": [price("BTC", "24000", SECOND), price("ETH", "1690.12345678", SECOND)],
    "reserve_ratios": [ratio("BTC"), ratio("ETH")],
    "deposit_deltas": [
        delta("BTC"),
        delta(
            "NEW", previous_as_of=None, previous_balance=None, change=None, change_percent=None, previous_price=None, previous_value_usd=None,
            change_usd=None, quantity_effect_usd=None, price_effect_usd=None,
        ),
    ],
}  # fmt: skip

# Rule → a row that breaks it (others may break with it), and what the message must show of that row.
BREAKING: dict[str, dict[str, tuple[Rows, str]]] = {
    "wallet_registry": {
        "chain_given": ([listed(4, chain=None)], "row 4"),
        "address_given": ([listed(5, address=None)], "row 5"),
        "custody_given": ([listed(6, custody=None)], "row 6"),
        "encumbrance_given": ([listed(7, encumbrance=None)], "row 7"),
        "row_given": ([listed(8, row=None)], "bc1q-address-008"),
        "key_unique": ([listed(9), listed(9)], "bc1q-address-009"),
        "case_unique": ([listed(10, address="0xABC" + "0" * 37), listed(11, address="0xabc" + "0" * 37)], "duplicate_row 11"),
        "text_trimmed": ([listed(12, address=" bc1q-address-012")], "row 12"),
        "custody_known": ([listed(13, custody="warm")], "custody warm"),
        "encumbrance_known": ([listed(14, encumbrance="lent")], "encumbrance lent"),
    },
    "wallet_balances": {
        **{
            f"{column}_given": ([wallet(BITCOIN, number, "BTC", 1) | {column: None}], "")
            for number, column in enumerate(SCHEMA["wallet_balances"], 100)
            if not column.startswith("read_")
        },
        "key_unique": ([wallet(BITCOIN, 9, "BTC", 1), wallet(BITCOIN, 9, "BTC", 2)], "bitcoin-address-009"),
        "amount_not_negative": ([wallet(BITCOIN, 10, "BTC", -1)], "bitcoin-address-010"),
        "decimals_plausible": ([wallet(BITCOIN, 11, "BTC", 1, decimals=25)], "bitcoin-address-011"),
        "decimals_one": ([wallet(BITCOIN, 12, "BTC", 1, decimals=9)], "asset BTC, fewest 8, most"),
        "custody_known": ([wallet(BITCOIN, 13, "BTC", 1, custody="warm")], "custody warm"),
        "encumbrance_known": ([wallet(BITCOIN, 14, "BTC", 1, encumbrance="lent")], "encumbrance lent"),
        "sources_asked": ([wallet(BITCOIN, 15, "BTC", 1, sources_asked=0, sources_agreed=0)], "bitcoin-address-015"),
        "sources_agreed": ([wallet(BITCOIN, 16, "BTC", 1, sources_agreed=1)], "bitcoin-address-016"),
        "evidence_referenced": ([wallet(BITCOIN, 17, "BTC", 1, evidence="E" * 64)], "bitcoin-address-017"),
        "one_block": ([wallet(BITCOIN, 18, "BTC", 1, block_hash="other")], "chain bitcoin"),
        "block_not_after_as_of": ([wallet(BITCOIN, 19, "BTC", 1, block_time="2023-02-17T16:00:01Z")], "bitcoin-address-019"),
        "ownership_known": ([wallet(BITCOIN, 22, "BTC", 1, ownership_status="failed")], "bitcoin-address-022"),
        "live_read_after_block": ([wallet(BITCOIN, 21, "BTC", 1, read_height=1, read_time="2023-02-17T16:00:01Z")], "bitcoin-address-021"),
        "no_asset_left_out": ([wallet(ETHEREUM, 20, "ETH", 1)], "ethereum-address-020"),
    },
    "liabilities": {
        "user_key_given": ([owed(1, 1, user_key=None)], "asset BTC"),
        "account_type_given": ([owed(501, 1, account_type=None)], user_key(501)),
        "asset_given": ([owed(502, 1, asset=None)], user_key(502)),
        "decimals_given": ([owed(503, 1, decimals=None)], user_key(503)),
        "amount_given": ([owed(504, 0) | {"amount": None}], user_key(504)),
        "key_unique": ([owed(505, 1), owed(505, 2)], user_key(505)),
        "user_key_form": ([owed(506, 1, user_key="alice@example.org")], "alice@example.org"),
        "names_trimmed": ([owed(507, 1, account_type="spot ")], user_key(507)),
        "decimals_plausible": ([owed(508, 1, decimals=-1)], user_key(508)),
        "decimals_one": ([owed(509, 1, decimals=9)], "asset BTC, fewest"),
        "amount_width": ([owed(510, -(10**36))], "-1" + "0" * 36),
    },
    "prices": {
        "asset_given": ([price("A", "1", SECOND, asset=None)], "currency USD"),
        "currency_given": ([price("B", "1", SECOND, currency=None)], "asset B"),
        "price_given": ([price("C", "1", SECOND, price=None)], "asset C"),
        "source_given": ([price("D", "1", SECOND, source=None)], "asset D"),
        "time_given": ([price("E", "1", SECOND, time=None)], "asset E"),
        "sources_agreed_given": ([price("F", "1", SECOND, sources_agreed=None)], "asset F"),
        "key_unique": ([price("G", "1", SECOND), price("G", "2", SECOND)], "asset G"),
        "currency_known": ([price("H", "1", SECOND, currency="EUR")], "asset H"),
        "price_positive": ([price("I", "0", SECOND)], "asset I"),
        "not_after_as_of": ([price("J", "1", SECOND, time="2023-02-17T16:00:01Z")], "asset J, time 2023-02-17T16:00:01Z"),
        "not_stale": ([price("K", "1", SECOND, time="2023-02-17T14:59:59Z")], "asset K, time 2023-02-17T14:59:59Z"),
        "one_source": ([price("L", "1", SECOND, sources_agreed=0)], "asset L"),
    },
    "reserve_ratios": {
        **{
            f"{column}_given": ([ratio(f"NO_{column}") | {column: None}], "" if column == "asset" else f"asset NO_{column}")
            for column in (
                "as_of", "asset", "decimals", "reserves", "reserves_encumbered", "reserves_proven", "liabilities_gross", "liabilities_net",
                "liabilities_netted_by_user", "surplus", "fully_backed", "status",
            )
        },
        "key_unique": ([ratio("A"), ratio("A")], "asset A"),
        "as_of_stated": ([ratio("B", as_of=BEFORE)], "asset B, stated 2023-01-18T16:00:00Z"),
        "status_known": ([ratio("C", status="fine")], "asset C"),
        "reserves_not_negative": ([ratio("D", reserves=-1)], "asset D"),
        "gross_not_negative": ([ratio("E", liabilities_gross=-1)], "asset E"),
        "parts_within_wholes": ([ratio("F", reserves_encumbered=1_341_239), ratio("F2", reserves_proven=1_341_239)], "asset F"),
        "surplus_stated": ([ratio("G", surplus=52_735)], "asset G, surplus 52735"),
        # The typo of a real reprint: user assets of 1,128,504 instead of 1,288,504, with the ratio of the right figure.
        "ratio_recomputed": (
            [ratio("H", liabilities_gross=1_128_504, surplus=212_734, liabilities_net=1, liabilities_netted_by_user=1)],
            "asset H, reserves 1341238, liabilities_gross 1128504, stated 1.04092653",
        ),
        "backing_stated": ([ratio("I", status="short")], "asset I, fully_backed True, status short"),
    },
    "deposit_deltas": {
        **{
            f"{column}_given": ([delta(f"NO_{column}") | {column: None}], "" if column == "asset" else f"asset NO_{column}")
            for column in ("as_of", "asset", "decimals", "current_balance", "current_price", "current_value_usd")
        },
        "key_unique": ([delta("A"), delta("A")], "asset A"),
        "as_of_stated": ([delta("B", previous_as_of=NOW)], "asset B, stated 2023-02-17T16:00:00Z, previous_as_of 2023-02-17T16:00:00Z"),
        "balance_not_negative": ([delta("C", current_balance=-1)], "asset C"),
        "previous_balance_not_negative": ([delta("D", previous_balance=-1)], "asset D"),
        "price_positive": ([delta("E", current_price=0)], "asset E"),
        "change_stated": ([delta("F", change=12_983)], "asset F, change 12983"),
        # The published growth: divided by the current balance.
        "percent_recomputed": ([delta("G", change_percent="9.93540685")], "asset G, change 12982, previous_balance 117682, stated 9.93540685"),
        "effects_add_up": ([delta("H", price_effect_usd="5.23")], "asset H, change_usd 7.82"),
    },
}  # fmt: skip


def write(folder: Path, dataset: str, rows: Rows, *, name: str = "sample") -> Path:
    """Write rows of a dataset as a Parquet file."""
    return write_rows(folder / name / f"{dataset}.parquet", SCHEMA[dataset], rows)
