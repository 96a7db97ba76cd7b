"""Where should a sequence be cut, if every piece has a cost? Dynamic programming over the last cut."""
import numpy as np

from aat.errors import value_error


def best_boundaries(length, cost, sizes):
    """The cheapest way to cut 0 .. length into pieces of the allowed sizes.

    C(0) = 0, C(j) = min over sizes l of C(j - l) + cost(j - l, j): the first pieces of an optimal cutting are an
    optimal cutting of what they cover. length times the number of sizes calls of cost.

    Args:
        length: int >= 0. cost(begin, end): the cost of one piece, a number that may be infinite but not NaN.
        sizes: the allowed lengths of a piece, positive ints.

    Returns:
        (cost, edges): edges from 0 to length; the smallest last piece among equals. cost is inf and edges [] where no
        cutting exists.

    Raises:
        ValueError: length < 0, a size below 1, or a cost that is NaN.
    """
    sizes = sorted({int(size) for size in sizes})
    if length < 0:
        raise value_error("length", "0 or more", str(length), "an empty sequence has no pieces")
    if not sizes or sizes[0] < 1:
        raise value_error("sizes", "positive integers", str(sizes), "a piece has at least one element")
    best, last = np.full(length + 1, np.inf), np.zeros(length + 1, np.int64)
    best[0] = 0
    for j in range(1, length + 1):
        for size in sizes:
            if size > j or np.isinf(best[j - size]):
                continue
            piece = float(cost(j - size, j))
            if np.isnan(piece):
                raise value_error("cost", "a number", f"nan for ({j - size}, {j})", "say inf for a forbidden piece")
            if best[j - size] + piece < best[j]:
                best[j], last[j] = best[j - size] + piece, size
    if np.isinf(best[length]):
        return float("inf"), []
    edges = [length]
    while edges[-1]:
        edges.append(int(edges[-1] - last[edges[-1]]))
    return float(best[length]), edges[::-1]
