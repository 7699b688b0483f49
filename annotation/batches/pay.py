"""What a manager says a judgment, or an active hour, costs."""

import re
from collections.abc import Mapping
from decimal import Decimal

from django.utils.translation import gettext

from annotation.errors import InvalidPayRate
from annotation.models import PayRate
from workspace.actions import record_audit
from workspace.database import write_transaction
from workspace.models import Project, User
from workspace.shown_values import Shown, digest_of, require_shown

MAX_AMOUNT = Decimal(1_000_000)


def pay_values(rate: PayRate | None) -> dict[str, str]:
    """As forms and the audit trail have it; empty where nothing is said."""
    if rate is None:
        return {"unit": "", "amount": "", "currency": ""}
    return {"unit": rate.unit, "amount": f"{rate.amount.normalize():f}", "currency": rate.currency}


def pay_rate(project: Project) -> PayRate | None:
    return PayRate.objects.filter(project=project).first()


def shown_pay(project: Project) -> str:
    return digest_of(pay_values(pay_rate(project)))


@write_transaction
def set_pay_rate(
    *,
    actor: User,
    project: Project,
    unit: str,
    amount: Decimal | None = None,
    currency: str = "",
    shown: Shown = None,
) -> PayRate | None:
    """What an active hour, or a judgment, of a person costs; `unit` empty: nothing is said any more.

    Raises InvalidPayRate with the fields that do not fit, ChangedMeanwhile when others have set it since `shown`.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    before = pay_values(pay_rate(project))
    require_shown(shown, before)
    if not unit:
        rate = None
        PayRate.objects.filter(project=project).delete()
    else:
        currency = currency.strip().upper()
        _require_valid(unit, amount, currency)
        given = {"unit": unit, "amount": amount, "currency": currency}
        rate, _ = PayRate.objects.update_or_create(project=project, defaults=given)
        rate.refresh_from_db()
    now = pay_values(rate)
    if now != before:
        record_audit(
            actor=actor,
            action="project.set_pay_rate",
            project=project,
            target=project,
            before=before,
            now=now,
        )
    return rate


def _require_valid(unit: str, amount: Decimal | None, currency: str) -> None:
    wrong: Mapping[str, str] = {
        **({} if unit in PayRate.Unit.values else {"unit": gettext("Pay is per hour or per judgment.")}),
        **(
            {}
            if amount is not None and amount.is_finite() and Decimal("0.0001") <= amount <= MAX_AMOUNT
            else {
                "amount": gettext("Give an amount from 0.0001 to %(max_amount)s.")
                % {"max_amount": f"{MAX_AMOUNT:,}"}
            }
        ),
        **(
            {}
            if re.fullmatch("[A-Z]{3}", currency)  # ISO 4217
            else {"currency": gettext("Give the currency's three letters, for example EUR.")}
        ),
    }
    if wrong:
        raise InvalidPayRate(" ".join(wrong.values()), fields=wrong)
