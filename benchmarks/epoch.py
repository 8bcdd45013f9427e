"""An epoch of JPEG photographs to shuffled batches of 32 × 224×224×3: every loader, and what people use today.

python benchmarks/epoch.py [--samples 600] [--rounds 3]
"""

from __future__ import annotations

from contenders import CONTENDERS
from measuring import compare
from photographs import make_photographs

if __name__ == "__main__":
    compare(CONTENDERS, make_photographs, samples=600, about=__doc__)
