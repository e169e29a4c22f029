"""Says what a child says where the kernel can't deny sockets, and then never answers."""

import json
import sys

hello = json.dumps(
    {"type": "hello", "no_sockets": False, "landlock": 0, "user": "caller", "notes": ["no filter"]}
).encode()
sys.stdout.buffer.write(len(hello).to_bytes(4, "big") + hello)
sys.stdout.buffer.flush()
sys.stdin.buffer.read()
