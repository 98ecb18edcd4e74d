"""Online changes: what the trigger costs a row, what a backfill costs beside one UPDATE and beside a client's, and what writers notice.

Each comparison is made in rounds, all sides one after the other in each; the ratio of a round is what counts.
"""

import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from apply import CREATE_EXTENSION
from report import Row, spread
from server import Session

PYTHON = Path(__file__).resolve().parents[1] / ".belay" / "venv" / "bin" / "python"
CLIENT = Path(__file__).resolve().parent / "client_backfill.py"

TRIGGER_LIMIT = 0.5
PLAIN_LIMIT = 1 / 0.7
CLIENT_LIMIT = 1.0
GROWTH_LIMIT = 1.15

NATIVE = """
    CREATE TRIGGER step BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION belay.sync_columns('1', 'a', 'b', 'a', '', '');
"""
PLPGSQL = """
    CREATE FUNCTION step() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF new.a IS NOT DISTINCT FROM new.b THEN
            RETURN new;
        ELSIF new.a IS DISTINCT FROM old.a AND new.b IS DISTINCT FROM old.b THEN
            RAISE 'written to different values';
        ELSIF new.b IS DISTINCT FROM old.b THEN
            new.a := new.b;
        ELSE
            new.b := new.a;
        END IF;
        RETURN new;
    END $$;
    CREATE TRIGGER step BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION step();
"""


def trigger(server, count, rounds, progress):
    """What a bulk UPDATE of all rows costs without a trigger, with the native one, and with the same in PL/pgSQL."""
    table = f"CREATE TABLE t (id bigint PRIMARY KEY, a int, b int); INSERT INTO t SELECT g, g, g FROM generate_series(1, {count}) g; VACUUM ANALYZE t;"
    sides = {"none": "", "native": NATIVE, "plpgsql": PLPGSQL}
    names = {side: server.fresh_database(f"belay_bench_trigger_{side}", f"{CREATE_EXTENSION}\n{table}\n{made}") for side, made in sides.items()}
    samples = []
    for number in range(rounds):
        progress(f"the trigger on {count} rows, round {number + 1} of {rounds}")
        took = {}
        order = list(names.items())
        for side, database in order if number % 2 else order[::-1]:
            with Session(server, database) as session:
                session.time("SELECT 1;")
                took[side] = session.time("UPDATE t SET a = a + 1;").cpu
            server.query("VACUUM t; CHECKPOINT;", database)
        samples.append(took)
    for database in names.values():
        server.drop_database(database)
    added = [(took["native"] - took["none"]) / (took["plpgsql"] - took["none"]) for took in samples]
    share = {side: statistics.median(took[side] / took["none"] - 1 for took in samples) for side in ("native", "plpgsql")}
    yield Row(f"what the trigger adds to an UPDATE of {count} rows / the same in PL/pgSQL", statistics.median(added), "", TRIGGER_LIMIT,
              f"CPU {spread(added)}; native adds {share['native']:.0%}, PL/pgSQL {share['plpgsql']:.0%}")


def filled(server, name, count):
    rows = f"INSERT INTO t SELECT g, g, 0, 'a row of a table' FROM generate_series(1, {count}) g"
    return server.fresh_database(name, f"{CREATE_EXTENSION}\nCREATE TABLE t (id bigint PRIMARY KEY, a int, b int, filler text);\n{rows};\nVACUUM ANALYZE t;")


def elapsed(server, database, sql):
    with Session(server, database) as session:
        session.time("SELECT 1;")
        return session.time(sql).wall


def backfills(server, count, rounds, progress):
    """One plain UPDATE, Belay's batches and a client's, each of a fresh table."""
    call = "CALL belay.update_in_batches('t', 'b = a * 2');"
    samples = []
    for number in range(rounds):
        took = {}
        for side in ("plain", "belay", "client") if number % 2 else ("client", "belay", "plain"):
            if side == "client" and not PYTHON.exists():
                continue
            progress(f"backfill of {count} rows, {side}, round {number + 1} of {rounds}")
            database = filled(server, "belay_bench_backfill", count)
            if side == "client":
                conninfo = f"host={server.environment['PGHOST']} port={server.environment['PGPORT']} user={server.environment['PGUSER']} dbname={database}"
                began = time.monotonic()
                subprocess.run([PYTHON, CLIENT, conninfo, "t", "b = a * 2", "0.5", "0.01"], check=True)
                took[side] = time.monotonic() - began
            else:
                took[side] = elapsed(server, database, "UPDATE t SET b = a * 2;" if side == "plain" else call)
            if server.query("SELECT count(*) FROM t WHERE b = a * 2;", database) != str(count):
                raise RuntimeError("rows are left out")
        samples.append(took)
    rate = lambda side: count / statistics.median(took[side] for took in samples)  # noqa: E731
    plain = [took["belay"] / took["plain"] for took in samples]
    yield Row(f"update_in_batches of {count} rows / one UPDATE", statistics.median(plain), "times", PLAIN_LIMIT,
              f"{spread(plain)}; {rate('belay'):.0f} rows/s against {rate('plain'):.0f}")
    if all("client" in took for took in samples):
        client = [took["belay"] / took["client"] for took in samples]
        yield Row("the same / batches of a Python client", statistics.median(client), "times", CLIENT_LIMIT,
                  f"{spread(client)}; the client {rate('client'):.0f} rows/s")


def growth(server, count, rounds, progress):
    """A row of a table ten times as large, against one of the small one."""
    samples, call = [], "CALL belay.update_in_batches('t', 'b = a * 2');"
    for number in range(rounds):
        progress(f"backfill of {count} and {10 * count} rows, round {number + 1} of {rounds}")
        small, large = (elapsed(server, filled(server, "belay_bench_backfill", size), call) / size for size in (count, 10 * count))
        samples.append(large / small)
    server.drop_database("belay_bench_backfill")
    yield Row(f"a row of {10 * count} / a row of {count}", statistics.median(samples), "times", GROWTH_LIMIT, spread(samples))


OLD_CODE = "\\set id random(1, {count})\n\\set v random(1, 1000)\nUPDATE t SET a = :v WHERE id = :id;\n"
NEW_CODE = "\\set id random(1, {count})\n\\set v random(1, 1000)\nUPDATE t SET {column} = :v WHERE id = :id;\n"
BLOCKED = """
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - a.state_change)), 0) FROM pg_stat_activity a
    WHERE a.wait_event_type = 'Lock' AND a.application_name = 'pgbench';
"""


class Writers:
    """pgbench with one client that runs one statement as fast as it can; its log has each latency and when it ended."""

    def __init__(self, server, database, script, seconds, folder):
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        (self.folder / "script.sql").write_text(script)
        command = [server.bin / "pgbench", "-n", "-c", "1", "-T", str(seconds), "-f", "script.sql", "--log", database]
        self.process = subprocess.Popen(command, cwd=self.folder, env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self):
        """(ended at, milliseconds) of each transaction."""
        told = self.process.communicate(timeout=600)[0]
        if self.process.returncode != 0 or "number of failed transactions: 0 " not in told:
            raise RuntimeError(f"a writer met an error:\n{told[-3000:]}")
        lines = [line.split() for log in self.folder.glob("pgbench_log.*") for line in log.read_text().splitlines()]
        return [(int(line[4]) + int(line[5]) / 1e6, int(line[2]) / 1000) for line in lines]


class Watch(threading.Thread):
    """The longest time that a writer was seen waiting for a lock."""

    def __init__(self, server, database):
        super().__init__(daemon=True)
        self.server, self.database, self.longest, self.ends = server, database, 0.0, threading.Event()
        self.start()

    def run(self):
        while not self.ends.is_set():
            self.longest = max(self.longest, float(self.server.query(BLOCKED, self.database)))
            time.sleep(0.02)


def percentiles(latencies):
    cuts = statistics.quantiles(latencies, n=100)
    return f"p50 {cuts[49]:.2f} ms, p95 {cuts[94]:.2f}, p99 {cuts[98]:.2f}"


def change(server, kind, count, folder, progress):
    """Old and new code write while the verbs run; new code begins when its column is there."""
    progress(f"writers during a {kind} of {count} rows")
    database = filled(server, "belay_bench_online", count)
    begin, column, cleanup = {
        "rename": ("CALL belay.rename_column_concurrently('t', 'a', 'c');", "c", "CALL belay.cleanup_concurrent_column_rename('t', 'a', 'c');"),
        "type change": ("CALL belay.change_column_type_concurrently('t', 'a', 'bigint');", "a_for_type_change", None),
    }[kind]
    quiet = [latency for _, latency in Writers(server, database, OLD_CODE.format(count=count), 5, folder).end()]
    watch = Watch(server, database)
    old = Writers(server, database, OLD_CODE.format(count=count), 60, folder)
    time.sleep(1)
    began = time.time()
    with Session(server, database) as session:
        new = []

        def join_in():
            there = f"SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = '{column}';"
            while server.query(there, database) != "1":
                time.sleep(0.05)
            new.append(Writers(server, database, NEW_CODE.format(count=count, column=column), 40, folder))

        thread = threading.Thread(target=join_in)
        thread.start()
        session.time(begin)
        ended = time.time()
        thread.join()
    during = [latency for at, latency in old.end() + new[0].end() if began <= at <= ended]
    if cleanup:
        writer = Writers(server, database, NEW_CODE.format(count=count, column=column), 8, folder)
        with Session(server, database) as session:
            session.time(cleanup)
        writer.end()
    watch.ends.set()
    watch.join()
    wrong = server.query(f"SELECT count(*) FROM t WHERE a IS DISTINCT FROM {column};", database) if not cleanup else "0"
    if wrong != "0":
        raise RuntimeError(f"{wrong} rows are out of step")
    server.drop_database(database)
    yield Row(f"longest wait for a lock of a writer during a {kind} of {count} rows", watch.longest, "s", 5,
              f"no error in old or new code; {ended - began:.0f} s; before {percentiles(quiet)}; during {percentiles(during)}")


def rows(server, count, rounds, folder, progress):
    """`count` rows; the trigger is measured on fewer."""
    yield from trigger(server, min(count, 300_000), rounds, progress)
    yield from backfills(server, count, rounds, progress)
    yield from growth(server, count, max(1, rounds // 4), progress)
    for kind in ("rename", "type change"):
        yield from change(server, kind, count, folder, progress)
