"""deploy/ names only what there is: settings, commands and their options, services, limits that fit each other."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class

from annotation.importing.uploads.actions import MAX_PIECE_BYTES
from config.environment import SETTINGS
from runs.launchers import ENVIRONMENT_ALLOWLIST
from tests.deployment.units import INSTALLED_PYTHON, ROOT, UNITS, read_environment, read_unit
from workspace.request_bodies import MAX_FORM_BYTES
from workspace.web_server import GRACE_SECONDS

DEPLOY = ROOT / "deploy"
POSTGRESQL_OF_DEBIAN = {"bookworm": 15, "trixie": 17}  # the package postgresql-client
SERVICES = sorted(UNITS.glob("*.service"))
KNOWN = {setting.variable for setting in SETTINGS.values()}


def must_be_a_command(words: list[str]) -> None:
    """`manage.py NAME OPTIONS` that the command's own parser takes, maybe after -m config.prepare ... --then."""
    if words[:2] == ["-m", "config.prepare"]:
        words = words[words.index("--then") + 1 :]
    assert words[0] == "manage.py"
    command = load_command_class(get_commands()[words[1]], words[1])
    command.create_parser("manage.py", words[1]).parse_args(words[2:])


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_every_unit_runs_a_command_of_ours_and_is_closed_in():
    assert {path.name for path in UNITS.iterdir()} == {
        "roundtable.service", "roundtable-worker@.service", "roundtable-backup.service", "roundtable-backup.timer",
    }  # fmt: skip
    for path in SERVICES:
        unit = read_unit(path.read_text())
        [line] = unit["ExecStart"]
        python, *words = shlex.split(line)
        assert python == INSTALLED_PYTHON
        must_be_a_command(words)
        for key, value in {
            "User": "roundtable", "ProtectSystem": "strict", "NoNewPrivileges": "yes", "StateDirectory": "roundtable",
            "EnvironmentFile": "/etc/roundtable/environment", "UMask": "0077", "CapabilityBoundingSet": "",
        }.items():  # fmt: skip
            assert unit[key] == [value], (path.name, key)


def test_systemd_gives_each_unit_the_time_it_needs_to_end():
    """Requests are answered, checkpoints written; SIGTERM goes to the main process, which sees to the others."""
    needed = {
        "roundtable.service": GRACE_SECONDS,
        "roundtable-worker@.service": settings.RUN_STOP_GRACE_SECONDS,
    }
    for name, seconds in needed.items():
        unit = read_unit((UNITS / name).read_text())
        assert unit["KillMode"] == ["mixed"]
        assert float(unit["TimeoutStopSec"][0]) > seconds


@pytest.mark.slow
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    for path in sorted(UNITS.iterdir()):
        text = (
            path.read_text().replace(INSTALLED_PYTHON, sys.executable).replace("/opt/roundtable", str(ROOT))
        )
        (tmp_path / path.name).write_text(text)
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is missing: `.ci/system-packages systemd` installs it or says how"
    units = [*tmp_path.glob("roundtable*.service"), *tmp_path.glob("*.timer")]
    instances = [str(path).replace("@.service", "@1.service") for path in units]
    (tmp_path / "roundtable-worker@1.service").symlink_to("roundtable-worker@.service")
    done = subprocess.run([analyze, "verify", "--man=no", *instances], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "roundtable" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_example_of_an_environment_sets_known_settings():
    text = (DEPLOY / "environment.example").read_text()
    assert {"ROUNDTABLE_URL", "ROUNDTABLE_DATABASE_URL", "ROUNDTABLE_DATA_DIR"} <= set(read_environment(text))
    assert set(re.findall(r"^#?(ROUNDTABLE_\w+)=", text, re.MULTILINE)) <= KNOWN


def test_nginx_lets_through_what_a_page_may_send():
    [megabytes] = re.findall(r"client_max_body_size (\d+)m;", (DEPLOY / "nginx.conf").read_text())
    assert int(megabytes) * 1024**2 > max(MAX_PIECE_BYTES, MAX_FORM_BYTES)


def test_the_compose_file_runs_commands_of_ours_with_known_settings(compose):
    services = compose["services"]
    assert set(services) == {"database", "site", "worker"}
    for name in ("site", "worker"):
        service = services[name]
        must_be_a_command(service["command"])
        assert set(service["environment"]) <= KNOWN | set(ENVIRONMENT_ALLOWLIST)
        assert service["secrets"] == ["database_password"] and service["cap_drop"] == ["ALL"]
        assert {volume.partition(":")[0] for volume in service["volumes"] if volume[0] != "$"} <= set(
            compose["volumes"]
        )
    # pg_dump refuses a server of a later version: Debian's client in the image, the server in the compose file.
    [debian] = re.findall(
        r"^FROM docker.io/library/debian:(\w+)-slim", (DEPLOY / "Containerfile").read_text(), re.MULTILINE
    )
    assert services["database"]["image"] == f"docker.io/library/postgres:{POSTGRESQL_OF_DEBIAN[debian]}"
    assert set(compose["secrets"]) == {"database_password"}
    # Only this machine's proxy reaches the site.
    assert services["site"]["ports"] == ["127.0.0.1:8000:8000"]
    assert float(services["worker"]["stop_grace_period"].rstrip("s")) > settings.RUN_STOP_GRACE_SECONDS
    assert float(services["site"]["stop_grace_period"].rstrip("s")) > GRACE_SECONDS


def test_the_image_is_not_root_and_copies_what_there_is():
    lines = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    instructions = [line.split(maxsplit=1) for line in lines if line and line[0] not in "# "]
    users = [value for name, value in instructions if name == "USER"]
    assert users == ["roundtable"]
    copied = [word for name, value in instructions if name == "COPY" for word in value.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    [compiled] = re.findall(r"compileall -q (.+)", "\n".join(lines))
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    # Every package of the program is in the image.
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"learning"}
    packages -= {"tests", "benchmarks"}
    assert packages <= allowed and packages <= set(compiled.split())
    assert set(copied) - {"."} <= allowed
