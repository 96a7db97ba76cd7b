"""Kernels that are wrong on purpose: a check that cannot see them checks nothing."""

import numpy as np

from aat.attention import dot
from aat.attention.base import Result
from aat.backends import select


def plant(monkeypatch, run):
    """Let `run` stand in for the kernel's, and nothing that was kept of a right one."""
    monkeypatch.setattr(dot, "run", run)
    monkeypatch.setattr(dot, "repeatable", lambda *arguments: None)
    select.close()


def skewed(monkeypatch, where=lambda problem: True):
    """Let the kernel's results be a thousandth too large, for the problems that `where` picks."""
    honest = dot.run

    def run(problem, session, config=None, **options):
        result = honest(problem, session, config, **options)
        if where(problem):
            result.out[...] *= 1.001
        return result

    plant(monkeypatch, run)


def fast_and_wrong(problem, session, config=None, **options):
    """A kernel that is as fast as can be: it writes zeros."""
    shape = (problem.B, problem.Hq, problem.Lq)
    out = np.zeros((*shape, problem.Dv), np.float32)
    return Result(out, np.zeros(shape, np.float32), {"visited": 0, "full": 0, "total": 0}, None, "planted")
