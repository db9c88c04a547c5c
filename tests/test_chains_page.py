"""`docs/chains.md` says of each chain what the catalogue and the family's module say, and names what it was really tested against.

When a fact changes, the failing test shows the line as it must be. The whole table: `python tests/test_chains_page.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.chains.families import family_of
from assay.config import Chain
from assay.config_chains import read_catalogue

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "chains.md"
ASSETS, CHAINS = read_catalogue()
HEADINGS = ("chain", "native", "tokens", "past heights", "finality", "evidence", "tested against")

_WRITTEN = "answers written from the API's documentation"
_OWN_CHAIN = "a chain written from the coin's specification"
_SAYS_SO = "written from|forms of (the|its) documentation"
TESTED_FAMILIES = {
    "bitcoin": (_OWN_CHAIN, "tests/chains/test_bitcoin_coins.py", "chains that are written here from the coins' specifications"),
    "evm": ("anvil, as the family", "tests/chains/test_evm.py", "against real anvil nodes"),
    **{
        family: (_WRITTEN, f"tests/chains/test_{family}.py", _SAYS_SO)
        for family in ("aelf", "aptos", "eos", "ethereum_beacon", "filecoin", "polkadot", "ripple", "solana", "ton", "tron")
    },
}
"""By family: what stood in the node's place, the test file, and the words of its docstring that say so."""

TESTED_CHAINS = {
    "bitcoin": ("ElectrumX on regtest", "tests/chains/test_bitcoin.py", "Against ElectrumX on regtest"),
    "litecoin": ("ElectrumX and litecoind on regtest", "tests/sandbox/test_litecoin.py", "find_litecoind"),
    "dogecoin": (f"{_OWN_CHAIN}; mined blocks of its own", "tests/chains/test_bitcoin_headers.py", "DOGE_371337"),
    "dash": (f"{_OWN_CHAIN}; a published transaction of its own", "tests/chains/test_transactions.py", "DASH_COINBASE"),
    "bitcoincash": (
        f"{_OWN_CHAIN}; published addresses of its own",
        "tests/chains/test_bitcoin_cashaddr.py",
        "test vectors of the specification",
    ),
    "ethereum": ("anvil", "tests/chains/test_evm.py", 'started\\(.*"ethereum"'),
    "arbitrum": ("anvil", "tests/chains/test_evm.py", 'started\\(.*"arbitrum"'),
    "celo": ("anvil with its chain id", "tests/chains/test_known_evm_chain.py", 'CHAINS\\["celo"\\]'),
}
"""Chains that were tested otherwise than their family."""

_HEADERS = json.loads((ROOT / "tests" / "chains" / "evm_headers.json").read_text())
PUBLIC_HEADERS = {item["chain_id"] for item in _HEADERS.values()}
"""EVM chains of which a real header's hash is recomputed (`test_evm_blocks.py`)."""


def row(chain: Chain) -> list[str]:
    """Return a chain's line of the table."""
    facts = family_of(chain).FACTS
    proven = {symbol for symbol, token in chain.tokens.items() if chain.proofs and token.balance_slot >= 0}
    evidence = facts.evidence if chain.proofs or chain.family != "evm" else "archived answers"
    tested, _, _ = TESTED_CHAINS.get(chain.name) or TESTED_FAMILIES[chain.family]
    if chain.family == "evm" and chain.chain_id in PUBLIC_HEADERS:
        tested += "; a public header"
    return [
        f"`{chain.name}`",
        chain.asset,
        ", ".join(f"{symbol}°" if symbol in proven else symbol for symbol in sorted(chain.tokens)) or "–",
        facts.past or f"no: read at `as_of`, at most {chain.max_lag_seconds} s later",
        f"{chain.confirmations} confirmation{'s'[: chain.confirmations > 1]}" if chain.finality == "confirmations" else chain.finality,
        evidence,
        tested,
    ]


def line(cells: list[str] | tuple[str, ...]) -> str:
    """Return cells as a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def written() -> Iterator[tuple[str, str]]:
    """Yield chain and line of the page's table."""
    for text in PAGE.read_text().splitlines():
        if found := re.match(r"\| `(\w+)` \|", text):
            yield found[1], text


@pytest.mark.parametrize("name", CHAINS)
def test_the_page_says_what_the_catalogue_and_the_family_say(name: str) -> None:
    assert dict(written()).get(name) == line(row(CHAINS[name]))


def test_the_page_has_every_chain_once_and_no_other_in_the_order_of_the_catalogue() -> None:
    assert [name for name, _ in written()] == list(CHAINS)
    assert line(HEADINGS) in PAGE.read_text().splitlines()


@pytest.mark.parametrize("name", sorted({*TESTED_FAMILIES, *TESTED_CHAINS}))
def test_what_a_chain_was_tested_against_stands_in_its_test_file(name: str) -> None:
    for _, path, words in filter(None, (TESTED_FAMILIES.get(name), TESTED_CHAINS.get(name))):
        assert re.search(words, (ROOT / path).read_text(), re.DOTALL)


if __name__ == "__main__":
    print(line(HEADINGS), line(["---"] * len(HEADINGS)), *(line(row(chain)) for chain in CHAINS.values()), sep="\n")
