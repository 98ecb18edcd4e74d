"""What the tests and `tools/server` share: servers, databases, sessions and bounded waiting.

`server` uses the standard library only, because `tools/server` runs without the tests' environment; the other modules
need psycopg.
"""
