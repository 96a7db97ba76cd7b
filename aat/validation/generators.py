"""Synthetic inputs for adaptive tiling, from hopeless to easy, and adversarial ones.

Each recipe writes q, k, v (B, H, L, D) in place from a random generator, as those of inputs.py do, and may add to the
call. They are SYNTHETIC: heads of trained models differ. `describe` says what a plan can hope for on an input.
"""
from collections.abc import Callable
from functools import partial

import numpy as np

from aat.tiling.summary import KeySummary

TILE = 64           # keys of a topic or a patch


def iid(rng, q, k, v, call):
    """G0. Independent normal numbers: no tile can be left out, and nothing may be claimed."""
    for x in (q, k, v):
        x[...] = rng.standard_normal(x.shape)


def topics(rng, q, k, v, call, tau=0.3, gain=1.5, tile=TILE, run=TILE, shuffled=False):
    """G1. Keys lie within tau of topics, one topic a tile; a query asks for one; its rows keep to it for a while.

    k_j = C_z + tau N, q = gain C_z + 0.3 N, v = W C_z + 0.5 N. shuffled: the same keys in random order.
    """
    B, Hk, L, D = k.shape
    count = -(-L // tile)
    centre = rng.standard_normal((B, Hk, count, D))
    z = np.arange(L) // tile
    if shuffled:
        z = rng.permutation(z)
    k[...] = centre[:, :, z] + tau * rng.standard_normal(k.shape)
    mix = rng.standard_normal((D, v.shape[3])) / np.sqrt(D)
    v[...] = centre[:, :, z] @ mix + 0.5 * rng.standard_normal(v.shape)
    asked = _runs(rng, q.shape[2], count, run)
    q[...] = _grouped(gain * centre[:, :, asked], q) + 0.3 * rng.standard_normal(q.shape)


def smooth(rng, q, k, v, call, rank=8, rho=0.995, noise=0.1, heavy=8):
    """G2. Keys follow a slow process of low rank, some twice as long; so do queries, |q| = 3 sqrt(D)."""
    B, Hk, L, D = k.shape
    mix = rng.standard_normal((rank, D)) / np.sqrt(rank)
    k[...] = _autoregressive(rng, (B, Hk, L, rank), rho) @ mix + noise * rng.standard_normal(k.shape)
    k[:, :, rng.choice(L, min(heavy, L), replace=False)] *= 2
    v[...] = rng.standard_normal(v.shape)
    q[...] = _autoregressive(rng, (*q.shape[:3], rank), rho) @ mix + noise * rng.standard_normal(q.shape)
    q *= 3 * np.sqrt(D) / np.linalg.norm(q, axis=3, keepdims=True)


def rope(x, positions, base=1e4):
    """Rotate the planes (x_i, x_(i + D/2)) of x (.., L, D) by position times base^(-2 i / D)."""
    half = x.shape[-1] // 2
    angle = positions[:, None] * base ** (-np.arange(half) / half)
    a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle), rest], -1)


def rotary_local(rng, q, k, v, call, gain=1.0, noise=0.7, sinks=4):
    """G3. Rotary keys with energy in all planes, four sinks with small values: recency, the hardest case for a plan."""
    D = k.shape[3]
    mean = rng.standard_normal(D)
    positions = np.arange(k.shape[2], dtype=float)
    k[...] = rope(gain * mean + noise * rng.standard_normal(k.shape), positions)
    at = _positions(q, k)
    q[...] = rope(mean + noise * rng.standard_normal(q.shape), at)
    v[...] = rng.standard_normal(v.shape)
    n = min(sinks, k.shape[2])
    if n and q.shape[2]:
        toward = q.mean((1, 2), keepdims=True)
        k[:, :, :n] = toward / np.linalg.norm(toward, axis=3, keepdims=True) * np.linalg.norm(mean) * 1.2
        v[:, :, :n] *= 0.05


def rotary_topics(rng, q, k, v, call, tau=0.3, noise=0.15, base=5e5, gain=1.5, tile=TILE, run=TILE):
    """G4. Topics in the slowest 3/8 of the rotary planes, noise in the others, half of the queries jump."""
    B, Hk, L, D = k.shape
    half = D // 2
    slow = np.zeros(D, bool)
    slow[half - 3 * half // 8:half] = slow[2 * half - 3 * half // 8:2 * half] = True
    count = -(-L // tile)
    centre = rng.standard_normal((B, Hk, count, D)) * slow * np.sqrt(8 / 3)
    mean = rng.standard_normal(D) * slow
    z = np.arange(L) // tile
    spread = np.where(slow, tau, noise)
    k[...] = rope(mean + centre[:, :, z] + spread * rng.standard_normal(k.shape), np.arange(L, dtype=float), base)
    at = _positions(q, k)
    own = np.clip(at.astype(int) // tile, 0, max(count - 1, 0))
    asked = np.where(_runs(rng, len(own), 2, run) == 1, _runs(rng, len(own), count, run), own)
    aim = _grouped(gain * (0.5 * mean + centre[:, :, asked]), q)
    q[...] = rope(aim + spread * rng.standard_normal(q.shape), at, base)
    v[...] = _topic_values(rng, centre[:, :, z], v)
    if L and len(at):
        k[:, :, 0], v[:, :, 0] = q.mean((1, 2))[:, None], 0.05 * v[:, :, 0]


def alibi(rng, q, k, v, call):
    """G5. Score less a slope times the distance, slopes 2^(-8 (h + 1) / H): windows of every length, by certificate."""
    iid(rng, q, k, v, call)
    H = q.shape[1]
    slopes = 2.0 ** (-8 * np.arange(1, H + 1) / H)
    distance = np.abs(_positions(q, k)[:, None] - np.arange(k.shape[2]))
    call["bias"] = -slopes[:, None, None] * distance


def patches(rng, q, k, v, call, width=0.35, noise=0.02):
    """G6. Fourier features of points of the unit square in Z order: a tile is a patch, the score a Gaussian kernel."""
    D = k.shape[3]
    frequency = rng.standard_normal((2, D // 2)) / width

    def features(points):
        angle = points @ frequency
        return np.concatenate([np.cos(angle), np.sin(angle), np.zeros((*angle.shape[:-1], D % 2))], -1)

    where = _morton(rng.random((k.shape[2], 2)))
    gain = np.sqrt(40 * np.sqrt(D) / max(D // 2, 1))     # scores reach 40 at scale 1 / sqrt(D)
    k[...] = gain * features(where) + noise * rng.standard_normal(k.shape)
    q[...] = gain * features(_morton(rng.random((q.shape[2], 2))))
    v[...] = np.sin(6 * where).sum(1)[:, None] + 0.3 * rng.standard_normal(v.shape)


def tight(rng, q, k, v, call, tile=TILE):
    """G7a. Tiles of radius 0, one far ahead, the others worth about the budget; values +V in it, -V elsewhere."""
    L, D = k.shape[2], k.shape[3]
    first = min(tile, L)
    k[...], q[...] = 0, 0
    q[..., 0] = np.sqrt(D)
    behind = np.log(max(L - first, 1) / first) + np.array([np.log(c) for c in (20.0, 200.0, 400.0, 2000.0)])
    drop = behind[rng.integers(0, 4, k.shape[:2])]
    k[..., 0] = -drop[..., None]
    k[:, :, :first, 0] = 0
    v[...] = -1
    v[:, :, :first] = 1


def small_tails(rng, q, k, v, call, tile=TILE, each=1e-3):
    """G7b. Every tile but one has the share 1e-3: each may be left out, all of them together may not."""
    tight(rng, q, k, v, call, tile)
    k[..., 0] = np.log(each)
    k[:, :, :tile, 0] = 0


def spike(rng, q, k, v, call, tile=TILE):
    """G7c. One key that wins hides in a tile whose other keys, and whose mean, are far behind."""
    iid(rng, q, k, v, call)
    D = k.shape[3]
    q[...] = rng.standard_normal(D) + 0.3 * q
    toward = q[:, :1, :1] / np.linalg.norm(q[:, :1, :1], axis=3, keepdims=True)
    where = rng.integers(0, k.shape[2])
    lo = where // tile * tile
    k[:, :, lo:lo + tile] = -0.5 * toward * np.sqrt(D) + 0.05 * k[:, :, lo:lo + tile]
    k[:, :, where] = 2.2 * toward[:, 0, 0][:, None] * np.sqrt(D)
    v[:, :, where] = 5


def equal_scores(rng, q, k, v, call):
    """G7d. All keys alike: every tile has the same share, and leaving one out changes the output."""
    iid(rng, q, k, v, call)
    k[...] = k[:, :, :1]


def one_sided(rng, q, k, v, call, tile=TILE):
    """G7e. In each tile one key is far above the mean and the rest just below: the worst case of a second moment."""
    iid(rng, q, k, v, call)
    D, L = k.shape[3], k.shape[2]
    axis = np.zeros(D)
    axis[0] = 1
    height = rng.uniform(0, 12, (k.shape[0], k.shape[1], -(-L // tile)))[:, :, np.arange(L) // tile]
    chosen = (np.arange(L) % tile) == rng.integers(0, tile)
    k[...] = 0.01 * k + (np.where(chosen, height, -height / (tile - 1)) - height)[..., None] * axis
    q[...] = np.sqrt(D) * axis + 0.05 * q
    v[...] = np.where(chosen, 1.0, -1.0)[:, None]


def tail_below(rng, q, k, v, call, tile=TILE):
    """G7f. In each tile but the first all keys are just above the mean and one is far below: w^2 exceeds delta^2."""
    tight(rng, q, k, v, call, tile)
    L = k.shape[2]
    step = rng.uniform(0.3, 2.0, (k.shape[0], k.shape[1], -(-L // tile)))[:, :, np.arange(L) // tile]
    low = (np.arange(L) % tile) == rng.integers(0, tile)
    moved = np.where(low, -(tile - 1) * step, step)
    k[:, :, tile:, 0] += moved[:, :, tile:]


GENERATORS: dict[str, Callable] = {
    "g0-iid": iid,
    "g1-topics-0.1": partial(topics, tau=0.1),
    "g1-topics-0.3": partial(topics, tau=0.3),
    "g1-topics-0.6": partial(topics, tau=0.6),
    "g1-shuffled": partial(topics, tau=0.3, shuffled=True),
    "g2-smooth": smooth,
    "g3-rotary-local": rotary_local,
    "g4-rotary-topics": rotary_topics,
    "g4-rotary-tight": partial(rotary_topics, tau=0.15),
    "g5-alibi": alibi,
    "g6-patches": patches,
    "g7-tight": tight,
    "g7-small-tails": small_tails,
    "g7-spike": spike,
    "g7-equal": equal_scores,
    "g7-one-sided": one_sided,
    "g7-tail-below": tail_below,
}
ADVERSARIAL = tuple(name for name in GENERATORS if name.startswith("g7"))


def make_call(name, seed, *, queries, keys, B=1, Hq=1, Hk=None, D=64, Dv=None, dtype=np.float32, **knobs):
    """The keyword arguments of `aat.attention` for a generator; the same ones for the same seed."""
    rng = np.random.default_rng([seed, *name.encode()])
    Hk = Hq if Hk is None else Hk
    q = np.zeros((B, Hq, queries, D))
    k, v = np.zeros((B, Hk, keys, D)), np.zeros((B, Hk, keys, Dv or D))
    call: dict = {}
    GENERATORS[name](rng, q, k, v, call, **knobs)
    if "bias" in call:
        call["bias"] = call["bias"].astype(dtype)
    return dict(call, q=q.astype(dtype), k=k.astype(dtype), v=v.astype(dtype))


def describe(call, block=TILE, tolerances=(1e-1, 1e-2, 1e-3)):
    """What a call is like: float64, all rows at once, so for a few thousand rows at most.

    Returns:
        dict: perplexity (mean over rows of e^entropy, keys), delta and w (medians over rows and tiles: the ball's and
        the second moment's bound on a score's deviation in its tile), oracle (per tolerance, the share of tiles that
        a row may leave out by exact mass when 2 max|v| is at stake).
    """
    q, k = (call[name].astype(np.float64) for name in "qk")
    group = q.shape[1] // k.shape[1]
    scale = call.get("scale", 1 / np.sqrt(q.shape[3]))
    s = np.matmul(q * scale, np.repeat(k, group, 1).swapaxes(2, 3)) + call.get("bias", 0)
    p = np.exp(s - s.max(3, keepdims=True))
    p /= p.sum(3, keepdims=True)
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(3)
    mass = np.sort(np.add.reduceat(p, np.arange(0, p.shape[3], block), 3), 3)
    m = KeySummary(call["k"], call["v"], block).moments
    norm = np.linalg.norm(q, axis=3)[..., None] * abs(scale)
    radius, eigenvalue = (np.repeat(x, group, 1)[:, :, None] for x in (m.radius, m.eigenvalue))
    return dict(
        perplexity=float(np.exp(entropy).mean()), delta=float(np.median(norm * radius)),
        w=float(np.median(norm * np.sqrt(eigenvalue))),
        oracle={eps: float((np.cumsum(mass, 3) <= eps / 2).mean()) for eps in tolerances})


def _autoregressive(rng, shape, rho):
    """x_j = rho x_(j-1) + sqrt(1 - rho^2) N along axis 2: unit variance everywhere."""
    x = rng.standard_normal(shape)
    x[:, :, 1:] *= np.sqrt(1 - rho**2)
    for j in range(1, shape[2]):
        x[:, :, j] += rho * x[:, :, j - 1]
    return x


def _grouped(x, q):
    """x (B, Hk, L, D) for every query head."""
    return np.repeat(x, q.shape[1] // x.shape[1], 1)


def _topic_values(rng, centre, v):
    mix = rng.standard_normal((centre.shape[3], v.shape[3])) / np.sqrt(centre.shape[3])
    return centre @ mix + 0.5 * rng.standard_normal(v.shape)


def _positions(q, k):
    """Where the query rows stand: spread over the keys."""
    return np.floor((np.arange(q.shape[2]) + 0.5) * k.shape[2] / max(q.shape[2], 1))


def _runs(rng, length, count, run):
    """Random numbers below `count`, each held for `run` places."""
    return np.repeat(rng.integers(0, max(count, 1), -(-length // run)), run)[:length]


def _morton(points):
    """Points of the unit square in the order of their interleaved bits."""
    cell = (points * 1024).astype(np.int64)
    code = sum(((cell[:, axis] >> bit) & 1) << (2 * bit + axis) for bit in range(10) for axis in (0, 1))
    return points[np.argsort(code, kind="stable")]
