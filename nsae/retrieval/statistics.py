"""What an index holds, in numbers."""

from __future__ import annotations

import numpy as np

from nsae.codes import Codes


def statistics(codes: Codes) -> dict[str, int | float]:
    """Of the codes of an index; see ``CodeIndex.stats``."""
    frequency = np.bincount(codes.units, minlength=codes.n_units)  # (h,)
    n = max(len(codes), 1)
    return {
        "rows": len(codes),
        "units": codes.n_units,
        "nonzeros": len(codes.units),
        "bytes": codes.nbytes,
        "active_units_a_row": len(codes.units) / n,
        "zero_codes": int(np.count_nonzero(codes.counts == 0)),
        "dead_units": int(np.count_nonzero(frequency == 0)),
        "most_common_unit_share": float(frequency.max() / n),
    }
