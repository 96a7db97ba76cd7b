"""What are vectors as quantum states, and what is known of a set of them? Linear algebra on unit vectors.

A state is a unit vector of C^m or R^m, up to its phase: the last axis of an array, complex or real. Nothing here is
faster for being called a state. Formulas and references: docs/states.md.
"""
from aat.states.geometry import berry_phase, geometric_tensor
from aat.states.mixtures import entropy, purity
from aat.states.pure import angle, encode, fidelity, overlap

__all__ = ["angle", "berry_phase", "encode", "entropy", "fidelity", "geometric_tensor", "overlap", "purity"]
