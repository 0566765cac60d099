"""Keep tabular models fresh, safely: the loop's stages in plain Python. Nothing here knows a scheduler."""
