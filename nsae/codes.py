"""Codes: sparse codes as rows of (unit, value) pairs, what makes them valid, and their statistics.

The three arrays are those of SciPy's ``csr_matrix``.  A batch of sparse data is ``Codes`` too, with features in
the place of units: the equations multiply it and subtract it as they do an array, at the cost of its nonzeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nsae.tables import counted, first_rows, html_table, size_text

MAX_NORM = 1e19  # With a larger norm, a distance in float32 could be infinite.
SHOWN_ROWS, SHOWN_UNITS = 3, 5  # in a prompt; a notebook shows twice as many rows


class CSR(Protocol):
    """Any sparse matrix by rows that has these arrays, such as SciPy's ``csr_matrix`` and ``csr_array``."""

    indptr: Any
    indices: Any
    data: Any
    shape: Any


def check_not_masked(X: object) -> None:
    """Raise ValueError if an entry of ``X`` is masked: what is below the mask would be read.

    ``X`` is anything; of numpy.ma arrays, and lists of them, the mask is looked at.
    """
    parts = X if isinstance(X, (list, tuple)) else [X]
    masked = sum(np.count_nonzero(part.mask) for part in parts if isinstance(part, np.ma.MaskedArray))
    if masked:
        raise ValueError(
            f"{masked} entries are masked, and all entries are read. Give them values first, such as "
            "X.filled(0), or leave their rows out: np.ma.compress_rows(X)."
        )


def nonzero_entries(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns of the entries of Z (n, h) that are not 0, (nnz,) each, row by row.

    This is ``np.nonzero``, which takes several times as long with floats in two dimensions.
    """
    rows, columns = np.divmod(np.flatnonzero(Z != 0), max(Z.shape[1], 1))
    return rows, columns


@dataclass(frozen=True, eq=False)
class Codes:
    """n sparse codes over h units.

    ``X @ A`` and ``A @ X`` are products with arrays, and arrays themselves, as are ``A - X`` and ``X - A``;
    ``A * X`` is ``Codes``, with A read where X is not 0.

    Attributes
    ----------
    indptr : (n + 1,) int64
        Row i owns the entries ``indptr[i]:indptr[i + 1]``.
    units : (nnz,) int32
        Unit numbers in [0, n_units), strictly ascending within a row.  This is not checked here.  With a unit
        twice in a row, results would disagree; ``nsae.interchange.from_scipy`` adds such entries.
    values : (nnz,) float32 or float64
        Their activations; zeros are not stored.
    n_units : int
        h, the width of the dense code.
    made_by : str, optional
        The ``fingerprint`` of the encoder that made them.  Rows that are chosen, kept or put together have it
        still, results of arithmetic do not.
    """

    indptr: np.ndarray
    units: np.ndarray
    values: np.ndarray
    n_units: int
    made_by: str | None = None

    __array_ufunc__ = None  # NumPy then leaves A @ X, A - X and A * X to the methods below.

    def __post_init__(self) -> None:
        if self.indptr.ndim != 1 or len(self.indptr) == 0 or self.indptr[0] != 0:
            raise ValueError(f"indptr must be 1-D and start at 0, got shape {self.indptr.shape}.")
        if len(self.units) != len(self.values) or self.indptr[-1] != len(self.units):
            raise ValueError(
                f"{len(self.units)} units, {len(self.values)} values and indptr[-1]={self.indptr[-1]} "
                "must be the same number."
            )

    @classmethod
    def from_dense(cls, Z: np.ndarray) -> Codes:
        """Return the nonzero entries of dense codes Z (n, h), or of one code (h,); ValueError if some are masked."""
        check_not_masked(Z)
        Z = np.atleast_2d(Z)
        rows, units = nonzero_entries(Z)  # (nnz,) each
        indptr = np.zeros(len(Z) + 1, np.int64)
        np.cumsum(np.bincount(rows, minlength=len(Z)), out=indptr[1:])
        return cls(indptr, units.astype(np.int32), Z[rows, units], Z.shape[1])

    @classmethod
    def concatenate(cls, parts: Iterable[Codes]) -> Codes:
        """Return the rows of all ``parts`` below each other.  The ``n_units`` of these Codes must be equal."""
        parts = list(parts)
        widths, made_by = {part.n_units for part in parts}, {part.made_by for part in parts if len(part)}
        if len(widths) != 1:
            raise ValueError(f"Codes of one width are expected, got n_units in {sorted(widths)}.")
        counts = np.concatenate([part.counts for part in parts])
        return cls(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            np.concatenate([part.units for part in parts]),
            np.concatenate([part.values for part in parts]),
            widths.pop(),
            made_by.pop() if len(made_by) == 1 else None,
        )

    def to_dense(self) -> np.ndarray:
        """Return dense codes Z (n, h), in the dtype of ``values``."""
        Z = np.zeros((len(self), self.n_units), self.values.dtype)  # (n, h)
        Z[self.row_of_entry(), self.units] = self.values
        return Z

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """(n, h): the number of codes and of units."""
        return len(self), self.n_units

    @property
    def counts(self) -> np.ndarray:
        """(n,) int64: how many units are active in each row (its L0 norm)."""
        return self.indptr[1:] - self.indptr[:-1]

    @property
    def nbytes(self) -> int:
        """Bytes of the three arrays."""
        return self.indptr.nbytes + self.units.nbytes + self.values.nbytes

    def __repr__(self) -> str:
        rows = [f"row {i}: {self._strongest(i)}" for i in range(min(SHOWN_ROWS, len(self)))]
        return "\n".join([self._summary(), *first_rows(rows, len(self), "rows")])

    def _repr_html_(self) -> str:
        """Return a table of the first rows, for notebooks."""
        rows = range(min(2 * SHOWN_ROWS, len(self)))
        cells = [(i, len(self.row(i)[0]), self._strongest(i)) for i in rows]
        return html_table(self._summary(), ("row", "active", "strongest units and their values"), cells)

    def _summary(self) -> str:
        n, h = self.shape
        active, size = f"{len(self.units) / max(n, 1):.3g} active a row", size_text(self.nbytes)
        return f"Codes: {counted(n, 'row')}, {counted(h, 'unit')}, {active}, {self.values.dtype}, {size}"

    def _strongest(self, i: int) -> str:
        """Return the units of row i with the largest values, as text."""
        units, values = self.row(i)
        values = values.astype(np.float64)  # Bool has no digits, and −z of an unsigned z is positive.
        order = np.argsort(-np.abs(values), kind="stable")[:SHOWN_UNITS]
        shown = [f"{units[j]} ({values[j]:.3g})" for j in order]
        return ", ".join(shown + ["…"] * (len(units) > SHOWN_UNITS)) or "no unit"

    def row_of_entry(self) -> np.ndarray:
        """Return the row that each entry belongs to, (nnz,) int64."""
        return np.repeat(np.arange(len(self)), self.counts)

    def row(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (units, values) of row i."""
        entries = slice(self.indptr[i], self.indptr[i + 1])
        return self.units[entries], self.values[entries]

    def __getitem__(self, rows: int | slice | np.ndarray | list[int]) -> Codes:
        """Return the chosen rows as ``Codes``.  ``rows`` is a number, a slice, row numbers or a mask.

        A slice without a step shares its entries with these Codes.

        Raises
        ------
        IndexError
            A row is not there, or something other than rows is asked for, such as columns.
        """
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                indptr = self.indptr[start : max(start, stop) + 1]
                run = slice(indptr[0], indptr[-1])
                return Codes(
                    indptr - indptr[0], self.units[run], self.values[run], self.n_units, self.made_by
                )
            rows = np.arange(start, stop, step)
        chosen = self._row_numbers(rows)
        first = self.indptr[chosen]
        counts = self.indptr[chosen + 1] - first
        indptr = np.zeros(len(chosen) + 1, np.int64)
        np.cumsum(counts, out=indptr[1:])
        # The entries of a row lie side by side: the first one's position, then one more for each.
        entries = np.repeat(first - indptr[:-1], counts) + np.arange(indptr[-1])
        return Codes(indptr, self.units[entries], self.values[entries], self.n_units, self.made_by)

    def _row_numbers(self, rows: int | np.ndarray | list[int]) -> np.ndarray:
        """Return the chosen rows as numbers from 0; a number of a row that is not there is an IndexError."""
        chosen, n = np.atleast_1d(() if isinstance(rows, tuple) else np.asarray(rows)), len(self)
        if isinstance(rows, tuple) or chosen.ndim > 1 or (chosen.size and chosen.dtype.kind not in "biu"):
            raise IndexError(
                "Of Codes rows alone are picked, by a number, a slice, a 1-D array of numbers or a mask; got "
                f"{type(rows).__name__}. For columns: codes.to_dense()[rows, columns]."
            )
        if chosen.dtype.kind == "b":
            if chosen.shape != (n,):
                raise IndexError(f"A mask of {n} rows is expected, got one of shape {chosen.shape}.")
            return np.flatnonzero(chosen)
        chosen = chosen.astype(np.int64, casting="same_kind") if chosen.size else np.zeros(0, np.int64)
        outside = chosen[(chosen < -n) | (chosen >= n)]
        if outside.size:
            raise IndexError(f"A row from 0 to {n - 1} is expected, got {outside[0]}.")
        return np.where(chosen < 0, chosen + n, chosen)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (units, values) of each row."""
        return (self.row(i) for i in range(len(self)))

    # ---- a batch of data in the equations

    @property
    def dtype(self) -> np.dtype:
        """Of ``values``."""
        return self.values.dtype

    @property
    def size(self) -> int:
        """How many entries are stored."""
        return len(self.values)

    @property
    def T(self) -> Codes:
        """The transpose: a row for each unit, with the numbers and values of the codes that it is active in."""
        order = np.argsort(self.units, kind="stable")  # (nnz,): by unit, and within a unit by row
        counts = np.bincount(self.units, minlength=self.n_units)  # (h,)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)  # (h + 1,)
        return Codes(indptr, self.row_of_entry()[order].astype(np.int32), self.values[order], len(self))

    def astype(self, dtype: npt.DTypeLike, *, copy: bool = True) -> Codes:
        """Return the same codes with values in ``dtype``; without ``copy`` they may share their memory.

        Values that are too small for ``dtype``, which become 0, are left out.
        """
        values = self.values.astype(dtype, copy=copy)
        codes = Codes(self.indptr, self.units, values, self.n_units, self.made_by)
        return codes if values.dtype == self.values.dtype else without_zeros(codes)

    def sum(self, axis: int | None = None, dtype: npt.DTypeLike = np.float64, out: None = None) -> Any:
        """Return the sums of columns (h,), ``axis`` 0 or −2, of rows (n,), 1 or −1, or of all entries, None.

        They are added in float64, and given in ``dtype``.  ``out`` must be None: ``np.sum(codes)`` passes it.
        """
        if out is not None or axis not in (None, 0, 1, -1, -2):
            raise ValueError(f"Codes have the axes 0 and 1, got axis={axis!r}; out must be None.")
        if axis is None:
            return self.values.sum(dtype=np.float64).astype(dtype)
        groups, n = (self.units, self.n_units) if axis in (0, -2) else (self.row_of_entry(), len(self))
        return np.bincount(groups, weights=self.values, minlength=n).astype(dtype)

    def square(self) -> Codes:
        """Return the squares of all values, in float64."""
        return Codes(self.indptr, self.units, self.values.astype(np.float64) ** 2, self.n_units)

    def __matmul__(self, A: npt.ArrayLike) -> np.ndarray:
        """Return X A (n, m) for A (h, m): the row of x is the sum of the rows of A at its nonzeros, times these.

        Products are added in the order of units, so that no row depends on the rows beside it, and a compiled
        loop finds the same bits.
        """
        A = _array_beside(A)
        if A.shape[:1] != (self.n_units,):
            raise ValueError(f"The shapes of a product do not fit: {self.shape} and {A.shape}.")
        used, place = np.unique(self.units, return_inverse=True)
        A_used = A[used]  # (used, m): if A is a transpose, its columns are brought together once
        Y = np.zeros((len(self), *A.shape[1:]), np.result_type(self.values, A))  # (n, m)
        for i in np.flatnonzero(self.counts):
            entries = slice(self.indptr[i], self.indptr[i + 1])
            products = A_used[place[entries]]  # (nonzeros of the row, m)
            products = products * self.values[entries].reshape(-1, *[1] * (A.ndim - 1))
            # NumPy adds the numbers of a single column in another order.
            Y[i] = products.sum(axis=0) if Y[i].size != 1 else np.add.accumulate(products, axis=0)[-1]
        return Y

    def __rmatmul__(self, A: npt.ArrayLike) -> np.ndarray:
        """Return A X (m, h) for A (m, n): the transpose of Xᵀ Aᵀ."""
        return np.ascontiguousarray((self.T @ _array_beside(A).T).T)

    def __rsub__(self, A: npt.ArrayLike) -> np.ndarray:
        """Return A − X (n, h) for an array or number A."""
        array = _array_beside(A)
        dtype = np.result_type(A if np.isscalar(A) else array, self.values)  # A number of Python has none.
        D = np.array(np.broadcast_to(array, self.shape), dtype)  # (n, h)
        D[self.row_of_entry(), self.units] -= self.values
        return D

    def __sub__(self, A: npt.ArrayLike) -> np.ndarray:
        """Return X − A (n, h) for an array or number A."""
        D = self.__rsub__(A)
        return np.negative(D, out=D)

    def __mul__(self, A: npt.ArrayLike) -> Codes:
        """Return ``Codes`` of the products with the entries of an array or number A."""
        factors = np.broadcast_to(_array_beside(A), self.shape)[self.row_of_entry(), self.units]  # (nnz,)
        return Codes(self.indptr, self.units, self.values * factors, self.n_units)

    __rmul__ = __mul__

    def keep(self, k: int) -> Codes:
        """Return the k largest values of each row; of equal values, that of the lowest unit comes first.

        Of a k-sparse autoencoder, the result equals its codes at a smaller k.  Codes of images have the same
        units, with the threshold (36) of the larger k.
        """
        if k < 1:
            raise ValueError(f"keep={k} is expected to be at least 1.")
        rows = self.row_of_entry()
        # Sort by row, then by value from the largest, then by unit: the last key of lexsort counts most.
        order = np.lexsort((self.units, -self.values, rows))  # (nnz,)
        rank = np.arange(len(order)) - self.indptr[rows]  # (nnz,), the rank of an entry within its row
        entries = np.sort(order[rank < k])
        indptr = np.concatenate([[0], np.cumsum(np.minimum(self.counts, k))]).astype(np.int64)
        return Codes(indptr, self.units[entries], self.values[entries], self.n_units, self.made_by)

    def norms(self) -> np.ndarray:
        """Return the Euclidean norm of each row, (n,) float64.  Squares are added in the order of units."""
        squares = self.values.astype(np.float64) ** 2
        return np.sqrt(np.bincount(self.row_of_entry(), weights=squares, minlength=len(self)))


def _array_beside(A: object) -> np.ndarray:
    """Return what stands beside Codes in an operator as an array; TypeError if it is sparse, or no numbers."""
    array = None if isinstance(A, Codes) else np.asarray(A)
    if array is None or array.dtype.kind not in "biufc":
        raise TypeError(
            f"Beside Codes an operator takes an array or a number, got {type(A).__name__}. Make one side dense: "
            "codes.to_dense(), or toarray() of a matrix of SciPy."
        )
    return array


Data = np.ndarray | Codes | CSR  # what an autoencoder takes: rows (n, d), dense or sparse


def one_model(made_by: Iterable[str | None]) -> str | None:
    """Return the one fingerprint ``made_by`` of all codes that say it; None where none does.

    Raises
    ------
    ValueError
        Two are known, and differ.
    """
    known = set(made_by) - {None}
    if len(known) > 1:
        raise ValueError(
            f"Codes of one model were expected, and two models made them ({' and '.join(sorted(map(str, known)))}). "
            "Encode with the model that the index was made with; dataclasses.replace(codes, made_by=None) takes its "
            "name off codes that you know to fit."
        )
    return known.pop() if known else None


def without_zeros(codes: Codes) -> Codes:
    """Return ``codes`` without the entries whose value is 0; the same ``Codes`` if there are none."""
    if codes.values.all():
        return codes
    stored = codes.values != 0  # (nnz,)
    indptr = np.zeros(len(codes) + 1, np.int64)
    np.cumsum(np.bincount(codes.row_of_entry()[stored], minlength=len(codes)), out=indptr[1:])
    return Codes(indptr, codes.units[stored], codes.values[stored], codes.n_units, codes.made_by)


def checked_codes(codes: Codes | np.ndarray, n_units: int) -> Codes:
    """Return a copy of codes that can be searched: float32, finite, without zeros, units ascending.

    Parameters
    ----------
    codes : Codes or (n, h) array
    n_units : int
        The number of units that they must have.

    Raises
    ------
    ValueError
        If the codes have another width, units out of range or out of order, or values that are NaN,
        infinite or so large that distances could be; or if entries are masked.
    """
    check_not_masked([codes.indptr, codes.units, codes.values] if isinstance(codes, Codes) else codes)
    if not isinstance(codes, Codes):
        Z = np.asarray(codes)
        if Z.ndim not in (1, 2) or Z.dtype.kind not in "fiub":
            raise ValueError(f"Codes or an array (n, h) are expected, got shape {Z.shape} of {Z.dtype}.")
        codes = Codes.from_dense(Z)
    if codes.n_units != n_units:
        raise ValueError(
            f"The codes have {codes.n_units} units, the index has {n_units}. "
            "Encode with the model that the index was made with."
        )
    if (codes.counts < 0).any():
        raise ValueError("indptr must not decrease.")
    rows, units = codes.row_of_entry(), codes.units  # (nnz,), (nnz,)
    outside = (units < 0) | (units >= n_units)
    if outside.any():
        raise ValueError(f"Units from 0 to {n_units - 1} are expected, got {units[outside][0]}.")
    disorder = (rows[1:] == rows[:-1]) & (units[1:] <= units[:-1])
    if disorder.any():
        raise ValueError(
            f"Units must ascend within a row, those of row {rows[1:][disorder][0]} do not. "
            "Codes.from_dense and encode() make them so."
        )
    with np.errstate(over="ignore"):  # What float32 cannot hold becomes infinite and is refused below.
        values = codes.values.astype(np.float32)  # (nnz,)
    codes = Codes(codes.indptr.astype(np.int64), units.astype(np.int32), values, n_units, codes.made_by)
    codes = without_zeros(codes)  # Values too small for float32 became 0.
    norms = codes.norms()
    bad = np.flatnonzero(~(norms <= MAX_NORM))  # NaN is not below anything.
    if len(bad):
        raise ValueError(
            f"Finite codes of a norm up to {MAX_NORM:g} are expected, row {bad[0]} has norm {norms[bad[0]]}. "
            "Look for NaN or infinity in the model's input."
        )
    return codes


def statistics(codes: Codes) -> dict[str, int | float]:
    """Return counts and means of ``codes``; ``CodeIndex.stats`` says which."""
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
        "most_common_unit_fraction": float(np.max(frequency)) / n,
    }
