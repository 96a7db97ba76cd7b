"""A copy of the repository that a test may write into, and commands that run in it."""

import os
import shutil
import subprocess
import sys

from repository import ROOT

# An editable install maps `aat.kernels` to the real repository; this puts the copy's folder before that.
FINDER = """
import importlib.util, sys


class Kernels:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "aat.kernels":
            return importlib.util.spec_from_file_location(name, {kernels!r} + "/__init__.py",
                                                          submodule_search_locations=[{kernels!r}])


sys.meta_path.insert(0, Kernels)
"""
SKIP = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", ".benchmarks", "*.egg-info",
                              "build", "dist")


class Checkout:
    """A copy in `folder`; `run` runs a line of shell there with `aat` and `python` of this environment and the copy."""

    def __init__(self, folder):
        self.root = folder / "aat-copy"
        shutil.copytree(ROOT, self.root, ignore=SKIP)
        tools = folder / "tools"
        tools.mkdir()
        (tools / "sitecustomize.py").write_text(FINDER.format(kernels=str(self.root / "kernels")))
        for name, module in (("aat", " -m aat"), ("python", ""), ("ruff", " -m ruff"), ("mypy", " -m mypy")):
            script = tools / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
            script.chmod(0o755)
        self.environment = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, (tools, self.root))),
                                PATH=os.pathsep.join([str(tools), os.environ["PATH"]]), AAT_TUNE="never")

    def run(self, line, timeout=300):
        """(exit status, stdout + stderr) of a line of shell."""
        done = subprocess.run(["sh", "-c", line], cwd=self.root, env=self.environment, timeout=timeout, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout
