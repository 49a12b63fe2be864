"""The mixin of huggingface_hub, on a folder and on a server of this machine."""

from __future__ import annotations

import hashlib
import http.server
import threading
from pathlib import Path

import pytest
import torch
from processes import run_python
from untrained import classifier

import firstspike as fs

pytest.importorskip("huggingface_hub")

COMMIT = "0" * 40


@pytest.fixture
def folder(tmp_path) -> Path:
    from firstspike.hub.hugging_face import Pretrained

    Pretrained(classifier((9, 4, 3))).save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_folder_holds_a_network_and_its_card(folder):
    from firstspike.hub.hugging_face import Pretrained

    again = Pretrained.from_pretrained(folder).network
    assert torch.equal(again.layers[0].weight, classifier((9, 4, 3)).layers[0].weight)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "library_name: firstspike" in card and "time-to-first-spike" in card
    assert fs.load(folder / "network.safetensors").sizes == (9, 4, 3)


def test_a_damaged_file_is_refused(folder):
    from firstspike.hub.hugging_face import Pretrained

    (folder / "network.safetensors").write_bytes(b"x" * 50)
    with pytest.raises(ValueError, match="damaged"):
        Pretrained.from_pretrained(folder)


class Hub(http.server.BaseHTTPRequestHandler):
    """What huggingface_hub asks of its server to download a file, and no more."""

    folder: Path
    asked: list[str]

    def do_GET(self):
        self.do_HEAD(body=True)

    def do_HEAD(self, body=False):
        self.asked.append(self.path)
        _, _, name = self.path.partition(f"/resolve/{COMMIT if COMMIT in self.path else 'main'}/")
        file = self.folder / name
        if not self.path.startswith("/someone/network/resolve/") or not file.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def test_a_server_gives_the_same_network(folder, tmp_path):
    Hub.folder, Hub.asked = folder, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            run_python(
                "import firstspike as fs\n"
                "from firstspike.hub.hugging_face import Pretrained\n"
                "network = Pretrained.from_pretrained('someone/network').network\n"
                f"fs.save(network, {str(tmp_path / 'again.safetensors')!r})",
                HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
                HF_HOME=str(tmp_path / "cache"),
                HF_HUB_DISABLE_TELEMETRY="1",
                HF_HUB_DISABLE_XET="1",
                HF_HUB_DISABLE_PROGRESS_BARS="1",
                NO_PROXY="*",
                no_proxy="*",
            )
        finally:
            server.shutdown()
    again = fs.load(tmp_path / "again.safetensors")
    assert torch.equal(again.layers[1].weight, classifier((9, 4, 3)).layers[1].weight)
    assert any(path.endswith("network.safetensors") for path in Hub.asked)


def test_without_the_package_it_is_one_line(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "firstspike.hub.hugging_face", raising=False)
    with pytest.raises(ValueError, match=r"needs the package huggingface_hub: .*firstspike\[hub\]"):
        import firstspike.hub.hugging_face  # noqa: F401
