#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""_registry.py LAYOUT DIR: registries that docker-registry cannot be: with tokens, with redirects, and hostile ones.

Serves the first image of the OCI layout LAYOUT as docker://HOST:PORT/REPOSITORY:t. The repository's name is what the
registry does: see BLOBS and MANIFESTS. Three servers listen on 127.0.0.1: the registry without TLS, the same with TLS
(DIR/cert.pem, DIR/key.pem), and another host, to which redirects and realms lead. DIR/ports gets their ports,
DIR/log a line a request: SERVER PATH RANGE AUTHORIZATION.
"""

import http.server
import json
import os
import ssl
import sys
import threading

LAYOUT, DIR = sys.argv[1:]
CREDENTIALS = "Basic dXNlcjpwYXNz"  # user:pass
LOG = open(f"{DIR}/log", "a", encoding="utf-8", buffering=1)
lock = threading.Lock()
LAYER = 100000  # what is larger is a layer


def blob(digest):
    with open(f"{LAYOUT}/blobs/" + digest.replace(":", "/"), "rb") as file:
        return file.read()


def first():
    with open(f"{LAYOUT}/index.json", encoding="utf-8") as file:
        return json.load(file)["manifests"][0]["digest"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        with lock:
            authorization = self.headers.get("Authorization", "-").replace(" ", "_")
            LOG.write(f"{self.server.kind} {self.path} {self.headers.get('Range', '-')} {authorization}\n")
        try:
            self.route()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def challenge(self, value):
        self.answer(401, b'{"errors": [{"message": "who are you"}]}', WWW_Authenticate=value)

    def here(self):
        return ("https" if self.server.kind == "tls" else "http") + f"://127.0.0.1:{self.server.server_port}"

    def other(self):
        return f"http://127.0.0.1:{ports['other']}"

    def route(self):
        path, _, query = self.path.partition("?")
        parts = path.strip("/").split("/")
        if parts[0] == "token":
            self.token(parts[1], query)
        elif parts[0] == "blob":
            self.answer(200, blob(parts[1]))
        elif len(parts) == 4 and parts[0] == "v2":
            if self.allowed(parts[1]):
                (self.manifest if parts[2] == "manifests" else self.blob)(parts[1], parts[3])
        else:
            self.answer(404)

    def token(self, repository, query):
        if self.server.kind != "other" and self.headers.get("Authorization") != CREDENTIALS:
            self.challenge("Basic")
        elif repository == "badtoken":
            self.answer(200, json.dumps({"token": "a\r\nHost: elsewhere"}).encode())
        elif f"scope=repository%3A{repository}%3Apull" in query and "service=a%20b" in query:
            self.answer(200, json.dumps({"token": f"for-{repository}"}).encode())
        else:
            self.answer(400)

    def allowed(self, repository):
        """Whether the request may go on; else it is answered."""
        authorization = self.headers.get("Authorization")
        if repository in ("token", "badtoken", "tokenredirect") and authorization != f"Bearer for-{repository}":
            self.challenge(f'Bearer realm="{self.here()}/token/{repository}",service="a b",scope="all:of:it"')
        elif repository == "realm" and authorization is None:
            self.challenge(f'Bearer realm="{self.other()}/token/realm",service="a b"')
        elif repository == "basic" and authorization != CREDENTIALS:
            self.challenge('Basic realm="x"')
        else:
            return True
        return False

    def manifest(self, repository, reference):
        body = blob(first() if reference == "t" else reference)
        if repository == "huge":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b" " * 65536)
        elif repository == "deep":
            self.answer(200, b"[" * 100000)
        elif repository in ("baddigest", "misnamed"):
            document = json.loads(body)
            layer = document["layers"][0]
            if repository == "baddigest":
                layer["digest"] = "sha256:"
            else:
                layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"
            self.answer(200, json.dumps(document).encode())
        elif repository == "lie" and reference != "t":
            self.answer(200, body + b"\n")
        elif repository == "loop":
            self.answer(302, Location=self.path)
        elif repository == "file":
            self.answer(302, Location="file:///etc/hostname")
        elif repository == "limit":
            self.answer(429, b'{"errors": [{"message": "slow \\u001b[31mdown"}]}')
        else:
            self.answer(200, body)

    def blob(self, repository, digest):
        body = blob(digest)
        if repository in ("redirect", "tokenredirect") and len(body) > LAYER:
            self.answer(307, Location=f"{self.other()}/blob/{digest}")
        elif repository == "wrong" and len(body) > LAYER:
            self.answer(200, body[:-1] + bytes([body[-1] ^ 1]))
        elif repository == "long" and len(body) > LAYER:
            self.answer(200, body + b"more")
        elif repository == "gone" and len(body) > LAYER:
            self.answer(404, b'{"errors": [{"message": "blob unknown"}]}')
        elif repository in ("cut", "range") and len(body) > LAYER:
            self.part(body, repository == "cut")
        else:
            self.answer(200, body)

    def part(self, body, cut):
        """What is asked for, or a third of it and the end of the connection."""
        wanted = self.headers.get("Range")
        begin = int(wanted[6:-1]) if wanted else 0
        rest = body[begin:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(rest)))
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 3] if cut and len(rest) > 2000 else rest)
        self.close_connection = cut


def serve(kind):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.kind = kind
    if kind == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{DIR}/cert.pem", f"{DIR}/key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    ports[kind] = server.server_port
    threading.Thread(target=server.serve_forever).start()


ports = {}
for which in ("plain", "tls", "other"):
    serve(which)
with open(f"{DIR}/ports.new", "w", encoding="utf-8") as file:
    file.writelines(f"{kind}={port}\n" for kind, port in ports.items())
os.rename(f"{DIR}/ports.new", f"{DIR}/ports")
