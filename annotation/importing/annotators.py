"""The users behind the pseudonyms of a file: resolved before anything is written, created when needed."""

import hashlib

from annotation.importing.report import ImportRefused
from annotation.models import Demonstration
from annotation.text import safe_excerpt
from learning.interface.vocabulary import PERSON
from workspace.accounts import create_imported_annotator
from workspace.models import Project, User


class AnnotatorResolver:
    """Somebody known to the project by the pseudonym, else a new inactive user.

    Elsewhere the same name is somebody else's: then the project's name is added to the pseudonym. Rows that
    name nobody share one user of the project.
    """

    def __init__(self, project: Project, *, actor: User) -> None:
        self._project, self._actor = project, actor
        self._kinds: dict[str, str] = {}  # resolved pseudonym -> kind of annotator
        self._resolved: dict[tuple[str | None, str], str] = {}
        self._users: dict[str, User] = {}

    def resolve_pseudonym(self, name: str | None, kind: str = PERSON) -> str:
        """The pseudonym of the user who stands for this one; writes nothing. Raises ImportRefused."""
        if (name, kind) not in self._resolved:
            self._resolved[name, kind] = self._find_pseudonym(
                name or f"import-{self._project.slug}"[:64], kind
            )
        return self._resolved[name, kind]

    def get_or_create_user(self, name: str | None, kind: str = PERSON) -> User:
        """The user. Call it in the transaction of the rows that need them."""
        pseudonym = self.resolve_pseudonym(name, kind)
        if pseudonym not in self._users:
            existing = User.objects.filter(pseudonym=pseudonym).first()
            self._users[pseudonym] = existing or create_imported_annotator(
                actor=self._actor, project=self._project, pseudonym=pseudonym, kind=kind
            )
        return self._users[pseudonym]

    def __len__(self) -> int:
        return len(self._kinds)

    def _find_pseudonym(self, pseudonym: str, kind: str) -> str:
        for candidate in (pseudonym, _with_project_suffix(pseudonym, self._project)):
            if candidate not in self._kinds:
                known = User.objects.filter(pseudonym=candidate).first()
                if known is None or (known.kind == kind and _belongs_to_project(known, self._project)):
                    self._kinds[candidate] = kind
            if self._kinds.get(candidate) == kind:
                return candidate
        raise ImportRefused(
            f"The pseudonym {safe_excerpt(pseudonym)} belongs to somebody of another kind in this project: "
            "rename it in the file.",
            code="pseudonym_taken",
        )


def _with_project_suffix(pseudonym: str, project: Project) -> str:
    """Within 64 characters and unlike any other project's."""
    tail = "@" + hashlib.sha256(project.slug.encode()).hexdigest()[:8]
    return pseudonym[: 64 - len(tail)] + tail


def _belongs_to_project(user: User, project: Project) -> bool:
    return (
        user.memberships.filter(project=project).exists()
        or user.assignments.filter(task__batch__project=project).exists()
        or project.prompts.filter(author=user).exists()
        or Demonstration._base_manager.filter(project=project, author=user, taken_back=False).exists()
    )
