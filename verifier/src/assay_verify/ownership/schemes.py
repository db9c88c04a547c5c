"""Which schemes a statement may be signed in: by family of chains, by name of a chain, and by the tickers of published lists.

A kind is a family of chains, under the name that the registry has for it, or one that only lists have. Its schemes are tried one after the other; a
signature holds in one of them at most, because each signs another digest. What has no kind is unsupported, by name and with the reason:
nothing falls through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from importlib import import_module

from assay_verify.addresses import NETWORKS, test_network_of
from assay_verify.ownership.chain_state import ChainState, KeysOf
from assay_verify.ownership.interface import NotVerifiedError, Scheme, Statement, UnsupportedError, Verified

_PACKAGE = "assay_verify.ownership"
NO_STATE = ChainState()
Loader = Callable[[ChainState], tuple[Scheme, ...]]


def _of(*names: str) -> Loader:
    """Return a loader of schemes that need nothing of a chain, named `module.OBJECT`; modules are imported when first wanted."""

    @cache
    def loaded() -> tuple[Scheme, ...]:
        pairs = (name.split(".") for name in names)
        return tuple(getattr(import_module(f"{_PACKAGE}.{module}"), attribute) for module, attribute in pairs)

    return lambda _state: loaded()


def _asking(*names: str) -> Loader:
    """Return a loader of schemes that ask the chain which keys an account has."""

    @lru_cache(maxsize=4)
    def loaded(keys_of: KeysOf | None) -> tuple[Scheme, ...]:
        pairs = (name.split(".") for name in names)
        return tuple(getattr(import_module(f"{_PACKAGE}.{module}"), attribute).asking(keys_of) for module, attribute in pairs)

    return lambda state: loaded(state.keys_of)


def _ed25519(rule: str) -> Loader:
    return _asking(f"ed25519.{rule.upper()}", f"ed25519.{rule.upper()}_OKX")


def _bitcoin(_state: ChainState) -> tuple[Scheme, ...]:
    """Return everything that coins of the kind may be signed in; which of it fits a statement, `_bitcoin_schemes` knows."""
    return (*_bitcoin_schemes("bitcoin", several_keys=False, likely=""), *_bitcoin_schemes("", several_keys=True, likely=""))


@cache
def _bitcoin_schemes(coin: str, *, several_keys: bool, likely: str) -> tuple[Scheme, ...]:
    from assay_verify.ownership.bip322 import NETWORKS as WITH_BIP322  # noqa: PLC0415 (as above)
    from assay_verify.ownership.bip322 import Bip322  # noqa: PLC0415 (as above)
    from assay_verify.ownership.bitcoin_message import BitcoinMessage  # noqa: PLC0415 (as above)
    from assay_verify.ownership.bitcoin_multisig import BitcoinMultisig  # noqa: PLC0415 (as above)

    first: Scheme = BitcoinMultisig() if several_keys else BitcoinMessage()
    return _in_order((first, Bip322()) if coin in WITH_BIP322 else (first,), likely)


def _contracts(state: ChainState) -> tuple[Scheme, ...]:
    from assay_verify.ownership.evm_contracts import Eip1271  # noqa: PLC0415 (as above)

    return (Eip1271(state.contracts),) if state.contracts else ()


def _owners(state: ChainState) -> tuple[Scheme, ...]:
    from assay_verify.ownership.evm_contracts import EoaOwners  # noqa: PLC0415 (as above)

    return (EoaOwners(state.contracts),)


def _all(*loaders: Loader) -> Loader:
    return lambda state: tuple(scheme for loader in loaders for scheme in loader(state))


_NO_MULTISIG = frozenset({0, 44, 66, 130})
"""Digits of what may stand in a script's place for an address of one key: nothing, the redeem script of a nested one, a public key."""
_EVM = _of("evm.EIP191", "evm.EIP191_HASHED", "evm.EIP712", "evm.EIP191_ABI_HASHED")
_OKX = _of("native_ecdsa.OKX_ECDSA")
KINDS: dict[str, Loader] = {
    "bitcoin": _bitcoin,
    "evm": _all(_EVM, _contracts),
    "okc": _all(_OKX, _EVM, _contracts),
    "ethereum_beacon": _of("bls.BLS_HASHED", "bls.BLS"),
    "tron": _of("tron.TRON_V2", "tron.TRON_V1"),
    "filecoin": _all(_OKX, _EVM),
    "aelf": _OKX,
    "conflux": _OKX,
    "cosmos": _OKX,
    "icon": _OKX,
    "ripple": _all(_of("xrp.XRP_SECP256K1"), _ed25519("ripple"), _OKX),
    "eos": _asking("eos.EOS", "eos.EOS_OKX"),
    "solana": _ed25519("solana"),
    "aptos": _ed25519("aptos"),
    "sui": _ed25519("sui"),
    "ton": _ed25519("ton"),
    "polkadot": _ed25519("polkadot"),
    "cardano": _ed25519("cardano"),
    "near": _ed25519("near"),
    "stellar": _ed25519("stellar"),
    "hedera": _ed25519("hedera"),
    "starknet": _asking("starknet.STARKNET"),
}
"""The schemes of each kind."""

_WITH_OWNERS = frozenset({"evm", "okc", "ethereum_beacon"})

_TICKERS = {
    "evm": """
        ETH ETH-ARBITRUM ETH-OPTIMISM ETH-LINEA ETH_LINEA USDT-ERC20 USDT-POLY USDT-AVAXC USDT-ARBITRUM USDT-OPTIMISM USDC POLY-USDC
        POLY-USDC-3359 USDC-AVAXC USDC-ARBITRUM USDC-ARBITRUM-NATIVE USDC-OPTIMISM USDC-OPTIMISM-FF85 USDC-BASE ETC ETHW BABYDOGE-BSC SHIB UNI
        LINK BLUR MATIC PEOPLE OKB OPTIMISM ARBITRUM BASE POLYGON AVAXC BSC XLAYER OKB-X1 OKB-X1-ETH OKB-X1-USDT OKB-X1-USDC ZKSYNC2 CORE
        BERA UNICHAIN CFX_EVM STORY MERLIN_BTC FIL-EVM FEVM ETHEREUM BNB AVALANCHE ETHEREUM_CLASSIC LINEA SCROLL ZKSYNC CELO FILECOIN_EVM
    """,
    "okc": """
        OKT OKC OKB-OKC20 LTCK-OKC20 FILK-OKC20 USDC-OKC20 USDT-OKC20 DOTK-OKC20 UNIK-OKC20 LINKK-OKC20 ETHK-OKC20 SHIBK-KIP20 ETCK-KIP20
        XRPK-KIP20 BCHK-KIP20 BABYDOGE-KIP20 TRXK-KIP20
    """,
    "ethereum_beacon": "BETH",
    "tron": "TRX TRON USDT-TRC20 USDC-TRC",
    "filecoin": "FIL",
    "aelf": "ELF",
    "conflux": "CFX",
    "cosmos": "LUNC TERRA ATOM TIA CRO DORA DYDX INJ ONE",
    "icon": "ICX",
    "ripple": "XRP",
    "eos": "EOS VAULTA",
    "solana": "SOL USDC-SPL USDT-SPL",
    "aptos": "APTOS APTOS-FA APT USDT-APTOS USDC-APTOS",
    "sui": "SUI USDC-SUI",
    "ton": "TON TONCOIN-NEW USDT-TON",
    "polkadot": "DOT POLKADOT_ASSET_HUB",
    "cardano": "ADA",
    "near": "NEAR",
    "stellar": "XLM PI STELLAR",
    "hedera": "HBAR",
    "starknet": "STARKNET STARKNET-ETH",
}
"""Tickers of published lists and names of chains in the registry's catalogue, in capitals."""

_BITCOIN_COINS = {ticker: ticker for ticker in ("BTC", "BCH", "BCHN", "BSV", "LTC", "DOGE", "DASH")} | {
    "USDT-OMNI": "BTC",
    "BITCOINCASH": "bitcoin_cash",
    **{network.upper(): network for network in NETWORKS},
}
"""The same for the kind `bitcoin`, whose schemes differ by coin and network: what they call it."""

_KIND_OF = (
    {kind.upper(): kind for kind in KINDS}
    | {ticker: kind for kind, tickers in _TICKERS.items() for ticker in tickers.split()}
    | dict.fromkeys(_BITCOIN_COINS, "bitcoin")
)

UNSUPPORTED = {
    **dict.fromkeys(
        ("BTG", "BCHA", "BCD", "DGB", "QTUM", "RVN", "ZEC"), "its address versions and message header are not known to this verifier"
    ),
    **dict.fromkeys(("ALGO", "USDT-ALGO"), "the lists that have it say nothing of what is signed"),
    "ASSET-HUB": "lists do not say which of the two address prefixes they write",
    "FLOW": "an account is a number that the chain binds to keys",
    "IOTA": "its address is not compared with the key by whoever publishes it, and no rule is published",
    "LAT": "its addresses (Bech32 of the Ethereum account) are not known to this verifier",
    "SC": "its address is a hash over unlock conditions, which lists do not hold",
    "STX": "its addresses (c32check) are not known to this verifier",
}
"""Tickers of published lists that no scheme here can check, and why."""

_stateless: dict[tuple[str, bool, str], tuple[Scheme, ...]] = {}
_held_last: dict[str, str] = {}
"""By kind, the scheme that held last: lists come in runs of one form, so it is tried first. What is verified doesn't depend on it."""


def kind_of(coin: str, network: str = "") -> str:
    """Return the kind that a coin or a network is of; the network decides where it is known.

    Args:
        coin: A ticker of a published list, a chain of the catalogue, or a family of chains.
        network: The same; empty where only the coin is known.

    Raises:
        UnsupportedError: Neither is known, or no scheme can check it.
    """
    return _KIND_OF[_known(coin, network)]


def test_network(coin: str, network: str, address: str) -> str:
    """Return the test network that an address is of, where it is one of the kind `bitcoin` and of no main network; empty otherwise.

    Args:
        coin: As for `kind_of`.
        network: As for `kind_of`.
        address: Of the coin.
    """
    try:
        known = _known(coin, network)
    except UnsupportedError:
        return ""
    if _KIND_OF[known] != "bitcoin":
        return ""
    from assay_verify.ownership.bitcoin_message import COINS  # noqa: PLC0415 (imported when first wanted, as above)

    return test_network_of(COINS[_BITCOIN_COINS[known]].network, address)


def verify_for(statement: Statement, network: str = "", state: ChainState = NO_STATE) -> Verified:
    """Check a statement in the schemes of its kind.

    Args:
        statement: What is claimed.
        network: Ticker, chain or family, as for `kind_of`; by default the statement's coin. Test networks of the kind `bitcoin` have other
            addresses and go by the names that `assay_verify.addresses` has for them.
        state: What the chain may be asked, where it may.

    Raises:
        NotVerifiedError: It holds in none of them; the text has each one's reason.
        UnsupportedError: See `kind_of`; or it holds in none, and one of them could not judge.
    """
    known = _known(statement.coin, network)
    kind = _KIND_OF[known]
    if not any(statement.signatures):
        raise NotVerifiedError("there is no signature")
    likely = _held_last.get(kind, "")
    if kind == "bitcoin":
        if statement.coin != (coin := _BITCOIN_COINS[known]):
            statement = replace(statement, coin=coin)
        schemes = _bitcoin_schemes(coin, several_keys=len(statement.script) not in _NO_MULTISIG, likely=likely)
    else:
        schemes = _schemes(kind, state, likely, owners=bool(statement.owners))
    if statement.owners and kind not in _WITH_OWNERS:
        raise NotVerifiedError(f"owners are named, and chains of the kind {kind} have no contract wallets that they could own")
    verified = _first_to_hold(schemes, statement)
    _held_last[kind] = verified.scheme
    return verified


def _schemes(kind: str, state: ChainState, likely: str, *, owners: bool) -> tuple[Scheme, ...]:
    load = _owners if owners else KINDS[kind]
    if state is not NO_STATE:
        return _in_order(load(state), likely)
    # A list has hundreds of thousands of rows, and nothing about these changes between them.
    found = _stateless.get((kind, owners, likely))
    if found is None:
        found = _stateless[kind, owners, likely] = _in_order(load(NO_STATE), likely)
    return found


def _in_order(schemes: tuple[Scheme, ...], likely: str) -> tuple[Scheme, ...]:
    return tuple(sorted(schemes, key=lambda scheme: scheme.name != likely))


def _known(coin: str, network: str) -> str:
    if network in _KIND_OF:
        return network
    for name in (network.upper(), coin.upper()):
        if name in UNSUPPORTED:
            raise UnsupportedError(f"{name}: {UNSUPPORTED[name]}")
        if name in _KIND_OF:
            return name
    raise UnsupportedError(f"{network or coin!r} is no coin, chain or network that this verifier has a signature scheme for")


def _first_to_hold(schemes: tuple[Scheme, ...], statement: Statement) -> Verified:
    refused: list[str] = []
    unsupported: list[str] = []
    for scheme in schemes:
        try:
            return scheme.verify(statement)
        except NotVerifiedError as error:
            refused.append(f"{scheme.name}: {error}")
        except UnsupportedError as error:
            unsupported.append(f"{scheme.name}: {error}")
    if unsupported:
        raise UnsupportedError("; ".join((*unsupported, *refused)))
    raise NotVerifiedError("; ".join(refused))
