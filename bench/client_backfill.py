#!/usr/bin/env python3
"""The backfill that a careful client writes: batches by primary key over a socket, each committed, size by the time of the last one.

    client_backfill.py CONNINFO TABLE ASSIGNMENTS SECONDS_A_BATCH SECONDS_OF_PAUSE
"""

import sys
import time

import psycopg


def main(conninfo: str, table: str, assignments: str, target: float, pause: float) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        last, size = None, 1000
        while True:
            began = time.monotonic()
            after = "" if last is None else f"WHERE id > {last}"
            row = connection.execute(f"SELECT id FROM {table} {after} ORDER BY id OFFSET {size - 1} LIMIT 1").fetchone()
            lower = "true" if last is None else f"id > {last}"
            upper = "true" if row is None else f"id <= {row[0]}"
            connection.execute(f"UPDATE {table} SET {assignments} WHERE {lower} AND {upper}")
            if row is None:
                return
            last = row[0]
            size = max(10, min(1_000_000, round(size * min(2.0, max(0.5, target / max(time.monotonic() - began, 1e-6))))))
            time.sleep(pause)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), float(sys.argv[5]))
