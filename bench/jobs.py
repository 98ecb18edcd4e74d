"""Jobs: what a thousand of them cost that are not due, and what writers notice of one that goes through a large table."""

import contextlib
import json
import os
import statistics
import time
from pathlib import Path

from apply import CREATE_EXTENSION
from online import Writers
from report import Row, spread
from server import Session

STATUS_LIMIT_MS = 50
STATUS_CALLS = 100
STATUS = "SELECT count(*) FROM belay.job_status();"

# Of a server with a launcher. A job waits while autovacuum is at its table, and what autovacuum takes would count as a visitor's.
SETTINGS = {"shared_preload_libraries": "pg_belay", "belay.naptime": "1s", "max_worker_processes": "16", "autovacuum": "off"}

# It registers the jobs, and they run as it: superusers may not.
ROLE = "belay_bench_jobs"
DATABASE = "belay_bench_jobs"
DEPLOYER = f"{CREATE_EXTENSION}\nSELECT belay.grant_role('{ROLE}', 'deployer');\n"

SUB_BATCH, PAUSE = 1000, "10ms"
FILL = [{"batch": {"table": "public.t", "set": "b = b + 1", "size": 10 * SUB_BATCH, "sub_batch": SUB_BATCH, "pause": PAUSE}}]
WRITE = "\\set id random(1, {count})\n\\set v random(1, 1000)\nUPDATE t SET a = :v WHERE id = :id;\n"
SLICE_SECONDS = 5


@contextlib.contextmanager
def deployer(server):
    """The role, for as long as the context lasts."""
    server.drop_database(DATABASE)
    server.query(f"DROP ROLE IF EXISTS {ROLE};\nCREATE ROLE {ROLE} LOGIN;")
    try:
        yield
    finally:
        server.drop_database(DATABASE)
        server.query(f"DROP ROLE IF EXISTS {ROLE};")


# ── a thousand that are not due ──────────────────────────────────────────────────────────────────────────────────────


def registered(count):
    """Jobs of a release that nobody has announced; every other one would start by itself."""
    return f"""
        SET SESSION AUTHORIZATION {ROLE};
        SELECT format('SELECT name FROM belay.job_register(%L, %L, min_release => %L, auto_start => %s)',
                      'job_' || n, '[{{"sql": "SELECT 1"}}]', '9.0.0', (n % 2 = 0)::text)
          FROM generate_series(1, {count}) n \\gexec
        RESET SESSION AUTHORIZATION;
    """


def status(server, count):
    """Milliseconds of job_status: of the first call of a session, which plans it, and of later ones."""
    with Session(server, DATABASE) as session:
        first, *later = (session.time(STATUS).wall * 1000 for _ in range(STATUS_CALLS + 1))
    yield Row(f"job_status of {count} jobs, p50", statistics.median(later), "ms", STATUS_LIMIT_MS,
              f"wall clock; at most {max(later):.1f} in {STATUS_CALLS} calls; the first of a session {first:.1f}")


def cpu_seconds(pid, of_children):
    """utime and stime of a process, or of those of its children that have ended; see proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = 11
    first = own + 2 if of_children else own
    return (int(fields[first]) + int(fields[first + 1])) / os.sysconf("SC_CLK_TCK")


def launcher_of(server):
    """The pids of the launcher and of the postmaster, whose children the visitors are; None without a launcher."""
    launcher = server.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_belay launcher';")
    postmaster = server.query("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1);")
    return (int(launcher), int(postmaster)) if launcher else None


def idle(pids, seconds):
    """Milliseconds of CPU a minute of the launcher and of its visitors. Nobody else may come and go meanwhile."""
    launcher, postmaster = pids
    time.sleep(1)  # what was asked before has ended
    before = cpu_seconds(launcher, False), cpu_seconds(postmaster, True)
    time.sleep(seconds)
    after = cpu_seconds(launcher, False), cpu_seconds(postmaster, True)
    return [(late - early) * 1000 * 60 / seconds for early, late in zip(before, after, strict=True)]


def not_due(server, count, seconds, progress):
    server.fresh_database(DATABASE, DEPLOYER)
    pids = launcher_of(server)
    if pids:
        progress(f"a launcher without jobs, {seconds} s")
        without = sum(idle(pids, seconds))
    progress(f"{count} jobs that are not due")
    server.query(f"{registered(count)}\nVACUUM ANALYZE;", DATABASE)
    if server.query("SELECT count(*) FROM belay.job WHERE state = 'not_started';", DATABASE) != str(count):
        raise RuntimeError("jobs are not registered, or have begun")
    yield from status(server, count)
    if not pids:
        progress("no launcher here: shared_preload_libraries does not have pg_belay")
        return
    progress(f"a launcher with {count} jobs that are not due, {seconds} s")
    naptime = server.setting("belay.naptime")
    launcher, visitors = idle(pids, seconds)
    yield Row(f"launcher and visitors, {count} jobs, none due, belay.naptime = {naptime}", launcher + visitors, "ms a minute",
              note=f"CPU, over {seconds} s; launcher {launcher:.0f}, visitors {visitors:.0f}; both without a job {without:.0f}")


# ── one beside writers ───────────────────────────────────────────────────────────────────────────────────────────────


def filled(server, count):
    server.fresh_database(DATABASE, f"""{DEPLOYER}
        CREATE TABLE t (id bigint PRIMARY KEY, a int, b int, filler text);
        INSERT INTO t SELECT g, g, 0, 'a row of a table' FROM generate_series(1, {count}) g;
        GRANT SELECT, UPDATE ON t TO {ROLE};
        VACUUM ANALYZE t;
        SET SESSION AUTHORIZATION {ROLE};
        SELECT name FROM belay.job_register('fill', '{json.dumps(FILL)}');
    """)


def without_job(server, count, folder):
    """Milliseconds of each statement."""
    return [latency for _, latency in Writers(server, DATABASE, WRITE.format(count=count), SLICE_SECONDS, folder).end()]


def beside_job(server, count, folder):
    """The same, from when its worker has taken it up until it is completed; and rows a second of the job."""
    writers = Writers(server, DATABASE, WRITE.format(count=count), SLICE_SECONDS, folder)
    time.sleep(0.5)  # they write by then
    server.query(f"SET SESSION AUTHORIZATION {ROLE};\nSELECT belay.job_start('fill');", DATABASE)
    latencies = writers.end()
    while (state := server.query("SELECT state FROM belay.job;", DATABASE)) != "completed":
        if state not in ("starting", "running"):
            raise RuntimeError(f"the job is {state}: " + server.query("SELECT message FROM belay.job_errors;", DATABASE))
        latencies += Writers(server, DATABASE, WRITE.format(count=count), SLICE_SECONDS, folder).end()
    if server.query("SELECT count(*) FROM t WHERE b = 1;", DATABASE) != str(count):
        raise RuntimeError("rows are left out, or done twice")
    times = server.query("SELECT extract(epoch FROM resumed_at), extract(epoch FROM finished_at) FROM belay.job;", DATABASE)
    began, ended = map(float, times.split("|"))
    return [latency for at, latency in latencies if began <= at <= ended], count / (ended - began)


def beside_writers(server, count, rounds, folder, progress):
    samples, rates = [], []
    for number in range(rounds):
        filled(server, count)
        took = {}
        for side in ("without", "beside") if number % 2 else ("beside", "without"):
            progress(f"a writer {side} a job of {count} rows, round {number + 1} of {rounds}")
            if side == "without":
                took[side] = without_job(server, count, folder)
            else:
                took[side], rate = beside_job(server, count, folder)
                rates.append(rate)
            server.query("VACUUM t;\nCHECKPOINT;", DATABASE)
        samples.append({side: statistics.quantiles(latencies, n=100) for side, latencies in took.items()})
    for percent in (50, 95, 99):
        ratios = [cuts["beside"][percent - 1] / cuts["without"][percent - 1] for cuts in samples]
        beside, without = (statistics.median(cuts[side][percent - 1] for cuts in samples) for side in ("beside", "without"))
        what = f"p{percent} of a writer's statement beside a job of {count} rows / without it"
        yield Row(what, statistics.median(ratios), "times", note=f"{spread(ratios)}; {beside:.2f} ms against {without:.2f} ms")
    yield Row("rows of that job a second", statistics.median(rates), "rows/s",
              note=f"{min(rates):.0f}–{max(rates):.0f}; sub-batches of {SUB_BATCH}, pause {PAUSE}")


def rows(server, jobs, count, seconds, rounds, folder, progress):
    """`jobs` that are not due, looked at for `seconds`; and one of `count` rows."""
    with deployer(server):
        yield from not_due(server, jobs, seconds, progress)
        yield from beside_writers(server, count, rounds, folder, progress)
