"""The exact moments of a tile of keys and values, float64, from their definitions."""
import numpy as np


def tile_summary(k, v, centre, mean):
    """{name: number} of the keys k (n, D) and values v (n, Dv) of one tile, n >= 1.

    centre (D,) and mean (Dv,) are the vectors that stand for the mean key and value; shift and value_shift say how far
    off they are, key_norm and value_spread are about them, radius and eigenvalue about the mean key itself.
    """
    k, v, centre, mean = (np.asarray(x, np.float64) for x in (k, v, centre, mean))
    middle = k.mean(0)
    x = k - middle
    return {"key_norm": np.sqrt((centre**2).sum()),
            "radius": np.sqrt((x**2).sum(1).max()),
            "eigenvalue": max(np.linalg.eigvalsh(x.T @ x / len(k))[-1], 0.0),
            "shift": np.sqrt(((centre - middle)**2).sum()),
            "value_spread": np.sqrt(((v - mean)**2).mean(0).max()),
            "value_shift": np.abs(mean - v.mean(0)).max()}
