"""What is read of an index by those who describe it, so that they need not import it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nsae.codes import Codes


class StoredCodes(Protocol):
    """Codes with ids, as a ``CodeIndex`` has them."""

    n_units: int
    metric: str

    def codes_and_ids(self) -> tuple[Codes, Sequence[int | str]]:
        """Return all codes and their ids, by row, both of one moment."""
        ...
