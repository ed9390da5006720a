"""The demo's origin: answers every request with the request's head as it arrived, one header a line.

Usage: origin.py; prints `origin listening on 127.0.0.1:PORT`, and one line for each request, until it is
ended.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        head = f"{self.requestline}\n" + "".join(f"{name}: {value}\n" for name, value in self.headers.items())
        body = head.encode("latin-1")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=latin-1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    print(f"origin listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
