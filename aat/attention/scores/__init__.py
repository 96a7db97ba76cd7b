"""How alike are a query and a key? One file a score, each an epilogue on products of prepared rows (base.py)."""
from aat.attention.scores.dot import Dot
from aat.attention.scores.euclidean import Euclidean
from aat.attention.scores.fidelity import Fidelity
from aat.attention.scores.hyperbolic import Hyperbolic
from aat.attention.scores.spherical import Spherical

__all__ = ["Dot", "Euclidean", "Fidelity", "Hyperbolic", "Spherical"]
