"""The certificates of a run: made anew each time in ./pki, by openssl.

The trust store is root.pem alone; clients send their leaf and the intermediate. All keys are P-256 but for
the client `rsa` (2048 bits). `untrusted` comes from another root of the same name; `revoked` is a client like
any other until a list names its serial number.
"""

import subprocess
from pathlib import Path

FOLDER = Path("pki")
CA = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n"
CLIENT = "extendedKeyUsage=clientAuth\nbasicConstraints=critical,CA:FALSE\n"
SERVER = """subjectAltName=DNS:edge.example.com
extendedKeyUsage=serverAuth
basicConstraints=critical,CA:FALSE
"""
P256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
RSA = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]


def make():
    FOLDER.mkdir()
    for name, subject in (("root", "/CN=root"), ("other", "/CN=root"), ("server-ca", "/CN=server-ca")):
        openssl("genpkey", *P256, "-out", f"{name}.key")
        signed = ["-new", "-x509", "-key", f"{name}.key", "-days", "365", "-subj", subject]
        openssl("req", *signed, "-out", f"{name}.pem")
    issue("intermediate", "root", CA)
    issue("server", "server-ca", SERVER)
    for name, key in (("client", P256), ("revoked", P256), ("rsa", RSA)):
        issue(name, "intermediate", CLIENT, key)
        append(f"{name}.pem", "intermediate.pem")
    issue("untrusted", "other", CLIENT)
    (FOLDER / "server-both.pem").write_text(read("server.pem") + read("server.key"))  # as HAProxy wants it


def issue(name, authority, extensions, key=P256):
    (FOLDER / f"{name}.ext").write_text(extensions)
    openssl("genpkey", *key, "-out", f"{name}.key")
    subject = f"/C=US/O=Bothways/CN={name}"
    openssl("req", "-new", "-key", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
    signed_by = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial"]
    signed = ["-in", f"{name}.csr", *signed_by, "-days", "365", "-sha256", "-extfile", f"{name}.ext"]
    openssl("x509", "-req", *signed, "-out", f"{name}.pem")


def serial(name):
    """The serial number in hexadecimal digits, two for each octet."""
    command = ["openssl", "x509", "-in", FOLDER / f"{name}.pem", "-noout", "-serial"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    digits = result.stdout.strip().partition("=")[2].lower()
    return digits if len(digits) % 2 == 0 else "0" + digits


def unused_serials(count):
    """Serial numbers of 16 octets that nobody has, spread out as random ones are."""
    for number in range(count):
        yield f"{0x40 + number % 0x40:02x}{number * 0x9E3779B97F4A7C15 % 2**120:030x}"


def append(name, other):
    (FOLDER / name).write_text(read(name) + read(other))


def read(name):
    return (FOLDER / name).read_text()


def openssl(*arguments):
    result = subprocess.run(
        ["openssl", *arguments], cwd=FOLDER, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if result.returncode != 0:
        raise SystemExit(f"error: openssl {' '.join(arguments)}: {result.stderr.strip()}")
