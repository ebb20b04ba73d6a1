"""Certificates of an authority that only tests trust, made by the `openssl` command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


class Certificates:
    """An authority in `folder`. Skips the test where there is no `openssl`."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("needs the openssl command")
        self._folder = folder
        self._run(
            *("req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem"),
            *("-days", "2", "-subj", "/CN=tests"),
            # Python 3.13 and later take no authority that does not say so.
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def server(self, name: str) -> ssl.SSLContext:
        """A server that shows a certificate for `name`, an address or a host."""
        kind = "IP" if name[0].isdigit() else "DNS"
        self._run("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (self._folder / f"{name}.ext").write_text(
            f"subjectAltName={kind}:{name}\nauthorityKeyIdentifier=keyid\n"
        )
        self._run(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-out", f"{name}.pem", "-days", "2", "-extfile", f"{name}.ext"),
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        return context

    def client(self) -> ssl.SSLContext:
        """A client that trusts this authority only."""
        return ssl.create_default_context(cafile=str(self._folder / "ca.pem"))

    def _run(self, *arguments: str) -> None:
        subprocess.run(("openssl", *arguments), cwd=self._folder, check=True, capture_output=True)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
