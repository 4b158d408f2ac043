# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images of the Open Container Initiative, made by hand: also such as no tool would make."""
import ctypes
import gzip
import hashlib
import io
import json
import platform
import tarfile

from harness import HELPERS

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def entry(name, content=b"", **fields):
    """One entry of a layer. content: a file's, or where a link leads."""
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        info.linkname = content
        content = b""
    content = content.encode() if isinstance(content, str) else content
    info.size = len(content)
    return info, content


def folder(name, **fields):
    return entry(name, type=tarfile.DIRTYPE, **{"mode": 0o755, **fields})


def link(name, to, **fields):
    return entry(name, to, type=tarfile.SYMTYPE, **fields)


def tar(entries, **options):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **{"format": tarfile.PAX_FORMAT, **options}) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zstd(data):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    room = library.ZSTD_compressBound(ctypes.c_size_t(len(data)))
    out = ctypes.create_string_buffer(room)
    size = library.ZSTD_compress(out, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)), 1)
    return out.raw[:size]


COMPRESS = {"": lambda data: data, "+gzip": lambda data: gzip.compress(data, mtime=0), "+zstd": zstd}

# The smallest image with something to ask: no /dev, /proc, /run and /tmp.
BASE = [folder("bin"), entry("bin/probe-server", (HELPERS / "probe-server").read_bytes(), mode=0o755), folder("etc"),
        entry("etc/os-release", "ID=tiny\n"),
        entry("etc/passwd", "root:x:0:0::/:/bin/sh\nweb:x:1234:4321:Web:/srv/web:/bin/false\n"),
        entry("etc/group", "root:x:0:\nstaff:x:77:web\n")]
CONFIG = {"Entrypoint": ["/bin/probe-server"]}


class Layout:
    """An image layout. What is added is there at once; tests spoil it afterwards."""

    def __init__(self, path):
        self.path = path
        self.blobs = path / "blobs/sha256"
        self.blobs.mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.entries = []

    def blob(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        (self.blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def document(self, value, media_type):
        return self.blob(json.dumps(value).encode(), media_type)

    def layer(self, entries, compression="+gzip"):
        data = entries if isinstance(entries, bytes) else tar(entries)
        return self.blob(COMPRESS[compression](data), LAYER + compression)

    def manifest(self, layers, config=None, architecture=ARCHITECTURE):
        """The descriptor of an image of these layers: descriptors, or entries of layers."""
        layers = [layer if isinstance(layer, dict) else self.layer(layer) for layer in layers]
        description = {"architecture": architecture, "os": "linux", "config": CONFIG if config is None else config,
                       "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}}
        return self.document({"schemaVersion": 2, "layers": layers, "config": self.document(
            description, "application/vnd.oci.image.config.v1+json")}, MANIFEST)

    def index(self, *descriptors):
        return self.document({"schemaVersion": 2, "manifests": list(descriptors)}, INDEX)

    def add(self, descriptor, name=None, architecture=None):
        """Puts an image into index.json."""
        descriptor = dict(descriptor)
        if name:
            descriptor["annotations"] = {"org.opencontainers.image.ref.name": name}
        if architecture:
            descriptor["platform"] = {"os": "linux", "architecture": architecture}
        self.entries.append(descriptor)
        self.write_index()
        return self

    def write_index(self):
        new = self.path / "new"
        new.write_text(json.dumps({"schemaVersion": 2, "manifests": self.entries}))
        new.rename(self.path / "index.json")

    def replace(self, descriptor):
        self.entries = [descriptor]
        self.write_index()


def digest_of(descriptor):
    return descriptor["digest"].partition(":")[2]


def make_bundle(path, tree, process=None, **more):
    """A bundle around a root that is there: it moves below path."""
    path.mkdir()
    tree.rename(path / "rootfs")
    config = {"ociVersion": "1.0.2", "root": {"path": "rootfs", "readonly": True},
              "process": {"args": ["/bin/probe-server"], "cwd": "/", **(process or {})}, **more}
    (path / "config.json").write_text(json.dumps(config))
    return path
