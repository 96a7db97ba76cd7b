"""Work on the host that is spread over the processors."""
import os
from concurrent.futures import ThreadPoolExecutor

WORTH = 2**14        # keys or rows below which starting threads costs more than they save


def processors():
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(work, items, size):
    """Call work(part) on parts that together are `items`, in threads where `size` says that it is worth it.

    NumPy lets go of the interpreter inside its loops. The threads end with the call; exceptions propagate.
    """
    workers = min(len(items), processors())
    if workers < 2 or size < WORTH:
        work(items)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, [items[i::workers] for i in range(workers)]))
