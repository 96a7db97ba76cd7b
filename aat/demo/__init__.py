"""Does it carry a real model? all-MiniLM-L6-v2 as a NumPy forward pass whose attention is `aat.attention`.

`aat demo` embeds the docstrings of Python's standard library, answers questions with the best modules, checks
every layer's attention against the float64 reference, and times itself against plain NumPy attention.
"""
