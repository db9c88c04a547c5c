"""The published facts about chains that balances are checked with: `evidence/chains.json`. Format: docs/formats/evidence.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from assay_verify.findings import MalformedError

FILE_NAME = "evidence/chains.json"
MAX_DECIMALS = 38
FAMILIES = frozenset(
    {"aelf", "aptos", "bitcoin", "eos", "ethereum_beacon", "evm", "filecoin", "polkadot", "ripple", "solana", "ton", "tron"}
)
"""What this verifier has heard of; `bitcoin` and `evm` come with proofs."""

NO_SLOT = -1
_WORD_BITS = 256
_LAYOUTS = {"solidity", "vyper"}
_CHAIN: dict[str, type] = {
    "asset": str,
    "chain_id": int,
    "decimals": dict,
    "family": str,
    "network": str,
    "proofs": bool,
    "sources": list,
    "tokens": dict,
}
_TOKEN: dict[str, type] = {
    "balance_bits": int,
    "balance_slot": int,
    "contract": str,
    "decimals": int,
    "slot_layout": str,
    "slot_note": str,
}

_LONG = 1 << 53
_SLOT_DIGITS = 78


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token contract; see docs/formats/evidence.md for the slot of its balances.

    Attributes:
        contract: Its address.
        decimals: What the contract counts in.
        slot: Position of the mapping of balances; `NO_SLOT` where there is no plain one.
        layout: `solidity` or `vyper`.
        bits: How many low bits of the slot are the balance.
        note: Why there is no plain slot.
    """

    contract: str
    decimals: int
    slot: int
    layout: str
    bits: int
    note: str


@dataclass(frozen=True, kw_only=True)
class Chain:
    """What is published about a chain.

    Attributes:
        name: As in the tables.
        family: How it is read.
        asset: Symbol of its native asset.
        chain_id: EVM.
        network: Bitcoin family: whose addresses.
        proofs: EVM: whether balances come with proofs.
        sources: Names of its sources; evidence is referred to in the archives of the first one.
        decimals: By symbol: of the asset, in which the tables count.
        tokens: By symbol.
    """

    name: str
    family: str
    asset: str
    chain_id: int
    network: str
    proofs: bool
    sources: tuple[str, ...]
    decimals: Mapping[str, int]
    tokens: Mapping[str, Token]

    def scale(self, asset: str, own: int) -> int:
        """Return how many units of the tables one unit on the chain is.

        Args:
            asset: Its symbol.
            own: Decimals on the chain.

        Raises:
            MalformedError: The asset is unknown, or the chain counts it finer than the tables do.
        """
        if asset not in self.decimals:
            raise MalformedError(f"{FILE_NAME} names no decimals of {asset}")
        missing = self.decimals[asset] - own
        if missing < 0:
            raise MalformedError(f"{FILE_NAME}: {asset} has fewer decimals than on the chain")
        return int(10**missing)


def read(content: bytes) -> dict[str, Chain]:
    """Read the facts.

    Raises:
        MalformedError: Not canonical JSON, of another shape, a family is unknown, or something would be counted twice.
    """
    try:
        values = json.loads(content)
        canonical = rfc8785.dumps(values) == content
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{FILE_NAME} is not JSON ({error})") from error
    if not canonical or not isinstance(values, dict):
        raise MalformedError(f"{FILE_NAME} is not an object in canonical form (RFC 8785)")
    chains = {name: _chain(name, item) for name, item in values.items()}
    _refuse_doubles(chains, {name: str(item.get("genesis") or "") for name, item in values.items()})
    return chains


def _refuse_doubles(chains: Mapping[str, Chain], genesis: Mapping[str, str]) -> None:
    """Refuse two names for one chain or one token, under which the same coins would count twice."""
    known: dict[tuple[str, ...], str] = {}
    for name, chain in chains.items():
        # An EVM chain is what its id is, one of the Bitcoin family its network; the others are told apart by their first block.
        own = str(chain.chain_id or "") or (chain.network if chain.family == "bitcoin" else genesis[name] and genesis[name] + chain.network)
        if own and (other := known.setdefault((chain.family, own), name)) != name:
            raise MalformedError(f"{FILE_NAME}: {other} and {name} are one chain, whose balances would count twice")
        if chain.asset in chain.tokens:
            raise MalformedError(f"{FILE_NAME}, {name}: the native asset is a token as well, and would count twice")
        contracts: dict[str, str] = {}
        for symbol, token in chain.tokens.items():
            contract = token.contract.lower() if chain.family == "evm" else token.contract
            if (other := contracts.setdefault(contract, symbol)) != symbol:
                raise MalformedError(f"{FILE_NAME}, {name}: {other} and {symbol} are one token, whose balances would count twice")


def _chain(name: str, values: object) -> Chain:
    fields = _members(values, _CHAIN, f"{FILE_NAME}, {name}")
    if fields["family"] not in FAMILIES:
        raise MalformedError(
            f"{FILE_NAME}: {name} is of the family {fields['family']!r}, which this verifier does not know; a newer one may"
        )
    sources = tuple(_members(item, {"kind": str, "name": str}, f"{FILE_NAME}, {name}, sources")["name"] for item in fields["sources"])
    decimals = fields["decimals"]
    if not all(_is_count(value, MAX_DECIMALS) for value in decimals.values()):
        raise MalformedError(f"{FILE_NAME}, {name}: decimals that are none")
    return Chain(
        name=name,
        family=fields["family"],
        asset=fields["asset"],
        chain_id=fields["chain_id"],
        network=fields["network"],
        proofs=fields["proofs"],
        sources=sources,
        decimals=decimals,
        tokens={symbol: _token(name, symbol, item) for symbol, item in fields["tokens"].items()},
    )


def _token(chain: str, symbol: str, values: object) -> Token:
    subject = f"{FILE_NAME}, {chain}, {symbol}"
    if isinstance(values, dict) and isinstance(values.get("balance_slot"), str):
        values = values | {"balance_slot": _long_slot(values["balance_slot"], subject)}
    fields = _members(values, _TOKEN, subject)
    if (
        not _is_count(fields["decimals"], MAX_DECIMALS)
        or fields["balance_slot"] < NO_SLOT
        or fields["slot_layout"] not in _LAYOUTS
        or not 1 <= fields["balance_bits"] <= _WORD_BITS
    ):
        raise MalformedError(f"{subject}: decimals, slot, layout or bits that cannot be")
    return Token(
        contract=fields["contract"],
        decimals=fields["decimals"],
        slot=fields["balance_slot"],
        layout=fields["slot_layout"],
        bits=fields["balance_bits"],
        note=fields["slot_note"],
    )


def _long_slot(text: str, subject: str) -> int:
    """Read a slot that is beyond the integers of RFC 8785, so that it stands there as text."""
    if not (text.isascii() and text.isdigit() and len(text) <= _SLOT_DIGITS and _LONG <= int(text) < 1 << _WORD_BITS and text[0] != "0"):
        raise MalformedError(f"{subject}: {text[:90]!r} is no slot")
    return int(text)


def _members(values: object, shape: Mapping[str, type], subject: str) -> dict[str, Any]:
    """Return an object that has the members; what else it says is left unread."""
    if not isinstance(values, dict):
        raise MalformedError(f"{subject} is not a JSON object")
    for member, kind in shape.items():
        if type(values.get(member)) is not kind:
            raise MalformedError(f"{subject}: {member!r} is missing or not of type {kind.__name__}")
    return values


def _is_count(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most
