"""manage.py set_pay_rate PROJECT hour|judgment|none [AMOUNT CURRENCY]"""

from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

from annotation.batches.pay import set_pay_rate
from annotation.errors import InvalidPayRate
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Say what an active hour, or a judgment, of a person costs, for the pages of throughput."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("unit", choices=["hour", "judgment", "none"])
        parser.add_argument("amount", nargs="?", help="for example 18.50")
        parser.add_argument("currency", nargs="?", default="", help="its ISO 4217 code, for example EUR")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        try:
            amount = Decimal(options["amount"]) if options["amount"] else None
        except InvalidOperation as error:
            raise InvalidPayRate(f"“{options['amount']}” is no amount: give a number like 18.50.") from error
        unit = "" if options["unit"] == "none" else options["unit"]
        rate = set_pay_rate(
            actor=actor, project=project, unit=unit, amount=amount, currency=options["currency"]
        )
        self.stdout.write(f"{project} pays {rate}." if rate else f"{project} says nothing of pay any more.")
