"""Ways to choose tiles, one a file, all of one signature (base.TilingStrategy)."""
