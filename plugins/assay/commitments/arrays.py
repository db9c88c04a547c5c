"""Names of the arrays that balances and leaves are handled in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
"""Amounts, high and low word in the last dimension; or random 64-bit numbers."""

Counts = npt.NDArray[np.int64]
Levels = npt.NDArray[np.int8]
Bytes = npt.NDArray[np.uint8]
