from services.review.domain import Upload, UploadedFile

EVIL = "import subprocess\n\n\ndef run(words):\n    return eval(words)\n"


def diff_of(path: str, content: str) -> bytes:
    """The diff that adds a file."""
    lines = content.removesuffix("\n").split("\n")
    body = "".join(f"+{line}\n" for line in lines)
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    return f"{head}@@ -0,0 +1,{len(lines)} @@\n{body}".encode()


def upload_of(files: dict[str, str], sarif: bytes | None = None) -> Upload:
    """An upload that adds files."""
    diff = b"".join(diff_of(path, content) for path, content in files.items())
    return Upload(diff, tuple(UploadedFile(p.encode(), c.encode()) for p, c in files.items()), sarif)
