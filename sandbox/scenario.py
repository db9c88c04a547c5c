"""What the sandbox's chains and ledger hold, and when: two month-ends whose totals are published figures scaled 1 : 1,000.

The totals are those of one exchange's reports for 18 January and 17 February 2023; how they spread over wallets is
invented, from a fixed seed, so that two runs plan the same wallets. `accounts.py` plans the users' side. Nothing here
starts a node or knows an address.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime

FIRST = datetime(2023, 1, 18, 16, tzinfo=UTC)
"""The first attested moment: the end of 18 January 2023 in UTC+8, where the reporting exchange closes its days."""
SECOND = datetime(2023, 2, 17, 16, tzinfo=UTC)
"""The second attested moment."""

DECIMALS = {"BTC": 8, "ETH": 18, "USDT": 6, "LTC": 8}
"""Base units per whole unit, as a power of ten."""

WALLET_TOTALS = {
    "BTC": (12_391_400_000, 13_573_500_000),
    "ETH": (1_237_943 * 10**15, 1_341_238 * 10**15),
    "USDT": (2_985_253_792_000, 3_117_664_819_000),
    "LTC": (92_500_000_000, 98_750_000_000),
}
"""Base units over all chains at FIRST and at SECOND. BTC, ETH and USDT are published figures / 1,000; LTC is invented."""

LIABILITY_TOTALS = {
    "BTC": (11_768_200_000, 13_066_400_000),
    "ETH": (1_178_993 * 10**15, 1_288_504 * 10**15),
    "USDT": (2_955_696_824_000, 3_053_870_994_000),
    "LTC": (88_000_000_000, 93_000_000_000),
}
"""Base units of all positive single account balances at FIRST and at SECOND; same sources as WALLET_TOTALS."""

_SEED = 20230217
# Per chain: number of wallets, and tenths of each asset's total that lie on it.
_CHAINS = {
    "bitcoin": (150, {"BTC": 10}),
    "ethereum": (120, {"ETH": 7, "USDT": 6}),
    "arbitrum": (80, {"ETH": 3, "USDT": 4}),
    "litecoin": (30, {"LTC": 10}),
}
# Twenty wallets' kinds, repeated: 15 % are multisig or contracts. The first one is the chain's largest wallet.
_BITCOIN_KINDS = [
    *("p2wsh_multisig", "p2wpkh", "p2pkh", "p2wpkh", "p2sh_p2wpkh", "p2wpkh", "p2tr", "p2wpkh", "p2sh_multisig", "p2wpkh"),
    *("p2pkh", "p2wpkh", "p2sh_p2wpkh", "p2wpkh", "p2wsh_multisig", "p2tr", "p2wpkh", "p2pkh", "p2sh_p2wpkh", "p2wpkh"),
]
_EVM_KINDS = ["contract", *["eoa"] * 6, "contract", *["eoa"] * 6, "contract", *["eoa"] * 5]
_PLEDGED = 4  # of every 17 wallets, this one is pledged
_STAKED = 7  # of every 20 wallets on ethereum, this contract is a staking contract
_WITHOUT = {"USDT": (6, 5), "ETH": (10, 6)}  # of every 6 wallets the one numbered 5 never holds USDT, and so on


@dataclass(frozen=True, kw_only=True)
class WalletPlan:
    """What one wallet holds over time. Amounts are base units and name every asset of the chain, zeros included.

    Attributes:
        chain: `bitcoin`, `ethereum`, `arbitrum` or `litecoin`.
        index: 0-based within the chain; keys and addresses are derived from chain and index.
        kind: Bitcoin family: p2pkh, p2wpkh, p2sh_p2wpkh, p2sh_multisig (2 of 3), p2wsh_multisig (2 of 3), p2tr (bitcoin
            alone). EVM: eoa, contract.
        custody: hot, cold, staked or third_party.
        encumbrance: none, pledged or locked.
        first: At FIRST.
        second: At SECOND.
        later: After the blocks that follow SECOND; differs from `second` for about half of the wallets.
    """

    chain: str
    index: int
    kind: str
    custody: str
    encumbrance: str
    first: dict[str, int]
    second: dict[str, int]
    later: dict[str, int]


def wallets(litecoin: bool) -> list[WalletPlan]:  # noqa: FBT001 - the one thing to choose
    """Plan the wallets of all chains, in order of chain and index.

    On every chain the last wallet is never used, the one before it is first used after SECOND, three wallets are new
    at SECOND and three are empty by then. On EVM chains some wallets hold only ETH and some only USDT.

    Args:
        litecoin: Plan the litecoin chain as well.
    """
    chains = [chain for chain in _CHAINS if litecoin or chain != "litecoin"]
    return [plan for chain in chains for plan in _chain_wallets(chain)]


def _chain_wallets(chain: str) -> list[WalletPlan]:
    rng = random.Random(f"{_SEED}/{chain}")
    count, tenths = _CHAINS[chain]
    holders = {asset: _holders(asset, count) for asset in tenths}
    histories = {asset: _history(rng, _chain_totals(chain, asset), holders[asset], count) for asset in tenths}
    plans = []
    for index in range(count):
        custody = _custody(chain, index)
        first, second, later = ({asset: histories[asset][moment][index] for asset in tenths} for moment in range(3))
        plans.append(
            WalletPlan(
                chain=chain,
                index=index,
                kind=_kind(chain, index),
                custody=custody,
                encumbrance="locked" if custody == "staked" else "pledged" if index % 17 == _PLEDGED else "none",
                first=first,
                second=second,
                later=later,
            )
        )
    return plans


def _chain_totals(chain: str, asset: str) -> tuple[int, int]:
    """A chain's part of an asset's totals; the parts of all chains add up exactly."""
    shares = [(name, tenths[asset]) for name, (_, tenths) in _CHAINS.items() if asset in tenths]
    first, second = WALLET_TOTALS[asset]
    parts = {name: (first * share // 10, second * share // 10) for name, share in shares}
    others = [part for name, part in parts.items() if name != shares[0][0]]
    parts[shares[0][0]] = (first - sum(part[0] for part in others), second - sum(part[1] for part in others))
    return parts[chain]


def _holders(asset: str, count: int) -> list[int]:
    """Indexes of the wallets that ever hold the asset."""
    every, left_out = _WITHOUT.get(asset, (count, -1))
    return [index for index in range(count - 1) if index % every != left_out]


def _history(rng: random.Random, totals: tuple[int, int], holders: list[int], count: int) -> tuple[list[int], list[int], list[int]]:
    """Amounts per wallet at FIRST, at SECOND and later."""
    unborn, fresh, emptied = set(holders[-1:]), set(holders[-4:-1]), set(holders[-7:-4])
    first = [0] * count
    old = [index for index in holders if index not in unborn | fresh]
    for index, amount in zip(old, split(rng, totals[0], len(old)), strict=True):
        first[index] = amount
    second = _moved(rng, first, totals[1], [index for index in holders if index not in unborn | emptied], emptied)
    later = _moved(rng, second, totals[1] * 101 // 100, holders, set())
    return first, second, later


def _moved(rng: random.Random, before: list[int], total: int, holders: list[int], emptied: set[int]) -> list[int]:
    """The same wallets afterwards, `total` in all: about half are untouched, the largest one always moves."""
    touched = [index for position, index in enumerate(holders) if position == 0 or not before[index] or rng.randrange(2)]
    after = [0 if index in emptied else amount for index, amount in enumerate(before)]
    for index in touched:
        after[index] = 0
    for index, amount in zip(touched, split(rng, total - sum(after), len(touched)), strict=True):
        after[index] = amount
    return after


def split(rng: random.Random, total: int, count: int) -> list[int]:
    """Cut a positive total into `count` positive integers of very different sizes; the first is the largest.

    Raises:
        ValueError: The total is too small for that many parts.
    """
    weights = [rng.randint(1, 100) ** 3 for _ in range(count)]
    weights[0] = 2 * max(weights) + sum(weights) // 10
    parts = [max(1, total * weight // sum(weights)) for weight in weights]
    parts[0] += total - sum(parts)
    if parts[0] <= 0:
        raise ValueError(f"{total} cannot be cut into {count} positive parts")
    return parts


def _kind(chain: str, index: int) -> str:
    if chain in {"ethereum", "arbitrum"}:
        return _EVM_KINDS[index % len(_EVM_KINDS)]
    kind = _BITCOIN_KINDS[index % len(_BITCOIN_KINDS)]
    return "p2wpkh" if chain == "litecoin" and kind == "p2tr" else kind


def _custody(chain: str, index: int) -> str:
    if chain == "ethereum" and _kind(chain, index) == "contract" and index % 20 == _STAKED:
        return "staked"
    return {1: "hot", 5: "hot", 9: "hot", 11: "third_party"}.get(index % 13, "cold")
