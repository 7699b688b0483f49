"""An import of a policy that a page or a program asked for, executed."""

from dataclasses import asdict
from typing import Any

from policy_training.imports.actions import import_policy
from policy_training.imports.allowed_models import require_allowed
from policy_training.imports.hub_models import HUB, HubModel, find_folder
from policy_training.imports.preparation import adapter_base
from policy_training.models import Policy
from runs.models import Run


def import_by_run(run: Run) -> Policy:
    """The policy; of a run that is started again after its import was in, that policy. Raises ActionError."""
    done = Policy.objects.filter(project=run.project, report__imported__run=run.pk).first()
    if done is not None:
        return done
    asked: dict[str, Any] = run.parameters
    # Again: the settings are those of this machine now.
    require_allowed(asked["source"])
    hub: dict[str, HubModel] = {}
    path = find_folder(asked["source"], hub, "policy", asked["revision"] or None).resolve()
    base = asked["base"]
    if not base and (named := adapter_base(path)):
        # An adapter names its base as its author had it: a model of the hub, or a folder.
        base = named if named.startswith("/") else f"{HUB}{named}"
    if base:
        require_allowed(base)
    return import_policy(
        actor=run.requested_by,
        project=run.project,
        name=asked["name"],
        path=path,
        base=find_folder(base, hub, "base").resolve() if base else None,
        chat_template_kwargs=asked["chat_template_kwargs"],
        own_tokenizer=asked["own_tokenizer"],
        notes=asked["notes"],
        hub={part: asdict(model) for part, model in hub.items()},
        run=run,
    )
