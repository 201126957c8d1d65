#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Changes documents of an OCI layout that has one image, and makes the digests right again.

_image_edit.py LAYOUT config|manifest|index STATEMENT...     each STATEMENT changes `d`, the document
_image_edit.py LAYOUT platforms     makes it an index, in an index, of images for amd64, arm64 and s390x, the last
                                    of which is not there, and of an attestation

What is changed keeps its digest right; what leads to it is changed with it.
"""

import hashlib
import json
import os
import sys

top, which, statements = sys.argv[1], sys.argv[2], sys.argv[3:]


def blob(digest):
    return f"{top}/blobs/sha256/{digest.split(':')[1]}"


def read(descriptor):
    with open(blob(descriptor["digest"]), encoding="utf-8") as f:
        return json.load(f)


def write(descriptor, document):
    data = json.dumps(document).encode()
    descriptor["digest"] = "sha256:" + hashlib.sha256(data).hexdigest()
    descriptor["size"] = len(data)
    with open(blob(descriptor["digest"]), "wb") as f:
        f.write(data)


def add(document, media_type, **more):
    """A new document; its descriptor."""
    data = json.dumps(document).encode()
    descriptor = {"mediaType": f"application/vnd.oci.image.{media_type}.v1+json", "size": len(data),
                  "digest": "sha256:" + hashlib.sha256(data).hexdigest(), **more}
    with open(blob(descriptor["digest"]), "wb") as file:
        file.write(data)
    return descriptor


def platforms(old):
    """The index of four that stands for the image OLD."""
    image = read(old)
    setup = read(image["config"])
    members = []
    for name in "amd64", "arm64", "s390x":
        image["config"] = add({**setup, "architecture": name}, "config")
        members.append(add(image, "manifest", platform={"os": "linux", "architecture": name}))
    os.remove(blob(members[2]["digest"]))
    image["layers"] = [{**image["layers"][0], "mediaType": "application/vnd.in-toto+json"}]
    members.append(add(image, "manifest", platform={"os": "unknown", "architecture": "unknown"}))
    return add({"schemaVersion": 2, "manifests": members}, "index", annotations=old["annotations"])


with open(f"{top}/index.json", encoding="utf-8") as index_file:
    index = json.load(index_file)
entry = index["manifests"][0]
if which == "platforms":
    index["manifests"] = [platforms(entry)]
else:
    manifest = read(entry)
    config = read(manifest["config"])
    for statement in statements:
        exec(statement, {"d": {"config": config, "manifest": manifest, "index": index}[which]})  # pylint: disable=exec-used
    if which == "config":
        write(manifest["config"], config)
    if which != "index":
        write(entry, manifest)
with open(f"{top}/index.json", "w", encoding="utf-8") as index_file:
    json.dump(index, index_file)
