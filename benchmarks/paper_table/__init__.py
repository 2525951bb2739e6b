"""The table of the HGN paper, from rendering to pictures, within a time: see `__main__`."""
