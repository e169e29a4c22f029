"""The services of Lintel. Generated protobuf code lives in protos/gen and is imported by its proto path."""

import sys
from pathlib import Path

_GENERATED = str(Path(__file__).resolve().parents[1] / "protos" / "gen")
if _GENERATED not in sys.path:
    sys.path.insert(0, _GENERATED)
