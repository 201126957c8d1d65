#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""_bundle.py BUNDLE ROOT ARG...: makes what `crun spec` wrote there run ARG... with ROOT as its root."""

import json
import sys

bundle, root, *argv = sys.argv[1:]
path = f"{bundle}/config.json"
with open(path, encoding="utf-8") as file:
    config = json.load(file)
config["root"] = {"path": root, "readonly": False}
config["process"]["args"] = argv
config["process"]["terminal"] = False
# A default root may not chown or make device nodes; container engines allow it.
for names in config["process"]["capabilities"].values():
    names += ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_MKNOD", "CAP_SETFCAP"]
with open(path, "w", encoding="utf-8") as file:
    json.dump(config, file)
