"""Reads the Bitcoin family: Bitcoin, Litecoin, Dogecoin, Dash and Bitcoin Cash, through four kinds of sources.

| kind | asks | for past blocks | a balance is |
|---|---|---|---|
| `electrum` | an Electrum server | yes | the replay of the address's history, each transaction proven |
| `esplora` | an Esplora HTTP API | yes | the same |
| `core` | the node's own JSON-RPC | while its tip is the block | the sum of a scan of the unspent outputs |
| `utxo_file` | a file of all unspent outputs at the block | yes | the same sum |

What is taken on a server's word, and a second source is the check on it:

- Electrum and Esplora: which transactions concern a script. Transactions, ids and Merkle branches are recomputed. The headers are
  held to the work that they claim, and linked by their hashes from the oldest one used to the snapshot block after all
  reads; that the work is what the network asked for at that height is not examined.
- Core: the unspent outputs.
- Dash: its block hash is X11, which no library at hand computes. A header's own hash is taken from the header after it and no work is
  checked, so which Merkle root belongs to a height is the server's word. Special transactions (DIP-2) are read in full.
- Dogecoin: ids are double SHA-256 of the first 80 bytes. The work of a merge-mined block is checked on its parent's header where the
  server sends it, and archived for the blocks of transactions only; elsewhere the links alone hold.
- Litecoin: work is scrypt, ids are double SHA-256. Coins inside extension blocks (MWEB) have no address that could be read.
- Bitcoin Cash: outputs with tokens count with their coins alone, and its addresses are brought to their own form.
"""

from __future__ import annotations

from assay.chains.bitcoin.addresses import parse_address
from assay.chains.bitcoin.base import check_units
from assay.chains.bitcoin.core import CoreReader
from assay.chains.bitcoin.electrum import ElectrumReader
from assay.chains.bitcoin.esplora import EsploraReader
from assay.chains.bitcoin.rules import RULES
from assay.chains.interface import Archive, Facts, Reader
from assay.config import Asset, Chain, Source
from assay.errors import ConfigError

FACTS = Facts(
    past="replay of each address's history up to the block (electrum, esplora), or the unspent outputs at it (utxo_file, core)",
    finality=("confirmations",),
    kinds=("electrum", "core", "esplora", "utxo_file"),
    evidence="the transactions of each address with their Merkle branches and headers, and headers that link them to the block",
    documentation="https://electrum-protocol.readthedocs.io",
    identity=("network",),
    tokens=False,
)


def check_address(chain: Chain, address: str) -> str:
    """Return the address in its canonical form. See `Family`."""
    return parse_address(chain.network, address).text


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> Reader:
    """Return a reader of the chain through the source. See `Family`."""
    if chain.finality != "confirmations" or chain.confirmations < 1:
        raise ConfigError(
            "this family knows finality by at least one confirmation only",
            subject=f"chain {chain.name}",
            next_step='set finality = "confirmations" and confirmations in chains.toml',
        )
    if chain.network not in RULES:
        raise ConfigError(
            f"the network {chain.network!r} is unknown", subject=f"chain {chain.name}", next_step=f"use one of {', '.join(sorted(RULES))}"
        )
    if not chain.genesis and RULES[chain.network].landmark is None:
        raise ConfigError("its genesis block is not given", subject=f"chain {chain.name}", next_step="give genesis in chains.toml")
    check_units(chain, assets)
    kind = _kind(chain, source)
    return kind(chain, source, assets=assets, archive=archive, url=url)


def _kind(chain: Chain, source: Source) -> type[Reader]:
    match source.kind:
        case "electrum":
            return ElectrumReader
        case "core":
            return CoreReader
        case "esplora" if RULES[chain.network].has_ids:
            return EsploraReader
        case "utxo_file":
            from assay.chains.bitcoin.utxo_file import UtxoFileReader  # brings libraries that the others don't need

            return UtxoFileReader
    raise ConfigError(
        f"the kind {source.kind!r} is unknown to this family, or to {chain.network}",
        subject=f"source {source.name}",
        next_step=f"use one of {', '.join(FACTS.kinds)}",
    )
