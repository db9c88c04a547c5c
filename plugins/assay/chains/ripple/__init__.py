"""The `ripple` family: XRP and issued currencies of the XRP Ledger, over the JSON-RPC of rippled or Clio.

Everything is read at the snapshot ledger's hash, so a server with history answers for the past. XRP is the account's whole
balance, its reserve included; XRP and tokens in escrows, payment channels, checks, offers' counterparties and liquidity pools are not
the account's balance and are not read, nor are multi-purpose tokens. A token is configured as `<currency>.<issuer>` and
counts what the wallet's trust line to that issuer holds, frozen or not. The ledger knows no decimals of tokens: the registry says how
fine they are counted, and a balance finer than that is refused, never rounded. A wallet that owes on its line is refused.

What is taken on the source's word: the balances, and which ledgers are validated. Headers are checked against their hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain as chained
from typing import Any

from assay.chains.checks import require_known
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, assets_of, scale_of
from assay.chains.pacing import gather
from assay.chains.ripple.ledgers import check_ledger, decode_address, drops, encode_address, held, parse_currency, parse_ledger, token_units
from assay.chains.ripple.rpc import NO_ACCOUNT, LedgerRefusedError, RippleRpc, record
from assay.chains.search import Header, last_at, snapshot
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, RegistryError
from assay.money import check_amount

FACTS = Facts(
    past="state at the ledger's hash (server with history)",
    finality=("finalized",),
    kinds=("jsonrpc",),
    evidence="archived answers",
    documentation="https://xrpl.org/docs/references/http-websocket-apis/public-api-methods",
)
NATIVE_DECIMALS = 6
"""Drops: 10^-6 XRP."""

EARLIEST = 32_570
"""The first ledger of the main network that still exists (https://xrpl.org/docs/concepts/networks-and-servers/ledger-history)."""

_LINES_A_PAGE = 400  # the most that account_lines gives
_SLOW_SECONDS, _NEAR_SECONDS = 5, 60  # ledgers close every three to five seconds; only how the search goes rests on it
_ACCOUNT_ZERO, _ACCOUNT_ONE = bytes(20), (1).to_bytes(20, "big")


def check_address(chain: Chain, address: str) -> str:
    """Return the classic address (`r…`); an X-address without a tag stands for it as well.

    Raises:
        RegistryError: Bad checksum, other network, with a tag, or a special address that nobody owns.
    """

    def fail(problem: str) -> RegistryError:
        return RegistryError(
            problem, subject=f"{chain.name} address {address[:80]!r}", next_step="copy the address again, in its classic form (r…)"
        )

    try:
        account = decode_address(address, main=chain.chain_id == 0)
    except ValueError as error:
        raise fail(f"it is not an address of the XRP Ledger: {error}") from error
    if account in {_ACCOUNT_ZERO, _ACCOUNT_ONE}:
        raise fail("it is a special address that nobody owns")
    return encode_address(account)


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> Reader:
    """Return a reader of the chain through the source. See `Family`."""
    require_known(FACTS, chain, source)
    return RippleReader(chain, source, assets=assets, archive=archive, url=url)


class RippleReader(Reader):
    """The ledger read through one server. See `Reader`.

    Raises:
        RegistryError: An asset has fewer decimals than the chain counts it in, or a token is not `<currency>.<issuer>`.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        self._client = self._rpc = RippleRpc(source, url, self.meter)
        self._native_scale = scale_of(chain, assets, chain.asset, NATIVE_DECIMALS)
        self._issued = {token.asset: _issued(chain, token) for token in chain.tokens.values()}
        self._scales = {token.asset: scale_of(chain, assets, token.asset, token.decimals) for token in chain.tokens.values()}

    async def check_network(self) -> None:
        """Compare the server's network id with the chain's; a server that names none must have the chain's earliest ledger."""
        about = "network"
        info = (await self._rpc.call("server_info", {}, about=about)).get("info")
        network = info.get("network_id") if isinstance(info, dict) else None
        if network is None and self.chain.chain_id == 0:
            found = (await self._header(EARLIEST)).hash
            if found != self.chain.genesis:
                raise self._rpc.wrong(f"its ledger {EARLIEST} is {found} and that of {self.chain.name} is {self.chain.genesis}", about)
        elif type(network) is not int or network != self.chain.chain_id:
            raise self._rpc.wrong(
                f"it serves network {self._rpc.scrubbed(str(network))[:40]} and {self.chain.name} has {self.chain.chain_id}", about
            )

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last validated ledger that closed at or before `as_of`; the ledger after it is validated as well."""
        moment = int(as_of.timestamp())
        top = await self._header(None)

        async def find() -> tuple[Header, Header] | None:
            return await last_at(moment, await self._nearer(moment, top), self._header)

        found, block = await snapshot(
            self.chain, self._rpc, as_of, moment=moment, top=top, find=find, utc=_utc, finality=self.chain.finality
        )
        for header in found:
            record(self.archive, "ledger", _numbered(header.number), header.raw)
        return block

    async def _nearer(self, moment: int, top: Header) -> Header:
        """Return a ledger after a moment and not long after it, without asking for ledgers much older than it, which few servers keep."""
        while top.time - moment > _NEAR_SECONDS:
            middle = await self._header(top.number - (top.time - moment) // _SLOW_SECONDS)
            if middle.time <= moment:
                break
            top = middle
        return top

    async def block_hash(self, height: int) -> str:  # noqa: D102  (described by the interface)
        header = await self._header(height)
        record(self.archive, "ledger", _numbered(height), header.raw)
        return header.hash

    async def check_assets(self, block: SnapshotBlock) -> None:
        """Make sure that each token's issuer exists in the snapshot ledger."""
        for asset, (_, issuer) in self._issued.items():
            result, _ = await self._account("account_info", {"account": issuer, "ledger_hash": block.hash}, f"issuer of {asset}")
            if result is None:
                raise RegistryError(
                    f"its issuer has no account in ledger {block.height} (source {self.source.name})",
                    subject=f"token {asset} of {self.chain.name}, contract {self.chain.tokens[asset].contract}",
                    next_step="correct the token in chains.toml",
                )

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002  (no proofs)
        """Read balances at the snapshot ledger's hash. See the module."""
        wanted = [(address, asset) for address in addresses for asset in assets_of(self.chain)]
        return await gather([self._native(block, item[0]) if item[1] == self.chain.asset else self._token(block, *item) for item in wanted])

    async def _native(self, block: SnapshotBlock, address: str) -> Balance:
        about = f"{self.chain.asset} balance of {address}"
        result, evidence = await self._account("account_info", {"account": address, "ledger_hash": block.hash}, about)
        amount = 0 if result is None else self._rpc.parsed(lambda told: drops(told, address), result, about)
        return Balance(
            address=address,
            asset=self.chain.asset,
            amount=check_amount(amount * self._native_scale, subject=self._rpc.subject(about)),
            evidence=evidence,
        )

    async def _token(self, block: SnapshotBlock, address: str, asset: str) -> Balance:
        about = f"{asset} balance of {address}"
        currency, issuer = self._issued[asset]
        if address == issuer:
            raise RegistryError(
                f"the wallet is the issuer of {asset}, which cannot hold what it issues",
                subject=f"chain {self.chain.name}, address {address}",
                next_step="take the wallet or the token out of the registry",
            )
        lines, evidence = await self._lines(block, address, issuer, about)
        balance = self._rpc.parsed(lambda told: held(told, issuer=issuer, currency=currency), lines, about)
        units = self._units(balance, asset, about)
        return Balance(
            address=address,
            asset=asset,
            amount=check_amount(units * self._scales[asset], subject=self._rpc.subject(about)),
            evidence=evidence,
        )

    def _units(self, text: object, asset: str, about: str) -> int:
        decimals = self.chain.tokens[asset].decimals
        units = self._rpc.parsed(lambda told: token_units(told, decimals), text, about)
        if units is None or units < 0:
            problem = f"finer than the {decimals} decimals of the registry" if units is None else "negative: the wallet owes on this line"
            raise AmountError(
                f"the balance {str(text)[:60]} is {problem}",
                subject=self._rpc.subject(about),
                next_step="correct the token's decimals in chains.toml, or take the wallet or the token out of the registry",
            )
        return units

    async def _lines(self, block: SnapshotBlock, address: str, issuer: str, about: str) -> tuple[list[dict[str, Any]], str]:
        """Return all trust lines between two accounts, and the digest of the page, or of the list of pages, that they stand on."""
        first = {"account": address, "peer": issuer, "ledger_hash": block.hash, "limit": _LINES_A_PAGE}
        params, digests, seen = first, [], []
        pages: list[list[dict[str, Any]]] = []
        while True:
            result, digest = await self._account("account_lines", params, about)
            digests.append(digest)
            if result is None and not pages:
                break
            lines = None if result is None else result.get("lines")
            if (
                result is None
                or result.get("account") != address
                or not isinstance(lines, list)
                or not all(isinstance(line, dict) for line in lines)
            ):
                raise self._rpc.wrong("the answer is not a list of the account's trust lines", about)
            pages.append(lines)
            marker = result.get("marker")
            if marker is None:
                break
            if marker in seen:
                raise self._rpc.wrong("its pages repeat", about)
            seen.append(marker)
            params = {**first, "marker": marker}
        evidence = digests[0] if len(digests) == 1 else record(self.archive, "account_lines pages", first, digests)
        return list(chained.from_iterable(pages)), evidence

    async def _account(self, method: str, params: dict[str, Any], about: str) -> tuple[dict[str, Any] | None, str]:
        """Ask for an account at a ledger's hash; None where the ledger has no such account. The answer is archived either way."""
        wanted = params["ledger_hash"]
        try:
            result = await self._rpc.call(method, params, about=about)
        except LedgerRefusedError as error:
            answer = error.answer
            if error.name != NO_ACCOUNT or not isinstance(answer, dict):
                raise
            self._rpc.parsed(lambda told: check_ledger(told, wanted, required=False), answer, about)
            return None, record(self.archive, method, params, answer, refused=True)
        self._rpc.parsed(lambda told: check_ledger(told, wanted), result, about)
        return result, record(self.archive, method, params, result)

    async def _header(self, number: int | None) -> Header:
        about = "newest ledger" if number is None else f"ledger {number}"
        result = await self._rpc.call("ledger", {"ledger_index": "validated"} if number is None else _numbered(number), about=about)
        return self._rpc.parsed(lambda told: parse_ledger(told, number=number), result, about)


def _issued(chain: Chain, token: Token) -> tuple[str, str]:
    """Return currency and issuer of a token."""
    currency, _, issuer = token.contract.rpartition(".")
    try:
        return parse_currency(currency), check_address(chain, issuer)
    except ValueError as error:
        raise RegistryError(
            f"{token.contract[:100]!r} is not <currency>.<issuer>: {error}",
            subject=f"token {token.asset} of {chain.name}",
            next_step="correct the token in chains.toml",
        ) from error


def _numbered(number: int) -> dict[str, Any]:
    return {"ledger_index": number}


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
