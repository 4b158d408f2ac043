# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the heads of the shipped templates, the examples and the manual page say can be set, with the servers of Debian's
packages."""
import base64
import concurrent.futures
import hashlib
import json
import pathlib
import pwd
import re
import subprocess
import sys

import pytest

from databases import Memcached, Redis
from harness import BUILD, REPOSITORY, connect, http_get, wait_until
from servers import NEVER, TEMPLATES, Apache, Java, Php, Static, add_site, install_templates

MIB = 1024 * 1024
VISITOR = {"X-Forwarded-For": "203.0.113.7"}
MAY_CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


@pytest.fixture
def www(torpor):
    """Where sites' folders lie."""
    install_templates(torpor)
    return torpor.directory / "www"


def template_text(template):
    return (TEMPLATES / f"{template}.template").read_text()


def suggested(template, start):
    """The assignments that the head suggests and that begin so, as they are written there."""
    return re.findall(rf'^#.*?Environment=("{start}.*?"|{start}\S+)', template_text(template), re.M)


def memory_max(template):
    return int(re.search(r"^MemoryMax=(\d+)M$", template_text(template), re.M)[1]) * MIB


# Memory.

@pytest.mark.parametrize("kind, variable", [(Java(), "JAVA_TOOL_OPTIONS")], ids=["java"])
def test_heaps(torpor, www, kind, variable):
    """Below MemoryMax=, which neither sees, on a host of any size: with options that are about something else too. As
    large as a site says that raises both."""
    other, larger = suggested(kind.template, f"{variable}=")
    environments = {"plain": {}, "other": {"Environment": other}, "larger": {"Environment": larger}}
    addresses = {name: add_site(torpor, www, kind, name, container=container)
                 for name, container in environments.items()}
    torpor.start()

    def heap(name):
        response = kind.get(addresses[name], name)
        kind.check(response)
        return int(response.fields["heap"])

    with concurrent.futures.ThreadPoolExecutor(len(addresses)) as pool:
        heaps = dict(zip(addresses, pool.map(heap, addresses)))
    assert memory_max(kind.template) / 3 < heaps["plain"] < memory_max(kind.template) * 0.9
    assert heaps["other"] == heaps["plain"]
    assert 0.9 < heaps["larger"] / MIB / int(re.search(r"(\d+)m?\"?$", larger)[1]) < 1.15


def test_memcached_full(torpor, www):
    """With the limit that the head suggests, more items than it holds leave room below MemoryMax=."""
    setting, = suggested("memcached", "TORPOR_MEMCACHED=")
    limit = int(re.search(r"--memory-limit=(\d+)", setting)[1])
    address = add_site(torpor, www, Memcached(), "cache", container={"Environment": setting})
    torpor.start()
    item = bytes(100_000)
    with connect(address) as sock, sock.makefile("rb") as file:
        for number in range(limit * MIB * 5 // 4 // len(item)):
            sock.sendall(b"set %d 0 0 %d noreply\r\n%b\r\n" % (number, len(item), item))
        sock.sendall(b"stats\r\n")
        stats = dict(line.split()[1:3] for line in iter(file.readline, b"END\r\n"))
    assert int(stats[b"evictions"]) > 0
    torpor.wait_state("cache", "awake")
    pid, = torpor.processes("cache")
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)[1]) * 1024 < memory_max("memcached") * 0.75


# Who may do what.

def may_connect(user, address):
    owner = pwd.getpwnam(user)
    return subprocess.run(["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups",
                           sys.executable, "-c", MAY_CONNECT, address], check=False, cwd="/",
                          capture_output=True).returncode == 0


@pytest.mark.parametrize("kind", [Redis(), Memcached()], ids=["redis", "memcached"])
def test_those_without_a_password(torpor, www, kind):
    """Root's own, and a group's that the site names."""
    assert "SocketGroup=www-data" in template_text(kind.template)
    own = add_site(torpor, www, kind, "own")
    shared = add_site(torpor, www, kind, "shared", socket={"SocketGroup": "www-data"})
    torpor.start()
    for name, address in (("own", own), ("shared", shared)):
        kind.check(kind.get(address, name))
    users = ("root", "www-data", "nobody")
    assert [may_connect(user, own) for user in users] == [True, False, False]
    assert [may_connect(user, shared) for user in users] == [True, True, False]


def test_apache_htaccess(torpor, www):
    """What a shared host's files say: passwords, groups, addresses that the front web server says, the words of version
    2.2, compression, listings. None of it opens a file whose name begins with a dot."""
    name = "shop.example.com"
    password = 'AuthType Basic\nAuthName shop\nAuthUserFile "/srv/www/%s/.htpasswd"\n' % name
    # The folder's .htaccess, and what a stranger, one who knows the password and the visitor get.
    rules = {
        "password": (password + "Require valid-user\n", (401, 200, 401)),
        "group": (password + f"AuthGroupFile /srv/www/{name}/.htgroup\nRequire group staff\n", (401, 200, 401)),
        "other": (password + f"AuthGroupFile /srv/www/{name}/.htgroup\nRequire group others\n", (401, 401, 401)),
        "address": ("Require ip 203.0.113.0/24\n", (403, 403, 200)),
        "order": ("Order deny,allow\nDeny from all\nAllow from 203.0.113.7\n", (403, 403, 200)),
        "either": (password + "Require valid-user\nOrder deny,allow\nDeny from all\nAllow from 203.0.113.7\nSatisfy Any\n",
                   (401, 200, 200)),
        "open": ("Order allow,deny\nAllow from all\nSatisfy Any\n", (200, 200, 200)),
        "listing": ("Options +Indexes +MultiViews\nIndexIgnore *.bak\nSetEnv SHOP open\n", (200, 200, 200)),
    }
    setting, = suggested("apache", "TORPOR_APACHE=RemoteIPHeader")
    address = add_site(torpor, www, Apache(), name, container={"Environment": setting})
    digest = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
    (www / name / ".htpasswd").write_text(f"somebody:{{SHA}}{digest}\n")
    (www / name / ".htgroup").write_text("staff: somebody\nothers: another\n")
    (www / name / ".htaccess").write_text("AddOutputFilterByType DEFLATE text/html\n")
    (www / name / "long.html").write_text("word " * 1000)
    for folder, (text, _) in rules.items():
        (www / name / folder).mkdir()
        (www / name / folder / ".htaccess").write_text(text)
        (www / name / folder / ("some file.txt" if folder == "listing" else "index.html")).write_text(folder)
    known = {"Authorization": "Basic " + base64.b64encode(b"somebody:secret").decode()}
    torpor.start()
    for folder, (_, answers) in rules.items():
        got = tuple(http_get(address, f"/{folder}/", headers=who).status for who in ({}, known, VISITOR))
        assert (folder, got) == (folder, answers)
        assert http_get(address, f"/{folder}/.htaccess", headers={**known, **VISITOR}).status in (401, 403)
    assert http_get(address, "/.htpasswd").status == 403
    assert "some file.txt" in http_get(address, "/listing/").text
    assert http_get(address, "/long.html", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"


def test_static_knows_visitors(torpor, www):
    setting, = suggested("static", "TORPOR_NGINX=set_real_ip_from")
    environment = setting.rstrip('"') + ' allow 203.0.113.7; deny all;"'
    address = add_site(torpor, www, Static(), container={"Environment": environment})
    torpor.start()
    assert http_get(address, headers=VISITOR).status == 200
    assert http_get(address, headers={"X-Forwarded-For": "203.0.113.8"}).status == 403
    assert http_get(address).status == 403


# What is written about them.

def manual_example(title):
    text = (REPOSITORY / "docs" / "torpor.site.5.in").read_text()
    return re.search(rf"^{title}:\n\.Bd.*?\n(.*?)^\.Ed", text, re.M | re.S)[1].replace("\\e\n", "\\\n")


@pytest.mark.parametrize("title", ["A site with a template that listens elsewhere, with more memory",
                                   "A template's command, replaced"])
def test_manual_examples(torpor, www, title):
    """As they are, but for the port, and for the version that is installed."""
    kind, name, listen = Php(), "shop.example.com", torpor.address()
    text = manual_example(title).replace("127.0.0.1:9000", listen)
    text = text.replace("php-fpm8.2", sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))[-1].name)
    keys = {**kind.provide(www / name, name), "StandardOutput": "inherit"}
    torpor.write_site(name, text)
    torpor.write_drop_in(name, "here.conf", "[Container]\n" + "".join(f"{key}={value}\n" for key, value in keys.items())
                         + "[Hibernate]\n" + "".join(f"{key}={value}\n" for key, value in NEVER.items()))
    torpor.start()
    address = listen if listen in text else kind.own_address(torpor, name)
    assert [kind.check(kind.get(address, name)) for _ in range(2)] == [1, 2]
    torpor.wait_state(name, "awake")
    wait_until(lambda: len(torpor.processes(name)) >= kind.processes, "its processes")


def test_files_named_are_installed():
    """Where the templates say that they lie."""
    result = subprocess.run(["meson", "introspect", "--installed", str(BUILD)], check=True, capture_output=True)
    installed = set(json.loads(result.stdout).values())
    named = {path for template in TEMPLATES.glob("*.template")
             for path in re.findall(r"/usr/[\w/]*/torpor/[\w./-]*\w", template.read_text())}
    assert any("/examples/" in path for path in named)
    assert named <= installed
