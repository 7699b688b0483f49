"""manage.py import_policy PROJECT NAME FOLDER, or hub:owner/model in place of the folder"""

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from policy_training.imports.actions import import_policy
from policy_training.imports.hub_models import HUB, HubModel, find_folder
from policy_training.imports.preparation import NotAPolicy, adapter_base
from policy_training.imports.template_values import parse_values
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Take a language model (a folder, or a model of the Hugging Face hub) into a project as a policy. A LoRA "
        "adapter is merged into its base; a chat template that asks for today's date keeps today's."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the policy's name in the project")
        parser.add_argument("source", help="a folder, or hub:owner/model for a model of the Hugging Face hub")
        parser.add_argument(
            "--revision",
            help="of the hub model: a branch, tag or commit (default: main; the commit it names now is recorded)",
        )
        parser.add_argument(
            "--base",
            help="of a LoRA adapter: its base, a folder or hub:owner/model (default: the one the adapter names)",
        )
        parser.add_argument(
            "--chat-template-kwargs",
            nargs="+",
            default=[],
            metavar="NAME=VALUE",
            help="what the chat template is to be given always, for example enable_thinking=false",
        )
        parser.add_argument(
            "--own-tokenizer",
            action="store_true",
            help="take a tokenizer that AutoTokenizer reads by its architecture's rules and not by tokenizer.json",
        )
        parser.add_argument(
            "--in-place",
            action="store_true",
            help="leave a large model where it is instead of copying it into the data folder: it must stay there",
        )
        parser.add_argument("--notes", default="")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        if options["revision"] and not options["source"].startswith(HUB):
            raise NotAPolicy(f"--revision is of a model of the hub: write {HUB}owner/model, or leave it out.")
        hub: dict[str, HubModel] = {}
        path = find_folder(options["source"], hub, "policy", options["revision"])
        base = options["base"] or (adapter_base(path) if path.is_dir() else None)
        policy = import_policy(
            actor=actor,
            project=project,
            name=options["name"],
            path=path.resolve(),
            base=find_folder(base, hub, "base").resolve() if base else None,
            chat_template_kwargs=parse_values(options["chat_template_kwargs"]),
            own_tokenizer=options["own_tokenizer"],
            in_place=options["in_place"],
            notes=options["notes"],
            hub={part: asdict(model) for part, model in hub.items()},
        )
        self.stdout.write(f"Imported {policy.name} from {path}.")
        for model in hub.values():
            self.stdout.write(f"{model.model} was taken at its commit {model.commit}.")
        imported = policy.report["imported"]
        if "template_date" in imported:
            self.stdout.write(
                f"Its chat template asks for the date: it is {imported['template_date']} from now on."
            )
