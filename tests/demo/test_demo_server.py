"""The demo's web server: what it serves, to whom, what it refuses; the command that starts it."""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from untrained import finished
from untrained import run as untrained_run

from firstspike import cli
from firstspike.data import load_mnist
from firstspike.demo import api, drawing, networks
from firstspike.demo.networks import Shelf, given
from firstspike.demo.race import race
from firstspike.demo.server import PAGE, Server


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Shelf:
    folder = tmp_path_factory.mktemp("demo")
    finished(folder / "a", "classifier")
    finished(folder / "b", "gan")
    damaged = finished(folder / "c", "classifier").path / "checkpoint" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    return Shelf(given([folder])[0])


@pytest.fixture(scope="module")
def server(shelf) -> Iterator[Server]:
    with Server(0, api.Api(shelf)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(server):
    """Makes a request; returns status, headers and body."""

    def ask(method: str, path: str, body: bytes | None = None, **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    return ask


def picture(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


BLACK = picture(np.zeros((28, 28), np.uint8))


def test_it_serves_the_page_and_its_files_and_nothing_else(ask):
    status, headers, page = ask("GET", "/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    names = re.findall(rb'(?:src|href)="(/[^"]+)"', page)
    assert len(set(names)) == 3
    for name in (f"/{file.name}" for file in PAGE.iterdir() if file.name != "index.html"):
        status, headers, content = ask("GET", name)
        assert status == 200 and content == (PAGE / name[1:]).read_bytes()
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/../server.py", "/%2e%2e/server.py", "//etc/passwd", "/page", "/api", "/api/x"):
        assert ask("GET", path)[0] == 404
    assert ask("GET", "/api/race?network=0")[0] == 404  # POST only
    assert ask("DELETE", "/")[0] == 501


def test_nothing_of_the_page_comes_from_outside():
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(?:https?:|[\"'(])//\w|@import|sendBeacon|WebSocket", text), file


def test_the_networks_on_offer(ask):
    status, headers, body = ask("GET", "/api/networks")
    assert status == 200 and headers["Content-Type"] == "application/json"
    kinds = [network["kind"] for network in json.loads(body)["networks"]]
    assert kinds == ["classifier", "gan", "classifier"]


def test_a_picture_is_raced(ask, shelf):
    digit = load_mnist("test").images[4].numpy()
    status, _, body = ask("POST", "/api/race?network=0", picture(digit))
    assert status == 200
    answer = json.loads(body)
    assert answer.pop("pixels") == digit.flatten().tolist()
    assert answer == race(shelf.classifier(0), digit)


def test_pictures_are_read_one_at_a_time(ask, monkeypatch):
    """A large one takes gigabytes while it is read, and six at once would take six times that."""
    reading, most = [], []

    def slowly(*arguments: object, **options: object) -> np.ndarray:
        reading.append(1)
        most.append(len(reading))
        time.sleep(0.05)
        reading.pop()
        return np.zeros((28, 28), np.uint8)

    monkeypatch.setattr(api.picture, "read", slowly)
    with ThreadPoolExecutor(4) as visitors:
        answers = [visitors.submit(ask, "POST", "/api/race?network=0", BLACK) for _ in range(4)]
    assert [answer.result()[0] for answer in answers] == [200] * 4
    assert most == [1] * 4


def test_a_digit_of_the_test_images(ask):
    answer = json.loads(ask("GET", "/api/digit?network=0&pick=20003")[2])
    test = load_mnist("test")
    assert answer["index"] == 3 and answer["label"] == test.names[test.labels[3]]
    assert answer["pixels"] == test.images[3].flatten().tolist()


def test_a_generator_samples_and_walks(ask, shelf):
    sampled = json.loads(ask("POST", "/api/sample?network=1", b'{"count": 3, "seed": 5}')[2])
    assert sampled == drawing.sample(shelf.gan(1), 3, 5)
    ends = [image[0] for image in sampled["images"][:2]]
    asked = json.dumps({"ends": ends, "steps": 4}).encode()
    walked = json.loads(ask("POST", "/api/walk?network=1", asked)[2])
    assert walked == drawing.walk(shelf.gan(1), ends, 4)


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("POST", "race?network=0", b"not a picture", "not a readable picture"),
        ("POST", "race?network=0", b"", "not a readable picture"),
        ("POST", "race?network=x", BLACK, "network must be a whole"),
        ("POST", "race?network=1", BLACK, "no classifier of this"),
        ("POST", "race?network=2", BLACK, "damaged"),
        ("POST", "race", BLACK, "network must be a whole number"),
        ("GET", "digit?network=7&pick=0", None, "there is no classifier of this number"),
        ("GET", "digit?network=0&pick=1e3", None, "pick must be a whole number, got '1e3'"),
        ("GET", "digit?network=0&pick=" + "9" * 5000, None, "pick must be a whole number"),
        ("POST", "sample?network=1", b"", "no JSON"),
        ("POST", "sample?network=1", b"[1]", "no JSON object"),
        ("POST", "sample?network=1", b"[" * 100_000, "no JSON"),
        ("POST", "sample?network=1", b'{"count": 65, "seed": 1}', "count must be a whole number"),
        ("POST", "sample?network=1", b'{"count": true, "seed": 1}', "count must be"),
        ("POST", "sample?network=1", b'{"count": 3, "seed": -1}', "seed must be"),
        ("POST", "sample?network=0", b'{"count": 3, "seed": 1}', "there is no generator of"),
        ("POST", "walk?network=1", b'{"steps": 1}', "steps must be a whole number in 2..64"),
        ("POST", "walk?network=1", b'{"steps": 4, "ends": [[NaN], [1]]}', "two lists of 100"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_told_in_one_line(ask, method, path, body, reason):
    status, _, content = ask(method, f"/api/{path}", body)
    assert status == 400
    told = json.loads(content)["error"]
    assert reason in told and "\n" not in told and len(told) < 300


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # DNS rebinding
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1"},  # not this port
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},  # another program of this machine
    ],
)
def test_pages_of_others_get_nothing(ask, headers):
    for method, path in (("GET", "/"), ("GET", "/api/networks"), ("POST", "/api/sample?network=1")):
        status, _, body = ask(method, path, b"{}" if method == "POST" else None, **headers)
        assert status == 403 and set(json.loads(body)) == {"error"}


OPENED = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}


def test_a_link_elsewhere_opens_the_page_and_nothing_else(ask):
    opened = {**OPENED, "Sec_Fetch_Dest": "document"}
    assert ask("GET", "/", **opened)[0] == 200
    assert ask("GET", "/?from=mail", **opened)[0] == 200
    for path, headers in (
        ("/api/networks", opened),
        ("/main.js", opened),
        ("/", {**OPENED, "Sec_Fetch_Dest": "iframe"}),
        ("/", {**opened, "Host": "evil.example"}),
    ):
        assert ask("GET", path, **headers)[0] == 403
    assert ask("POST", "/api/sample?network=1", b"{}", **opened)[0] == 403


def test_our_own_page_gets_what_it_asks_for(ask, server):
    for host in ("127.0.0.1", "localhost"):
        place = f"{host}:{server.port}"
        headers = {"Host": place, "Origin": f"http://{place}", "Sec_Fetch_Site": "same-origin"}
        assert ask("GET", "/api/networks", **headers)[0] == 200


def test_a_request_without_length_or_too_long_is_not_read(ask, server):
    for length, status in (
        (str(api.LONGEST + 1), 413),
        ("9" * 6000, 411),
        ("-1", 411),
        ("x", 411),
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            request = f"POST /api/race?network=0 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            connection.sendall(f"{request}Content-Length: {length}\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(4096), b""))  # until it hangs up
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert ask("POST", "/api/sample?network=1", b'{"count": 1, "seed": 1}')[0] == 200


def test_a_fault_of_ours_is_told_without_its_details(ask, server, monkeypatch, capfd):
    monkeypatch.setitem(server.api.routes, ("GET", "/api/networks"), lambda _: 1 / 0)
    status, _, body = ask("GET", "/api/networks")
    assert status == 500 and "its terminal says what" in json.loads(body)["error"]
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_it_listens_on_this_machine_only(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.port}/"


def test_warming_up_races_the_first_classifier_and_minds_no_damage(shelf, monkeypatch):
    raced = []
    monkeypatch.setattr(api, "race", lambda model, image: raced.append(model))
    api.Api(shelf).warm_up()
    assert raced == [shelf.classifier(0)]
    api.Api(Shelf(shelf.offers[2:])).warm_up()
    assert len(raced) == 1


def firstspike(*arguments: object) -> int:
    return cli.main(["demo", "--no-browser", *map(str, arguments)])


def test_the_command_serves_until_it_is_interrupted(tmp_path, monkeypatch, capsys):
    def interrupted(server: Server) -> None:
        kinds = [(offer.run.kind, offer.name) for offer in server.api.shelf.offers]
        assert kinds[0] == ("classifier", str(tmp_path / "a"))
        bundled = {kind for kind, name in kinds if "bundled" in name}
        assert bundled == {"classifier", "gan", "vae", "translate", "segment", "detect"}
        assert [offer.name for offer in server.api.shelf.offers if offer.chosen] == []
        raise KeyboardInterrupt

    finished(tmp_path / "a", "classifier")
    untrained_run(tmp_path / "c", "classifier", epoch=None)
    untrained_run(tmp_path / "b", "ann-gan", epoch=None)
    monkeypatch.setattr(api.Api, "warm_up", lambda self: None)
    monkeypatch.setattr(Server, "serve_forever", interrupted)
    assert firstspike(tmp_path, "--port", 0) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^http://127\.0\.0\.1:\d+/  \(Ctrl\+C", out, re.MULTILINE) and not err
    assert f"left out: {tmp_path / 'b'}: an ann-gan run" in out
    assert f"left out: {tmp_path / 'c'}: no checkpoint yet" in out


def test_a_folder_without_runs_leaves_the_bundled_networks(tmp_path, monkeypatch, capsys):
    def interrupted(server: Server) -> None:
        assert all(offer.as_dict()["first"] for offer in server.api.shelf.offers)
        assert {offer.part for offer in server.api.shelf.offers} == set(networks.PARTS)
        raise KeyboardInterrupt

    monkeypatch.setattr(api.Api, "warm_up", lambda self: None)
    monkeypatch.setattr(Server, "serve_forever", interrupted)
    assert firstspike(tmp_path, "--port", 0) == 0
    assert f"left out: {tmp_path}: no run here nor below" in capsys.readouterr().out


def test_what_the_command_cannot_do_is_one_line(server, tmp_path, capsys):
    untrained_run(tmp_path / "ann", "ann-gan", epoch=None)
    broken = finished(tmp_path / "broken", "classifier").path / "options.json"
    broken.write_text("{")
    for arguments, reason in (
        (("--port", server.port), f"port {server.port}: cannot be had"),
        (("--port", 65536), "port must be between 0 and 65535"),
        ((tmp_path / "nowhere",), "nowhere: no run here nor below"),
        ((tmp_path / "ann",), "does not spike"),
        ((broken.parent,), "options.json: damaged"),
    ):
        assert firstspike(*arguments) == cli.USAGE_ERROR
        out, err = capsys.readouterr()
        assert err.startswith("firstspike: ") and err.count("\n") == 1 and not out
        assert reason in err
