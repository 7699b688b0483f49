"""manage.py writing PROJECT [--open NAME --kind KIND ... | --close NAME | --reopen NAME | --to-check]"""

from argparse import ArgumentParser
from typing import Any

from annotation.models import Prompt, PromptSet, WritingWork
from annotation.writing.shown import title_of
from annotation.writing.works import item_counts, open_work, set_work_state, waiting_to_be_checked
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User

SHOWN = 100
# Of --open alone, by the action's names.
PLAN = ("kind", "instruction", "prompt_set", "prompt_kind", "items", "copies", "min_words", "max_words")


class Command(ProjectCommand):
    help = (
        "The work that writers are asked for, and how far it is; or open new work, close or reopen some, list the "
        "texts that wait to be checked."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--open", metavar="NAME", help="ask for texts under this name")
        what.add_argument("--close", metavar="NAME", help="hand nothing new out; what was begun can be sent")
        what.add_argument("--reopen", metavar="NAME", help="hand its texts out again")
        what.add_argument("--to-check", action="store_true", help="the texts that wait, the longest first")
        plan = parser.add_argument_group("with --open")
        plan.add_argument("--kind", choices=WritingWork.Kind.values)
        plan.add_argument("--prompt-set", metavar="NAME", help="answered; or where accepted prompts go")
        plan.add_argument("--copies", type=int, metavar="N", help="of answers: people a prompt (1)")
        plan.add_argument("--items", type=int, metavar="N", help="how many prompts or dialogues")
        plan.add_argument("--prompt-kind", choices=Prompt.Kind.values, help="of prompts that are asked for")
        plan.add_argument("--min-words", type=int, metavar="N", help="of a text (1)")
        plan.add_argument("--max-words", type=int, metavar="N", help="of a text (2000)")
        plan.add_argument("--instruction", metavar="TEXT", help="to writers, in Markdown")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        plan = {name: options[name] for name in PLAN if options[name] is not None}
        if options["open"] is not None:
            self._open(actor, project, options["open"], plan)
        elif plan:
            named = ", ".join("--" + name.replace("_", "-") for name in plan)
            raise ActionError(f"Only new work takes {named}: give --open NAME.")
        elif options["close"] is not None:
            self._set_state(actor, project, options["close"], WritingWork.State.CLOSED)
        elif options["reopen"] is not None:
            self._set_state(actor, project, options["reopen"], WritingWork.State.OPEN)
        elif options["to_check"]:
            self._list_waiting(project)
        else:
            self._list_works(project)

    def _open(self, actor: User, project: Project, name: str, plan: dict[str, Any]) -> None:
        if "kind" not in plan:
            raise ActionError(f"Say what is written: --kind {', '.join(WritingWork.Kind.values)}.")
        if "prompt_set" in plan:
            plan["prompt_set"] = _find_prompt_set(project, plan["prompt_set"])
        work = open_work(actor=actor, project=project, name=name, **plan)
        self.stdout.write(f"“{work.name}” is open: {work.items.count()} texts are asked for.")

    def _set_state(self, actor: User, project: Project, name: str, state: str) -> None:
        work = project.writing_works.filter(name=name).first()
        if work is None:
            raise ActionError(f"The project {project.slug} has no writing work “{name}”.")
        set_work_state(actor=actor, work=work, state=state)
        self.stdout.write(f"“{work.name}” is {state}.")

    def _list_works(self, project: Project) -> None:
        for work in project.writing_works.order_by("-pk")[:SHOWN]:
            counts = ", ".join(f"{n} {state}" for state, n in item_counts(work).items())
            self.stdout.write(f"“{work.name}” ({work.kind}, {work.state}): {counts}")
        self.stdout.write(f"{project.writing_works.count()} in all (at most {SHOWN} are listed).")

    def _list_waiting(self, project: Project) -> None:
        waiting = waiting_to_be_checked(project)
        for item in waiting[:SHOWN]:
            sent = item.first_sent.isoformat(" ", "minutes")  # type: ignore[attr-defined]  # annotated
            name = item.writer.username if item.writer else "nobody"
            self.stdout.write(f"text {item.pk} of “{item.work.name}”, {name}, sent {sent}: {title_of(item)}")
        self.stdout.write(f"{waiting.order_by().count()} to check (at most {SHOWN} are listed).")


def _find_prompt_set(project: Project, name: str) -> PromptSet:
    """Raises ActionError."""
    found = project.prompt_sets.filter(name=name).first()
    if found is None:
        raise ActionError(f"The project {project.slug} has no prompt set “{name}”.")
    return found
