"""The gateway's process: `python workshop/gateway ROOM_FOLDER HOST PORT`, with the API's key in UPSTREAM_KEY.

`python start.py workshop gateway` makes the environment that this needs and starts it.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(folder: str, host: str, port: str) -> None:
    key, base = os.environ.pop("UPSTREAM_KEY"), os.environ.pop("UPSTREAM_URL")
    os.environ.update(
        CONFIG_FILE_PATH=str(HERE / "config.yaml"),
        OPENAI_API_KEY=key,
        OPENAI_API_BASE=base.removesuffix("/").removesuffix("/v1") + "/",
        # Without one LiteLLM does not start. Nobody needs it: none of its own pages is reachable.
        LITELLM_MASTER_KEY=secrets.token_hex(32),
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        LITELLM_LOG="ERROR",
        DISABLE_ADMIN_UI="True",
    )
    import uvicorn
    from gate import Gate
    from ledger import Ledger
    from litellm.proxy.proxy_server import app
    from room import Room

    room = Room.load(Path(folder) / "room.json")
    gate = Gate(app, room, Ledger(Path(folder) / "spending.db"), secrets=[key, os.environ["LITELLM_MASTER_KEY"]])
    uvicorn.run(gate, host=host, port=int(port), log_level="warning", access_log=False, timeout_graceful_shutdown=5)


if __name__ == "__main__":
    main(*sys.argv[1:])
