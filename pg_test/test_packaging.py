"""The archive that `make package` makes, here around the library that the suite tests."""

import re
import subprocess

import pytest

from harness.catalog import EXTENSION
from harness.server import TREE, installation


@pytest.fixture
def package(major, server_folder):
    """The unpacked archive."""
    pg_config = installation(major) / "bin" / "pg_config"
    libraries = subprocess.run([pg_config, "--pkglibdir"], capture_output=True, text=True, check=True, timeout=20)
    library = f"{libraries.stdout.strip()}/{EXTENSION}.so"
    version = re.search(r'^version = "(.+)"', (TREE / "Cargo.toml").read_text(), re.MULTILINE)[1]
    made = subprocess.run(
        [TREE / "tools" / "package", str(major), version, library, server_folder],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    archive = made.stdout.strip()
    subprocess.run(["tar", "-xzf", archive, "-C", server_folder], check=True, timeout=60)
    return server_folder / archive.rsplit("/", 1)[1].removesuffix(".tar.gz")


def test_it_holds_what_a_server_needs_and_how_to_install_it(package):
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    scripts = {f"share/extension/{path.name}" for path in (TREE / "sql").glob(f"{EXTENSION}--*.sql")}
    assert files == scripts | {f"lib/{EXTENSION}.so", f"share/extension/{EXTENSION}.control", "INSTALL", "LICENSE"}


def test_a_server_of_18_uses_it_where_it_was_unpacked(major, package, private_server, new_database):
    if major < 18:
        pytest.skip("extension_control_path came with PostgreSQL 18")
    instructions = (package / "INSTALL").read_text()
    settings = dict(re.findall(r"^ +(\w+_path) += '(.+)'$", instructions, re.MULTILINE))
    assert settings.keys() == {"extension_control_path", "dynamic_library_path"}
    control = package / "share" / "extension" / f"{EXTENSION}.control"
    control.write_text(re.sub(r"comment = .*", "comment = 'out of the package'", control.read_text()))

    server = private_server({name: value.replace("DIRECTORY", str(package)) for name, value in settings.items()})
    db = new_database(on=server)

    comment = "SELECT obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = %s"
    assert db.one(comment, [EXTENSION]) == "out of the package"
    db.execute("SELECT count(*) FROM belay.migrate_plan()")
    mapped = db.one("SELECT pg_read_file('/proc/self/maps')")
    assert f"{package}/lib/{EXTENSION}.so" in mapped
