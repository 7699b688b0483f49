"""deploy/compose.yaml and its image for real, behind nginx with TLS; run by hand, about ten minutes on two cores.

    python -m tests.deployment.try_containers [--build-options "..."] [--stand-ins] [--keep]

Needs podman, podman-compose (a current one, of PyPI), nginx, openssl, the port 8000 and 6 GB of disk. It builds the
image, brings the compose file up unchanged under a project name of its own, and goes the way of an installation: the
first operator, a project and an invitation over https, prompts and answers by command, a judgment, a round of tiny
models whose worker is killed, a backup, everything stopped in time, taken down and up again with all that was there. It
prints a line for each thing that it saw and ends at the first that is otherwise.

--build-options: what podman needs to reach package indexes ("--network host --volume ..."). --stand-ins: images in the
place of Debian's and PostgreSQL's official ones, made by mmdebstrap from Debian's mirror, where no registry of images
can be reached. --keep: leave containers and volumes.
"""

import argparse
import http.client
import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from tests.deployment.test_behind_nginx import HOST, Machine, judge_one, log_in, wait_until
from tests.deployment.units import ROOT

NAME = "roundtable-try"
DEPLOY = ROOT / "deploy"
FORM = "application/x-www-form-urlencoded"
ENTRYPOINT = """#!/bin/sh
# What the official image's does with POSTGRES_USER, POSTGRES_DB and POSTGRES_PASSWORD_FILE.
set -eu
if [ "$(id -u)" = 0 ]; then
  chown postgres "$PGDATA" && chmod 0700 "$PGDATA"
  exec runuser -u postgres -- "$0"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-host=scram-sha-256 --auth-local=trust \
    --encoding=UTF8 --locale=C.UTF-8
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  pg_ctl -w start -o "-c listen_addresses="
  createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl -w stop -m fast
fi
exec postgres -c "listen_addresses=*"
"""
POSTGRESQL = """FROM {debian}
RUN apt-get update && apt-get install -y --no-install-recommends postgresql && rm -rf /var/lib/apt/lists/* \\
 && install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/data \\
 && install -d -o postgres -g postgres -m 2775 /var/run/postgresql
COPY --chmod=0755 entrypoint /usr/local/bin/entrypoint
ENV PGDATA=/var/lib/postgresql/data PATH=/usr/lib/postgresql/{version}/bin:/usr/sbin:/usr/bin:/sbin:/bin
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["/usr/local/bin/entrypoint"]
"""


def saw(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {what}", flush=True)


def output(*words: str, **options) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(words, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{shlex.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def make_stand_ins(build_options: list[str]) -> None:
    [debian] = re.findall(r"^FROM (\S+)", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    [postgresql, version] = re.findall(r"image: (\S+postgres:(\d+))", (DEPLOY / "compose.yaml").read_text())[
        0
    ]
    release = debian.rpartition(":")[2].removesuffix("-slim")
    with tempfile.TemporaryDirectory() as folder:
        archive = f"{folder}/debian.tar"
        output(
            "mmdebstrap", "--variant=minbase", release, archive, "http://deb.debian.org/debian",
            env=os.environ | {"TMPDIR": folder},
        )  # fmt: skip
        output("podman", "import", archive, debian)
        (Path(folder) / "entrypoint").write_text(ENTRYPOINT)
        (Path(folder) / "Containerfile").write_text(POSTGRESQL.format(debian=debian, version=version))
        Path(archive).unlink()
        output("podman", "build", *build_options, "--format", "docker", "-t", postgresql, folder)
    saw(f"stand-ins from Debian's mirror for {debian} and {postgresql}")


class Containers:
    """The compose file as a project of its own. Words after `run` are a command of ours."""

    def __init__(self, address: str):
        self.environment = os.environ | {"ROUNDTABLE_URL": address}
        self.compose = ["podman-compose", "-p", NAME]

    def __call__(self, *words: str) -> str:
        return output(*self.compose, *words, cwd=DEPLOY, env=self.environment)

    def run(self, *words: str, options: tuple[str, ...] = ()) -> str:
        return self("run", "--rm", "-T", *options, "site", *words)

    def name(self, service: str) -> str:
        return f"{NAME}_{service}_1"

    def inside(self, service: str, *words: str) -> str:
        return output("podman", "exec", self.name(service), *words)

    def value(self, statement: str) -> str:
        return self.inside("database", "psql", "-U", "roundtable", "-d", "roundtable", "-tAc", statement)

    def about(self, service: str, what: str) -> str:
        return output("podman", "inspect", "--format", "{{." + what + "}}", self.name(service))

    def log(self, service: str) -> str:
        done = subprocess.run(["podman", "logs", self.name(service)], capture_output=True, text=True)
        return done.stdout + done.stderr


def post(client, path: str, **fields: str):
    form = {"csrfmiddlewaretoken": client.cookie("csrftoken").value, **fields}
    return client.ask("POST", path, urlencode(form).encode(), Content_Type=FORM, Origin=client.origin)


def try_the_site(containers: Containers, machine: Machine, folder: Path) -> None:
    """The first operator, a project, an annotator who was invited, prompts, answers, a judgment."""
    password = secrets.token_urlsafe(12)
    containers.run(
        "manage.py", "createsuperuser", "--noinput", "--username", "max", "--email", "max@example.org",
        options=("-e", f"DJANGO_SUPERUSER_PASSWORD={password}"),
    )  # fmt: skip
    manager, annotator = machine.client(), machine.client()
    assert log_in(manager, "max", password) == 302
    made = post(
        manager, "/projects/new/", name="Kitchen", description="", criterion_name="helpful",
        question="Which answer is more helpful?", guideline="", overlap="1", lease_minutes="30",
    )  # fmt: skip
    assert (made.status, made.headers["Location"]) == (302, "/projects/kitchen/rounds/first-steps/"), made
    saw("the first operator logs in over https and opens a project")

    prompts, answers = folder / "prompts.jsonl", folder / "answers.jsonl"
    prompts.write_text('{"messages": [{"role": "user", "content": "How long do eggs boil?"}]}\n')
    answers.write_text(
        '{"prompt": "How do I peel garlic?", "one": "Press it first.", "other": "With a knife."}\n'
    )
    for file, words in (
        (prompts, ("import_prompts", "kitchen", "/file.jsonl", "--prompt-set", "mine")),
        (answers, ("import_tasks", "kitchen", "/file.jsonl", "--map", "responses=one", "--map", "responses=other",
                   "--open")),
    ):  # fmt: skip
        file.chmod(0o644)
        containers.run("manage.py", *words, options=("-v", f"{file}:/file.jsonl:ro"))
    assert containers.value("SELECT count(*) FROM annotation_task") == "1"

    assert post(manager, "/projects/kitchen/people/invite/", role="annotator", note="Ada").status == 302
    page = manager.ask("GET", "/projects/kitchen/people/").body.decode()
    [link] = set(re.findall(rf"{manager.origin}/invitations/[\w-]+/", page))
    path = link.removeprefix(manager.origin)
    assert annotator.ask("GET", path).status == 200
    assert post(annotator, path, username="ada", password=secrets.token_urlsafe(12)).status == 302
    assert judge_one(annotator, "kitchen") and not judge_one(annotator, "kitchen")
    assert containers.value("SELECT count(*) FROM annotation_judgment") == "1"
    assert path.split("/")[2] not in (machine.folder / "roundtable.log").read_text()
    saw(
        "prompts and answers by command, an annotator by invitation, her judgment is stored; no token is logged"
    )


def try_a_round(containers: Containers, machine: Machine) -> None:
    """Its first policy's trainer and worker are killed; the round is judged over https and goes to its end."""
    filling = subprocess.Popen(
        [*containers.compose, "run", "--rm", "-T", "-v", f"{ROOT}/tests:/opt/roundtable/tests:ro", "site",
         "-m", "tests.deployment.small_project"],
        cwd=DEPLOY, env=containers.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def said() -> dict:
        assert filling.stdout is not None
        for line in filling.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise AssertionError(f"the project is not made: {filling.wait()}")

    project = said()
    wait_until(
        lambda: containers.value("SELECT pid FROM runs_run WHERE pid IS NOT NULL"), "no trainer starts"
    )
    started = containers.about("worker", "State.StartedAt")
    subprocess.run(["podman", "exec", containers.name("worker"), "sh", "-c", "kill -9 -1"], check=False)
    wait_until(
        lambda: containers.about("worker", "State.StartedAt") != started, "the worker does not come back"
    )
    assert said() == {"round": 1} and filling.wait() == 0
    assert containers.value("SELECT attempt FROM runs_run WHERE state = 'done' ORDER BY id LIMIT 1") == "2"
    saw("worker and trainer killed in a run: the container comes back, the run is taken over and ends")

    client = machine.client()
    assert log_in(client, project["username"], project["password"]) == 302

    def at(wanted: str) -> bool:
        stage, error = containers.value("SELECT stage, error FROM rounds_round").split("|", 1)
        assert stage != "failed", error
        return stage == wanted

    wait_until(lambda: at("annotating"), "the round is not sampled")
    wait_until(
        lambda: not judge_one(client, project["project"]) or not at("annotating"), "judging does not end"
    )
    wait_until(lambda: at("done"), "the round does not end")
    saw("a round sampled, judged over https, trained and scored in containers")


def try_what_is_closed(containers: Containers) -> None:
    for service in ("site", "worker"):
        status = containers.inside(service, "cat", "/proc/self/status")
        assert "CapBnd:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
        assert containers.inside(service, "id", "-u") == "10001"
        changed = output("podman", "diff", containers.name(service)).splitlines()
        written = [line for line in changed if line[0] == "A" and not line[2:].startswith(("/run", "/etc"))]
        assert written == [], written
        tried = "for d in / /opt/roundtable /etc /usr /var /home; do touch $d/x 2>/dev/null && echo $d; done; true"
        assert containers.inside(service, "sh", "-c", tried) == ""
    saw("no capability, not root, and nothing but volumes and /tmp can be written")


def try_to_stop(containers: Containers) -> None:
    for service, grace in (("worker", 90), ("site", 30)):
        begun = time.monotonic()
        containers("stop", service)
        seconds = time.monotonic() - begun
        code = containers.about(service, "State.ExitCode")
        assert code == "0" and seconds < grace, (service, code, seconds)
        assert "Traceback" not in containers.log(service), containers.log(service)
        saw(f"{service} ends by itself {seconds:.1f} s after SIGTERM")


def everything(containers: Containers) -> dict[str, str]:
    tables = ("annotation_judgment", "annotation_task", "runs_run", "workspace_project", "workspace_user")
    found = {table: containers.value(f"SELECT count(*) FROM {table}") for table in tables}
    return found | {"rounds": containers.value("SELECT stage FROM rounds_round")}


def try_all(options: argparse.Namespace, folder: Path) -> None:
    build_options = shlex.split(options.build_options)
    if options.stand_ins:
        make_stand_ins(build_options)
    build = [
        "podman",
        "build",
        *build_options,
        "--format",
        "docker",
        "-f",
        "deploy/Containerfile",
        "-t",
        "roundtable",
        ".",
    ]
    output(*build, cwd=ROOT)
    saw("the image is built")
    machine = Machine(folder, "")
    machine.site_port = 8000
    containers = Containers(f"https://{HOST}:{machine.https_port}")
    password = DEPLOY / "secrets" / "database_password"
    made_password = not password.exists()
    if made_password:
        password.parent.mkdir(mode=0o700, exist_ok=True)
        password.write_text(secrets.token_hex(24) + "\n")
        password.chmod(0o644)
    try:
        containers("up", "-d")
        machine.start_nginx()
        client = machine.client()

        def ready():
            with suppress(OSError, http.client.HTTPException):
                return client.ask("GET", "/readyz").status == 200

        wait_until(ready, "the site is not ready")
        saw("up; ready through nginx over https")
        try_the_site(containers, machine, folder)
        try_a_round(containers, machine)
        try_what_is_closed(containers)
        containers.run("manage.py", "backup", "/var/backups/roundtable", "--keep", "14")
        containers.run("manage.py", "backup", "/var/backups/roundtable", "--verify")
        saw("a backup is made and verified")
        before = everything(containers)
        try_to_stop(containers)
        containers("down")
        containers("up", "-d")
        wait_until(ready, "the site is not ready again")
        assert everything(containers) == before
        containers.run("manage.py", "reconcile")
        saw(f"down and up again: {before}")
    finally:
        machine.end()
        if not options.keep:
            subprocess.run(
                [*containers.compose, "down", "-v"], cwd=DEPLOY, env=containers.environment, check=False
            )
        if made_password:
            shutil.rmtree(password.parent)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS
    )
    parser.add_argument("--build-options", default="", help=argparse.SUPPRESS)
    parser.add_argument("--stand-ins", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    with tempfile.TemporaryDirectory() as folder:
        try_all(parser.parse_args(), Path(folder))


if __name__ == "__main__":
    main()
