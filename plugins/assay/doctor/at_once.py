"""Several things looked at at the same time, none for longer than it is given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def at_once(looks: Sequence[Callable[[], T]], *, seconds: float) -> Iterator[T | None]:
    """Do all of it at once and yield what each returned, in order; None for one that has not ended in time.

    Threads of a pool would be waited for at the end of the program, however long they take; these are not.

    Args:
        looks: What is done, each in a thread of its own.
        seconds: From now on, for all of them.
    """
    end = time.monotonic() + seconds
    futures: list[Future[T]] = [Future() for _ in looks]
    for look, future in zip(looks, futures, strict=True):
        threading.Thread(target=_keep, args=(look, future), daemon=True).start()
    for future in futures:
        try:
            yield future.result(timeout=max(0.0, end - time.monotonic()))
        except TimeoutError:
            if future.done():  # it ended in time, by such an error of its own
                raise
            yield None


def _keep(look: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(look())
    except BaseException as error:  # noqa: BLE001  (raised again where the result is asked for)
        future.set_exception(error)
