"""An epoch of JPEG photographs of 4000×3000 pixels to shuffled batches of 32 × 224×224×3.

python benchmarks/large.py [--samples 64] [--rounds 3]
"""

from __future__ import annotations

from contenders import LARGE
from measuring import compare
from photographs import make_large_photographs

if __name__ == "__main__":
    compare(LARGE, make_large_photographs, samples=64, about=__doc__)
