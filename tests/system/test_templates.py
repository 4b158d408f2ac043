# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shipped templates, with the servers of Debian's packages: cold, awake, frozen, awake, cold, awake."""
import concurrent.futures
import contextlib
import pathlib
import re
import subprocess
import threading

import pytest

import cgroups
from databases import DATABASES
from harness import REPOSITORY, TORPORD, VarlinkError, connect, http_get, site_text, wait_until
from servers import APPS, TEMPLATES, WEB, Gunicorn, Node, Php, Static, add_site, fastcgi_get, install_templates

EXAMPLES = REPOSITORY / "units" / "examples"
CONFIGURATION = REPOSITORY / "units" / "torpor.conf"
KINDS = WEB + DATABASES


def each(kinds):
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.template)


@pytest.fixture
def www(torpor):
    """Where sites' folders lie."""
    install_templates(torpor)
    return torpor.directory / "www"


def freeze(torpor, name):
    """A freeze that finds the server still busy with the end of an answer is refused: then once more."""
    def frozen():
        try:
            return torpor.call("Freeze", site=name)["state"] == "frozen"
        except VarlinkError as error:
            assert error.name == "NotPossible"
            return False
    wait_until(frozen, "frozen")


@pytest.mark.parametrize("kind, transport", [pytest.param(kind, transport, id=f"{kind.template}-{transport}")
                                             for kind in KINDS for transport in kind.transports])
def test_up_and_down_the_ladder(torpor, www, kind, transport):
    listen = {"unix": lambda: None, "tcp": torpor.address, "tcp6": torpor.address6}[transport]()
    name = "shop.example.com"
    address = add_site(torpor, www, kind, name, listen)
    torpor.start()
    before = 0

    def visit():
        count = kind.check(kind.get(address, name))
        torpor.wait_state(name, "awake")
        return count

    def counted(*numbers):
        assert [visit() for _ in numbers] == [before + n if kind.counts else None for n in numbers]

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
    before += 5 if kind.persistent else 0
    counted(1, 2)
    freeze(torpor, name)
    assert torpor.call("Stop", site=name)["state"] == "cold"
    before += 2 if kind.persistent else 0
    counted(1)
    status = torpor.status(name)
    assert (status["wakes"], status["thaws"]) == (3, 3)
    assert "failure" not in status
    assert len(torpor.processes(name)) >= kind.processes


@each(KINDS)
def test_handover(torpor, www, kind):
    """As the table of the README says, where "auto" has found it."""
    address = add_site(torpor, www, kind, container={"Handover": kind.handover})
    torpor.start()
    kind.check(kind.get(address, "shop.example.com"))
    rows = re.findall(r"^\| (.*?) \| `(.*?)` \| (.*?) \|", (REPOSITORY / "README.md").read_text(), re.M)
    assert (kind.server, kind.template, "bind(2)" if kind.handover == "bind" else "`LISTEN_FDS`") in rows


def test_all_hibernate_by_themselves(torpor, www):
    """On one box. Nothing that a server does by itself while nobody asks counts as use."""
    torpor.write(torpor.etc / "torpor.conf", "[Daemon]\nScanIntervalSec=100ms\n")
    hibernate = {"FreezeAfterSec": "1s", "StopAfterSec": "3s"}
    sites = {kind: add_site(torpor, www, kind, kind.template, hibernate=hibernate) for kind in KINDS}
    torpor.start()

    def live(kind):
        name = kind.template
        with torpor.events(name) as events:
            kind.check(kind.get(sites[kind], name))
            events.wait_event(to="frozen")
            kind.check(kind.get(sites[kind], name))
            events.wait_event(to="frozen")
            events.wait_event(to="cold")
            assert kind.check(kind.get(sites[kind], name)) in (None, 3 if kind.persistent else 1)
        assert "failure" not in torpor.status(name), name

    with concurrent.futures.ThreadPoolExecutor(len(KINDS)) as pool:
        list(pool.map(live, KINDS))


@each(KINDS)
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
            for _ in range(4):
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


@each(KINDS)
def test_a_request_under_way_is_finished(torpor, www, kind):
    """The site is stopped by command when the answer has begun; all of it comes. Who comes meanwhile is answered
    too, by this container or by the next."""
    name = "shop.example.com"
    address = add_site(torpor, www, kind)
    torpor.start()
    with torpor.events(name) as events, concurrent.futures.ThreadPoolExecutor() as pool:
        def stop():
            events.wait_event(to="awake")
            stopped.append(pool.submit(torpor.call, "Stop", site=name))
            events.wait_event(to="stopping")
            others.append(pool.submit(kind.get, address, name))

        stopped, others = [], []
        assert kind.check_slow(kind.get(address, name, kind.slow, stop)) in (None, 1, 2)
        kind.check(others[0].result())
        events.wait_event(to="cold")
        stopped[0].result()
    assert "did not stop within" not in torpor.log()
    assert "still serves" not in torpor.log()


@each([kind for kind in KINDS if kind.step])
def test_missing_folder(torpor, www, kind):
    """One clear error, and the port stays open."""
    name = "shop.example.com"
    address = add_site(torpor, www, kind)
    listen = [] if address.startswith("/") else ["", address]
    torpor.write_site(name, site_text(*listen, template=kind.template))
    torpor.start()
    with torpor.events(name) as events, connect(address):
        events.wait_event(to="failed")
    failure = torpor.status(name)["failure"]
    assert failure["step"] == kind.step
    if kind.step == "working-directory":
        assert kind.folder.replace("NAME", name) in failure["message"]
    else:
        torpor.wait_log(kind.folder.replace("NAME", name))


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
    kind.files = {"shop.py": (APPS / "wsgi.py").read_text().replace("def app", "def main")}
    address = add_site(torpor, www, kind, container={
        "Environment": 'TORPOR_APP=shop:main "TORPOR_GUNICORN=--workers 3"'})
    torpor.start()
    assert kind.check(kind.get(address, "shop.example.com")) == 1
    wait_until(lambda: len(torpor.processes("shop.example.com")) == 4, "three workers")


def test_node_by_descriptor_with_a_handler(torpor, www):
    """As programs were written that knew of LISTEN_FDS, and say by themselves what SIGTERM means."""
    kind = Node()
    kind.files = {"server.js": (APPS / "server.js").read_text().replace(
        "server.listen(process.env.PORT || 3000);",
        "server.listen({ fd: 3 }); process.on('SIGTERM', () => { console.log('own handler'); server.close(); });")}
    address = add_site(torpor, www, kind)
    torpor.start()
    assert kind.check(kind.get(address, "shop.example.com")) == 1
    torpor.wait_state("shop.example.com", "awake")
    assert torpor.call("Stop", site="shop.example.com")["state"] == "cold"
    torpor.wait_log("own handler")
    assert "did not stop within" not in torpor.log()


@each(KINDS)
def test_what_a_site_sees(torpor, www, kind):
    """Of /etc what all sites see and what the template names, and nothing of another site."""
    name = "shop.example.com"
    address = add_site(torpor, www, kind)
    (www / "other.example.com").mkdir(parents=True)
    torpor.start()
    kind.check(kind.get(address, name))
    torpor.wait_state(name, "awake")
    root = pathlib.Path(f"/proc/{torpor.processes(name)[0]}/root")
    if kind.folder:
        folder = root / kind.folder.lstrip("/")
        assert [path.name for path in folder.parent.iterdir()] == [name]
    notify = {"torpor", "torpor/notify"} if kind.notifies else set()
    assert {str(path.relative_to(root / "run")) for path in (root / "run").rglob("*")} == notify
    etc = {path.name for path in (root / "etc").iterdir()}
    assert not etc & {"shadow", "torpor", "ssh", "sudoers"}
    assert not list((root / "etc").glob("php/*/fpm/pool.d"))
    servers = {"nginx", "php", "java", "apache2", "mysql", "postgresql", "redis"}
    own = {"static": {"nginx"}, "php": {"php"}, "php-server": {"php"}, "java": {"java"}}
    assert {re.sub("-.*", "", name) for name in etc} & servers == own.get(kind.template, set())
    if kind.template == "static":
        assert [path.name for path in (root / "etc/nginx").iterdir()] == ["mime.types"]


def test_all_units_verify(torpor, www):
    """What ships is right, and its examples are."""
    folders = [f"--etc={torpor.etc}", f"--run={torpor.run}", f"--lib={torpor.lib}"]
    shipped = sorted(TEMPLATES.glob("*.template"))
    examples = sorted(EXAMPLES.glob("*.site"))
    assert {kind.template for kind in KINDS} == {path.stem for path in shipped}
    assert examples
    result = subprocess.run([TORPORD, "--verify", *folders, *shipped, *examples, CONFIGURATION],
                            capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"{len(shipped) + len(examples) + 1} units" in result.stdout
    texts = [path.read_text() for path in examples]
    for kind in KINDS:
        assert any(f"Template={kind.template}\n" in text for text in texts), f"no example of {kind.template}"


