"""PgBouncer, in transaction mode."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import free_port, missing


@contextmanager
def pgbouncer(database_url: str, size: int) -> Iterator[str]:
    """Yield the URL that leads to a database through a PgBouncer with so many connections to the server."""
    program = shutil.which("pgbouncer")
    if program is None:
        missing("pgbouncer is not installed")
    address = re.search(r"//(\w+)@([^:/]+):(\d+)/(\w+)", database_url)
    assert address
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    folder.chmod(0o755)  # it does not run as root
    (folder / "users").write_text(f'"{address[1]}" ""\n')
    ini = folder / "pgbouncer.ini"
    ini.write_text(
        f"[databases]\n{address[4]} = host={address[2]} port={address[3]}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = trust\npool_mode = transaction\ndefault_pool_size = {size}\n"
        f"max_client_conn = 500\nunix_socket_dir =\nauth_file = {folder}/users\n"
    )
    user = ["setpriv", "--reuid=nobody", "--clear-groups", "--"] if os.geteuid() == 0 else []
    bouncer = subprocess.Popen([*user, program, "--quiet", str(ini)])
    try:
        time.sleep(0.5)
        assert bouncer.poll() is None, "PgBouncer did not start"
        yield database_url.replace(f"@{address[2]}:{address[3]}", f"@127.0.0.1:{port}")
    finally:
        bouncer.terminate()
        bouncer.wait(10)
        shutil.rmtree(folder)
