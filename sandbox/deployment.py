"""Everything the sandbox runs for Assay to read, as one thing to start and stop: nodes, ledger, prices, and the configuration that names them.

The configuration is what a custodian would write: the shipped registry with the networks and sources of the sandbox, wallets with the
addresses that the nodes derived, and one Airflow Connection a source. Each deployment has a folder and ports of its own.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import tomli_w

from sandbox import accounts, litecoin
from sandbox.bitcoin import BitcoinNode
from sandbox.bitcoin_blocks import BITCOIN, LITECOIN, mine
from sandbox.evm import EvmNode
from sandbox.evm_accounts import TOKEN_STORAGE
from sandbox.ledger import ledger
from sandbox.movement import WALLETS, Request
from sandbox.prices import write_prices
from sandbox.processes import StartError
from sandbox.scenario import FIRST, SECOND, WalletPlan, wallets
from sandbox.signatures import sign

ROOT = Path(__file__).resolve().parent.parent
COPIES = ("a", "b")
"""Each chain has two independent nodes, so that a quorum is real."""

_SECRET = hashlib.sha256(b"assay sandbox, users' keys").hexdigest()
"""A secret that everybody knows: user keys, leaves and their order are the same in every run, so the published tree is too."""

_ENTITY, _SERIES = "Sandbox Custodian", "sandbox"
_NETWORKS = {network.chain: network for network in (BITCOIN, LITECOIN)}


@dataclass(frozen=True)
class Source:
    """A node as the configuration sees it."""

    chain: str
    name: str
    kind: str
    url: str


class Deployment:
    """The running sandbox; a context manager.

    Args:
        folder: Its own folder, made anew.
        lake: Where the pipeline's files go.
        say: Receives one line for each thing that a person should know.

    Attributes:
        config: The written configuration file.
        environment: Airflow Connections of all sources, as environment variables.
        sources: All nodes.
        ledger_owner_uri: The exchange's own way into its ledger, which Assay never gets.
    """

    def __init__(self, folder: Path, *, lake: Path, say: Callable[[str], None] = print) -> None:
        self.folder = folder
        self.config = folder / "assay.toml"
        self.environment: dict[str, str] = {}
        self.sources: list[Source] = []
        self.ledger_owner_uri = ""
        self._lake = lake
        self._say = say
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def _start(self) -> None:
        with_litecoin = litecoin.find_litecoind() is not None
        if not with_litecoin:
            self._say("litecoind is not installed, so this sandbox leaves Litecoin out (Debian: apt install litecoind)")
        plans = wallets(with_litecoin)
        chains = sorted({plan.chain for plan in plans})
        nodes: dict[str, Any] = {}
        with ThreadPoolExecutor() as pool:
            books = pool.submit(self._enter, ledger(self.folder / "ledger", accounts.ledger(with_litecoin)))
            started = {
                f"{chain}_{copy}": pool.submit(self._enter, node)
                for chain in chains
                for copy, node in zip(COPIES, self._nodes(chain, [plan for plan in plans if plan.chain == chain]), strict=True)
            }
            nodes = {name: future.result() for name, future in started.items()}
            running = books.result()
            self.ledger_owner_uri = running.owner_uri
        for name, node in nodes.items():
            chain = name.rpartition("_")[0]
            kind, url = ("electrum", node.electrum_url) if chain in _NETWORKS else ("jsonrpc", node.url)
            self.sources.append(Source(chain, name, kind, url))
        addresses = {chain: nodes[f"{chain}_a"].addresses for chain in chains}
        self._write_registry(plans, addresses)
        self._write_config(running.uri, with_litecoin=with_litecoin)
        self._prove_ownership(plans, addresses, {chain: nodes[f"{chain}_a"] for chain in WALLETS})

    def _enter(self, node: AbstractContextManager[Any]) -> Any:
        # ExitStack.push is a list append, so several threads may call it.
        entered = node.__enter__()
        self._stack.push(node)
        return entered

    def _nodes(self, chain: str, plans: list[WalletPlan]) -> Iterator[AbstractContextManager[Any]]:
        """Give a chain's nodes, not started; what they replay is planned once."""
        folders = [self.folder / f"{chain}_{copy}" for copy in COPIES]
        if chain in _NETWORKS:
            mined = mine(_NETWORKS[chain], plans, moments=(FIRST, SECOND), request=_request(chain))
            kind = BitcoinNode if chain == "bitcoin" else litecoin.LitecoinNode
            yield from (kind(folder=folder, mined=mined) for folder in folders)
            return
        facts = _known("chains")[chain]
        token = facts["tokens"]["USDT"]["contract"]
        yield from (
            EvmNode(folder=folder, chain=chain, chain_id=facts["chain_id"], plans=plans, token_contract=token, request=_request(chain))
            for folder in folders
        )

    def _write_registry(self, plans: list[WalletPlan], addresses: dict[str, dict[int, str]]) -> None:
        registry = self.folder / "registry"
        registry.mkdir()
        known = _known("chains")
        chains: dict[str, Any] = {}
        for chain in addresses:
            facts = known[chain]
            if network := _NETWORKS.get(chain):
                facts |= {"network": network.network, "genesis": network.genesis, "confirmations": 6}
            else:
                # The token's code is the sandbox's own, and no other token stands there.
                facts |= {"proofs": True, "tokens": {"USDT": facts["tokens"]["USDT"] | TOKEN_STORAGE | {"slot_note": ""}}}
            named = [
                {"name": item.name, "kind": item.kind, "connection": f"assay_{item.name}"} for item in self.sources if item.chain == chain
            ]
            # The sandbox's clocks tick twice a day, so its snapshot blocks may lie an hour before the moment.
            chains[chain] = facts | {"max_distance_seconds": 3600, "sources": named}
        known_assets = _known("assets")
        assets = {symbol: known_assets[symbol] | stated for symbol, stated in _shipped("assets").items()}
        if "litecoin" in addresses:
            assets["LTC"] = known_assets["LTC"]
        (registry / "chains.toml").write_text(tomli_w.dumps(chains))
        (registry / "assets.toml").write_text(tomli_w.dumps(assets))
        with (registry / "wallets.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["chain", "address", "custody", "encumbrance", "label"])
            for plan in plans:
                label = f"{plan.chain} {plan.kind} {plan.index}"
                writer.writerow([plan.chain, addresses[plan.chain][plan.index], plan.custody, plan.encumbrance, label])

    def _write_config(self, ledger_uri: str, *, with_litecoin: bool) -> None:
        prices = write_prices(self.folder / "prices", litecoin=with_litecoin)
        config = {
            "series": _SERIES,
            "entity": _ENTITY,
            "lake": os.path.relpath(self._lake, self.folder),
            "registry": "registry",
            "schedule": "0 16 17 * *",
            "chunk_size": 120,
            "memory_limit": "1GB",
            "notes": ["This publication comes from a sandbox: its chains run on one machine and its users are invented."],
            "ledger": {
                "kind": "postgres",
                "connection": "assay_ledger",
                "pseudonym_connection": "assay_pseudonym",
                "schema": "public",
                "account_types": ["spot", "funding", "earn", "margin", "loan"],
                "excluded": [],
            },
            "prices": {
                "currency": "USD",
                "max_age_seconds": 3600,
                "tolerance_bps": 100,
                "sources": [{"name": path.stem, "path": str(path.relative_to(self.folder))} for path in prices],
            },
            "sign_off": {"required": False},
        }
        self.config.write_text(tomli_w.dumps(config))
        self.environment = {f"AIRFLOW_CONN_ASSAY_{item.name.upper()}": _connection(item.url) for item in self.sources}
        self.environment["AIRFLOW_CONN_ASSAY_LEDGER"] = ledger_uri
        self.environment["AIRFLOW_CONN_ASSAY_PSEUDONYM"] = json.dumps({"conn_type": "generic", "password": _SECRET})
        self.environment["ASSAY_CONFIG"] = str(self.config)
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(self.environment.items())]
        # For a terminal: `. .sandbox/run/environment.sh` gives `assay proof` its secret, and `assay registry challenge` the running nodes.
        connections = self.folder / "environment.sh"
        connections.touch(mode=0o600)
        connections.write_text("".join(lines))

    def _prove_ownership(self, plans: list[WalletPlan], addresses: dict[str, dict[int, str]], moving: Mapping[str, Any]) -> None:
        """Do a custodian's part for each moment: write the texts, have the keepers sign them, take the signatures back."""
        from assay.config import Settings
        from assay.ownership.challenge import write_challenges
        from assay.ownership.store import import_file

        settings = Settings.load(self.config)
        urls = {source.name: source.url for source in self.sources}
        wallets_moving = [(chain, addresses[chain][index]) for chain, index in WALLETS.items()]
        for moment in (FIRST, SECOND):
            folder = self.folder / "challenges" / f"{moment:%Y-%m-%d}"
            write_challenges(settings, moment, folder, connect=lambda source, _: urls[source.name], moving=wallets_moving)
            signed = folder.with_suffix(".csv")
            sign(folder, signed, plans, addresses, {chain: node.movements[moment] for chain, node in moving.items()})
            if refused := [item for item in import_file(settings, moment, signed) if not item.good]:
                raise StartError(f"{signed} line {refused[0].line}: {refused[0].words}")


def _request(chain: str) -> Request | None:
    """Return what a chain's wallet that cannot sign is asked for."""
    if chain not in WALLETS:
        return None
    return Request(entity=_ENTITY, series=_SERIES, chain=chain, index=WALLETS[chain])


def _known(name: str) -> dict[str, Any]:
    from assay.catalogue import FOLDER

    return tomllib.loads((FOLDER / f"{name}.toml").read_text())


def _shipped(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / "data" / "registry" / f"{name}.toml").read_text())


def _connection(url: str) -> str:
    parts = urlsplit(url)
    return json.dumps({"conn_type": "generic", "schema": parts.scheme, "host": parts.hostname, "port": parts.port})
