"""A matrix product by NumPy's own BLAS, asked for from within a compiled loop.

Numba can ask a BLAS for products only where SciPy is installed, and NumPy's own has no such door.  So the
address of the BLAS function ``gemm`` is an argument here: ``nsae.system.numpy_blas.product_address`` finds it.
"""

from numba.core import types
from numba.core.cgutils import ir
from numba.extending import intrinsic

from nsae.kernels.compile import njit
from nsae.kernels.options import INNER

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112  # what BLAS calls them


@intrinsic
def _gemm(typing_context, address, transposed, shape, A, B, C):
    """Call ``gemm`` at ``address``, with 64-bit integers: C (m, n) = A B, row by row in memory.

    ``transposed`` has PLAIN or TRANSPOSED for A and for B, ``shape`` is (m, n, inner size).
    """
    signature = types.void(types.int64, transposed, shape, A, B, C)

    def generate(context, builder, signature, arguments):
        address, transposed, shape, *arrays = arguments
        real = context.get_value_type(signature.args[3].dtype)
        enum, size, pointer = ir.IntType(32), ir.IntType(64), real.as_pointer()
        A, B, C = (
            context.make_array(kind)(context, builder, array)
            for kind, array in zip(signature.args[3:], arrays, strict=True)
        )
        of_A, of_B = (builder.trunc(builder.extract_value(transposed, i), enum) for i in range(2))
        m, n, inner = (builder.extract_value(shape, i) for i in range(3))
        row_of_A, row_of_B = (builder.extract_value(array.shape, 1) for array in (A, B))
        kind = ir.FunctionType(
            ir.VoidType(),
            [enum] * 3 + [size] * 3 + [real, pointer, size, pointer, size, real, pointer, size],
        )
        gemm = builder.inttoptr(address, kind.as_pointer())
        order, one, zero = ir.Constant(enum, ROW_MAJOR), ir.Constant(real, 1.0), ir.Constant(real, 0.0)
        inputs = [one, A.data, row_of_A, B.data, row_of_B]
        builder.call(gemm, [order, of_A, of_B, m, n, inner, *inputs, zero, C.data, n])
        return context.get_dummy_value()

    return signature, generate


@njit(**INNER)
def product(address, A, B, C):
    """Put A B into ``C`` (m, n), for ``A`` (m, l) and ``B`` (l, n).

    Each is one run of memory, row by row, and all have the dtype of the BLAS function at ``address``.
    """
    _gemm(address, (PLAIN, PLAIN), (A.shape[0], B.shape[1], A.shape[1]), A, B, C)


@njit(**INNER)
def product_with_transpose(address, A, B, C):
    """Put A Bᵀ into ``C`` (m, n), for ``A`` (m, l) and ``B`` (n, l), by ``address``; see :func:`product`."""
    _gemm(address, (PLAIN, TRANSPOSED), (A.shape[0], B.shape[0], A.shape[1]), A, B, C)


@njit(**INNER)
def product_of_transpose(address, A, B, C):
    """Put Aᵀ B into ``C`` (m, n), for ``A`` (l, m) and ``B`` (l, n), by ``address``; see :func:`product`."""
    _gemm(address, (TRANSPOSED, PLAIN), (A.shape[1], B.shape[1], A.shape[0]), A, B, C)
