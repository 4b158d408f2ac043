# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shipped templates, with the servers of Debian's packages: cold, awake, frozen, awake, cold, awake."""
import contextlib
import pathlib
import re
import shutil
import struct
import subprocess
import threading

import pytest

import cgroups
from harness import (REPOSITORY, TORPORD, HttpConnection, Response, VarlinkError, connect, http_get, site_text,
                     wait_until)

TEMPLATES = REPOSITORY / "templates"
EXAMPLES = REPOSITORY / "units" / "examples"
NEVER = {"FreezeAfterSec": "infinity", "StopAfterSec": "infinity"}
BIG_BYTES = 32 * 1024 * 1024

PYTHON_APP = """\
import platform, time
count = 0
def app(environ, start_response):
    global count
    count += 1
    body = f"version={platform.python_version()}\\nserver={environ['SERVER_SOFTWARE']}\\ncount={count}\\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    yield body[:1].encode()
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1)
    yield body[1:].encode()
"""
NODE_APP = """\
const http = require('http');
let count = 0;
const server = http.createServer((request, response) => {
  const body = `version=${process.version}\\ncount=${++count}\\n`;
  response.writeHead(200, { 'Content-Length': body.length });
  response.write(body.slice(0, 1));
  setTimeout(() => response.end(body.slice(1)), request.url === '/slow' ? 1000 : 0);
});
server.listen({ fd: 3, backlog: 4096 });
process.on('SIGTERM', () => server.close());
"""
PHP_APP = """\
<?php
$file = '/tmp/count';
$handle = fopen($file, 'c+');
flock($handle, LOCK_EX);
$count = (int)stream_get_contents($handle) + 1;
rewind($handle);
fwrite($handle, (string)$count);
fclose($handle);
header('Content-Type: text/plain');
echo 'v';
if ($_SERVER['SCRIPT_NAME'] === '/slow.php') { while (ob_get_level()) { ob_end_flush(); } flush(); sleep(1); }
echo 'ersion=', PHP_VERSION, "\\nsapi=", PHP_SAPI, "\\ncount=$count\\n";
"""


def program_output(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


def fastcgi_pairs(values):
    return b"".join(struct.pack(">II", len(name) | 1 << 31, len(value) | 1 << 31) + name.encode() + value.encode()
                    for name, value in values.items())


def fastcgi_get(address, root, script, begun=lambda: None):
    """One request to a FastCGI responder, with the parameters that nginx sends. begun is called when the answer
    has begun."""
    values = {"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "SCRIPT_FILENAME": root + script,
              "SCRIPT_NAME": script, "REQUEST_URI": script, "QUERY_STRING": "", "DOCUMENT_ROOT": root,
              "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "test", "REMOTE_ADDR": "127.0.0.1"}

    def record(kind, content):
        return struct.pack(">BBHHxx", 1, kind, 1, len(content)) + content

    params = fastcgi_pairs(values)
    with connect(address) as sock, sock.makefile("rb") as file:
        sock.sendall(record(1, struct.pack(">HB5x", 1, 0)) + record(4, params) + record(4, b"") + record(5, b""))
        output = errors = b""
        file.peek(1)
        begun()
        while True:
            header = file.read(8)
            if len(header) < 8:
                raise ConnectionResetError("closed without the end of an answer")
            _, kind, _, length, padding = struct.unpack(">BBHHBx", header)
            content = file.read(length + padding)[:length]
            if kind == 3:
                break
            if kind == 6:
                output += content
            elif kind == 7:
                errors += content
    assert not errors, errors
    head, _, body = output.partition(b"\r\n\r\n")
    headers = dict(re.findall(r"^([^:]+): (.*?)\r?$", head.decode(), re.M))
    status = int(headers.get("Status", "200").split()[0])
    return Response(status, {name.lower(): value for name, value in headers.items()}, body)


class Kind:
    """A template and a site of it."""
    template = None
    files = {}
    slow = "/slow"  # takes a second, or is larger than all buffers
    processes = 2

    def get(self, address, name, path="/", begun=lambda: None):
        with HttpConnection(address) as connection:
            connection.send(path, close=True)
            connection.file.peek(1)
            begun()
            return connection.receive()

    def check(self, response):
        """Raises unless the real server answered; returns its count of requests, None where it keeps none."""
        assert response.status == 200, (response.status, response.text)
        assert response.fields["version"] == self.version()
        return int(response.fields["count"])


class Static(Kind):
    template = "static"
    slow = "/big.bin"
    files = {"index.html": "<h1>caf\u00e9</h1>\n", ".hidden": "secret\n", "style.css": "a{}\n"}

    def check(self, response):
        assert (response.status, response.text) == (200, self.files["index.html"])
        assert response.headers["server"] == "nginx" and response.headers["etag"]
        assert response.headers["content-type"] == "text/html; charset=utf-8"


class Gunicorn(Kind):
    template = "gunicorn"
    files = {"app.py": PYTHON_APP}

    @staticmethod
    def version():
        return program_output("/usr/bin/python3", "-c", "import platform; print(platform.python_version())").strip()

    def check(self, response):
        assert response.fields["server"].startswith("gunicorn/")
        return super().check(response)


class Node(Kind):
    template = "node"
    files = {"server.js": NODE_APP}
    processes = 1

    @staticmethod
    def version():
        return program_output("/usr/bin/node", "--version").strip()


class Php(Kind):
    template = "php"
    slow = "/slow.php"
    files = {"index.php": PHP_APP, "slow.php": PHP_APP, "broken.php": "<?php error_log('said by php'); no_such();"}

    @staticmethod
    def version():
        newest = sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))[-1]
        return program_output(newest, "-v").split()[1]

    def get(self, address, name, path="/index.php", begun=lambda: None):
        return fastcgi_get(address, f"/srv/www/{name}", path, begun)

    def check(self, response):
        assert response.fields["sapi"] == "fpm-fcgi"
        return super().check(response)


KINDS = [Static, Gunicorn, Node, Php]
kinds = pytest.mark.parametrize("kind", [kind() for kind in KINDS], ids=lambda kind: kind.template)


@pytest.fixture
def www(torpor):
    """Where sites' folders lie, and the files of /usr/share/torpor from the repository: what a package installs
    there need not be installed here. The harness has a template "static" of its own."""
    for path in TEMPLATES.glob("*.template"):
        shutil.copy(path, torpor.etc / "templates")
    for template, conf in {"php": "php-fpm.conf", "static": "static.conf", "node": "node-stop.js",
                           "gunicorn": "none"}.items():
        torpor.write(torpor.etc / "templates" / f"{template}.template.d" / "not-installed.conf",
                     "[Container]\n"
                     f"BindReadOnlyPaths={TEMPLATES}:/torpor\n"
                     f"Environment=TORPOR_CONF=/torpor/{conf}\n"
                     "StandardOutput=inherit\n")
    return torpor.directory / "www"


def add_site(torpor, www, kind, name="shop.example.com", listen=None, hibernate=None, **sections):
    """Writes a site of the kind, with its content; returns its address."""
    folder = www / name
    folder.mkdir(parents=True)
    for file, text in kind.files.items():
        (folder / file).write_text(text, encoding="utf-8")
    container = {"BindReadOnlyPaths": f"{folder}:/srv/www/{name}", **sections.pop("container", {})}
    torpor.write_site(name, site_text(*(["", listen] if listen else []), template=kind.template,
                                      container=container, hibernate=hibernate or NEVER, **sections))
    return listen or str(torpor.run / "listen" / f"{name}.sock")


def freeze(torpor, name):
    """A freeze that finds the server still busy with the end of an answer is refused: then once more."""
    def frozen():
        try:
            return torpor.call("Freeze", site=name)["state"] == "frozen"
        except VarlinkError as error:
            assert error.name == "NotPossible"
            return False
    wait_until(frozen, "frozen")


@kinds
@pytest.mark.parametrize("transport", ["unix", "tcp", "tcp6"])
def test_up_and_down_the_ladder(torpor, www, kind, transport):
    listen = {"unix": lambda: None, "tcp": torpor.address, "tcp6": torpor.address6}[transport]()
    name = "shop.example.com"
    address = add_site(torpor, www, kind, name, listen)
    torpor.start()

    def visit():
        count = kind.check(kind.get(address, name))
        torpor.wait_state(name, "awake")
        return count

    def counted(*numbers):
        assert [visit() for _ in numbers] == [None if kind.template == "static" else n for n in numbers]

    assert torpor.state(name) == "cold"
    counted(1, 2)
    pid = torpor.status(name)["pid"]
    for number in (3, 4, 5):
        freeze(torpor, name)
        assert cgroups.is_frozen(torpor.cgroup_of(name))
        counted(number)
        assert torpor.status(name)["pid"] == pid
    assert torpor.call("Stop", site=name)["state"] == "cold"
    assert torpor.cgroup_of(name) is None
    counted(1, 2)
    freeze(torpor, name)
    assert torpor.call("Stop", site=name)["state"] == "cold"
    counted(1)
    status = torpor.status(name)
    assert (status["wakes"], status["thaws"]) == (3, 3)
    assert "failure" not in status
    assert len(torpor.processes(name)) >= kind.processes


@kinds
def test_hibernates_by_itself(torpor, www, kind):
    """Nothing that the server does by itself while nobody asks counts as use."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=100ms\n")
    name = "shop.example.com"
    address = add_site(torpor, www, kind, hibernate={"FreezeAfterSec": "1s", "StopAfterSec": "3s"})
    torpor.start()
    with torpor.events(name) as events:
        kind.check(kind.get(address, name))
        events.wait_event(to="frozen", timeout=20)
        kind.check(kind.get(address, name))
        events.wait_event(to="frozen", timeout=20)
        events.wait_event(to="cold", timeout=20)
        assert kind.check(kind.get(address, name)) in (None, 1)
    assert "failure" not in torpor.status(name)


@kinds
def test_no_request_is_lost(torpor, www, kind):
    """Three clients ask without a pause while the site is frozen and stopped again and again."""
    name = "shop.example.com"
    address = add_site(torpor, www, kind)
    torpor.start()
    end, answered, lost = threading.Event(), [], []

    def ask():
        while not end.is_set():
            try:
                kind.check(kind.get(address, name))
                answered.append(1)
            except (OSError, AssertionError) as error:
                lost.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    stopped = 0
    with torpor.events(name) as events:
        try:
            for thread in threads:
                thread.start()
            for _ in range(8):
                events.wait_event(to="awake")
                some = len(answered) + 20
                wait_until(lambda: lost or len(answered) >= some, "20 more answers")
                # A visitor may win over the freeze.
                with contextlib.suppress(VarlinkError):
                    torpor.call("Freeze", site=name)
                torpor.call("Stop", site=name)
                stopped += 1
        finally:
            end.set()
            for thread in threads:
                thread.join()
    assert not lost, f"{len(lost)} of {len(lost) + len(answered)}: {lost[:3]}"
    assert len(answered) > stopped
    assert torpor.status(name)["wakes"] >= stopped


@kinds
def test_a_request_under_way_is_finished(torpor, www, kind):
    """The site is stopped by command when the answer has begun; all of it comes."""
    name = "shop.example.com"
    address = add_site(torpor, www, kind)
    (www / name / "big.bin").write_bytes(b"\0" * BIG_BYTES)
    torpor.start()
    stopper = threading.Thread(target=lambda: torpor.call("Stop", site=name))
    with torpor.events(name) as events:
        def stop():
            events.wait_event(to="awake")
            stopper.start()
            events.wait_event(to="stopping")

        response = kind.get(address, name, kind.slow, stop)
        events.wait_event(to="cold")
        stopper.join()
    if kind.template == "static":
        assert len(response.body) == BIG_BYTES
    else:
        assert kind.check(response) == 1


@kinds
def test_missing_folder(torpor, www, kind):
    """One clear error, and the site heals when the folder is there."""
    name = "shop.example.com"
    address = add_site(torpor, www, kind)
    shutil.rmtree(www / name)
    torpor.write_site(name, site_text(template=kind.template))
    torpor.start()
    with torpor.events(name) as events, connect(address):
        events.wait_event(to="failed")
    failure = torpor.status(name)["failure"]
    assert failure["step"] == "working-directory"
    assert f"/srv/www/{name}" in failure["message"]


def test_php_errors_reach_the_log(torpor, www):
    address = add_site(torpor, www, Php())
    torpor.start()
    assert fastcgi_get(address, "/srv/www/shop.example.com", "/broken.php").status == 500
    torpor.wait_log("said by php")
    torpor.wait_log("Call to undefined function no_such")


def test_static_details(torpor, www):
    address = add_site(torpor, www, Static(), container={"Environment": '"TORPOR_NGINX=autoindex on; expires 1h;"'})
    folder = www / "shop.example.com" / "list"
    folder.mkdir()
    (folder / "some file.txt").write_text("text\n")
    torpor.start()
    assert http_get(address, "/style.css").headers["content-type"] == "text/css"
    assert http_get(address, "/style.css").headers["cache-control"] == "max-age=3600"
    assert "some file.txt" in http_get(address, "/list/").text
    assert http_get(address, "/.hidden").status == 404
    assert http_get(address, "/../../../../etc/passwd").status == 400
    assert http_get(address, "/nothing").status == 404


def test_gunicorn_options(torpor, www):
    kind = Gunicorn()
    kind.files = {"shop.py": PYTHON_APP.replace("def app", "def main")}
    address = add_site(torpor, www, kind, container={
        "Environment": 'TORPOR_APP=shop:main "TORPOR_GUNICORN=--workers 3"'})
    torpor.start()
    assert kind.check(kind.get(address, "shop.example.com")) == 1
    wait_until(lambda: len(torpor.processes("shop.example.com")) == 4, "three workers")


def test_node_without_a_handler_is_stopped_at_once(torpor, www):
    """Node.js by itself cannot be ended by SIGTERM as the first process of a container."""
    kind = Node()
    kind.files = {"server.js": NODE_APP.replace("process.on('SIGTERM'", "process.on('SIGUSR2'")}
    address = add_site(torpor, www, kind)
    torpor.start()
    assert kind.check(kind.get(address, "shop.example.com")) == 1
    torpor.wait_state("shop.example.com", "awake")
    assert torpor.call("Stop", site="shop.example.com")["took_us"] < 5_000_000
    assert "did not stop within" not in torpor.log()


@kinds
def test_what_a_site_sees(torpor, www, kind):
    """Of /etc what all sites see and what the template names, and nothing of another site."""
    name = "shop.example.com"
    address = add_site(torpor, www, kind)
    other = www / "other.example.com"
    other.mkdir()
    torpor.start()
    kind.check(kind.get(address, name))
    root = pathlib.Path(f"/proc/{torpor.processes(name)[0]}/root")
    assert [path.name for path in (root / "srv/www").iterdir()] == [name]
    assert list((root / "run").iterdir()) == []
    etc = {path.name for path in (root / "etc").iterdir()}
    assert not etc & {"shadow", "torpor", "ssh", "sudoers"}
    assert not list((root / "etc").glob("php/*/fpm/pool.d"))
    own = {"static": {"nginx"}, "php": {"php"}}.get(kind.template, set())
    assert etc & {"nginx", "php"} == own
    if own == {"nginx"}:
        assert [path.name for path in (root / "etc/nginx").iterdir()] == ["mime.types"]


def test_all_units_verify(torpor, www):
    """What ships is right, and its examples are."""
    folders = [f"--etc={torpor.etc}", f"--run={torpor.run}", f"--lib={torpor.lib}"]
    shipped = sorted(TEMPLATES.glob("*.template"))
    examples = sorted(EXAMPLES.glob("*.site"))
    assert {kind.template for kind in KINDS} == {path.stem for path in shipped}
    assert examples
    result = subprocess.run([TORPORD, "--verify", *folders, *shipped, *examples],
                            capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"{len(shipped) + len(examples)} units" in result.stdout
    texts = [path.read_text() for path in examples]
    for kind in KINDS:
        assert any(f"Template={kind.template}\n" in text for text in texts), f"no example of {kind.template}"


