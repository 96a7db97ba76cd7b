"""How is work of unequal cost shared among workers?"""
import heapq

import numpy as np

from aat.errors import value_error


def contiguous(costs, parts):
    """Cut a sequence of costs into `parts` runs so that the costliest run is as cheap as it can be.

    Every run is one worker's: neighbours stay together, which is what caches and kernels want. The least possible
    maximum is one of the sums of runs; bisection on it, with a greedy run per worker, finds it to the last bit.

    Args:
        costs: (n,) numbers >= 0. parts: int >= 1.

    Returns:
        (largest, edges): edges of parts + 1 ascending positions, empty runs last; sum of runs = sum of costs.

    Raises:
        ValueError: parts < 1 or a cost that is negative or not finite.
    """
    costs = _checked(costs, parts)
    total = np.concatenate([[0.0], np.cumsum(costs)])
    low, high = costs.max(initial=0.0), float(total[-1])
    if _runs(total, low, parts) is not None:
        high = low
    while np.nextafter(low, np.inf) < high:
        middle = low + (high - low) / 2
        if not low < middle < high:
            break
        if _runs(total, middle, parts) is None:
            low = middle
        else:
            high = middle
    edges = _runs(total, high, parts)
    return float(max(np.diff(total[edges]), default=0.0)), edges


def longest_first(costs, parts):
    """Give each item, costliest first, to the worker with the least: at most 4/3 - 1/(3 parts) of the optimum (Graham).

    Returns:
        (largest, owner): owner (n,) says which worker has the item.

    Raises:
        ValueError: as contiguous.
    """
    costs = _checked(costs, parts)
    owner = np.zeros(len(costs), np.int64)
    load = [(0.0, worker) for worker in range(parts)]
    for item in np.argsort(-costs, kind="stable"):
        least, worker = load[0]
        owner[item] = worker
        heapq.heapreplace(load, (least + float(costs[item]), worker))
    return max(least for least, _ in load), owner


def _runs(total, limit, parts):
    """Edges of greedy runs of at most `limit`, or None where more than `parts` would be needed."""
    edges = [0]
    n = len(total) - 1
    for _ in range(parts):
        start = edges[-1]
        end = int(np.searchsorted(total, total[start] + limit, "right")) - 1
        while end > start and total[end] - total[start] > limit:
            end -= 1
        while end < n and total[end + 1] - total[start] <= limit:
            end += 1
        edges.append(end)
    return edges if edges[-1] == n else None


def _checked(costs, parts):
    costs = np.asarray(costs, np.float64).reshape(-1)
    if parts < 1:
        raise value_error("parts", "at least one worker", str(parts), "somebody has to do it")
    if not (np.isfinite(costs) & (costs >= 0)).all():
        raise value_error("costs", "finite numbers >= 0", "others among them", "work is not negative")
    return costs
