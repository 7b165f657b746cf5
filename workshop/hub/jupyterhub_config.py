"""A hub on one machine of the room, for `python start.py workshop hub`: shared password, a process for each learner.

Everyone is the same user of the operating system here: right for one trusted room for one day. TLJH (tljh.sh) gives
each learner an account, Z2JH (values.yaml) a container.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = Path(os.environ["WORKSHOP_HUB_FOLDER"])
PORT = int(os.environ["WORKSHOP_HUB_PORT"])
BIN = Path(sys.executable).parent

c = get_config()  # noqa: F821 - JupyterHub provides it

c.JupyterHub.bind_url = f"http://{os.environ['WORKSHOP_HUB_HOST']}:{PORT}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{PORT + 1}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{PORT + 2}"
proxy = HERE.parent.parent / ".venv-hub" / "node_modules" / ".bin" / "configurable-http-proxy"
c.ConfigurableHTTPProxy.command = [str(proxy)]
c.ConfigurableHTTPProxy.log_level = "warn"
c.ConfigurableHTTPProxy.pid_file = str(FOLDER / "proxy.pid")
c.JupyterHub.db_url = f"sqlite:///{FOLDER / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(FOLDER / "cookie_secret")
c.JupyterHub.cleanup_servers = True

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["WORKSHOP_HUB_PASSWORD"]
c.Authenticator.allowed_users = set(os.environ["WORKSHOP_HUB_SEATS"].split())

c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(FOLDER / "homes" / "{username}")
c.Spawner.cmd = [sys.executable, str(HERE / "learner_server.py")]
c.Spawner.environment = {
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "COURSE_REPOSITORY": os.environ["COURSE_REPOSITORY"],
    "COURSE_BRANCH": os.environ["COURSE_BRANCH"],
}
c.Spawner.env_keep = ["LANG", "LC_ALL", "CHATKIT_SPEED", "CHATKIT_FPS", "CHATKIT_MODE"]
c.Spawner.default_url = "/lab"
# Many start at once on few cores: slow is not broken.
c.JupyterHub.concurrent_spawn_limit = 8
c.Spawner.start_timeout = 300
c.Spawner.http_timeout = 300
if getattr(os, "geteuid", lambda: 1)() == 0:  # a container's only user
    c.Spawner.args = ["--allow-root"]

# What starts the servers before class, and what stops those that nobody uses.
c.JupyterHub.services = [
    {"name": "before-class", "api_token": os.environ["WORKSHOP_HUB_TOKEN"]},
    {"name": "idle-culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=5400"]},
]
c.JupyterHub.load_roles = [
    {
        "name": "before-class",
        "scopes": ["admin:users", "admin:servers", "read:users"],
        "services": ["before-class"],
    },
    {
        "name": "idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["idle-culler"],
    },
]
