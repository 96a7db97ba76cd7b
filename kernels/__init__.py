"""The kernels, one operation a file: imported as `aat.kernels`, kept beside `aat/` in the repository."""

if __name__ != "aat.kernels":
    raise ImportError(
        f"{__name__}: expected to be imported as aat.kernels, got a plain import of the folder kernels/; "
        "run `pip install -e .` in the repository and write `import aat.kernels`"
    )
