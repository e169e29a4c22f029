"""Generates protos/gen from protos/lintel: run `./lintel dev protos` after every change of a .proto file.

The output is committed; the build checks that it is what this script makes. descriptors.binpb keeps the comments,
which the OpenAPI document is made from.
"""

import shutil
import sys
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
GEN = ROOT / "gen"
THIRD_PARTY = ROOT / "third_party"
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def main() -> int:
    """Write protos/gen anew; answers protoc's exit status."""
    ours = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "lintel").rglob("*.proto"))
    services = [p for p in ours if p.endswith("_service.proto")]
    shutil.rmtree(GEN, ignore_errors=True)
    GEN.mkdir()
    paths = [f"-I{ROOT}", f"-I{THIRD_PARTY}", f"-I{WELL_KNOWN}"]
    runs = [
        [*paths, f"--python_out={GEN}", f"--mypy_out=quiet:{GEN}", *ours, "buf/validate/validate.proto"],
        [*paths, f"--grpc_python_out={GEN}", f"--mypy_grpc_out=quiet,only_async:{GEN}", *services],
        [*paths, f"--descriptor_set_out={GEN}/descriptors.binpb", "--include_imports", "--include_source_info", *ours],
    ]
    for arguments in runs:
        status = int(protoc.main(["protoc", *arguments]))
        if status:
            return status
    for directory in {p.parent for p in GEN.rglob("*_pb2.py")}:
        package = directory
        while package != GEN:
            (package / "__init__.py").touch()
            package = package.parent
    return 0


if __name__ == "__main__":
    sys.exit(main())
