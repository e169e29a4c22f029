"""The program of the analysis child: run as `python -I child.py`, never imported.

Isolated mode keeps the script's own folder off the path, so the folder above `services` is put there for the imports
and taken off again: it may hold an .env, and the walls let the child read `services` alone.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from services.review.analyzers.serve import main
from services.review.analyzers.table import ANALYZERS

sys.path.remove(str(Path(__file__).resolve().parents[3]))
main(ANALYZERS)
