"""Ports for servers that start side by side."""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sandbox.processes import HOST, free_port, listens


def test_ports_that_are_asked_for_at_once_are_different_ones() -> None:
    with ThreadPoolExecutor(8) as threads:
        ports = list(threads.map(lambda _: free_port(), range(200)))
    assert len(set(ports)) == 200


def test_nothing_listens_on_a_free_port_until_a_server_does() -> None:
    port = free_port()
    assert not listens(port)
    with HTTPServer((HOST, port), BaseHTTPRequestHandler):
        assert listens(port)
    assert not listens(port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a port for a server that comes later")
def test_a_free_port_is_kept_for_the_server_it_was_asked_for() -> None:
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, port))
