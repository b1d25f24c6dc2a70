"""Downloading, from a server on this machine with tiny files of our own."""

import gzip
import hashlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nsae.datasets.download import download

module = sys.modules["nsae.datasets.download"]  # the package has a function of that name

CONTENT = {name: f"content of {name}".encode() * 50 for name in module.SHA256["mnist"]}
FIRST = next(iter(CONTENT))


@pytest.fixture
def server(monkeypatch):
    """A mirror: ``server.files`` maps names to (status, announced length or None, bytes)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rpartition("/")[2]
            server.asked.append(name)
            if server.garbage:
                self.wfile.write(b"no HTTP at all\r\n\r\n")
                return
            status, length, body = server.files.get(name, (404, 0, b""))
            self.send_response(status)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    for variable in ("NO_PROXY", "no_proxy"):  # a proxy in the environment is not for this machine
        monkeypatch.setenv(variable, "127.0.0.1")
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    monkeypatch.setitem(module.SHA256, "mnist", sums)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.files, server.garbage = [], {}, False
    for name, content in CONTENT.items():
        packed = gzip.compress(content)
        server.files[name] = (200, len(packed), packed)
    server.url = f"http://127.0.0.1:{server.server_port}/mnist/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_all_files_arrive(server, tmp_path):
    folder = download("mnist", folder=tmp_path / "new" / "data", mirror=server.url)
    assert folder == tmp_path / "new" / "data" / "mnist"
    assert names(folder) == sorted(CONTENT)
    for name, content in CONTENT.items():
        assert gzip.decompress((folder / name).read_bytes()) == content


def test_official_mirror_and_data_folder_are_the_defaults(server, tmp_path, monkeypatch):
    monkeypatch.setenv("NSAE_DATA", str(tmp_path))
    monkeypatch.setitem(module.MIRRORS, "mnist", server.url)
    assert download("mnist") == tmp_path / "mnist"
    assert names(tmp_path) == sorted(CONTENT)


def test_right_files_are_kept_and_wrong_ones_replaced(server, tmp_path):
    folder = download("mnist", folder=tmp_path, mirror=server.url)
    server.asked.clear()
    (folder / FIRST).write_bytes(gzip.compress(b"something else"))
    download("mnist", folder=tmp_path, mirror=server.url)
    assert server.asked == [FIRST]
    assert gzip.decompress((folder / FIRST).read_bytes()) == CONTENT[FIRST]
    server.asked.clear()
    download("mnist", folder=tmp_path, mirror=server.url, force=True)
    assert server.asked == list(CONTENT)


def test_other_compression_of_the_same_content_is_right(server, tmp_path):
    packed = gzip.compress(CONTENT[FIRST], compresslevel=0)
    assert packed != server.files[FIRST][2]
    server.files[FIRST] = (200, len(packed), packed)
    download("mnist", folder=tmp_path, mirror=server.url)


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"other"),
        b"<html>log in first</html>",
        gzip.compress(CONTENT[FIRST])[:-9],
        gzip.compress(b"")[:10] + b"\xff" * 30,
        b"",
    ],
    ids=["other content", "not gzip", "gzip cut short", "gzip damaged", "empty"],
)
def test_wrong_content_is_refused_and_nothing_written(server, tmp_path, body):
    server.files[FIRST] = (200, len(body), body)
    with pytest.raises(ValueError, match=rf"{FIRST}.*SHA-256 [0-9a-f]{{64}} was expected.*mirror="):
        download("mnist", folder=tmp_path, mirror=server.url)
    assert names(tmp_path) == []


def test_wrong_content_does_not_replace_an_old_file(server, tmp_path):
    folder = download("mnist", folder=tmp_path, mirror=server.url)
    server.files[FIRST] = (200, 4, b"junk")
    with pytest.raises(ValueError, match="not whole gzip"):
        download("mnist", folder=tmp_path, mirror=server.url, force=True)
    assert gzip.decompress((folder / FIRST).read_bytes()) == CONTENT[FIRST]
    assert names(folder) == sorted(CONTENT)


def test_missing_file_names_the_url_and_the_way_out(server, tmp_path):
    del server.files[FIRST]
    with pytest.raises(OSError, match=rf"{server.url}{FIRST} .*404.*mirror=.*by hand: {tmp_path}"):
        download("mnist", folder=tmp_path, mirror=server.url)
    assert names(tmp_path) == []


def test_transfer_that_ends_early(server, tmp_path):
    packed = server.files[FIRST][2]
    server.files[FIRST] = (200, len(packed) + 100, packed)
    with pytest.raises(OSError, match="could not be fetched"):
        download("mnist", folder=tmp_path, mirror=server.url)
    assert names(tmp_path) == []


def test_answer_that_is_not_http(server, tmp_path):
    server.garbage = True
    with pytest.raises(OSError, match="could not be fetched"):
        download("mnist", folder=tmp_path, mirror=server.url)
    assert names(tmp_path) == []


def test_no_server(tmp_path, server):
    url = server.url.replace(str(server.server_port), "1")
    with pytest.raises(OSError, match=rf"{url}{FIRST} could not be fetched"):
        download("mnist", folder=tmp_path, mirror=url)


def test_mirror_that_is_no_url(tmp_path):
    with pytest.raises(OSError, match="unknown url type"):
        download("mnist", folder=tmp_path, mirror="somewhere")


def test_interrupted_leaves_nothing_half_done(server, tmp_path):
    def interrupt(file, done, total):
        if file != FIRST:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download("mnist", folder=tmp_path, mirror=server.url, progress=interrupt)
    assert names(tmp_path) == [FIRST]  # what was finished stays


def test_errors_of_the_caller_are_not_called_network_errors(server, tmp_path):
    def full(file, done, total):
        raise OSError("disk full")

    with pytest.raises(OSError, match=r"^disk full$"):
        download("mnist", folder=tmp_path, mirror=server.url, progress=full)


@pytest.mark.parametrize("announced", [True, False])
def test_progress_counts_bytes(server, tmp_path, announced, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 16)
    packed = server.files[FIRST][2]
    server.files[FIRST] = (200, len(packed) if announced else None, packed)
    seen = []
    download("mnist", folder=tmp_path, mirror=server.url, progress=lambda *args: seen.append(args))
    first = [(done, total) for file, done, total in seen if file == FIRST]
    assert len(first) > 2
    assert first[0] == (16, len(packed) if announced else None)
    assert first[-1][0] == len(packed)


def test_unknown_name(tmp_path):
    with pytest.raises(ValueError, match=r"'cifar'.*'mnist', 'fashion-mnist'"):
        download("cifar", folder=tmp_path)


def test_the_package_has_the_function_whatever_is_imported_after_it():
    """The module has the name of its function, and an import sets the package's attribute of that name."""
    import importlib

    import nsae.datasets

    for name in ("download", "glyphs", "mnist"):
        module = importlib.import_module(f"nsae.datasets.{name}")
        assert getattr(nsae.datasets, name) is getattr(module, name)
