"""What the scripts that measure have in common: servers, their certificates, load, the state of the machine, and what is written in the end.

Python's standard library alone. All paths are relative to the working folder, which each script makes its own temporary one.
"""

NAME = "edge.example.com"
BODY = "Hello, World!"
LARGE_BYTES = 100_000
