"""Sums of a query row and a key row, and the epilogue that makes them a score.

A plain score is one sum, sum_c q_c k_c. Other scores (aat/attention/scores/base.py) are functions of one or two sums
and of numbers of the two rows, which stand behind the row's columns in memory: a row of queries holds, for each
product, `columns` columns and `q_numbers` numbers, a row of keys `columns` columns and `k_numbers` numbers. The
function itself, `apply` of a score object, is traced on lanes: LaneOps has the operations that it may use.
"""
from dataclasses import dataclass, field
from typing import Any

from aat.kernels.lanes.base import Block, Traced, assign, inline, local
from aat.kernels.parts.teams import Teams
from taichi.lang import impl

QUERY_BYTES = 32 << 10 # of queries that are used at once: two thirds of a common first-level cache


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is compiled for where its scores are no plain products.

    key: what `apply` depends on. difference: what is summed is (q_c - k_c)^2.
    """

    key: tuple
    columns: int
    products: int
    q_numbers: int
    k_numbers: int
    difference: bool
    apply: Any = field(compare=False, repr=False)

    @property
    def query_width(self):
        """Numbers of a row of queries."""
        return self.products * (self.columns + self.q_numbers)

    @property
    def key_width(self):
        """Numbers of a row of keys."""
        return self.columns + self.k_numbers


def query_columns(spec):
    """Numbers of a row of queries."""
    return spec.d if spec.score is None else spec.score.query_width


class Lane(Traced):
    """A lane variable with arithmetic, for epilogues; the other operand is one too, or a Python number.

    A product waits for what is done with it: added to something, the two are one multiply-add.
    """

    def __init__(self, ops, x=None, factors=None):
        self.ops, self._x, self.factors = ops, x, factors

    @property
    def x(self):
        """The lane variable."""
        if self._x is None:
            a, b = self.factors
            self._x = local(a * b)
        return self._x

    def _of(self, x):
        return Lane(self.ops, local(x))

    def __add__(self, other):
        product, term = (self, other) if self.factors else (other, self)
        if isinstance(product, Lane) and product.factors:
            total = local(self.ops.number(term))
            self.ops.L.fma_lanes(*map(local, product.factors), total)
            return Lane(self.ops, total)
        return self._of(self.x + self.ops.number(other))

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        return self._of(self.x - self.ops.number(other))

    def __rsub__(self, other):
        return self._of(self.ops.number(other) - self.x)

    def __mul__(self, other):
        return Lane(self.ops, factors=(self.x, self.ops.number(other)))

    def __rmul__(self, other):
        return self * other

    def __truediv__(self, other):
        return self._of(self.x / self.ops.number(other))

    def __rtruediv__(self, other):
        return self._of(self.ops.number(other) / self.x)

    def __neg__(self):
        return self * -1.0          # Taichi's unary minus takes no vectors

    def __lt__(self, other):
        return Less(self.x, self.ops.number(other))

    def __gt__(self, other):
        return Less(self.ops.number(other), self.x)


class Less(Traced):
    """Where a < b, for `LaneOps.where`."""

    def __init__(self, a, b):
        self.a, self.b = a, b


class LaneOps(Traced):
    """The operations of an epilogue (aat.attention.scores.base.OPERATIONS) on Lane objects. NaN stays NaN."""

    def __init__(self, lanes):
        self.L, self.numbers = lanes, {}

    def number(self, x):
        """A Lane's variable, or a Python number in every lane."""
        if isinstance(x, Lane):
            return x.x
        if x not in self.numbers:
            # a Python float alone is an f32 to Taichi
            self.numbers[x] = self.L.splat(impl.Expr(float(x), dtype=self.L.scalar))
        return self.numbers[x]

    def _choose(self, a, b, then, otherwise):
        return Lane(self, self.L.where_less(a, b, then, otherwise))

    def sqrt(self, x):
        return Lane(self, self.L.sqrt(x.x))

    def log(self, x):
        return Lane(self, self.L.log(x.x))

    def log1p(self, x):
        return Lane(self, self.L.log1p(x.x))

    def arccosh1p(self, z):
        """arcosh(1 + z) = log1p(z + sqrt(z (z + 2))), which is 0 to 87 in f32: where z leaves its range it ends."""
        return Lane(self, self.L.arccosh1p(z.x))

    def sinh(self, x):
        return Lane(self, self.L.sinh(x.x))

    def arcsin(self, x):
        return Lane(self, self.L.arcsin(x.x))

    def maximum(self, x, bound):
        """The larger one; NaN where x is."""
        bound = self.number(bound)
        return self._choose(x.x, bound, bound, x.x)

    def minimum(self, x, bound):
        """The smaller one; NaN where x is."""
        bound = self.number(bound)
        return self._choose(bound, x.x, bound, x.x)

    def where(self, less, then, otherwise):
        return self._choose(less.a, less.b, self.number(then), self.number(otherwise))


class Products(Teams):
    """Base of queries.Assembly, which sets lanes L, config, spec, and the sizes U (lane_vectors) and KC
    (keys_per_block): queries in lanes, sums, and scores."""

    @property
    def DQ(self):
        """Columns of a query for each of its products, its numbers among them."""
        form = self.spec.score
        return self.spec.d if form is None else form.columns + form.q_numbers

    @property
    def UP(self):
        """Lane variables of a column of the queries: `U` for each product."""
        return self.U if self.spec.score is None else self.U * self.spec.score.products

    def depth_parts(self):
        """The columns of the queries in parts that stay in the first-level cache while the keys of a group go by."""
        d, parts = self.spec.d // self.config.team if self.spec.score is None else self.spec.score.columns, 1
        if self.L.serial and self.UP == self.U:        # S has no room for the sums of two products
            parts = -(-d * self.U * 4 * self.config.lane_width // QUERY_BYTES)
        step = -(-d // parts)
        return [(first, min(step, d - first)) for first in range(0, d, step)]

    @inline
    def load_queries(self, Q, n, part, q, address, rows, scale, thread):
        """Block n of a part of the queries' columns, scaled."""
        first, _, columns = part
        for p in range(self.UP // self.U):
            for u in range(self.U):
                self.L.read_columns(Q, n, columns, self.UP, p * self.U + u, first * self.UP, q, address, rows[u],
                                    self.column(p * self.DQ + first + n * columns, thread), scale)

    @inline
    def scores(self, S, c, part):
        """The sums of a block so far: 0 at the first part of the columns."""
        if self.UP > self.U:
            return Block([self.L.splat(0.0) for _ in range(self.KC * self.UP)])
        return S.block(c, self.KC * self.U) if part[0] else S.filled_block(c, self.KC * self.U, self.L.splat(0.0))

    @inline
    def term(self, y, q, total):
        """total += q y, or (q - y)^2: the share of a column."""
        if self.spec.score is not None and self.spec.score.difference:
            self.L.add_square(y, q, total)
        else:
            self.L.fma(y, q, total)

    @inline
    def scored(self, s, K, at, Q, whole, first):
        """Scores of a block of sums, once they are `whole`; at[i]: the handle on column `first` of key i."""
        form, L, U = self.spec.score, self.L, self.U
        if form is None or not whole:
            return s
        ops, scores = LaneOps(L), []
        rows = [[Lane(ops, x) for x in Q.block(form.columns + r, self.UP).values[:U]] for r in range(form.q_numbers)]
        for i in range(self.KC):
            numbers = tuple(Lane(ops, L.splat(K.get(at[i], form.columns - first + r))) for r in range(form.k_numbers))
            for u in range(U):
                sums = tuple(Lane(ops, s.values[i * self.UP + p * U + u]) for p in range(form.products))
                score = form.apply(sums, tuple(row[u] for row in rows), numbers, ops)
                if self.UP == U:
                    assign(s.values[i * U + u], score.x)
                scores.append(score.x)
        return s if self.UP == U else Block(scores)
