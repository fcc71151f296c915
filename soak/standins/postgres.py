"""A stand-in for the image `postgres`: it makes the database of POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB."""

import os
import subprocess
import tempfile
from pathlib import Path

DATA = Path("/tmp/data")  # the directory of one container


def main() -> None:
    """Create the cluster and the database unless they are there, then become the server."""
    if not DATA.exists():
        with tempfile.NamedTemporaryFile("w") as password:
            password.write(os.environ["POSTGRES_PASSWORD"])
            password.flush()
            user = os.environ["POSTGRES_USER"]
            subprocess.run(
                ["initdb", "-D", DATA, "-U", user, f"--pwfile={password.name}", "-A", "scram-sha-256"], check=True
            )
        with (DATA / "pg_hba.conf").open("a") as access:
            access.write("host all all all scram-sha-256\n")
        single = ["postgres", "--single", "-D", str(DATA), "postgres"]
        subprocess.run(single, input=f'CREATE DATABASE "{os.environ["POSTGRES_DB"]}"\n'.encode(), check=True)
    os.execvp("postgres", ["postgres", "-D", str(DATA), "-c", "listen_addresses=*"])


if __name__ == "__main__":
    main()
