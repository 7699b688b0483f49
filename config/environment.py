"""Every setting that differs between machines: an environment variable named ROUNDTABLE_..., one row each.

docs/settings.md shows the same table to operators; a test holds the two together. A value that does not fit, and a
name that is nearly one of these, is one sentence at the start instead of a surprise later. The table knows no app.
"""

import difflib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError

PREFIX = "ROUNDTABLE_"
Kind = Literal["switch", "integer", "number", "text", "list"]
KINDS: dict[Kind, str] = {
    "switch": "1 or 0",
    "integer": "a whole number",
    "number": "a number",
    "text": "text",
    "list": "words with commas between them",
}
# How much of a name must agree before another is taken for it (difflib's ratio), and before it is offered as a guess.
MISSPELT = 0.8
PERHAPS = 0.6


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One variable. `minimum` and `maximum` are allowed values themselves; an empty value is one that is not set."""

    name: str  # without the prefix
    kind: Kind
    default: Any
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    shown_default: str = ""  # for docs/settings.md, where the default depends on other settings
    older_name: str = ""  # still read where the new one is not set

    @property
    def variable(self) -> str:
        return PREFIX + self.name

    @property
    def allowed(self) -> str:
        """What a value may be, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.minimum is not None and self.maximum is not None:
            return f"{KINDS[self.kind]} from {self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{KINDS[self.kind]}, at least {self.minimum:g}"
        return KINDS[self.kind]


def _setting(name: str, kind: Kind, default: Any, meaning: str, **further: Any) -> Setting:
    return Setting(name=name, kind=kind, default=default, meaning=meaning, **further)


# fmt: off
SETTINGS = {setting.name: setting for setting in (
    # The installation
    _setting("DATA_DIR", "text", "", "folder of everything the installation writes; several machines that share a "
             "database share this folder under the same path", shown_default="`var` in the checkout"),
    _setting("DATABASE_URL", "text", "", "`postgresql://user:password@host:port/name`",
             shown_default="SQLite in DATA_DIR"),
    _setting("DATABASE_PASSWORD_FILE", "text", "", "file that holds the password of DATABASE_URL, which then needs "
             "none; as container engines hand out secrets"),
    _setting("SECRET_KEY", "text", "", "signs sessions and links; at least 32 characters",
             shown_default="DATA_DIR/secret_key, which `make setup` makes"),
    _setting("SECRET_KEY_FALLBACKS", "list", [], "earlier secret keys, still believed, so that a new key logs nobody "
             "out; remove them after three days"),
    _setting("DEBUG", "switch", False, "shows tracebacks to visitors: on a development machine only"),
    _setting("FILE_ACCESS", "text", "OWNER", "who may read and write what the installation writes: nobody but its "
             "user, or that user's group too, for workers under users of their own", choices=("OWNER", "GROUP")),
    _setting("TIME_ZONE", "text", "UTC", "of new projects and of pages outside projects, as `Europe/Paris`"),
    _setting("LOG_LEVEL", "text", "WARNING", "what goes to the log; without it the worker also writes two lines a run",
             choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
    # The address
    _setting("URL", "text", "", "the address people type, as `https://desk.example.org`: allows that host, trusts that "
             "origin and, with https, is BEHIND_TLS=1"),
    _setting("ALLOWED_HOSTS", "list", [], "further host names under which the site may be reached, as "
             "`desk.example.org` or `.example.org`",
             shown_default="the host of URL, `127.0.0.1`, `localhost`, `[::1]`"),
    _setting("BEHIND_TLS", "switch", False, "a proxy speaks https for the site and sends X-Forwarded-Proto: cookies "
             "travel over https only, browsers keep to https (HSTS)", shown_default="1 where URL begins with https"),
    _setting("TRUSTED_ORIGINS", "list", [], "further origins, as `https://other.example.org`, from which forms may "
             "come", shown_default="that of URL"),
    _setting("HSTS_SECONDS", "integer", 31_536_000, "behind TLS: how long browsers keep to https; `0` while trying out",
             minimum=0),
    _setting("PROXY_COUNT", "integer", 0, "how many proxies of yours stand one behind the other before the site: "
             "only so many entries of X-Forwarded-For are believed, for the throttle of logins and the log", minimum=0,
             maximum=10),
    # Watching it
    _setting("ACCESS_LOG", "switch", False, "a line in the log for each request: method, path, page, status, "
             "milliseconds, number of the account, address; `serve --access-log` does the same"),
    _setting("METRICS_TOKEN", "text", "", "`/metrics` (Prometheus) answers who sends it as `Authorization: Bearer "
             "TOKEN`; at least 16 characters", shown_default="none: there is no such page"),
    # The REST API
    _setting("API_REQUESTS_PER_MINUTE", "integer", 600, "how many requests of the API a token, or a person's session, "
             "may make in a minute, to each web worker", minimum=1),
    _setting("WEBHOOKS_PRIVATE_ADDRESSES", "list", [], "networks to which webhooks may go though they are not public, "
             "as `10.1.0.0/16` or `127.0.0.1`; http:// is allowed there", shown_default="none: public addresses only"),
    # People
    _setting("INVITATION_EXPIRY_DAYS", "integer", 7, "an invitation's life", minimum=1, maximum=365,
             older_name="INVITATION_DAYS"),
    _setting("MANAGERS_CREATE_PROJECTS", "switch", False, "who manages a project may open further ones, not operators "
             "alone"),
    # Files that managers bring in
    _setting("UPLOAD_MAX_MB", "integer", 4_000, "the largest file that a manager may upload", minimum=1),
    _setting("UPLOAD_QUOTA_MB", "integer", 20_000, "what a project's uploads may take together, until they are "
             "imported", minimum=1),
    # Models that managers bring in
    _setting("MODEL_FOLDERS", "list", [], "folders of this machine beneath which managers find models to import on the "
             "pages; the workers' machines have them under the same path", shown_default="none"),
    _setting("HUB_MODELS", "list", [], "models of the Hugging Face hub that managers may import on the pages, as "
             "`Qwen/Qwen3-0.6B` or `Qwen/*`", shown_default="none"),
    _setting("HUB_DATASETS", "list", [], "datasets of the Hugging Face hub that managers may import on the pages and "
             "by programs, as `Anthropic/hh-rlhf` or `nvidia/*`; a worker fetches them", shown_default="none"),
    # Datasets and models that go out
    _setting("HUB_TOKEN", "text", "", "a token of the Hugging Face Hub: the worker pushes with it, in its owner's "
             "name, when a manager pushes a dataset or a model to one of `ROUNDTABLE_HUB_REPOSITORIES` and gives none",
             shown_default="none: who pushes gives a token"),
    _setting("HUB_REPOSITORIES", "list", [], "repositories that the site's token may be used for, as `owner/*` or "
             "`owner/tea-*`; the site and the workers read it. A manager's own token is not limited",
             shown_default="none: who pushes gives a token"),
    # Long work
    _setting("RUN_LEASE_SECONDS", "number", 30.0, "a worker silent for this long has lost its run to the next one",
             minimum=0.1),
    _setting("RUN_HEARTBEAT_SECONDS", "number", 2.0, "how often a worker renews its lease and copies progress; well "
             "under the lease", minimum=0.01),
    _setting("RUN_POLL_SECONDS", "number", 1.0, "how often an idle worker looks for work", minimum=0.01),
    _setting("RUN_TICK_SECONDS", "number", 2.0, "how often rounds advance and lapsed leases are swept", minimum=0.01),
    _setting("RUN_STOP_GRACE_SECONDS", "number", 60.0, "a trainer asked to stop has this long to write its checkpoint",
             minimum=0),
    _setting("RUN_RETRY_BASE_SECONDS", "number", 10.0, "wait before the second attempt; doubles with each further one",
             minimum=0),
    _setting("RUN_RETRY_MAX_SECONDS", "number", 600.0, "longest wait before another attempt", minimum=0,
             older_name="RUN_RETRY_CAP_SECONDS"),
    _setting("RUN_MIN_FREE_DISK_MB", "integer", 1024, "nothing is launched with less free space than this under "
             "DATA_DIR", minimum=0, older_name="RUN_DISK_FLOOR_MB"),
    _setting("RUN_ENVIRONMENT_ALLOWLIST", "list", [], "further environment variables that trainers may see",
             older_name="RUN_PASS_ENVIRONMENT"),
    _setting("RUN_KEEP_CHECKPOINTS", "switch", False, "checkpoints stay when a run is done; else they are removed once "
             "its result is saved"),
    _setting("RUN_TIME_LIMIT_MINUTES", "integer", 0, "how long each start of a run may take that has no limit of its "
             "own; then it is stopped with a checkpoint, and can be retried from it; `0`: as long as it takes",
             minimum=0),
    _setting("RUN_THREADS", "integer", 0, "torch threads of a run; `0`: the cores the worker may use", minimum=0),
    _setting("REWARD_FUNCTIONS", "list", [], "functions that may give rewards in PPO and evaluations, as "
             "`our_rewards.arithmetic`, installed where the workers run; the site and the workers read it. "
             "`length_penalty` and `exact_answer` are always there", shown_default="none"),
    # Servers of language models, which sample answers and judge
    _setting("MODEL_SERVERS", "list", [], "servers that speak the OpenAI protocol (vLLM, `transformers serve`), which "
             "runs may ask for answers and for judgments, as `vllm=https://models.example.org/v1`; the site and the "
             "workers read it", shown_default="none"),
    _setting("MODEL_SERVER_KEYS", "list", [], "their keys, as `vllm=KEY`; only the workers need them, and they are "
             "neither stored nor logged", shown_default="none"),
    _setting("MODEL_SERVERS_PRIVATE_ADDRESSES", "list", [], "networks in which these servers may be though they are "
             "not public, as `10.1.0.0/16` or `127.0.0.1`; http:// is allowed there",
             shown_default="none: public addresses only"),
    # Reward models as a service
    _setting("SCORER_MAX_MODELS", "integer", 2, "how many reward models the workers keep loaded together to answer "
             "requests for rewards; the one that was not used for longest makes room; `0`: no such service", minimum=0),
    _setting("SCORER_IDLE_MINUTES", "number", 15.0, "a reward model that nobody asked for so long is unloaded",
             minimum=0.01),
    _setting("SCORER_WAIT_SECONDS", "number", 20.0, "how long a request waits for a reward model that is being loaded "
             "before it is told to come back", minimum=0),
    _setting("SCORER_TIMEOUT_SECONDS", "number", 60.0, "how long a request waits for its rewards from a loaded model",
             minimum=0.1),
    _setting("SCORER_HOST", "text", "127.0.0.1", "address of the worker's machine on which its reward models listen; "
             "where the site runs on another machine, one that the site reaches over a private network; `hostname`: "
             "the machine's own name"),
    # Policies as a service, for live conversations
    _setting("POLICY_SERVER_MAX_MODELS", "integer", 2, "how many policies the workers keep loaded together to answer "
             "in live conversations; the one that was not used for longest makes room; `0`: no live conversations",
             minimum=0),
    _setting("POLICY_SERVER_IDLE_MINUTES", "number", 15.0, "a policy that answered nobody for so long is unloaded",
             minimum=0.01),
    _setting("POLICY_SERVER_HOST", "text", "127.0.0.1", "address of the worker's machine on which its policies listen, "
             "as ROUNDTABLE_SCORER_HOST"),
)}
# fmt: on

# Not settings of the site: what `serve` hands to web workers, the worker to trainers, and what tests, benchmarks and
# the build read.
OTHER_VARIABLES = (
    "WEB_THREADS",
    "FENCE",
    "RUN",
    "CHROMIUM",
    "SHARED_CASES",
    "SHARED_DATA",
    "SHARED_ROWS",
    "TOKEN",
)


class Environment:
    """Reads the settings. Making one raises ImproperlyConfigured, one sentence, for a misspelt name."""

    def __init__(self) -> None:
        env = Env()
        self._parse: dict[Kind, Callable[[str], Any]] = {
            "switch": env.bool,
            "integer": env.int,
            "number": env.float,
            "text": env.str,
            "list": env.list,
        }
        # Names that begin as ours do and are none: a variable, and the setting that may have been meant, or "".
        # A cluster sets such (ROUNDTABLE_PORT_8000_TCP), so they are told and not refused.
        self.unknown: list[tuple[str, str]] = []
        known = {*SETTINGS, *OTHER_VARIABLES, *(s.older_name for s in SETTINGS.values() if s.older_name)}
        variables = {PREFIX + name for name in known}
        for variable in sorted(os.environ):
            if variable in variables or not _meant_for_us(variable):
                continue
            name = variable.upper().partition("_")[2]
            near = difflib.get_close_matches(name, [*SETTINGS], n=1, cutoff=PERHAPS)
            meant = PREFIX + near[0] if near else ""
            if near and difflib.SequenceMatcher(a=near[0], b=name).ratio() >= MISSPELT:
                raise ImproperlyConfigured(
                    f"There is no setting {variable}: did you mean {meant}? All are in docs/settings.md."
                )
            if variable.startswith(PREFIX):
                self.unknown.append((variable, meant))

    def is_set(self, name: str) -> bool:
        return bool(self._variable(SETTINGS[name]))

    def read(self, name: str) -> Any:
        """The value of a setting, its default when it is not set. Raises ImproperlyConfigured, one sentence."""
        setting = SETTINGS[name]
        variable = self._variable(setting)
        if not variable:
            return setting.default
        try:
            value = self._parse[setting.kind](variable)
        except (EnvError, ValueError) as error:
            raise refused(variable, setting.allowed) from error
        if setting.kind == "list":
            return [word.strip() for word in value if word.strip()]
        if setting.choices:
            value = value.upper()
            if value not in setting.choices:
                raise refused(variable, setting.allowed)
        if setting.kind in ("integer", "number"):
            low = -math.inf if setting.minimum is None else setting.minimum
            high = math.inf if setting.maximum is None else setting.maximum
            if not (math.isfinite(value) and low <= value <= high):
                raise refused(variable, setting.allowed)
        return value

    def _variable(self, setting: Setting) -> str:
        """The variable that sets it; "" when none does."""
        names = [setting.variable, *([PREFIX + setting.older_name] if setting.older_name else [])]
        return next((name for name in names if os.environ.get(name, "").strip()), "")


def _meant_for_us(variable: str) -> bool:
    first, separator, _ = variable.upper().partition("_")
    near = difflib.SequenceMatcher(a=PREFIX[:-1], b=first).ratio() >= 0.85
    return bool(separator) and near


def refused(variable: str, wanted: str) -> ImproperlyConfigured:
    """The sentence for a value that cannot be; not for those that hold a secret."""
    return ImproperlyConfigured(f"{variable} is {os.environ[variable]!r}: it must be {wanted}.")
