"""The server under test: how to reach it, fresh databases, and psql sessions whose backend is measured.

The figures of a backend are read by the backend itself from /proc/self, so the server has to run on Linux and the
role has to be a superuser. Its memory is sampled from outside as well, so the server has to run on this machine.
"""

import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# Nanoseconds on a CPU; utime and stime in /proc/self/stat come in ticks of 10 ms, too coarse for a ratio.
CPU_SECONDS = "split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::numeric / 1e9"
MEMORY_SAMPLE_SECONDS = 0.01
SCRIPT_TIMEOUT_SECONDS = 1800


@dataclass
class ScriptRun:
    """What one psql process and its backend took."""

    wall: float
    """seconds, psql's start and end included"""
    cpu: float
    """seconds of CPU of the backend, from its fork to the script's end"""
    private_kib: int
    """highest private (anonymous) memory of the backend seen, in KiB; 0 unless sampled"""
    peak_kib: int
    """VmHWM of the backend: the highest resident memory, shared buffers that it touched included, in KiB"""


class Server:
    def __init__(self, bin_directory, host, port, user):
        self.bin = Path(bin_directory)
        self.environment = dict(
            os.environ, PGHOST=host, PGPORT=str(port), PGUSER=user, PGAPPNAME="belay bench", PGCLIENTENCODING="UTF8"
        )
        for name in ("PGDATABASE", "PGOPTIONS", "PGSERVICE"):
            self.environment.pop(name, None)

    def move_to(self, port):
        """The server was restarted on another port."""
        self.environment["PGPORT"] = str(port)

    def psql_command(self, database, *arguments):
        return [str(self.bin / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, *arguments]

    def query(self, sql, database="postgres"):
        """The output of some SQL, one statement or several, without its last line end."""
        done = subprocess.run(
            self.psql_command(database), input=sql, text=True, env=self.environment, capture_output=True,
            timeout=SCRIPT_TIMEOUT_SECONDS,
        )
        if done.returncode != 0:
            raise RuntimeError(f"psql failed in database {database!r}:\n{done.stderr.strip()}")
        return done.stdout.rstrip("\n")

    def fresh_database(self, name, setup=""):
        """Drops and creates a database, runs `setup` in it, and leaves no dirty buffers for the next measurement."""
        self.query(f"DROP DATABASE IF EXISTS {name} WITH (FORCE);\nCREATE DATABASE {name} TEMPLATE template0;")
        if setup:
            self.query(setup, name)
        self.query("CHECKPOINT;")
        return name

    def drop_database(self, name):
        self.query(f"DROP DATABASE IF EXISTS {name} WITH (FORCE);")

    def setting(self, name):
        return self.query(f"SELECT current_setting('{name}');")

    def has_belay(self):
        return self.query("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_belay';") == "1"

    def run_script(self, script, database, sample_memory=False, core=None):
        """Runs a script by one `psql -X -q -f` and measures it. Messages to the client are received and thrown away.

        With `core`, the backend stays on that core.
        """
        report = f"SELECT {CPU_SECONDS}, substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\\s+(\\d+)');"
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file, tempfile.TemporaryFile("w+") as messages:
            file.write(f"SELECT pg_backend_pid();\n{script}\n{report}\n")
            file.flush()
            started = time.monotonic()
            process = subprocess.Popen(
                self.psql_command(database, "-f", file.name), env=self.environment, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages,
            )
            first = process.stdout.readline()
            if core is not None and first:
                os.sched_setaffinity(int(first), {core})
            private = watch_private_memory(first.strip(), process) if sample_memory and first else 0
            rest = process.communicate(timeout=SCRIPT_TIMEOUT_SECONDS)[0]
            wall = time.monotonic() - started
            if process.returncode != 0:
                messages.seek(0)
                raise RuntimeError(f"psql failed in database {database!r}:\n{messages.read()[-4000:].strip()}")
        cpu, peak = rest.strip().splitlines()[-1].split("|")
        return ScriptRun(wall, float(cpu), private, int(peak))

    def can_pin(self):
        """Whether there are two cores and this user may move the server's processes between them."""
        if len(os.sched_getaffinity(0)) < 2:
            return False
        try:
            owner = Path(self.setting("data_directory")).stat().st_uid
        except OSError:  # it runs on another machine, or where this user may not look
            return False
        return os.geteuid() in (0, owner)

    def run_pinned(self, jobs):
        """Runs (script, database) pairs at the same time, their backends on one core and their clients on the others.

        Where the speed of a core changes from second to second, as on shared machines, this is the comparison that
        can be repeated: the scheduler interleaves the backends every few milliseconds, so all get the same speed.
        Needs two cores and the right to move the server's processes (root, or the user that runs the server).
        """
        core, *others = sorted(os.sched_getaffinity(0))

        def run(job):
            os.sched_setaffinity(0, others)  # of this thread, and so of the psql that it starts
            return self.run_script(*job, core=core)

        with ThreadPoolExecutor(len(jobs)) as threads:
            return list(threads.map(run, jobs))


def watch_private_memory(pid, process):
    """The highest RssAnon, in KiB, of a backend while its client runs."""
    highest = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            break
        for line in status.splitlines():
            if line.startswith("RssAnon:"):
                highest = max(highest, int(line.split()[1]))
        time.sleep(MEMORY_SAMPLE_SECONDS)
    return highest


@dataclass
class CallTime:
    wall: float
    """seconds between sending the statement and its end, as psql's \\timing sees it"""
    cpu: float
    """seconds of CPU of the backend"""


class Session:
    """One psql session that stays open, so that single calls can be timed in it."""

    def __init__(self, server, database):
        self.messages = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            server.psql_command(database), env=server.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.messages,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def time(self, sql):
        """Runs one statement, throws its rows away once they have been received, and says what it took."""
        cpu = f"SELECT {CPU_SECONDS} AS cpu \\gset\n\\echo cpu :cpu\n"
        self.process.stdin.write(f"{cpu}\\o /dev/null\n\\timing on\n{sql}\n\\timing off\n\\o\n{cpu}\\echo end\n")
        self.process.stdin.flush()
        cpus, wall = [], None
        for line in self.process.stdout:
            word, *values = line.split() or [""]
            if word == "end":
                return CallTime(wall, cpus[1] - cpus[0])
            if word == "cpu":
                cpus.append(float(values[0]))
            if word == "Time:":
                wall = float(values[0]) / 1000
        self.messages.seek(0)
        raise RuntimeError(f"psql ended: {self.messages.read()[-4000:].strip()}")
