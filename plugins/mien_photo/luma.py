"""How bright a colour is."""

from __future__ import annotations

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Share of red, green and blue (ITU-R BT.601)."""
