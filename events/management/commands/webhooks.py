"""manage.py webhooks PROJECT [--add URL | --on N | --off N | --test N | --new-secret N | --remove N | ...]"""

from argparse import ArgumentParser
from typing import Any

from django.http import Http404

from events import actions
from events.access import access_delivery, access_webhook
from events.kinds import GROUPS, parse_kinds
from events.models import Delivery, Webhook
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "List a project's webhooks and what could not be delivered, or change one."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--add", metavar="URL", help="tell this address of what happens from now on")
        group.add_argument("--on", type=int, metavar="N", help="go on where it stopped")
        group.add_argument(
            "--off", type=int, metavar="N", help="send nothing until it is on again; nothing is lost"
        )
        group.add_argument("--test", type=int, metavar="N", help="send it a webhook.test")
        group.add_argument("--new-secret", type=int, metavar="N", help="the old one signs for a day as well")
        group.add_argument("--remove", type=int, metavar="N", help="with its dead letters")
        group.add_argument("--resend", type=int, metavar="D", help="send dead letter D again")
        group.add_argument("--drop", type=int, metavar="D", help="drop dead letter D")
        parser.add_argument(
            "--kinds",
            default="",
            metavar="KINDS",
            help=f"with --add: kinds of event with commas between, such as judgment,round.done; of {', '.join(GROUPS)} "
            "(default: all)",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        if options["kinds"] and not options["add"]:
            raise ActionError("--kinds goes with --add.")
        if options["add"]:
            kinds = parse_kinds(options["kinds"])
            webhook = actions.create_webhook(actor=actor, project=project, url=options["add"], kinds=kinds)
            self._show_secret(webhook)
        for name, action in (
            ("on", actions.turn_on),
            ("off", actions.turn_off),
            ("test", actions.send_test),
            ("remove", actions.remove_webhook),
        ):
            if options[name] is not None:
                action(actor=actor, webhook=_find_webhook(project, options[name]))
        if options["new_secret"] is not None:
            webhook = _find_webhook(project, options["new_secret"])
            self._show_secret(actions.replace_secret(actor=actor, webhook=webhook))
        if options["resend"] is not None:
            actions.resend(actor=actor, delivery=_find_delivery(project, options["resend"]))
        if options["drop"] is not None:
            actions.drop(actor=actor, delivery=_find_delivery(project, options["drop"]))
        self._list(project)

    def _show_secret(self, webhook: Webhook) -> None:
        self.stdout.write(f"The secret of webhook {webhook.pk}, shown this once: {webhook.secret}")

    def _list(self, project: Project) -> None:
        webhooks = list(project.webhooks.order_by("pk"))
        if not webhooks:
            self.stdout.write("No webhooks. --add URL adds one.")
        for webhook in webhooks:
            state = "on" if webhook.is_on else f"off{f': {webhook.off_reason}' if webhook.off_reason else ''}"
            self.stdout.write(
                f"{webhook.pk}: {webhook.url} ({', '.join(webhook.kinds) or 'all kinds'}); {state}"
            )
            for row in webhook.deliveries.exclude(state__in=["delivered", "dropped"]).select_related("event"):
                self.stdout.write(f"   {_describe(row)}")


def _describe(row: Delivery) -> str:
    what = "dead letter" if row.state == Delivery.State.DEAD else "waits for its next attempt"
    tried = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"
    return f"{row.pk}: {row.event.kind} {row.event.name}, {what} after {tried}: {row.reason}"


def _find_webhook(project: Project, pk: int) -> Webhook:
    try:
        return access_webhook(project, pk)
    except Http404 as error:
        known = ", ".join(str(n) for n in project.webhooks.order_by("pk").values_list("pk", flat=True))
        raise ActionError(f"There is no webhook {pk}; there is: {known or 'none yet'}.") from error


def _find_delivery(project: Project, pk: int) -> Delivery:
    try:
        return access_delivery(project, pk)
    except Http404 as error:
        raise ActionError(f"There is no dead letter {pk}; `webhooks {project.slug}` lists them.") from error
