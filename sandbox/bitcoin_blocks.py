# ruff: noqa: PLR2004 (opcodes)
"""Mines a Bitcoin-family regtest chain from wallet plans, the same blocks every time.

Value moves between the planned wallets and one treasury that owns every coinbase, by transactions that are really
signed. The moves stand as close to the attested moments as consensus allows: what a plan holds at a moment is complete
only in that moment's snapshot block (the last one whose median time past is not later), and the next block already
moves balances on, so a reader that is off by one block reads other numbers.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sandbox.bitcoin_keys import AddressPrefixes, Coin, Output, Transaction, Wallet, address, compact, push, sha256d, with_length
from sandbox.bitcoin_times import RAMP_BLOCKS, block_times
from sandbox.movement import NOTICE, Request
from sandbox.scenario import FIRST, SECOND, WalletPlan

CONFIRMATIONS = 6
"""Blocks on top of the last snapshot block that the schedule guarantees, several times over."""

_BITS = 0x207FFFFF
_TARGET = 0x7FFFFF << 8 * (0x20 - 3)  # what regtest's bits stand for: every second hash is good enough
_MATURITY = 100
_MEDIAN_SPAN = 11
_PAYOUTS = 1000
_BLOCK_BYTES = 900_000  # under the weight limit of 4,000,000 (BIP-141) even if no byte of it were witness


@dataclass(frozen=True, kw_only=True)
class Network:
    """What a regtest network does differently from its sisters.

    Attributes:
        chain: Name of the chain in wallet plans.
        asset: Symbol of its coin.
        network: Name of the network in `chains.toml`.
        genesis: Hash of block 0 in its usual, reversed text form.
        prefixes: How addresses are written.
        work: Proof of work of a header, in wire order.
        subsidy: Base units of a coinbase before the first halving.
        halving: Blocks between halvings.
    """

    chain: str
    asset: str
    network: str
    genesis: str
    prefixes: AddressPrefixes
    work: Callable[[bytes], bytes]
    subsidy: int = 50 * 10**8
    halving: int = 150


@dataclass(frozen=True, kw_only=True)
class MinedChain:
    """A chain from block 1 on.

    Attributes:
        network: Where it is valid.
        blocks: Raw blocks; the first one has height 1.
        times: Header times in Unix seconds, by height; height 0 is the genesis block's stand-in.
        addresses: Address by wallet index.
        scripts: Locking script by wallet index.
        snapshots: Height of the snapshot block by attested moment.
        movements: Id of the transaction by which a wallet sent to itself on request, by attested moment.
    """

    network: Network
    blocks: Sequence[bytes]
    times: Sequence[int]
    addresses: Mapping[int, str]
    scripts: Mapping[int, bytes]
    snapshots: Mapping[datetime, int]
    movements: Mapping[datetime, str]


def scrypt(header: bytes) -> bytes:
    """Return Litecoin's proof of work of a header."""
    return hashlib.scrypt(header, salt=header, n=1024, r=1, p=1, dklen=32)


BITCOIN = Network(
    chain="bitcoin",
    asset="BTC",
    network="regtest",
    genesis="0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
    prefixes=AddressPrefixes(p2pkh=0x6F, p2sh=0xC4, bech32="bcrt"),
    work=sha256d,
)
LITECOIN = Network(
    chain="litecoin",
    asset="LTC",
    network="litecoin_regtest",
    genesis="530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9",
    prefixes=AddressPrefixes(p2pkh=0x6F, p2sh=0x3A, bech32="rltc"),
    work=scrypt,
)


def mine(
    network: Network, plans: Iterable[WalletPlan], *, moments: tuple[datetime, datetime] = (FIRST, SECOND), request: Request | None = None
) -> MinedChain:
    """Mine the chain on which the planned wallets hold what their plans say.

    Args:
        network: Bitcoin's or Litecoin's regtest.
        plans: Wallets of that chain.
        moments: The two attested moments, in order.
        request: Of a wallet that proves itself by movements, one before each moment.

    Raises:
        ValueError: A plan of another chain, or more value than the treasury mines before the first moment.
    """
    plans = list(plans)
    if strangers := [plan for plan in plans if plan.chain != network.chain]:
        raise ValueError(f"wallet {strangers[0].index} belongs to {strangers[0].chain}, not to {network.chain}")
    times = block_times(moments)
    medians = [_median(times[max(0, height - _MEDIAN_SPAN + 1) : height + 1]) for height in range(len(times))]
    first, second = (bisect_right(medians, int(moment.timestamp())) - 1 for moment in moments)
    miner = _Miner(network, times)
    wallets = {plan.index: Wallet(network.chain, plan.index, plan.kind) for plan in plans}
    held: dict[int, int] = defaultdict(int)

    def move(height: int, amounts: Mapping[int, int], *, falling: bool = True, rising: bool = True) -> None:
        miner.mine_until(height - 1)
        changes = {index: amount - held[index] for index, amount in amounts.items()}
        changes = {index: change for index, change in changes.items() if (change < 0 and falling) or (change > 0 and rising)}
        for transactions in _packed(miner.transfers(wallets, changes)):
            miner.mine_block(transactions)
        for index, change in changes.items():
            held[index] += change

    def move_on_request(moment: datetime) -> str:
        if request is None:
            return ""
        height = bisect_right(medians, int((moment - NOTICE).timestamp())) - 1
        miner.mine_until(height)
        named, wallet = miner.tip, wallets[request.index]
        miner.mine_until(height + _BLOCKS_LATER)
        transaction = miner.send_to_itself(wallet, request.amount(moment, address(wallet.script, network.prefixes), height, named))
        miner.mine_block([transaction])
        return transaction.txid()[::-1].hex()

    amounts = [{plan.index: stage.get(network.asset, 0) for plan, stage in ((p, getattr(p, name)) for p in plans)} for name in _STAGES]
    # A third of the wallets is funded in two parts, so that histories and spends have more than one entry.
    move(RAMP_BLOCKS + 5, {index: amount * 3 // 5 if index % 3 == 0 else amount for index, amount in amounts[0].items()})
    movements = {moments[0]: move_on_request(moments[0])}
    move(first, amounts[0])
    move(first + 1, amounts[1], rising=False)
    movements[moments[1]] = move_on_request(moments[1])
    move(second, amounts[1])
    move(second + 1, amounts[2])
    miner.mine_until(len(times) - 1)
    return MinedChain(
        network=network,
        blocks=miner.blocks,
        times=times,
        addresses={index: address(wallet.script, network.prefixes) for index, wallet in wallets.items()},
        scripts={index: wallet.script for index, wallet in wallets.items()},
        snapshots={moments[0]: first, moments[1]: second},
        movements=movements if request else {},
    )


_STAGES = ("first", "second", "later")
_BLOCKS_LATER = 3  # after the named block, before the movement's


class _Miner:
    """A chain that grows by one block at a time, and the coins of the treasury and the wallets on it."""

    def __init__(self, network: Network, times: Sequence[int]) -> None:
        self._network = network
        self._times = times
        self._tip = bytes.fromhex(network.genesis)[::-1]
        self._treasury = Wallet(network.chain, -1, "p2wpkh")
        self._immature: list[Coin] = []
        self._coins: dict[int, list[Coin]] = defaultdict(list)
        self.blocks: list[bytes] = []

    @property
    def height(self) -> int:
        return len(self.blocks)

    @property
    def tip(self) -> str:
        """Hash of the last block as people write it."""
        return self._tip[::-1].hex()

    def mine_until(self, height: int) -> None:
        while self.height < height:
            self.mine_block([])

    def mine_block(self, transactions: Sequence[Transaction]) -> None:
        height = self.height + 1
        raw = [transaction.serialise() for transaction in transactions]
        coinbase, coinbase_id = self._coinbase(height, [sha256d(item) for item in raw])
        root = _merkle_root([coinbase_id, *(transaction.txid() for transaction in transactions)])
        header = self._work(struct.pack("<i", 0x20000000) + self._tip + root + struct.pack("<II", self._times[height], _BITS))
        self.blocks.append(header + compact(1 + len(raw)) + coinbase + b"".join(raw))
        self._tip = sha256d(header)
        if len(self._immature) >= _MATURITY:
            self._coins[-1].append(self._immature.pop(0))

    def _coinbase(self, height: int, witness_ids: Sequence[bytes]) -> tuple[bytes, bytes]:
        """Return a coinbase transaction with the block's witness commitment (BIP-141), and its id."""
        reward = Output(self._network.subsidy >> height // self._network.halving, self._treasury.script)
        commitment = sha256d(_merkle_root([bytes(32), *witness_ids]) + bytes(32))
        outputs = [reward, Output(0, b"\x6a" + push(b"\xaa\x21\xa9\xed" + commitment))]
        number = bytes([0x50 + height]) if height <= 16 else push(height.to_bytes((height.bit_length() + 8) // 8, "little"))
        body = b"\x01" + bytes(32) + b"\xff\xff\xff\xff" + with_length(number + push(b"sandbox")) + b"\xff\xff\xff\xff"
        body += compact(len(outputs)) + b"".join(item.serialise() for item in outputs)
        txid = sha256d(struct.pack("<i", 2) + body + struct.pack("<I", 0))
        self._immature.append(Coin(txid, 0, reward, self._treasury))
        return struct.pack("<i", 2) + b"\x00\x01" + body + b"\x01\x20" + bytes(32) + struct.pack("<I", 0), txid

    def _work(self, header: bytes) -> bytes:
        nonce = 0
        while int.from_bytes(self._network.work(header + struct.pack("<I", nonce)), "little") > _TARGET:
            nonce += 1
        return header + struct.pack("<I", nonce)

    def transfers(self, wallets: Mapping[int, Wallet], changes: Mapping[int, int]) -> list[Transaction]:
        """Return signed transactions, in an order in which each spends only what exists: wallets pay first."""
        made = []
        for index, change in changes.items():
            if change < 0:
                spent, self._coins[index] = self._coins[index], []
                made.append(self._transfer(spent, [(self._treasury, -change)], back=wallets[index]))
        rising = [(wallets[index], change) for index, change in changes.items() if change > 0]
        for start in range(0, len(rising), _PAYOUTS):
            payouts = rising[start : start + _PAYOUTS]
            made.append(self._transfer(self._treasury_coins(sum(amount for _, amount in payouts)), payouts, back=self._treasury))
        return made

    def send_to_itself(self, wallet: Wallet, amount: int) -> Transaction:
        """Return a transaction by which a wallet sends so much of what it has to itself, and the rest as well."""
        spent, self._coins[wallet.index] = self._coins[wallet.index], []
        return self._transfer(spent, [(wallet, amount)], back=wallet)

    def _treasury_coins(self, amount: int) -> list[Coin]:
        chosen: list[Coin] = []
        while sum(coin.output.value for coin in chosen) < amount:
            if not self._coins[-1]:
                raise ValueError(f"the plans hold more than the {self._network.asset} mined by block {self.height}")
            chosen.append(self._coins[-1].pop(0))
        return chosen

    def _transfer(self, coins: Sequence[Coin], payees: Sequence[tuple[Wallet, int]], *, back: Wallet) -> Transaction:
        rest = sum(coin.output.value for coin in coins) - sum(amount for _, amount in payees)
        owners = [*payees, *([(back, rest)] if rest else [])]
        transaction = Transaction(coins, [Output(amount, wallet.script) for wallet, amount in owners]).sign()
        txid = transaction.txid()
        for position, (wallet, _) in enumerate(owners):
            self._coins[wallet.index].append(Coin(txid, position, transaction.outputs[position], wallet))
        return transaction


def _median(times: Sequence[int]) -> int:
    return sorted(times)[len(times) // 2]


def _packed(transactions: Sequence[Transaction]) -> list[list[Transaction]]:
    """Cut transactions into the fewest runs that fit a block each; no transactions still make one block."""
    runs: list[list[Transaction]] = [[]]
    size = 0
    for transaction in transactions:
        length = len(transaction.serialise())
        if size + length > _BLOCK_BYTES:
            runs.append([])
            size = 0
        runs[-1].append(transaction)
        size += length
    return runs


def _merkle_root(hashes: Sequence[bytes]) -> bytes:
    level = list(hashes)
    while len(level) > 1:
        level += level[-1:] if len(level) % 2 else []
        level = [sha256d(level[place] + level[place + 1]) for place in range(0, len(level), 2)]
    return level[0]
