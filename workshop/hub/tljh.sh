#!/usr/bin/env bash
# The Littlest JupyterHub on one Ubuntu machine. Written from its documentation: there is no fresh Ubuntu server where
# this course is made, so this script has been checked for its shell syntax and not run.
#
#   sudo bash workshop/hub/tljh.sh <administrator's name> <address of this repository>
set -euo pipefail
admin=${1:?"the administrator's name"}
repository=${2:?"the address of this repository"}
originals=/srv/course

# 1. The hub itself; its installer makes /opt/tljh/user, the Python that learners' servers and kernels run in.
apt-get update
apt-get install -y python3 python3-dev git curl fonts-noto-cjk
curl -fsSL https://tljh.jupyter.org/bootstrap.py | python3 - --admin "$admin"

# 2. The lessons: originals that only root can write, and the course installed beside JupyterHub.
[ -d "$originals" ] || git clone "$repository" "$originals"
git -C "$originals" pull --ff-only
chmod -R a+rX,go-w "$originals"
git config --system --add safe.directory "$originals"
/opt/tljh/user/bin/python -m pip install -c "$originals/constraints.txt" "$originals" nbgitpuller==1.3.0

# 3. Limits: 768 MB at most for each learner, 256 MB kept for them, unused servers stopped after 90 minutes.
tljh-config set limits.memory 768M
tljh-config set services.cull.enabled true
tljh-config set services.cull.timeout 5400
tljh-config set user_environment.default_app jupyterlab
cat >/opt/tljh/config/jupyterhub_config.d/course.py <<CONFIG
c.Spawner.mem_guarantee = "256M"
c.Spawner.cmd = ["/opt/tljh/user/bin/python", "$originals/workshop/hub/learner_server.py"]
c.Spawner.environment = {
    "COURSE_REPOSITORY": "$originals",
    "COURSE_BRANCH": "$(git -C "$originals" rev-parse --abbrev-ref HEAD)",
}
c.Spawner.start_timeout = 300
c.JupyterHub.concurrent_spawn_limit = 8
c.JupyterHub.load_roles = [
    {"name": "before-class", "scopes": ["admin:users", "admin:servers", "read:users"], "services": ["before-class"]}
]
c.JupyterHub.services.append({"name": "before-class", "api_token": "$(openssl rand -hex 32)"})
CONFIG
chmod 600 /opt/tljh/config/jupyterhub_config.d/course.py
tljh-config reload hub

echo "Before class: HUB_TOKEN=<api_token of course.py> python3 $originals/workshop/hub/before_class.py http://127.0.0.1/hub/api 30"
