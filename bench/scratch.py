"""A server of the benchmark's own, with the defaults of PostgreSQL but for fsync, removed afterwards."""

import contextlib
import os
import sys
from pathlib import Path

from server import Server

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pg_test"))

# What the suite's servers set for speed is set back: a benchmark measures a server as users have it.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "jit": "on",
    "max_locks_per_transaction": "64",
    "autovacuum_naptime": "1min",
    "max_connections": "120",
}


class Scratch:
    """The server to measure, and the switch that only somebody who owns the server may use."""

    def __init__(self, process):
        self.process = process
        self.server = Server(process.program("psql").parent, process.socket_folder, process.port, "postgres")

    @contextlib.contextmanager
    def durable(self):
        """With fsync on, for as long as the context lasts."""
        self._set_fsync("on")
        try:
            yield
        finally:
            self._set_fsync("off")

    def _set_fsync(self, value):
        self.process.configure({"fsync": value})
        self.process.restart()
        self.server.move_to(self.process.port)


@contextlib.contextmanager
def scratch_server(major, purpose="bench", settings=None):
    """`settings` are added to (and win over) those of this module; servers that run at once differ in their purpose."""
    from harness.server import Server as Process

    name = f"{purpose}-{os.getpid()}"
    try:
        yield Scratch(Process.create(major, name, SETTINGS | (settings or {})))
    finally:
        Process(major, name).remove()
