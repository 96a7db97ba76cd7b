"""How far can rounding move a score that is a function of two rows?

A kernel reads prepared columns and row numbers in its own precision, sums, and applies the score's epilogue. Forward
error analysis of that, for a unit roundoff u and one pair of rows:

    sums of products        du = u (sqrt(D) + 5) sum |q_c k_c|                        D additions, two rounded columns
    sums of squares         du = u ((sqrt(D) + 3) U + 2 |(q_c - k_c) (|q_c| + |k_c|)|)  + u^2 sum (|q_c| + |k_c|)^2
    a row number x          dx = 3 u |x|                    stored once, and the first operations on it
    the epilogue's steps    STEPS u |s|                     each function and product behind them rounds relatively

What du and dx do to the score is not linearised: the epilogue itself is evaluated in float64 at both ends of each
interval, u +- du and x +- dx one after the other, and the largest change counts; the changes add up. So the square root
of a distance near 0, the arcosine near 1 and sinh of a radius of 20 have the width that they have. An epilogue may only
subtract what these intervals cover (docs/kernels/scores.md): the scores here do.
"""
import numpy as np

STEPS = 12             # functions in a row: sqrt, log1p to 2 units each, products and powers to 1/2


class Narrow:
    """A score as a float32 program computes it: prepared rows rounded, sums in the order of the columns."""

    def __init__(self, score):
        self.inner = score

    def defined(self, q, k):
        """Scores (Hq, rows, keys), float32 numbers."""
        P, K, wrong = _prepared(self.inner, q, k)
        u = _sums(self.inner, P.columns.astype(np.float32), K.columns.astype(np.float32), np.float32)
        rows = [tuple(x.astype(np.float32) for x in part) for part in _numbers(P, K)]
        with np.errstate(all="ignore"):
            return np.where(wrong, np.nan, self.inner.apply(tuple(u), *rows))


class Judged:
    """A score that can say how far rounding moves it."""

    def __init__(self, score):
        self.inner = score
        self.defined = score.defined

    def steps(self, q, k, unit):
        """(Hq, rows, keys): the reach of rounding in units of u = `unit`."""
        P, K, wrong = _prepared(self.inner, q, k)
        u = _sums(self.inner, P.columns, K.columns, np.float64)
        rows = _numbers(P, K)
        with np.errstate(all="ignore"):
            exact = self.inner.apply(tuple(u), *rows)
            total = STEPS * unit * np.abs(exact)
            inputs = (tuple(u), *rows)
            for p, width in enumerate(_reach(self.inner, P.columns, K.columns, u, unit)):
                total += self._moved(exact, inputs, 0, p, width)
            for side, numbers in enumerate(rows, 1):
                for r, x in enumerate(numbers):
                    total += self._moved(exact, inputs, side, r, 3 * unit * np.abs(x))
            return np.where(wrong, np.nan, total / unit)

    def _moved(self, exact, inputs, which, place, width):
        """The largest change of the score when one input moves by `width`."""
        change = 0.0
        for sign in (1, -1):
            moved = [list(part) for part in inputs]
            moved[which][place] = moved[which][place] + sign * width
            if which == 0 and self.inner.product == "difference":
                moved[0][place] = np.maximum(moved[0][place], 0.0)
            change = np.maximum(change, np.abs(self.inner.apply(*map(tuple, moved)) - exact))
        return change


def judged(problem):
    """A canonical problem whose score, if it has one, knows its steps."""
    return problem if problem.get("score") is None else problem | {"score": Judged(problem["score"])}


def narrowed(problem):
    """A canonical problem whose score, if it has one, is what a float32 program computes."""
    return problem if problem.get("score") is None else problem | {"score": Narrow(problem["score"])}


def _prepared(score, q, k):
    """Prepared queries, prepared keys of their heads, and the pairs of which a row is not finite."""
    from aat.attention.scores.base import Prepared, finite_rows, grouped

    (q, no_q), (k, no_k) = finite_rows(q), finite_rows(k)
    P, K, heads = score.prepare_q(q), score.prepare_k(k), q.shape[0]
    numbers = grouped(K.scalars[..., None], heads)[..., 0] if len(K.scalars) else K.scalars
    wrong = no_q[..., :, None] | grouped(no_k[..., None], heads)[..., 0][..., None, :]
    return P, Prepared(grouped(K.columns, heads), numbers), wrong


def _numbers(P, K):
    return tuple(x[..., :, None] for x in P.scalars), tuple(x[..., None, :] for x in K.scalars)


def _sums(score, q, k, compute):
    """The sums of each product, column by column: (products, Hq, rows, keys)."""
    u = np.zeros((len(q), *q.shape[1:-1], k.shape[-2]), compute)
    for c in range(q.shape[-1]):
        a, b = q[..., :, None, c], k[None, ..., None, :, c]
        u += a * b if score.product == "dot" else (a - b) * (a - b)
    return u


def _reach(score, q, k, u, unit):
    """du of each product."""
    wide = np.sqrt(q.shape[-1])
    for part, sums in zip(q, u, strict=True):
        if score.product == "dot":
            yield unit * (wide + 5) * (np.abs(part) @ np.swapaxes(np.abs(k), -1, -2))
            continue
        apart = np.abs(part[..., :, None, :] - k[..., None, :, :])
        size = np.abs(part)[..., :, None, :] + np.abs(k)[..., None, :, :]
        stored = 2 * np.sqrt(((apart * size) ** 2).sum(-1))
        yield unit * ((wide + 3) * sums + stored) + unit**2 * (size * size).sum(-1)
