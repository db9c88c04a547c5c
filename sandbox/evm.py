"""A sandbox EVM chain: anvil with two month-ends of history replayed from wallet plans.

Everything but the code of the token and of Multicall3 gets there by real transactions: the treasury deploys contract
wallets and pays in, wallets pay back what they hold less of. The token's code stands at the address of the real one,
so the registry that serves the real chain serves this one.

Blocks come every 12 hours from 1 December 2022. The last block before each attested moment lies nine minutes before
it and the next one six minutes after it, and both move money, so that a reader that is one block off is wrong. A day before and
after each moment there is a block nine minutes earlier as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sandbox.anvil import CREATE2_DEPLOYER, GENESIS_TIME, TREASURY, Anvil, Call
from sandbox.evm_accounts import address_of, artifact, call_data, deployment, owners_of, private_key
from sandbox.movement import NOTICE, Request, sign_transfer
from sandbox.processes import StartError
from sandbox.scenario import FIRST, SECOND, WalletPlan

STEP = timedelta(hours=12)
BEFORE, AFTER = timedelta(minutes=9), timedelta(minutes=6)
MULTICALL3 = str(artifact("multicall3")["address"])
Multicall = Literal["canonical", "wrong", "none"]

_NATIVE = "ETH"
_HUNDRED_MILLIONTH = 10**10  # of an ether, in base units
_TOKEN = "USDT"  # noqa: S105  (an asset's symbol)
_TOKEN_SUPPLY = 10**15  # base units: a thousand million whole ones
_BUSY_BLOCKS = 20  # over how many of a period's blocks its moves are spread
_BLOCKS_AFTER = 10  # after the block that follows SECOND; anvil's finalized block is the fourth from the top


class EvmNode(Anvil):
    """Anvil with the history of a chain's wallet plans; a context manager.

    Args:
        folder: For its log and what it spills to disk.
        chain: Name of the chain; plans of other chains are left out.
        chain_id: EIP-155 chain id.
        plans: Wallets.
        token_contract: Where the token's code is put.
        multicall: What stands at Multicall3's address: its canonical code, another contract, or nothing. By default
            canonical on `ethereum` and another contract elsewhere, as it has been met on a public chain.
        request: Of a wallet that proves itself by movements, one before each moment.

    Attributes:
        addresses: By the plan's index.
        movements: Hash of the transaction by which a wallet sent to itself on request, by attested moment.
    """

    def __init__(
        self,
        *,
        folder: Path,
        chain: str,
        chain_id: int,
        plans: Sequence[WalletPlan],
        token_contract: str,
        multicall: Multicall | None = None,
        request: Request | None = None,
    ) -> None:
        super().__init__(folder=folder, chain_id=chain_id)
        self.chain = chain
        self.plans = [plan for plan in plans if plan.chain == chain]
        self.token_contract = token_contract
        self.addresses = {plan.index: address_of(chain, plan.index, plan.kind) for plan in self.plans}
        self._multicall: Multicall = multicall or ("canonical" if chain == "ethereum" else "wrong")
        self._nonces: dict[str, int] = {}
        self._proposals: dict[int, int] = {}
        self._request = request
        self.movements: dict[datetime, str] = {}

    def prepare(self) -> None:
        """Replay the history.

        Raises:
            StartError: The chain doesn't hold what the plans say.
        """
        self._place_contracts()
        nothing: dict[int, Mapping[str, int]] = {plan.index: {} for plan in self.plans}
        first = {plan.index: plan.first for plan in self.plans}
        second = {plan.index: plan.second for plan in self.plans}
        later = {plan.index: plan.later for plan in self.plans}
        self._replay(_period(GENESIS_TIME + STEP, FIRST), nothing, first, moment=FIRST)
        self._replay(_period(FIRST + AFTER, SECOND), first, second, moment=SECOND)
        self._replay([SECOND + AFTER], second, later)
        for number in range(1, _BLOCKS_AFTER + 1):
            self.mine(SECOND - BEFORE + STEP * number)

    def _place_contracts(self) -> None:
        codes = {"canonical": artifact("multicall3")["runtime"], "wrong": artifact("token")["runtime"], "none": "0x"}
        self.call("anvil_setCode", self.token_contract, artifact("token")["runtime"])
        self.call("anvil_setCode", MULTICALL3, codes[self._multicall])
        self.run(
            [
                self._send(TREASURY, self.token_contract, data=call_data("token", "initialise")),
                self._send(TREASURY, self.token_contract, data=call_data("token", "issue", _TOKEN_SUPPLY)),
            ]
        )
        contracts = [plan.index for plan in self.plans if plan.kind == "contract"]
        self.run([self._send(TREASURY, CREATE2_DEPLOYER, data="0x" + deployment(self.chain, index).hex()) for index in contracts])
        self.mine(GENESIS_TIME + STEP)

    def _replay(
        self,
        times: Sequence[datetime],
        before: Mapping[int, Mapping[str, int]],
        after: Mapping[int, Mapping[str, int]],
        *,
        moment: datetime | None = None,
    ) -> None:
        """Mine blocks of the given times that lead from one state to the next; the first and the last one move money."""
        busy = min(_BUSY_BLOCKS, len(times))
        slots = [slot * (len(times) - 1) // max(busy - 1, 1) for slot in range(busy)]
        moves: list[list[tuple[WalletPlan, str, int]]] = [[] for _ in times]
        for plan in self.plans:
            for asset, amount in after[plan.index].items():
                # The largest wallet, index 0, moves its ether in the first block and its tokens in the last one.
                slot = plan.index % busy if asset == _NATIVE else busy - 1 - plan.index % busy
                moves[slots[slot]].append((plan, asset, amount - before[plan.index].get(asset, 0)))
        for time, block in zip(times, moves, strict=True):
            self.run([call for move in block for call in self._move(*move)])
            if moment and time == times[-2] and self._request:
                self.run([self._move_on_request(moment, self._request)])
            self.mine(time)
        self._check(after)

    def _move(self, plan: WalletPlan, asset: str, change: int) -> Iterator[Call]:
        """Give the transactions that change a wallet's holding by so much."""
        address = self.addresses[plan.index]
        sender, receiver = (TREASURY, address) if change > 0 else (address, TREASURY)
        if asset == _NATIVE:
            target, value, data = receiver, abs(change), "0x"
        elif asset == _TOKEN:
            target, value, data = self.token_contract, 0, call_data("token", "transfer", receiver, abs(change))
        else:
            raise StartError(f"asset {asset!r} of wallet {plan.index} is unknown on sandbox chain {self.chain}")
        if change == 0:
            return
        if change > 0 or plan.kind == "eoa":
            yield self._send(sender, target, value=value, data=data)
            return
        number = self._proposals.get(plan.index, 0)
        self._proposals[plan.index] = number + 1
        (proposer, _), (confirmer, _), *_ = owners_of(self.chain, plan.index)
        yield self._send(proposer, address, data=call_data("wallet", "propose", target, value, bytes.fromhex(data[2:])))
        yield self._send(confirmer, address, data=call_data("wallet", "confirm", number))

    def _move_on_request(self, moment: datetime, request: Request) -> Call:
        address = self.addresses[request.index]
        (block,) = self.batch([("eth_getBlockByNumber", ["latest", False])])
        while int(block["timestamp"], 16) > (moment - NOTICE).timestamp():
            (block,) = self.batch([("eth_getBlockByHash", [block["parentHash"], False])])
        amount = request.amount(moment, address, int(block["number"], 16), block["hash"]) * _HUNDRED_MILLIONTH
        nonce = self._nonces.get(address, 0)
        self._nonces[address] = nonce + 1
        key = private_key(self.chain, request.index)
        raw, self.movements[moment] = sign_transfer(key, chain_id=self.chain_id, nonce=nonce, receiver=address, value=amount)
        return "eth_sendRawTransaction", [raw]

    def _send(self, sender: str, receiver: str, *, value: int = 0, data: str = "0x") -> Call:
        nonce = self._nonces.get(sender, 0)
        self._nonces[sender] = nonce + 1
        transaction: dict[str, Any] = {"from": sender, "to": receiver, "value": hex(value), "data": data}
        return "eth_sendTransaction", [transaction | {"nonce": hex(nonce), "gas": hex(3_000_000), "gasPrice": "0x0"}]

    def _check(self, state: Mapping[int, Mapping[str, int]]) -> None:
        """Hold the chain against the plan: a transaction that failed leaves no other trace."""
        wanted = [(index, asset, amount) for index, amounts in state.items() for asset, amount in amounts.items()]
        answers = self.batch([self._balance_call(self.addresses[index], asset) for index, asset, _ in wanted])
        for (index, asset, amount), answer in zip(wanted, answers, strict=True):
            if int(answer, 16) != amount:
                raise StartError(f"wallet {index} of sandbox chain {self.chain} holds {int(answer, 16)} {asset}, and {amount} was planned")

    def _balance_call(self, address: str, asset: str) -> Call:
        if asset == _NATIVE:
            return "eth_getBalance", [address, "latest"]
        return "eth_call", [{"to": self.token_contract, "data": call_data("token", "balanceOf", address)}, "latest"]


def _period(start: datetime, moment: datetime) -> list[datetime]:
    """Return block times up to an attested moment.

    Args:
        start: The first block when it follows an attested moment; the chain's first mined block otherwise.
        moment: The last block lies `BEFORE` it, and the others `STEP` apart before that one.
    """
    opening = [start] if start - AFTER == FIRST else []
    last = moment - BEFORE
    return [*opening, *(last - STEP * number for number in range((last - start) // STEP, -1, -1) if last - STEP * number > start)]
