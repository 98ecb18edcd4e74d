"""Server memory of a long run.

Private (anonymous) memory is what counts: the shared buffers that a backend touched are in its resident size too, but
they belong to the server. It is sampled while the run goes on; VmHWM is reported beside it.
"""

from apply import CREATE_EXTENSION
from report import Row

LIMIT = 1.10


def rows(server, migrations, with_belay, progress):
    progress(f"memory of {migrations.count} migrations")
    database = server.fresh_database("belay_bench_memory")
    psql = server.run_script(migrations.psql_committed(), database, sample_memory=True)
    server.drop_database(database)
    yield memory_row(f"psql: memory of a session that runs {migrations.count} files", psql)
    if not with_belay:
        return
    database = server.fresh_database("belay_bench_memory", CREATE_EXTENSION)
    server.run_script(migrations.belay_load(), database)
    run = server.run_script("CALL belay.migrate_up();", database, sample_memory=True)
    server.drop_database(database)
    database = server.fresh_database("belay_bench_memory", CREATE_EXTENSION)
    both = server.run_script(migrations.belay_load_and_up(), database, sample_memory=True)
    server.drop_database(database)
    yield memory_row("Belay: memory of the run", run)
    yield memory_row("Belay: memory of load and run in one session", both)
    yield Row("memory of the run / psql", run.private_kib / psql.private_kib, "", LIMIT,
              f"with VmHWM {run.peak_kib / psql.peak_kib:.2f}; load included {both.private_kib / psql.private_kib:.2f}")


def memory_row(what, run):
    return Row(what, run.private_kib / 1024, "MiB", note=f"private; VmHWM {run.peak_kib / 1024:.0f} MiB; {run.wall:.1f} s")
