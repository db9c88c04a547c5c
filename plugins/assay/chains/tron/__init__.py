"""The `tron` family: TRX and TRC-20 tokens over java-tron's HTTP API, from the solidified state.

A node answers for its newest solidified block only (one that more than two thirds of the block producers built upon and
that is never replaced) and does not say which block an answer belongs to. So the newest solidified header is archived
before the first and after the last answer of a task, and every amount is that of some block between the two; `read_height`
is the first one's. The first must not be older than the snapshot block, the last not later than the chain allows.

TRX counts whole: free, staked (Stake 1.0 and 2.0), lent as bandwidth or energy, and waiting to leave staking. TRC-10
tokens, unclaimed rewards and TRX inside contracts are not read. An account that was never activated is `{}`, a real zero;
it can hold TRC-20 tokens all the same. A token counts as its contract's `balanceOf` says, frozen or not.

What is taken on the source's word: the amounts, and which block is solidified. Headers are checked against their ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from assay.chains.answers import AnswerError
from assay.chains.checks import require_known
from assay.chains.http import Reply, Rest
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, assets_of, scale_of
from assay.chains.pacing import gather
from assay.chains.search import Header, last_at, snapshot
from assay.chains.tron.accounts import NoFunctionError, decode_address, owned, word
from assay.chains.tron.blocks import parse_block
from assay.config import Asset, Chain, Source, Token
from assay.errors import RegistryError
from assay.money import check_amount

FACTS = Facts(
    past="",
    finality=("finalized",),
    kinds=("rest",),
    evidence="archived answers",
    documentation="https://tronprotocol.github.io/documentation-en/api/http/",
    identity=("genesis",),
)
NATIVE_DECIMALS = 6
"""Sun: 10^-6 TRX."""

_BLOCK, _ACCOUNT, _CALL = "/walletsolidity/getblock", "/walletsolidity/getaccount", "/walletsolidity/triggerconstantcontract"
_CONTRACT = "/wallet/getcontract"
# Two spellings of one question (an empty `id_or_num` is the newest block as well), so that an archive can hold both answers.
_BEFORE, _AFTER = {"detail": False}, {"id_or_num": "", "detail": False}
_BUSY = "lack of computing resources"  # the node's own rate limit, told with HTTP 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def check_address(chain: Chain, address: str) -> str:
    """Return the address, which has one form only: base58 with a checksum, `T…`.

    The hexadecimal form (`41…`) is refused: it has no checksum, so a mistyped digit would be somebody else's account.

    Raises:
        RegistryError: Bad checksum, other network, hexadecimal, or the zero address, which nobody owns.
    """
    try:
        raw = decode_address(address)
    except ValueError as error:
        raise RegistryError(
            "it is not a base58 address of Tron (T…), or its checksum is wrong",
            subject=f"{chain.name} address {address[:80]!r}",
            next_step="copy the address again from where it is shown, in its base58 form",
        ) from error
    if not any(raw):
        raise RegistryError("it is the zero address", subject=f"{chain.name} address {address}", next_step="remove it")
    return address


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> Reader:
    """Return a reader of the chain through the source. See `Family`."""
    require_known(FACTS, chain, source)
    return TronReader(chain, source, assets=assets, archive=archive, url=url)


class TronReader(Reader):
    """The chain read through one java-tron node. See `Reader`.

    Raises:
        RegistryError: An asset has fewer decimals than the chain counts it in, or a token's contract is no address.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        self._client = self._rest = Rest(source, url, self.meter)
        self._scales = {chain.asset: scale_of(chain, assets, chain.asset, NATIVE_DECIMALS)}
        for token in chain.tokens.values():
            check_address(chain, token.contract)
            self._scales[token.asset] = scale_of(chain, assets, token.asset, token.decimals)

    async def check_network(self) -> None:
        """Compare block 0's id, which is recomputed, with the chain's."""
        genesis = await self._header(0)
        if genesis.hash != self.chain.genesis:
            raise self._rest.wrong(
                f"its genesis block is {genesis.hash} and that of {self.chain.name} is {self.chain.genesis}", "genesis block"
            )

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last solidified block at or before `as_of`; the block after it is solidified as well."""
        moment = (as_of - _EPOCH) // _MILLISECOND
        top = await self._header(None)
        found, block = await snapshot(
            self.chain,
            self._rest,
            as_of,
            moment=moment,
            top=top,
            find=lambda: last_at(moment, top, self._header),
            utc=_utc,
            finality=self.chain.finality,
        )
        for header in found:
            self._record(header)
        return block

    async def block_hash(self, height: int) -> str:  # noqa: D102  (described by the interface)
        header = await self._header(height)
        self._record(header)
        return header.hash

    async def check_assets(self, block: SnapshotBlock) -> None:
        """Make sure that each token's contract exists, has the registry's decimals and does not call itself deprecated."""
        for token in self.chain.tokens.values():
            await self._check_token(token, block)

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002  (no proofs)
        """Read balances of the newest solidified state, between two archived headers. See the module."""
        if not addresses:
            return []
        if (found := await self.block_hash(block.height)) != block.hash:
            raise self._rest.wrong(f"its block {block.height} is {found} and not the snapshot block {block.hash}", "snapshot block")
        before = await self._newest(_BEFORE)
        if before.number < block.height:
            raise self._rest.behind(f"its last solidified block is {before.number} and the snapshot block is {block.height}")
        amounts = await gather([self._amount(address, asset) for address in addresses for asset in assets_of(self.chain)])
        after = await self._newest(_AFTER)
        self._check_span(block, before, after)
        wanted = ((address, asset) for address in addresses for asset in assets_of(self.chain))
        return [
            Balance(
                address=address,
                asset=asset,
                amount=check_amount(amount * self._scales[asset], subject=f"source {self.source.name}, {asset} balance of {address}"),
                evidence=evidence,
                read_height=before.number,
                read_time=_utc(before.time),
            )
            for (address, asset), (amount, evidence) in zip(wanted, amounts, strict=True)
        ]

    def _check_span(self, block: SnapshotBlock, before: Header, after: Header) -> None:
        if after.number < before.number:
            raise self._rest.unavailable(
                f"its last solidified block was {before.number} and then {after.number}: servers behind one address differ", "newest block"
            )
        as_of = block.time + timedelta(seconds=block.distance_seconds)
        late = (_utc(after.time) - as_of) // timedelta(seconds=1)
        if late > self.chain.max_lag_seconds:
            raise self._rest.wrong(
                f"the state was read until block {after.number}, {late} s after as_of, and at most {self.chain.max_lag_seconds} s are allowed",
                "balances",
            )

    async def _amount(self, address: str, asset: str) -> tuple[int, str]:
        """Return an amount in the chain's own units and the digest of its evidence."""
        about = f"{asset} balance of {address}"
        if asset == self.chain.asset:
            reply = await self._ask(_ACCOUNT, {"address": address, "visible": True}, about)
            amount = self._rest.parsed(lambda body: owned(body, address), reply.body, about)
        else:
            contract = self.chain.tokens[asset].contract
            reply = await self._call(contract, "balanceOf(address)", decode_address(address).rjust(32, b"\0").hex(), about)
            amount = self._rest.parsed(word, reply.body, about)
        return amount, reply.record(self.archive)

    async def _check_token(self, token: Token, block: SnapshotBlock) -> None:
        def fail(problem: str) -> RegistryError:
            return RegistryError(
                f"{problem} (source {self.source.name}, snapshot block {block.height})",
                subject=f"token {token.asset} of {self.chain.name}, contract {token.contract}",
                next_step="correct the token in chains.toml",
            )

        described = await self._ask(_CONTRACT, {"value": token.contract, "visible": True}, f"contract of {token.asset}")
        if described.body == {}:
            raise fail("there is no contract")
        about = f"decimals of {token.asset}"
        reply = await self._call(token.contract, "decimals()", "", about)
        try:
            decimals = word(reply.body)
        except NoFunctionError as error:
            raise fail("the contract has no decimals()") from error
        except AnswerError as error:
            raise self._rest.wrong(self._rest.scrubbed(str(error)), about) from error
        reply.record(self.archive)
        if decimals != token.decimals:
            raise fail(f"the contract has {decimals} decimals and the registry says {token.decimals}")
        if await self._deprecated(token):
            raise fail("the contract says that it is deprecated, so its balances are kept by another one")

    async def _deprecated(self, token: Token) -> bool:
        """Tell whether a contract of Tether's kind handed its balances on; contracts without such a switch refuse the call."""
        about = f"deprecation of {token.asset}"
        reply = await self._call(token.contract, "deprecated()", "", about)
        try:
            flag = word(reply.body)
        except NoFunctionError:
            flag = 0
        except AnswerError as error:
            raise self._rest.wrong(self._rest.scrubbed(str(error)), about) from error
        reply.record(self.archive)
        return flag != 0

    async def _newest(self, question: dict[str, Any]) -> Header:
        reply = await self._ask(_BLOCK, question, "newest block")
        header = self._rest.parsed(parse_block, reply.body, "newest block")
        reply.record(self.archive)
        return header

    async def _header(self, height: int | None) -> Header:
        about = "newest block" if height is None else f"block {height}"
        reply = await self._ask(_BLOCK, _BEFORE if height is None else _numbered(height), about)
        if reply.body == {}:
            raise self._rest.wrong("it has no such block: the node has not come that far, or keeps only part of the chain", about)
        return self._rest.parsed(lambda body: parse_block(body, number=height), reply.body, about)

    def _record(self, header: Header) -> None:
        Reply(method=f"POST {_BLOCK}", params=_numbered(header.number), status=200, body=header.raw).record(self.archive)

    async def _call(self, contract: str, function: str, parameter: str, about: str) -> Reply:
        # The caller is the contract itself, which exists; the holder's account may not.
        body = {
            "owner_address": contract,
            "contract_address": contract,
            "function_selector": function,
            "parameter": parameter,
            "visible": True,
        }
        return await self._ask(_CALL, body, about)

    async def _ask(self, path: str, body: dict[str, Any], about: str) -> Reply:
        reply = await self._rest.post(path, body, about=about)
        if isinstance(reply.body, dict) and "Error" in reply.body:
            words = str(reply.body["Error"])
            if _BUSY in words:
                raise self._rest.unavailable("the node limits its requests", about)
            raise self._rest.wrong(f"it answered with an error: {self._rest.scrubbed(words)}", about)
        return reply


def _numbered(height: int) -> dict[str, Any]:
    return {"id_or_num": str(height), "detail": False}


def _utc(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
