"""Which attentions are there beside that of dot products? Score objects that can be called.

    near = aat.attention.Geometric("hyperbolic", beta=[0.5, 1, 2, 4], curvature=-0.1)
    out = near(q, k, v, causal=True)                  # or aat.attention(q, k, v, score=near, causal=True)

docs/kernels/scores.md has the formulas, docs/geometry.md and docs/states.md what stands behind them.
"""
from aat.attention import scores
from aat.attention.scores.base import Score, choice
from aat.errors import value_error
from aat.functional import attention

SPACES = ("hyperbolic", "euclidean", "spherical")


class Mechanism(Score):
    """A score object that can be called as `aat.attention`."""

    def __call__(self, q, k, v, **options):
        """aat.attention(q, k, v, score=self, **options)."""
        return attention(q, k, v, score=self, **options)


class _Hyperbolic(Mechanism, scores.Hyperbolic):
    pass


class _Euclidean(Mechanism, scores.Euclidean):
    pass


class _Spherical(Mechanism, scores.Spherical):
    pass


class Fidelity(Mechanism, scores.Fidelity):
    """Attention by the overlap F = |<q|k>|^2 of states: scores beta F, beta ln(F + floor) or -beta arccos(sqrt F)^2.

    Linear algebra of unit vectors, computed classically, without quantum speed-up. Rows of q and k are normalised.

    Parameters
    ----------
    beta : number or array (Hq,), above 0
        What multiplies the scores of each query head; it takes the place of `scale`.
    form : "fidelity", "log" or "angle"
    real : bool
        Rows are D real numbers; otherwise the real and then the imaginary parts of D / 2 complex ones.
    floor : number above 0
        What "log" adds to F.

    Raises
    ------
    ValueError
        For such parameters, and in a call for a row of zeros within kv_lens: it has no direction. Masking it is not
        enough; give it any direction.
    """


def Geometric(space, *, beta=1.0, curvature=None, form="squared", product="dot", chart=None):
    """Attention by distance: a score -beta d^2, -beta d or -beta (1 - cos_K d) / K of the points that rows stand for.

    Parameters
    ----------
    space : "hyperbolic", "euclidean" or "spherical"
    beta : number or array (Hq,), above 0
        What multiplies the distances of each query head; it takes the place of `scale`.
    curvature : number or array (Hk,)
        Below 0 for "hyperbolic" (default -1), above 0 for "spherical" (default 1); "euclidean" has none.
    form : "squared", "distance" or "inner"
        -beta d^2; -beta d; half the squared chord, beta (1 + <x, y>) at curvature -1 ("euclidean" has none:
        that is half of "squared").
    product : "dot" or "difference"
        What is summed over columns: products, the fast way, good to about 3 units of curvature from the origin; or
        squared differences, at any radius (docs/geometry.md has the figures).
    chart : "lift" or "exp"
        The point of a row s: the one of the sheet over it, or the one at distance |s| in its direction. Default "lift",
        for "spherical" "exp".

    Returns
    -------
    Mechanism : a score object for `aat.attention(score=)`, which can itself be called as that.

    Raises
    ------
    ValueError
        For such parameters; in a call for rows outside the chart (|s|^2 > 1 / curvature with "lift" on a sphere).
    """
    choice("Geometric", "space", space, SPACES)
    given = {name: x for name, x in (("curvature", curvature), ("chart", chart)) if x is not None}
    made = {"hyperbolic": _Hyperbolic, "euclidean": _Euclidean, "spherical": _Spherical}[space]
    if space == "euclidean" and given:
        raise value_error(f"Geometric: {next(iter(given))}", 'None for "euclidean", which is flat',
                          repr(next(iter(given.values()))), 'name "hyperbolic" or "spherical"')
    return made(beta=beta, form=form, product=product, **given)
