"""What the agent costs, measured against what people use today: ``make bench``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "pylib"), str(ROOT / "tests"), str(ROOT / "tests/soak")]
