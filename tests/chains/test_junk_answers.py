"""Every family against its own test's server whose answers have one value replaced by junk: an error that says so, or the very balances.

What is told must be told in the form that the API's documentation gives it; an empty object in the place of a list, a blank before a number or
another script's digits are no such form, and none of them may become a zero or another amount.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from assay.chains.interface import Balance
from assay.errors import AssayError
from tests.chains import (
    test_aelf,
    test_aptos,
    test_eos,
    test_ethereum_beacon,
    test_filecoin,
    test_polkadot,
    test_ripple,
    test_solana,
    test_ton,
    test_tron,
)
from tests.chains.scripted_server import Answer, Handler, Request, ScriptedServer, altered, json_rpc

JUNK: list[Any] = [{}, [], "", " 1", "1_000", "１２", "+5", "-1", "0x", "0b1", True, -1, 1.5, [None], {"": 0}, "null"]
TRIES = 60
DECODER = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True)
class Family:
    """A test's honest server, and what is read from one at an address."""

    server: Handler
    read: Callable[[str], list[Balance]]


def families() -> dict[str, Family]:
    eos, aelf, filecoin, beacon = test_eos.Node(), test_aelf.Node(), test_filecoin.Node(), test_ethereum_beacon.Node()
    aelf_wallets = [test_aelf.EMPTY, test_aelf.RICH]
    actors = [test_filecoin.MINER, test_filecoin.SECP, test_filecoin.UNKNOWN]
    validators = [test_ethereum_beacon.OTHER, test_ethereum_beacon.key(3), "validator:4", test_ethereum_beacon.OWNER]
    return {
        "aelf": Family(aelf, lambda url: test_aelf.ask(url, test_aelf.read_all(aelf, aelf_wallets))),
        "aptos": Family(
            test_aptos.Node(), lambda url: test_aptos.ask_url(f"{url}/v1", test_aptos.reading(test_aptos.RICH, test_aptos.SAVER))
        ),
        "eos": Family(eos, lambda url: test_eos.ask(url, test_eos.read_all(eos, [test_eos.FULL, test_eos.BARE]))),
        "ethereum_beacon": Family(beacon, lambda url: test_ethereum_beacon.ask(url, test_ethereum_beacon.read_at(beacon, validators))),
        "filecoin": Family(json_rpc(filecoin), lambda url: test_filecoin.ask(url, test_filecoin.read_at(filecoin, actors))),
        "polkadot": Family(
            json_rpc(test_polkadot.Node()), lambda url: test_polkadot.ask_url(url, test_polkadot.reading(test_polkadot.RICH))
        ),
        "ripple": Family(test_ripple.node_of(), lambda url: test_ripple.ask(url, test_ripple.read)),
        "solana": Family(json_rpc(test_solana.node_of()), lambda url: test_solana.ask(url, test_solana.read)),
        "ton": Family(test_ton.Server(), lambda url: test_ton.ask_url(f"{url}/api/v2", test_ton.reading(test_ton.RICH, test_ton.POOR))),
        "tron": Family(test_tron.node_of(), lambda url: test_tron.ask(url, test_tron.read)),
    }


def values(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of each value in a JSON document."""
    yield path
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, item in items:
        yield from values(item, (*path, key))


def at(body: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        body = body[key]
    return body


def with_junk(body: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    key, *rest = path
    if isinstance(body, dict):
        return body | {key: with_junk(body[key], tuple(rest), junk)}
    return [with_junk(item, tuple(rest), junk) if place == key else item for place, item in enumerate(body)]


def facts(balances: list[Balance]) -> list[tuple[object, ...]]:
    return [(item.address, item.asset, item.amount, item.read_height, item.read_time) for item in balances]


class Spoiled:
    """A server that replaces one value of one of its answers.

    Args:
        server: The honest one.
        which: Number of the answer, from 0 on.
        draw: Chooses the value and what takes its place.
    """

    def __init__(self, server: Handler, which: int, draw: random.Random) -> None:
        self._left = which
        self._draw = draw
        self.what = "nothing was replaced"
        self.handler = altered(server, self._answer)

    def _answer(self, _: Request, answer: Answer) -> Any:
        self._left -= 1
        if self._left != -1:
            return answer
        body = DECODER.decode(answer.content)
        path = self._draw.choice(list(values(body)))
        # In the APIs an empty list, or an object without a member, may well say that there is nothing: only one in the place of something else is junk.
        junk = self._draw.choice([junk for junk in JUNK if type(junk) is not type(at(body, path)) or isinstance(junk, str)])
        self.what = f"{junk!r} at {path} of {str(body)[:300]}"
        return answer.status, with_junk(body, path, junk)


@pytest.mark.parametrize("name", families())
def test_junk_in_an_answer_is_an_error_and_never_another_balance(name: str) -> None:
    family = families()[name]
    draw = random.Random(name)
    with ScriptedServer(family.server) as server:
        honest = facts(family.read(server.url))
        questions = len(server.requests)
    refused = 0
    for _ in range(TRIES):
        spoiled = Spoiled(family.server, draw.randrange(questions), draw)
        with ScriptedServer(spoiled.handler) as server:
            try:
                found = facts(family.read(server.url))
            except AssayError:
                refused += 1
            except Exception as error:
                raise AssertionError(spoiled.what) from error
            else:
                assert found == honest, spoiled.what
    assert refused > TRIES // 8
