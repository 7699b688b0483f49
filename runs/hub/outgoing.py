"""A kind of model that goes out, a policy or a reward model: what its push, its archive and its card's words have in
common. Each app says what is its own in one OutgoingModels; pages, API and commands are made of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learning.interface.options import UserError
from runs.hub.files import HubFile
from runs.hub.pushes import WEIGHTS, Push, queue_push
from runs.models import Run
from runs.run_kinds import RunKind
from workspace.models import Project, User


@dataclass(frozen=True, kw_only=True)
class OutgoingModels:
    name: str  # of the model among the parameters of its pushes, and of the argument of `describe`
    label: str  # as in “a policy”
    page: str  # the name of its page's address
    kind: RunKind  # of its pushes
    rows: Callable[[Project], Any]  # QuerySet of the project's
    access: Callable[[Project, int], Any]  # raises Http404
    files: Callable[[Any], Sequence[HubFile]]  # what goes out; raises UserError
    describe: Callable[..., Any]  # the action that changes licence and notes

    def push(
        self,
        *,
        actor: User,
        model: Any,
        repository: str,
        public: bool = False,
        token: str = "",
        dry_run: bool = False,
    ) -> Run:
        """Queue the push: its folder with its card, as one commit. Raises ActionError."""
        return queue_push(
            actor=actor,
            project=model.project,
            kind=self.kind,
            what=model.name,
            repository=repository,
            public=public,
            token=token,
            dry_run=dry_run,
            parameters={self.name: model.pk},
        )

    def prepare(self, run: Run, folder: Path) -> Push:
        """What the run of a push sends. Raises UserError."""
        model = self.rows(run.project).filter(pk=run.parameters[self.name]).first()
        if model is None:
            raise UserError(f"The {self.label} is not there any more.")
        return self.contents(model)

    def contents(self, model: Any) -> Push:
        return Push(
            files=self.files(model),
            repository_type="model",
            message=f"{model.name}, a {self.label}",
            replaces=WEIGHTS,
        )
