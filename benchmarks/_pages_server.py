"""Airflow's API server with Lookbook's plugin and nothing else of Airflow: ``python -m benchmarks._pages_server PORT``.

Its log has a line ``token <token>`` of somebody who may see everything. ``AIRFLOW_HOME`` names the directory in which
the metadata database is made.
"""

from __future__ import annotations

import os
import socket
import sys

from laptop.places import REPOSITORY

os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(REPOSITORY / "plugins")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


def main(port: int) -> None:
    """Make the database and serve until the process is ended."""
    import uvicorn
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.utils.db import initdb

    initdb()
    app = create_app(apps="core")
    listener = socket.create_server(("127.0.0.1", port))  # requests wait here from now on
    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="benchmark", role="admin"))
    print(f"token {token}", flush=True)
    uvicorn.Server(uvicorn.Config(app, lifespan="off", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main(int(sys.argv[1]))
