"""Functions that change scores and masks: traced into a graph, compiled into kernels, bounded over tiles."""
