"""How a problem is cut into tiles."""
