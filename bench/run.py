#!/usr/bin/env python3
"""Measures Belay against psql and prints the table of thresholds. README.md beside this file tells the method."""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

import apply  # noqa: E402
import contention  # noqa: E402
import contract  # noqa: E402
import footprints  # noqa: E402
import jobs  # noqa: E402
import large_history  # noqa: E402
import memory  # noqa: E402
import online  # noqa: E402
import report  # noqa: E402
import snapshot  # noqa: E402
from migration_set import MigrationSet  # noqa: E402
from scratch import scratch_server  # noqa: E402
from server import Server  # noqa: E402

PAGE = Path(__file__).resolve().parent / "README.md"
SHOWN_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "jit", "debug_assertions")
MEASUREMENTS = ("apply", "history", "footprints", "snapshot", "contract", "contention", "online", "jobs", "memory")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("major", nargs="?", type=int, help="PostgreSQL major of the scratch server (default: 18)")
    parser.add_argument("--pg", type=int, default=18, help="the same")
    parser.add_argument("--host", help="measure this running server instead: host name or socket folder")
    parser.add_argument("--port", default=os.environ.get("PGPORT", "5432"))
    parser.add_argument("--user", default=os.environ.get("PGUSER", "postgres"), help="a superuser")
    parser.add_argument("--bin", default="/usr/bin", help="with --host: the folder of psql (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds of each comparison (default: 11; 3 with --quick)")
    parser.add_argument("--quick", action="store_true", help="small sets, few rounds: tells whether it runs, not how fast it is")
    parser.add_argument("--pin", action="store_true", help="one after another too: the backend on one core, psql on the others")
    parser.add_argument("--only", choices=MEASUREMENTS, action="append", help="leave the other measurements out")
    parser.add_argument("--without-belay", action="store_true", help="psql and the bare engine only; needs no extension")
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    options = parser.parse_args()
    options.major = options.major or options.pg
    options.rounds = options.rounds or (3 if options.quick else 11)
    options.only = options.only or MEASUREMENTS
    return options


def progress(text):
    print(f"… {text}", file=sys.stderr, flush=True)


def headline(server, options):
    settings = ", ".join(f"{name} {server.setting(name)}" for name in SHOWN_SETTINGS)
    how = "; backend and client on different cores" if options.pin else ""
    size = " Quick run: small sets, few rounds." if options.quick else ""
    return f"PostgreSQL {server.setting('server_version')}; {os.cpu_count()} cores{how}; {settings}; {options.rounds} rounds.{size}"


def measure(server, durable, folder, options):
    """All rows that were asked for, in the order of the table. `durable` turns fsync on; None where that is not ours."""
    with_belay = not options.without_belay
    count, large = (100, 1000) if options.quick else (500, 10_000)
    if "apply" in options.only:
        how = (server, MigrationSet(folder, count), options.rounds, with_belay, progress)
        apart = apply.one_after_another(*how, pin=options.pin)
        together = apply.side_by_side(*how) if server.can_pin() else {}
        yield from apply.rows(apart, together, count)
        if durable:
            progress("with fsync on")
            with durable():
                yield from apply.durable_rows(apply.one_after_another(*how))
    large_set = MigrationSet(folder, large)
    if "history" in options.only and with_belay:
        small, middle = MigrationSet(folder, 10), MigrationSet(folder, large // 10)
        yield from large_history.rows(server, small, middle, large_set, options.rounds, progress)
    if "footprints" in options.only and with_belay:
        yield from footprints.rows(server, MigrationSet(folder, count), large_set, options.rounds, progress)
    if "snapshot" in options.only and with_belay:
        yield from snapshot.rows(server, 100 if options.quick else 1000, options.rounds, progress)
    if "contract" in options.only and with_belay:
        yield from contract.rows(server, options.rounds, progress)
    if "contention" in options.only and with_belay:
        yield from contention.rows(server, 20 if options.quick else 100, min(options.rounds, 5), progress)
    if "online" in options.only and with_belay:
        yield from online.rows(server, 20_000 if options.quick else 1_000_000, options.rounds, folder, progress)
    if "jobs" in options.only and with_belay:
        size = (100, 20_000, 5) if options.quick else (1000, 1_000_000, 30)
        with jobs_server(server, options) as with_launcher:
            yield from jobs.rows(with_launcher, *size, min(options.rounds, 5), folder, progress)
    if "memory" in options.only:
        yield from memory.rows(server, large_set, with_belay, progress)


@contextlib.contextmanager
def jobs_server(server, options):
    """One with a launcher, which takes a start of its own; a server that is not ours is taken as it is."""
    if options.host:
        yield server
    else:
        with scratch_server(options.major, "bench-jobs", jobs.SETTINGS) as scratch:
            yield scratch.server


@contextlib.contextmanager
def server_to_measure(options):
    """The server, and how to turn its fsync on."""
    if options.host:
        yield Server(options.bin, options.host, options.port, options.user), None
    else:
        with scratch_server(options.major) as scratch:
            yield scratch.server, scratch.durable


def main():
    options = arguments()
    with server_to_measure(options) as (server, durable), tempfile.TemporaryDirectory(prefix="belay-bench-") as folder:
        if not options.without_belay and not server.has_belay():
            raise SystemExit(f"this server does not have pg_belay; install it with: make install PG={options.major} PROFILE=release")
        if options.pin and not server.can_pin():
            raise SystemExit("--pin needs two cores, and root or the user that runs the server")
        rows = list(measure(server, durable, folder, options))
        table = report.markdown(headline(server, options), rows)
    print(table)
    if options.write:
        report.write_into(PAGE, table)


if __name__ == "__main__":
    main()
