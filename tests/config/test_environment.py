"""The table of settings: what the guide says of it, what is refused, what is asked of a misspelt name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.address import read_address
from config.environment import OTHER_VARIABLES, PREFIX, SETTINGS, Environment, Setting

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def variables(monkeypatch):
    """Sets ROUNDTABLE_ variables, and forgets those of the machine that runs the tests."""
    for variable in os.environ:
        if variable.startswith(PREFIX):
            monkeypatch.delenv(variable)

    def set_variables(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_variables


def row(setting: Setting) -> str:
    """The line of docs/settings.md for a setting."""
    default = setting.shown_default
    if not default and setting.default not in ("", []):
        value = int(setting.default) if setting.kind == "switch" else setting.default
        default = f"`{value:g}`" if setting.kind == "number" else f"`{value}`"
    older = f" (older name, still read: `{PREFIX}{setting.older_name}`)" if setting.older_name else ""
    return f"| `{setting.variable}` | {setting.allowed} | {default or 'none'} | {setting.meaning}{older} |"


def test_the_guide_has_a_line_for_every_setting_and_no_other():
    lines = (ROOT / "docs" / "settings.md").read_text().splitlines()
    documented = [line for line in lines if line.startswith(f"| `{PREFIX}")]
    assert documented == [row(setting) for setting in SETTINGS.values()]


def test_every_setting_of_the_table_is_read_and_nothing_else():
    code = "".join((ROOT / "config" / name).read_text() for name in ("settings.py", "address.py"))
    assert set(re.findall(r'env\.read\("(\w+)"\)', code)) == set(SETTINGS)


def test_no_other_file_reads_a_variable_that_is_not_in_the_table():
    known = {*SETTINGS, *OTHER_VARIABLES, *(s.older_name for s in SETTINGS.values())}
    found = {}
    folders = (
        "workspace runs annotation rewardmodel policy_training events learning rounds demo benchmarks tests docs"
        " .ci"
    )
    for folder in folders.split():
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".md", "") and path.is_file() and path.name not in (
                "decisions.md", Path(__file__).name, "test_settings.py",
            ):  # fmt: skip
                for name in re.findall(rf"\b{PREFIX}([A-Z_]+[A-Z])\b", path.read_text()):
                    if name not in known:
                        found.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    assert found == {}


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("ROUNDTABLE_ALOWED_HOSTS", "ROUNDTABLE_ALLOWED_HOSTS"),
        ("ROUNDTABLE_DATABASE_UR", "ROUNDTABLE_DATABASE_URL"),
        ("ROUNDTABLE_RUN_LEASE_SECOND", "ROUNDTABLE_RUN_LEASE_SECONDS"),
        ("ROUNDTABLE_BEHIND_TSL", "ROUNDTABLE_BEHIND_TLS"),
        ("roundtable_data_dir", "ROUNDTABLE_DATA_DIR"),
        ("ROUNDTBALE_DATA_DIR", "ROUNDTABLE_DATA_DIR"),
        ("ROUNTABLE_DEBUG", "ROUNDTABLE_DEBUG"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_right_one(variables, variable, meant):
    variables(**{variable: "1"})
    with pytest.raises(ImproperlyConfigured) as caught:
        Environment()
    assert str(caught.value) == (
        f"There is no setting {variable}: did you mean {meant}? All are in docs/settings.md."
    )


def test_names_that_programs_around_the_site_use_are_not_refused(variables):
    # What a cluster sets for a service of that name, what the worker hands to trainers, what only tests read.
    variables(
        ROUNDTABLE_PORT_8000_TCP_ADDR="10.0.0.1", ROUNDTABLE_SERVICE_HOST="10.0.0.1", ROUNDTABLE_FENCE="3",
        ROUNDTABLE_RUN="a1b2", ROUNDTABLE_SHARED_CASES="/x", ROUNDTABLE_SHARED_DATA="/x", ROUNDTABLE_CHROMIUM="/x",
    )  # fmt: skip
    assert [variable for variable, _ in Environment().unknown] == [
        "ROUNDTABLE_PORT_8000_TCP_ADDR",
        "ROUNDTABLE_SERVICE_HOST",
    ]


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("INVITATION_EXPIRY_DAYS", "-1", "a whole number from 1 to 365"),
        ("INVITATION_DAYS", "-1", "a whole number from 1 to 365"),
        ("INVITATION_EXPIRY_DAYS", "soon", "a whole number from 1 to 365"),
        ("RUN_LEASE_SECONDS", "nan", "a number, at least 0.1"),
        ("RUN_LEASE_SECONDS", "inf", "a number, at least 0.1"),
        ("DEBUG", "perhaps", "1 or 0"),
        ("LOG_LEVEL", "LOUD", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
    ],
)
def test_a_value_that_does_not_fit_is_one_sentence(variables, name, value, wanted):
    variables(**{PREFIX + name: value})
    with pytest.raises(ImproperlyConfigured) as caught:
        Environment().read(name.replace("INVITATION_DAYS", "INVITATION_EXPIRY_DAYS"))
    assert str(caught.value) == f"{PREFIX}{name} is {value!r}: it must be {wanted}."


def test_an_empty_value_is_one_that_is_not_set(variables):
    variables(ROUNDTABLE_RUN_LEASE_SECONDS="", ROUNDTABLE_ALLOWED_HOSTS=" ", ROUNDTABLE_DEBUG="")
    environment = Environment()
    assert environment.read("RUN_LEASE_SECONDS") == 30.0
    assert environment.read("ALLOWED_HOSTS") == [] and not environment.is_set("ALLOWED_HOSTS")
    assert environment.read("DEBUG") is False


def test_the_address_says_host_origin_and_tls(variables):
    variables(ROUNDTABLE_URL="https://Desk.example.org:8443/")
    address = read_address(Environment())
    assert address.hosts == ["desk.example.org", "127.0.0.1", "localhost", "[::1]"]
    assert address.origins == ["https://desk.example.org:8443"]
    assert address.behind_tls is True


def test_the_older_settings_of_the_address_keep_their_meaning(variables):
    variables(
        ROUNDTABLE_ALLOWED_HOSTS="a.example.org, .b.example.org", ROUNDTABLE_BEHIND_TLS="1",
        ROUNDTABLE_TRUSTED_ORIGINS="https://c.example.org",
    )  # fmt: skip
    address = read_address(Environment())
    assert address.hosts == ["a.example.org", ".b.example.org"]  # and not this machine's own
    assert address.origins == ["https://c.example.org"] and address.behind_tls
    variables(ROUNDTABLE_URL="https://d.example.org", ROUNDTABLE_BEHIND_TLS="0")
    address = read_address(Environment())
    assert address.hosts[:3] == ["a.example.org", ".b.example.org", "d.example.org"]
    assert address.origins == ["https://c.example.org", "https://d.example.org"]
    assert address.behind_tls is False  # as was said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", "desk.example.org"),
        ("URL", "https://desk.example.org/roundtable"),
        ("URL", "https://"),
        ("URL", "https://desk.example.org:port"),
        ("URL", "https://me:secret@desk.example.org"),
        ("URL", "ftp://desk.example.org"),
        ("ALLOWED_HOSTS", "https://desk.example.org"),
        ("ALLOWED_HOSTS", "desk.example.org:8443"),
        ("TRUSTED_ORIGINS", "desk.example.org"),
        ("TRUSTED_ORIGINS", "https://desk.example.org/"),
    ],
)
def test_what_is_no_address_host_or_origin_is_one_sentence(variables, name, value):
    variables(**{PREFIX + name: value})
    with pytest.raises(ImproperlyConfigured, match=f"^{PREFIX}{name} is '.*': it must be .*example|without"):
        read_address(Environment())


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith((PREFIX, "DJANGO_"))}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env={**clean, **environment}, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "migrate"],
        ["manage.py", "serve"],
        ["manage.py", "worker", "--once"],
        ["-c", "import config.wsgi"],
        ["-m", "config.prepare"],
    ],
    ids=" ".join,
)
def test_site_commands_worker_and_setup_end_in_one_sentence_for_a_wrong_setting(tmp_path, command):
    process = run(*command, ROUNDTABLE_DATA_DIR=str(tmp_path), ROUNDTABLE_INVITATION_DAYS="-1",
                  ROUNDTABLE_SECRET_KEY="x" * 40)  # fmt: skip
    assert process.returncode in (1, 2)
    assert process.stderr == "ROUNDTABLE_INVITATION_DAYS is '-1': it must be a whole number from 1 to 365.\n"


def test_migrate_without_a_key_is_one_sentence(tmp_path):
    process = run("manage.py", "migrate", ROUNDTABLE_DATA_DIR=str(tmp_path))
    assert process.returncode == 2 and len(process.stderr.splitlines()) == 1
    assert "ROUNDTABLE_SECRET_KEY" in process.stderr


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"TIME_ZONE": "Mars/Olympus"}, "as Europe/Paris"),
        ({"DATABASE_URL": "postgresql://u:pass-word@h:port/x"}, "%2F"),
        ({"DATABASE_URL": "postgresql://u:pass-word@127.0.0.1/"}, "names no database"),
        ({"DATABASE_URL": "sqlite:///pass-word"}, "must begin with postgresql://"),
        ({"RUN_LEASE_SECONDS": "1"}, "the first must be smaller"),
        ({"SECRET_KEY": "pass-word"}, "shorter than 32 characters"),
    ],
)
def test_settings_that_do_not_fit_together_are_one_sentence_without_a_secret(tmp_path, settings, wanted):
    given = {"SECRET_KEY": "x" * 40, "DATA_DIR": str(tmp_path)} | settings
    process = run("manage.py", "check", **{PREFIX + name: value for name, value in given.items()})
    assert process.returncode == 2, process.stderr
    assert len(process.stderr.splitlines()) == 1 and wanted in process.stderr
    assert f"{PREFIX}{next(iter(settings))}" in process.stderr and "pass-word" not in process.stderr


def test_an_unknown_name_is_a_warning_with_the_nearest_one(tmp_path):
    process = run("manage.py", "check", ROUNDTABLE_DATA_DIR=str(tmp_path), ROUNDTABLE_SECRET_KEY="x" * 40,
                  ROUNDTABLE_TRUSTED_HOSTS="a")  # fmt: skip
    assert process.returncode == 0
    assert "ROUNDTABLE_TRUSTED_HOSTS is no setting" in process.stderr
    assert "ROUNDTABLE_TRUSTED_ORIGINS" in process.stderr
