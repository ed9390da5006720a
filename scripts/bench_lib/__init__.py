"""Shared parts of the experiments: servers, certificates, load, the machine, and what is written in the end.

Python's standard library alone. All paths are relative to the working folder, a temporary one of each run.
"""

NAME = "edge.example.com"
BODY = "Hello, World!"
LARGE_BYTES = 100_000
