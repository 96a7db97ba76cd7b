"""Does a graph stay inside its captured arrays, int32 and division at every position of a call?"""

import numpy as np

from aat.errors import value_error
from aat.mods.graph import INT, WHOLE
from aat.mods.intervals import evaluate

MOST = 1 << 16          # boxes looked at together
LIMIT = 2**31
REMEDY = "clamp it with aat.lane.minimum and aat.lane.maximum; every position counts, masked ones too"


def check(mod, graph, tables, domain):
    """Raise ValueError, with a position as witness, unless no index, whole number or divisor goes wrong anywhere.

    domain: {variable: (first, last)}, ints. Boxes are halved until each is proven or a witness is found.
    """
    names = [name for name in domain if name in graph.variables]
    boxes = np.array([[domain[name] for name in names]], np.int64).reshape(1, len(names), 2)
    risky = [n for n, node in enumerate(graph.nodes) if node.op == "table" or node.op in WHOLE or (
        node.kind == INT and node.op not in ("var", "const"))]
    while len(boxes):
        if len(boxes) > MOST:
            raise value_error(mod.name, "an index that can be shown to stay inside its array",
                              f"one in {mod.told} that changes too often to follow", REMEDY)
        open_ = _wrong(graph, tables, risky, names, boxes)[0]
        boxes = boxes[open_]
        corners = np.concatenate([boxes[:, :, :1], boxes[:, :, 1:]]).repeat(2, 2) if len(names) else boxes
        if len(boxes):
            wrong, where = _wrong(graph, tables, risky, names, corners)
            if wrong.any():
                raise _error(mod, graph, tables, names, corners, where)
        boxes = _halves(boxes)


def _wrong(graph, tables, risky, names, boxes):
    """(which boxes may hold a mistake, for each risky node which)."""
    box = {name: (boxes[:, n, 0], boxes[:, n, 1]) for n, name in enumerate(names)}
    if "s" in graph.variables:
        box["s"] = (np.full(len(boxes), np.nan),) * 2
    values = evaluate(graph, tables, box)
    where = {}
    for n in risky:
        node, found = graph.nodes[n], np.zeros(len(boxes), bool)
        if node.op == "table":
            for a, size in zip(node.args, tables[node.value].shape, strict=True):
                found |= (values[a][0] < 0) | (values[a][1] >= size)
        else:
            found |= (values[n][0] < -LIMIT) | (values[n][1] >= LIMIT)
        if node.op in WHOLE:
            low, high = values[node.args[1]]
            found |= (low <= 0) & (high >= 0)
        where[n] = found
    wrong = np.zeros(len(boxes), bool)
    for found in where.values():
        wrong |= found
    return wrong, where


def _halves(boxes):
    """Each box cut in the middle of each of its sides that is longer than 1; boxes of one point are done."""
    boxes = boxes[(boxes[:, :, 0] < boxes[:, :, 1]).any(1)] if boxes.shape[1] else boxes[:0]
    for axis in range(boxes.shape[1]):
        low, high = boxes[:, axis, 0], boxes[:, axis, 1]
        middle, first, second = (low + high) // 2, boxes.copy(), boxes[low < high].copy()
        first[:, axis, 1] = middle
        second[:, axis, 0] = middle[low < high] + 1
        boxes = np.concatenate([first, second])
    return boxes


def _error(mod, graph, tables, names, corners, where):
    """The ValueError of the first mistake."""
    n = next(n for n, found in where.items() if found.any())
    at = corners[int(np.argmax(where[n])), :, 0]
    node = graph.nodes[n]
    box = {name: (np.array([x]),) * 2 for name, x in zip(names, at, strict=True)}
    box.setdefault("s", (np.array([np.nan]),) * 2)
    values = evaluate(graph, tables, box)
    place = ", ".join(f"{name} = {x}" for name, x in zip(names, at.tolist(), strict=True)) or "every position"
    if node.op == "table":
        shape = tables[node.value].shape
        index = tuple(int(values[a][0][0] if np.ndim(values[a][0]) else values[a][0]) for a in node.args)
        return value_error(mod.name, f"indices inside the captured array of shape {shape}",
                           f"{index if len(index) > 1 else index[0]} at {place} in {mod.told}", REMEDY)
    if node.op in WHOLE and not _nonzero(values[node.args[1]]):
        return value_error(mod.name, "divisors other than 0", f"0 at {place} in {mod.told}",
                           "use aat.lane.maximum(x, 1)")
    return value_error(mod.name, "whole numbers that fit an int32", f"one that does not at {place} in {mod.told}",
                       "write one of its numbers as a float, as 2.0 * q")


def _nonzero(interval):
    return bool(np.all((interval[0] > 0) | (interval[1] < 0)))
