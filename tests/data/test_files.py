"""Where files are looked for, and that a download is let in only whole and unchanged."""

from __future__ import annotations

import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from genlab.data import files

CONTENTS = b"what the set holds" * 100
FILE = {"sha256": hashlib.sha256(CONTENTS).hexdigest(), "size": len(CONTENTS)}


@pytest.fixture(autouse=True)
def no_data(tmp_path, monkeypatch):
    monkeypatch.delenv("GENLAB_DATA", raising=False)
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def server():
    """A server of /good, /packed, /changed, /long and /cut; counts what was asked for."""
    asked = []
    bodies = {
        "good": CONTENTS, "packed": gzip.compress(CONTENTS), "changed": CONTENTS[:-1] + b"!",
        "long": CONTENTS + bytes(3 << 20), "cut": CONTENTS[:50],
    }  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = bodies.get(self.path[1:])
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args) -> None: ...

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}/", asked
    httpd.shutdown()
    httpd.server_close()


def test_the_first_place_that_has_it_counts(tmp_path, monkeypatch) -> None:
    shared, cached = tmp_path / "shared" / "set", files.cache() / "set"
    for folder in (shared, cached):
        folder.mkdir(parents=True)
        (folder / "a.txt").write_text("here")
    assert files.find("a.txt", name="set", root=None) == cached / "a.txt"
    monkeypatch.setenv("GENLAB_DATA", str(tmp_path / "shared"))
    assert files.find("a.txt", name="set", root=None) == shared / "a.txt"
    assert files.find("a.txt", name="set", root=tmp_path / "shared") == shared / "a.txt"
    assert files.find("a.txt", name="set", root=shared) == shared / "a.txt"
    assert files.find("a.txt", name="set", root=tmp_path) is None


@pytest.mark.parametrize("file, path", [("a.bin", "good"), ("a-ubyte.gz", "packed")])
def test_a_download_is_kept(server, file, path) -> None:
    url, asked = server
    for _ in range(2):
        found = files.fetch(file, [url + path], name="set", root=None, **FILE)
    assert found == files.cache() / "set" / file and len(asked) == 1
    assert files.read(found, **FILE) == CONTENTS


@pytest.mark.parametrize("path", ["changed", "long", "cut", "absent"])
def test_a_bad_download_leaves_nothing(server, path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        files.fetch("a.bin", [server[0] + path], name="set", root=None, **FILE)
    assert "no download" in str(error.value) and "\n" not in str(error.value)
    assert not [p for p in (files.cache() / "set").iterdir() if p.suffix != ".lock"]


def test_the_next_mirror_is_asked(server) -> None:
    url, asked = server
    urls = [url + "absent", url + "changed", url + "good"]
    assert files.fetch("a.bin", urls, name="set", root=None, **FILE).is_file()
    assert asked == ["/absent", "/changed", "/good"]


def test_a_named_root_is_never_written_to(server, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^data\.root=.*write data\.root=FOLDER$"):
        files.fetch("a.bin", [server[0] + "good"], name="set", root=tmp_path, **FILE)
    assert server[1] == []


def test_of_many_at_once_one_downloads(server) -> None:
    url, asked = server
    threads = [
        threading.Thread(
            target=files.fetch,
            args=("a.bin", [url + "good"]),
            kwargs={"name": "set", "root": None, **FILE},
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1


def test_unpacking_stops_at_the_stated_size(tmp_path) -> None:
    bomb = tmp_path / "a-ubyte.gz"
    bomb.write_bytes(gzip.compress(bytes(50 << 20)))
    with pytest.raises(ValueError, match="damaged or another file"):
        files.read(bomb, **FILE)
