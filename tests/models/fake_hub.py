"""The hub without the hub: its cache's format on disk, and a server on this machine that answers as
it does.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached(
    cache: Path, repository: str, source: Path, revision: str = "main", commit: str = COMMIT
) -> Path:
    """Put the files of a folder into a cache as the hub's client does: blobs by their hash,
    snapshots of links, refs.
    """
    top = cache / f"models--{repository.replace('/', '--')}"
    snapshot = top / "snapshots" / commit
    for folder in (snapshot, top / "blobs", (top / "refs" / revision).parent):
        folder.mkdir(parents=True, exist_ok=True)
    for path in (path for path in source.iterdir() if path.is_file()):
        blob = top / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        blob.write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(Path("../../blobs") / blob.name)
    (top / "refs" / revision).write_text(commit)
    return snapshot


@contextmanager
def server(repositories: Mapping[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """Serve folders as repositories; yields the address and the list of what was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(code)
            for name, value in {
                "Content-Length": str(len(body)),
                "X-Repo-Commit": COMMIT,
                **headers,
            }.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_GET(self) -> None:
            path = unquote(self.path).partition("?")[0].strip("/")
            asked.append(path)
            api, path = path.startswith("api/models/"), path.removeprefix("api/models/")
            name = next((n for n in repositories if path.startswith(f"{n}/")), None)
            if name is None:
                return self.answer(404, X_Error_Code="RepoNotFound")
            what, _, rest = path.removeprefix(f"{name}/").partition("/")
            revision, _, file = rest.partition("/")
            if revision not in ("main", COMMIT):
                return self.answer(404, X_Error_Code="RevisionNotFound")
            files = {
                entry.name: entry.read_bytes()
                for entry in repositories[name].iterdir()
                if entry.is_file()
            }
            if api and what == "tree":
                tree = [
                    {"type": "file", "path": n, "size": len(b), "oid": "0" * 40}
                    for n, b in files.items()
                ]
                return self.answer(200, json.dumps(tree).encode(), Content_Type="application/json")
            if api:
                info = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": n} for n in files]}
                return self.answer(200, json.dumps(info).encode(), Content_Type="application/json")
            if what != "resolve" or file not in files:
                return self.answer(404, X_Error_Code="EntryNotFound")
            etag = hashlib.sha256(files[file]).hexdigest()
            self.answer(200, files[file], ETag=f'"{etag}"')

        do_HEAD = do_GET  # noqa: N815

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(
        target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", asked
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
