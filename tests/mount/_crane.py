#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Archives with compressed layers, of an OCI layout with one image.

_crane.py crane|nameless|config|layer LAYOUT OUT [LARGE]    prints the image's id

crane: as go-containerregistry (crane, ko, kaniko) writes them: the configuration first, as sha256:HEX, each layer as
HEX.tar.gz of the compressed bytes, and manifest.json last. nameless: no file is called by a digest, and manifest.json
comes first. config, layer: like crane, but the name is of other bytes. LARGE: so many zero bytes are put behind the layers.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read_image(top):
    def blob(d):
        with open(f"{top}/blobs/" + d["digest"].replace(":", "/"), "rb") as file:
            return file.read()

    with open(f"{top}/index.json", encoding="utf-8") as file:
        manifest = json.loads(blob(json.load(file)["manifests"][0]))
    return blob(manifest["config"]), [gzip.compress(blob(d), mtime=0) for d in manifest["layers"]]


def main():
    how, top, out = sys.argv[1:4]
    config, layers = read_image(top)
    name = "sha256:" + sha256(config)
    names = [sha256(layer) + ".tar.gz" for layer in layers]
    print(name)
    if how == "nameless":
        name, names = "config.json", [f"layer-{i}.tar.gz" for i in range(len(layers))]
    elif how == "config":
        config = config.replace(b'"linux"', b'"Linux"')
    elif how == "layer":
        names[-1] = sha256(b"") + ".tar.gz"
    lists = [{"Config": name, "RepoTags": ["h.org/x:1"], "Layers": names}]
    members = [(name, config), *zip(names, layers)]
    if len(sys.argv) > 4:
        members.append(("zeros", bytes(int(sys.argv[4]))))
    members.insert(0 if how == "nameless" else len(members), ("manifest.json", json.dumps(lists).encode()))
    with tarfile.open(out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, data in members:
            m = tarfile.TarInfo(path)
            m.size = len(data)
            tar.addfile(m, io.BytesIO(data))


main()
