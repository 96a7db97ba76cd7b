"""Smoothing a 3-D point cloud with geometric attention, beside scikit-learn: `pytest benchmarks/bench_point_cloud.py`.

Each point becomes the mean of its neighbours, weighted by e^(-beta d^2): the Nadaraya-Watson estimate of the surface
(Nadaraya 1964, Watson 1964), which is attention with the score -beta d^2. scikit-learn forms the kernel matrix.
`python benchmarks/bench_point_cloud.py FILE` draws it. docs/point_cloud.md tells what it shows.
"""
import sys

import numpy as np
import pytest

import aat

POINTS, BETA, NOISE = 8192, 60.0, 0.06


def torus(n=POINTS, noise=NOISE, seed=0):
    """(noisy points, points on the surface), (n, 3) float32 each: a torus of radii 1 and 0.4."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0, 2 * np.pi, (2, n))
    ring = 1 + 0.4 * np.cos(b)
    true = np.stack([ring * np.cos(a), ring * np.sin(a), 0.4 * np.sin(b)], 1)
    return (true + noise * rng.standard_normal((n, 3))).astype(np.float32), true.astype(np.float32)


def by_attention(x, beta=BETA, **options):
    """The smoothed points: queries, keys and values are the points."""
    rows = x[None, None]
    return aat.attention(rows, rows, rows, score=aat.attention.Geometric("euclidean", beta=beta), **options)[0, 0]


def by_kernel(x, beta=BETA):
    """The same from scikit-learn's kernel matrix, (n, n)."""
    pairwise = pytest.importorskip("sklearn.metrics.pairwise", reason="scikit-learn is not a dependency")
    weights = pairwise.rbf_kernel(x, x, gamma=beta)
    return weights @ x / weights.sum(1, keepdims=True)


def off(x):
    """The root mean square distance from the torus."""
    ring = np.hypot(x[:, 0], x[:, 1]) - 1
    return float(np.sqrt(np.mean((np.hypot(ring, x[:, 2]) - 0.4)**2)))


@pytest.mark.parametrize("how", [by_attention, by_kernel], ids=["attention", "scikit-learn"])
def test_point_cloud(benchmark, how):
    noisy, _ = torus()
    smooth = how(noisy)
    exact = by_attention(noisy[:512].astype(np.float64)) if how is by_attention else None
    if exact is not None:
        assert np.abs(by_attention(noisy[:512]) - exact).max() < 1e-5
    assert off(smooth) < 0.6 * off(noisy)
    benchmark.extra_info.update(off=off(smooth), noisy=off(noisy))
    benchmark.pedantic(how, args=(noisy,), rounds=5, warmup_rounds=1)


def draw(path):
    """Noisy and smoothed points, a slice of the torus, as a picture."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    noisy, _ = torus()
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3.2), sharex=True, sharey=True)
    for axis, x, title in zip(axes, (noisy, by_attention(noisy)), ("noisy", "smoothed"), strict=True):
        cut = np.abs(x[:, 1]) < 0.15
        axis.scatter(x[cut, 0], x[cut, 2], s=2, color="black")
        axis.set(title=f"{title}: {off(x):.3f} from the torus", aspect="equal", xlabel="x", ylabel="z")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    draw(sys.argv[1])
