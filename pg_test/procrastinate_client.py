"""A real client of one version of procrastinate, run with that version's own Python environment.

    python procrastinate_client.py CONNINFO

For each line that it reads it defers jobs, runs a worker until they have ended, and writes one line of JSON: what became of
the jobs, or {"error": ...}. Its sessions stay open in between, as those of deployed code do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import uuid

import procrastinate
from procrastinate import exceptions, jobs

#: A worker that should end and does not is an error.
BOUND_SECONDS = 20

logging.disable(logging.CRITICAL)
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=sys.argv[1], min_size=1, max_size=3))


@app.task(name="succeed")
async def succeed(text: str) -> str:
    return text


@app.task(name="fail")
async def fail() -> None:
    raise ValueError("as asked")


@app.task(name="retry", retry=3, pass_context=True)
async def retry(context) -> None:
    if context.job.attempts == 0:
        raise ValueError("once")


async def work() -> dict[str, object]:
    manager = app.job_manager
    once = uuid.uuid4().hex  # what an attempt that failed has left behind is in nobody's way
    done = [await succeed.configure(lock=f"one at a time {once}", priority=i).defer_async(text="é") for i in range(2)]
    scheduled = await succeed.configure(schedule_in={"hours": 1}, queueing_lock=f"only one {once}").defer_async(text="later")
    try:
        await succeed.configure(queueing_lock=f"only one {once}").defer_async(text="again")
    except exceptions.AlreadyEnqueued:
        pass
    failed = await fail.defer_async()
    retried = await retry.defer_async()
    final = {jobs.Status.SUCCEEDED, jobs.Status.FAILED}
    for _ in range(5):
        worker = app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=True)
        await asyncio.wait_for(worker, BOUND_SECONDS)
        if await manager.get_job_status_async(retried) in final:
            break
    cancelled = await manager.cancel_job_by_id_async(scheduled)
    names = {"done": done[0], "locked": done[1], "failed": failed, "retried": retried, "scheduled": scheduled}
    status = {name: (await manager.get_job_status_async(job)).value for name, job in names.items()}
    listed = {job.id for job in await manager.list_jobs_async()}
    await manager.list_queues_async()
    await manager.list_tasks_async()
    await manager.list_locks_async()
    await manager.get_stalled_jobs(nb_seconds=3600)
    await manager.delete_old_jobs(nb_hours=1000)
    return status | {"cancelled": cancelled, "listed": set(names.values()) <= listed}


async def main() -> None:
    async with app.open_async():
        while sys.stdin.readline():
            try:
                said = await work()
            except Exception as error:  # noqa: BLE001: whatever it is, the test wants to know it
                cause = error.__cause__ or error
                said = {"error": f"{type(cause).__name__}: {cause}"}
            print(json.dumps(said), flush=True)


asyncio.run(main())
