"""Many sessions that call `migrate_up` at once, against one: from the first call to the last return."""

import contextlib
import json
import statistics
import threading
import time

from apply import CREATE_EXTENSION
from report import Row, spread
from server import Session

MIGRATIONS = 50
MIGRATION_SECONDS = 0.02
LIMIT_TIMES = 1.5
COLD_CALLERS = 5
DATABASE = "belay_bench_contention"
UP = "CALL belay.migrate_up();"


def load():
    files = {f"{number:04}.sql": f"SELECT pg_sleep({MIGRATION_SECONDS}); CREATE TABLE made{number} ();" for number in range(MIGRATIONS)}
    return f"SELECT belay.migrate_load_files($files${json.dumps(files)}$files$);"


def elapsed(server, setup, callers, call):
    """Seconds from the first call to the last return; the sessions are open before."""
    server.fresh_database(DATABASE, setup)
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(Session(server, DATABASE)) for _ in range(callers)]
        for session in sessions:
            session.time("SELECT 1;")
        start = threading.Barrier(callers + 1)

        def run(session):
            start.wait()
            session.time(call)

        threads = [threading.Thread(target=run, args=[session]) for session in sessions]
        for thread in threads:
            thread.start()
        start.wait()
        began = time.monotonic()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
    applied = server.query("SELECT count(*) FROM belay.applied;", DATABASE)
    if applied != str(MIGRATIONS):
        raise RuntimeError(f"{applied} of {MIGRATIONS} migrations were applied")
    return took


def compared(server, what, setup, callers, call, rounds):
    samples = [(elapsed(server, setup, 1, call), elapsed(server, setup, callers, call)) for _ in range(rounds)]
    ratios = [many / one for one, many in samples]
    one, many = (statistics.median(side) for side in zip(*samples, strict=True))
    return Row(what, statistics.median(ratios), "times", LIMIT_TIMES, f"{spread(ratios)}; {many:.2f} s against {one:.2f} s")


def rows(server, callers, rounds, progress):
    progress(f"{callers} sessions at once")
    loaded = f"{CREATE_EXTENSION}\n{load()}"
    yield compared(server, f"{callers} sessions at once, {MIGRATIONS} migrations of 20 ms / one session", loaded, callers, UP, rounds)
    progress(f"{COLD_CALLERS} sessions on a cold start")
    cold = compared(server, f"{COLD_CALLERS} sessions on a cold start, load included / one session", CREATE_EXTENSION, COLD_CALLERS, f"{load()} {UP}", rounds)
    yield cold
    server.drop_database(DATABASE)
