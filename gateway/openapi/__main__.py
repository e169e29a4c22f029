"""`python -m gateway.openapi FILE` writes the document that the edge serves."""

import json
import sys
from pathlib import Path

from gateway.openapi.document import build_document
from gateway.public import PUBLIC_SERVICES
from gateway.transcode.rules import read_rules


def main(path: Path) -> None:
    """Write it with an entry a line, so that changes can be read."""
    document = build_document(read_rules(PUBLIC_SERVICES))
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
