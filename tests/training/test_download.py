"""Downloading and unpacking: whole and right, or a sentence and nothing half done."""

import fcntl
import gzip
import hashlib
import http.server
import io
import socket
import subprocess
import sys
import tarfile
import threading
import time

import numpy as np
import pytest

from minires.data.dataset import DataError
from minires.data.download import extract, fetch


class Site(http.server.ThreadingHTTPServer):
    """Serves `content` at every path; `flaws` says what it does badly."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.flaws, self.ranges = content, set(), []
        self.url = f"http://127.0.0.1:{self.server_port}/archive"
        self.md5 = hashlib.md5(content).hexdigest()


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        content, flaws = self.server.content, self.server.flaws
        self.server.ranges.append(self.headers["Range"])
        start = int(self.headers["Range"][len("bytes=") : -1])
        if "not found" in flaws:
            return self.send_error(404)
        if "silent" in flaws:
            return threading.Event().wait(1)
        if "no ranges" in flaws:
            start = 0
            self.send_response(200)
        elif start >= len(content):
            return self.send_error(416)
        else:
            self.send_response(206)
        if "no length" not in flaws:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        sent = content[start:]
        if "cut" in flaws:
            flaws.remove("cut")
            sent = sent[: len(sent) // 2]
        if "damaged" in flaws:
            sent = bytes(len(sent))
        self.wfile.write(sent)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Site(np.random.default_rng(2).bytes(700_001)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


FILE, LINK, HARD_LINK = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def pack(path, *members):
    """A .tar.gz of (name, content or link target, type)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content, kind in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind in (LINK, HARD_LINK):
                member.linkname, content = content, b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def names_in(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


# Downloading


def test_a_file_is_downloaded_once_and_progress_goes_to_stderr(site, tmp_path, capsys):
    path = tmp_path / "new" / "folder" / "file"
    for _ in range(2):
        assert fetch(site.url, path, site.md5) == path
    assert path.read_bytes() == site.content and len(site.ranges) == 1
    assert names_in(path.parent) == {"file"}
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("file: 1 of 1 MB, ")
    assert captured.err.count("\n") == 1 and "\r" not in captured.err  # a whole line of a log


@pytest.mark.parametrize("flaw", [None, "no ranges", "no length"])
def test_an_interrupted_download_is_resumed(site, flaw, tmp_path, capsys):
    site.flaws.add("cut")
    path = tmp_path / "file"
    with pytest.raises(DataError, match="failed.*all 700,001 bytes.*kept.*place it as") as caught:
        fetch(site.url, path, site.md5, progress=False)
    assert site.url in str(caught.value) and str(path) in str(caught.value)
    assert names_in(tmp_path) == {"file.part"}
    site.flaws.add(flaw)
    fetch(site.url, path, site.md5, progress=False)
    assert path.read_bytes() == site.content and names_in(tmp_path) == {"file"}
    assert site.ranges == ["bytes=0-", "bytes=350000-"] and capsys.readouterr().err == ""


@pytest.mark.parametrize("more", [0, 1, 1_000_000])
def test_a_part_as_long_as_the_whole_or_longer_is_no_trap(site, more, tmp_path):
    (tmp_path / "file.part").write_bytes(bytes(len(site.content) + more))
    fetch(site.url, tmp_path / "file", site.md5, progress=False)
    assert (tmp_path / "file").read_bytes() == site.content and len(site.ranges) == 2


@pytest.mark.parametrize("flaws", [{"damaged"}, {"no length", "cut"}])
def test_what_came_with_a_wrong_checksum_is_thrown_away(site, flaws, tmp_path):
    site.flaws |= flaws
    with pytest.raises(DataError, match=f"expected {site.md5}; it was thrown away.*{site.url}"):
        fetch(site.url, tmp_path / "file", site.md5, progress=False)
    site.flaws.clear()
    fetch(site.url, tmp_path / "file", site.md5, progress=False)
    assert site.ranges == ["bytes=0-"] * 2 and names_in(tmp_path) == {"file"}


def test_a_present_file_with_a_wrong_checksum_is_named_and_left_alone(site, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=f"file has md5 .*, expected {site.md5}.*Delete it"):
        fetch(site.url, tmp_path / "file", site.md5)
    assert (tmp_path / "file").read_text() == "mine" and not site.ranges


@pytest.mark.parametrize("flaw, why", [("not found", "404"), ("silent", "timed out")])
def test_a_site_that_fails_is_named(site, flaw, why, tmp_path):
    site.flaws.add(flaw)
    with pytest.raises(DataError, match=f"{site.url} failed.*{why}.*place it as {tmp_path}/file"):
        fetch(site.url, tmp_path / "file", site.md5, timeout=0.2, progress=False)
    assert names_in(tmp_path) == set()  # not even an empty part


def test_a_site_that_is_down_is_named(tmp_path):
    with socket.socket() as deaf:  # has a port, and listens on none
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/file"
        with pytest.raises(DataError, match=f"{url} failed.*place it as {tmp_path}/file"):
            fetch(url, tmp_path / "file", "0" * 32, progress=False)


def test_a_folder_that_cannot_be_written_is_named(site, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match=f"failed.*{tmp_path}/file"):
        fetch(site.url, tmp_path / "file" / "archive", site.md5)
    archive = pack(tmp_path / "set.tar.gz", ("set/a", b"a", FILE))
    with pytest.raises(DataError, match=f"cannot unpack {archive} in {tmp_path}/absent"):
        extract(archive, tmp_path / "absent" / "set")


def test_a_download_waits_for_another_one_and_says_so(site, tmp_path, capsys):
    part = tmp_path / "file.part"
    with part.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        arguments = site.url, tmp_path / "file", site.md5, 10, False
        waiting = threading.Thread(target=fetch, args=arguments)
        waiting.start()
        while waiting.is_alive() and "waiting for another" not in capsys.readouterr().err:
            time.sleep(0.01)
        (tmp_path / "file").write_bytes(site.content)
    waiting.join()
    assert (tmp_path / "file").read_bytes() == site.content and names_in(tmp_path) == {"file"}
    assert not site.ranges


def test_processes_that_download_at_once_share_one_download(site, tmp_path):
    noise = np.random.default_rng(4).bytes(300_000)
    site.content = pack(tmp_path / "source", ("set/a", noise, FILE)).read_bytes()
    md5 = hashlib.md5(site.content).hexdigest()
    program = (
        "import sys; from minires.data.download import extract, fetch; url, to, md5 = sys.argv[1:];"
        "extract(fetch(url, to + '/archive', md5), to + '/set')"
    )
    command = [sys.executable, "-c", program, site.url, str(tmp_path / "d"), md5]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        error = process.communicate(timeout=60)[1]
        assert process.returncode == 0, error
    assert len(site.ranges) == 1 and names_in(tmp_path / "d") == {"archive", "set", "set/a"}
    assert (tmp_path / "d/set/a").read_bytes() == noise


# Unpacking


REFUSED = {
    "parent": ("outside the destination", [("../evil", b"x", FILE)]),
    "hidden parent": ("outside the destination", [("set/a/../../../evil", b"x", FILE)]),
    "a file for the set": ("holds no folder 'set'", [("set", b"x", FILE)]),
    "another folder": ("holds no folder 'set'", [("other/a", b"x", FILE)]),
    "an absolute name": ("holds no folder 'set'", [("/{outside}/evil", b"x", FILE)]),
    "nothing": ("holds no folder 'set'", []),
}
SKIPPED = {
    "symbolic link": [("set/link", "{outside}", LINK), ("set/link/evil", b"x", FILE)],
    "chain of links": [
        ("set/up", "..", LINK), ("set/link", "up/../outside", LINK), ("set/link/evil", b"x", FILE)
    ],
    "hard link": [("set/link", "{outside}/secret", HARD_LINK), ("set/a", b"x", FILE)],
    "device": [("set/pipe", b"", tarfile.FIFOTYPE), ("set/a", b"x", FILE)],
}  # fmt: skip


@pytest.fixture
def outside(tmp_path):
    """A folder that no archive may touch, beside the one in which archives are unpacked."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (tmp_path / "inside").mkdir()
    return tmp_path / "outside"


def aim(members, outside):
    def fill(text):
        return text.format(outside=outside) if isinstance(text, str) else text

    return [(fill(name), fill(content), kind) for name, content, kind in members]


@pytest.mark.parametrize("trap", REFUSED)
def test_an_archive_that_is_not_the_set_is_refused_and_leaves_nothing(trap, tmp_path, outside):
    why, members = REFUSED[trap]
    archive = pack(tmp_path / "inside" / "set.tar.gz", *aim(members, outside))
    before = names_in(tmp_path)
    with pytest.raises(DataError, match=f"set.tar.gz.*{why}"):
        extract(archive, tmp_path / "inside" / "set")
    assert names_in(tmp_path) == before


@pytest.mark.parametrize("trap", SKIPPED)
def test_links_and_devices_in_an_archive_are_skipped(trap, tmp_path, outside):
    archive = pack(tmp_path / "inside" / "set.tar.gz", *aim(SKIPPED[trap], outside))
    folder = extract(archive, tmp_path / "inside" / "set")
    assert names_in(outside) == {"secret"} and (outside / "secret").stat().st_nlink == 1
    assert names_in(folder) in ({"a"}, {"link", "link/evil"})
    assert all(path.is_dir() or path.is_file() for path in folder.rglob("*"))
    assert not any(path.is_symlink() for path in folder.rglob("*"))


@pytest.mark.parametrize(
    "damage", ["empty", "cut early", "cut late", "cut at the end", "flipped", "plain", "html"]
)
def test_a_damaged_archive_is_refused_and_leaves_nothing(damage, tmp_path):
    noise = np.random.default_rng(1).bytes(50_000)
    archive = pack(tmp_path / "set.tar.gz", ("set/a", noise, FILE), ("set/b", b"b", FILE))
    whole = archive.read_bytes()
    damaged = {
        "empty": b"",
        "cut early": whole[:5],
        "cut late": whole[:25_000],
        "cut at the end": whole[:-1],
        "flipped": whole[:25_000] + bytes([whole[25_000] ^ 255]) + whole[25_001:],
        "plain": gzip.decompress(whole),
        "html": b"<html>not found</html>",
    }
    archive.write_bytes(damaged[damage])
    with pytest.raises(DataError, match="cannot unpack .*set.tar.gz .*damaged, delete it"):
        extract(archive, tmp_path / "set")
    assert names_in(tmp_path) == {"set.tar.gz"}


def test_a_folder_that_is_there_already_is_left_as_it_is(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("mine")
    archive = pack(tmp_path / "set.tar.gz", ("set/a", b"a", FILE))
    assert extract(archive, tmp_path / "set") == tmp_path / "set"
    assert names_in(tmp_path) == {"set.tar.gz", "set", "set/mine"}
