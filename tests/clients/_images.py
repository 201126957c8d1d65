#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What images.sh asks of images, and archives that only other programs' daemons write.

_images.py same REF SKOPEO-REF [PLATFORM]   plyfs sees what skopeo sees
_images.py old OUT LAYOUT NAME...           docker save before Docker 25: ID/layer.tar, links for layers seen before
_images.py docker25 OUT LAYOUT NAME         Docker 25 and later: the same files as an OCI layout
_images.py containerd OUT LAYOUT NAME       with containerd's image store: other platforms are named and not there
"""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# --- comparing ------------------------------------------------------------------------------


def skopeo(platform, *args):
    override = []
    if platform:
        parts = platform.split("/")
        override = ["--override-os", parts[0], "--override-arch", parts[1]]
        if len(parts) > 2:
            override += ["--override-variant", parts[2]]
    options = ["--tls-verify=false"] if "docker://" in args[-1] else []
    argv = ["skopeo", *override, *args[:1], *options, *args[1:]]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout


def plyfs(platform, *args):
    option = ["--platform", platform] if platform else []
    argv = [os.environ["PLYFS"], "image", *args[:1], *option, *args[1:]]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout


def seen_by_skopeo(ref, platform):
    raw_config = skopeo(platform, "inspect", "--config", "--raw", ref)
    config = json.loads(raw_config)
    runtime = config.get("config") or {}
    manifest = json.loads(skopeo(platform, "inspect", "--raw", ref))
    seen = {
        "id": sha256(raw_config),
        "os": config["os"],
        "architecture": config["architecture"],
        "diffs": config["rootfs"]["diff_ids"],
        "history": [h.get("created_by") for h in config.get("history", [])],
        "env": runtime.get("Env") or [],
        "cmd": runtime.get("Cmd") or [],
        "entrypoint": runtime.get("Entrypoint") or [],
        "labels": runtime.get("Labels") or {},
        "user": runtime.get("User") or None,
        "workingDir": runtime.get("WorkingDir") or None,
        "volumes": sorted(runtime.get("Volumes") or {}),
        "ports": sorted(runtime.get("ExposedPorts") or {}),
    }
    # An archive of Docker's has no manifest: skopeo makes one up, of uncompressed layers. In a store the layers are
    # directories, and the manifest tells of tars that are gone.
    if not ref.startswith(("docker-archive:", "containers-storage:")):
        if "manifests" in manifest:
            seen["manifest"] = next(
                m["digest"] for m in manifest["manifests"] if m["platform"]["architecture"] == config["architecture"]
            )
        else:
            seen["manifest"] = sha256(skopeo(platform, "inspect", "--raw", ref))
            seen["layers"] = [(l["digest"], l["size"]) for l in manifest["layers"]]
    elif ref.startswith("containers-storage:"):
        seen["manifest"] = sha256(skopeo(platform, "inspect", "--raw", ref))
    return seen, raw_config


def seen_by_plyfs(ref, platform, keys):
    image = json.loads(plyfs(platform, "inspect", "--json", ref))
    config = image["config"]
    seen = {
        "id": image["id"],
        "os": image["platform"]["os"],
        "architecture": image["platform"]["architecture"],
        "diffs": [l["diffId"] for l in image["layers"]],
        "history": [h["createdBy"] for h in json.loads(plyfs(platform, "history", "--json", ref))],
        "env": config["env"],
        "cmd": config["cmd"],
        "entrypoint": config["entrypoint"],
        "labels": config["labels"],
        "user": config["user"],
        "workingDir": config["workingDir"],
        "volumes": sorted(config["volumes"]),
        "ports": sorted(config["exposedPorts"]),
        "manifest": image["manifest"],
        "layers": [(l["digest"], l["size"]) for l in image["layers"]],
    }
    return {key: seen[key] for key in keys}, plyfs(platform, "inspect", "--raw", ref)


def same(ref, skopeo_ref, platform=None):
    expected, expected_config = seen_by_skopeo(skopeo_ref, platform)
    seen, config = seen_by_plyfs(ref, platform, expected)
    for key, value in expected.items():
        if seen[key] != value:
            sys.exit(f"FAIL: {key} of {ref}: {seen[key]!r}, skopeo sees {value!r}")
    if config != expected_config:
        sys.exit(f"FAIL: the configuration's bytes of {ref} are not those that skopeo gives")


# --- writing archives -----------------------------------------------------------------------


class Layout:
    """An OCI layout directory: its images by name."""

    def __init__(self, path):
        self.path = path
        with open(f"{path}/index.json", encoding="utf-8") as file:
            self.index = json.load(file)

    def blob(self, digest):
        with open(f"{self.path}/blobs/" + digest.replace(":", "/"), "rb") as file:
            return file.read()

    def descriptor(self, name):
        for one in self.index["manifests"]:
            if one["annotations"]["org.opencontainers.image.ref.name"] == name:
                return one
        raise KeyError(name)


def add(tar, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def link(tar, name, target):
    member = tarfile.TarInfo(name)
    member.type = tarfile.SYMTYPE
    member.linkname = target
    tar.addfile(member)


def old(out, path, *names):
    layout = Layout(path)
    written, images = {}, []
    with tarfile.open(out, "w") as tar:
        for name in names:
            manifest = json.loads(layout.blob(layout.descriptor(name)["digest"]))
            raw_config = layout.blob(manifest["config"]["digest"])
            diffs = json.loads(raw_config)["rootfs"]["diff_ids"]
            layers = []
            for at, (layer, diff) in enumerate(zip(manifest["layers"], diffs)):
                this = hashlib.sha256(f"{name} {at}".encode()).hexdigest()
                add(tar, f"{this}/VERSION", b"1.0")
                if diff in written:
                    link(tar, f"{this}/layer.tar", f"../{written[diff]}/layer.tar")
                else:
                    add(tar, f"{this}/layer.tar", gzip.decompress(layout.blob(layer["digest"])))
                    written[diff] = this
                layers.append(f"{this}/layer.tar")
            config = hashlib.sha256(raw_config).hexdigest() + ".json"
            add(tar, config, raw_config)
            images.append({"Config": config, "RepoTags": [f"{name}:latest"], "Layers": layers})
        add(tar, "manifest.json", json.dumps(images).encode())
        add(tar, "repositories", b"{}")


def blob_name(digest):
    return "blobs/" + digest.replace(":", "/")


def write_new(out, name, manifest, raw_manifest, raw_config, blobs, index):
    with tarfile.open(out, "w") as tar:
        for data in blobs + [raw_manifest, raw_config]:
            add(tar, blob_name(sha256(data)), data)
        add(tar, "index.json", json.dumps(index).encode())
        add(
            tar,
            "manifest.json",
            json.dumps(
                [
                    {
                        "Config": blob_name(manifest["config"]["digest"]),
                        "RepoTags": [f"{name}:latest"],
                        "Layers": [blob_name(l["digest"]) for l in manifest["layers"]],
                    }
                ]
            ).encode(),
        )
        add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')


def descriptor(data, media_type, **more):
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data), **more}


MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def docker25(out, path, name):
    layout = Layout(path)
    manifest = json.loads(layout.blob(layout.descriptor(name)["digest"]))
    raw_config = layout.blob(manifest["config"]["digest"])
    layers = [gzip.decompress(layout.blob(l["digest"])) for l in manifest["layers"]]
    manifest["layers"] = [descriptor(l, "application/vnd.oci.image.layer.v1.tar") for l in layers]
    # Docker 25.0.0 forgot the layers here; what counts is manifest.json.
    empty = dict(manifest, layers=[])
    raw = json.dumps(empty).encode()
    index = {"schemaVersion": 2, "manifests": [descriptor(raw, MANIFEST)]}
    write_new(out, name, manifest, raw, raw_config, layers, index)


def containerd(out, path, name):
    layout = Layout(path)
    here = layout.descriptor(name)
    raw = layout.blob(here["digest"])
    manifest = json.loads(raw)
    raw_config = layout.blob(manifest["config"]["digest"])
    layers = [layout.blob(l["digest"]) for l in manifest["layers"]]
    platform = {"os": "linux", "architecture": json.loads(raw_config)["architecture"]}
    inner = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [
                descriptor(b"not here", MANIFEST, platform={"os": "linux", "architecture": "s390x"}),
                descriptor(raw, MANIFEST, platform=platform),
                descriptor(b"nor this", MANIFEST, platform={"os": "unknown", "architecture": "unknown"}),
            ],
        }
    ).encode()
    names = {
        "io.containerd.image.name": f"docker.io/library/{name}:latest",
        "org.opencontainers.image.ref.name": "latest",
    }
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(inner, INDEX, annotations=names)]}
    write_new(out, name, manifest, raw, raw_config, layers + [inner], index)


COMMANDS = {"same": same, "old": old, "docker25": docker25, "containerd": containerd}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
