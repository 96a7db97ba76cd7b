"""What attention promises, and how each mechanism is assembled.

`aat.attention` the function and this package share a name, and the function wins on the package `aat`: write
`from aat.attention import base`, which works, where `import aat.attention.base as base` cannot. `Geometric` and
`Fidelity` are attributes of both.
"""
