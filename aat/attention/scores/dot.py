"""scale q.k, the score of ordinary attention."""
import numpy as np

from aat.attention.scores.base import UNIT, Prepared, Score, Tile, filled, paired, parameter, per_head, rows_of


class Dot(Score):
    """scale q.k; `scale` a number or one a query head (Hq,), of any sign; None: 1 / sqrt(D)."""

    name = "dot"

    def __init__(self, scale=None):
        self.scale = None if scale is None else parameter(
            self.name, "scale", scale, lambda x: x == x, "finite numbers")

    def _scale(self, q):
        value = np.float64(q.shape[-1] ** -0.5) if self.scale is None else self.scale
        return filled(per_head(self.name, "scale", np.asarray(value), q, "q"), q)

    def prepare_q(self, q):
        """Columns scale q."""
        q = rows_of(self.name, "q", q)
        return Prepared((q * self._scale(q)[..., None])[None], np.empty((0, *q.shape[:-1])))

    def prepare_k(self, k):
        """Columns k."""
        k = rows_of(self.name, "k", k)
        return Prepared(k, np.empty((0, *k.shape[:-1])))

    def apply(self, u, q, k, ops=np):
        """u."""
        return u[0]

    def derivative(self, u, q, k, ops=np):
        """1."""
        return (u[0] * 0 + 1,)

    def domain(self, q, k, ops=np):
        """Everything."""
        return ((-np.inf, np.inf),)

    def score(self, q, k):
        """scale q.k, summed pair by pair."""
        q, k = rows_of(self.name, "q", q), rows_of(self.name, "k", k)
        k = paired(self.name, q, k)
        return (q[..., :, None, :] * k[..., None, :, :]).sum(-1) * self._scale(q)[..., None]

    def tile(self, k):
        """The mean key, and the largest |k - mean|."""
        k = rows_of(self.name, "k", k)
        centre = k.mean(-2)
        apart = np.sqrt(((k - centre[..., None, :]) ** 2).sum(-1))
        return Tile(centre, apart.max(-1) * (1 + (k.shape[-1] + 8) * UNIT))

    def tile_bound(self, q, tile):
        """scale q.c -+ |scale q| r (Cauchy-Schwarz), with room for the rounding of q.c and of the scores."""
        q = rows_of(self.name, "q", q)
        scale = self._scale(q)
        middle = scale * (q * tile.centre[..., None, :]).sum(-1)
        size = np.abs(scale) * np.sqrt((q * q).sum(-1))
        reach = np.sqrt((tile.centre**2).sum(-1))[..., None] + tile.radius[..., None]
        give = size * (tile.radius[..., None] + 4 * (q.shape[-1] + 8) * UNIT * reach)
        return middle - give, middle + give
