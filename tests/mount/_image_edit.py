#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Changes documents of an OCI layout that has one image, and makes the digests right again.

_image_edit.py LAYOUT config|manifest STATEMENT...     each STATEMENT changes `d`, the document
"""

import hashlib
import json
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


with open(f"{top}/index.json", encoding="utf-8") as index_file:
    index = json.load(index_file)
entry = index["manifests"][0]
manifest = read(entry)
config = read(manifest["config"])
for statement in statements:
    exec(statement, {"d": config if which == "config" else manifest})  # pylint: disable=exec-used
if which == "config":
    write(manifest["config"], config)
write(entry, manifest)
with open(f"{top}/index.json", "w", encoding="utf-8") as index_file:
    json.dump(index, index_file)
