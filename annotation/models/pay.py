"""What a project pays for judgments: what its pages of costs reckon with. Nobody is paid by this program."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from workspace.models import Project


class PayRate(models.Model):
    """No row: nothing is said, and no page shows costs."""

    class Unit(models.TextChoices):
        HOUR = "hour", gettext_lazy("Active hour")
        JUDGMENT = "judgment", gettext_lazy("Judgment")

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, related_name="pay_rate", primary_key=True
    )
    unit = models.CharField(max_length=8, choices=Unit.choices)
    amount = models.DecimalField(max_digits=12, decimal_places=4)
    currency = models.CharField(max_length=3, help_text="Its ISO 4217 code, for example EUR.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(unit__in=["hour", "judgment"]), name="pay_rate_unit_valid"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="pay_rate_amount_is_positive"),
            models.CheckConstraint(condition=~Q(currency=""), name="pay_rate_has_a_currency"),
        ]

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} {self.currency} per {self.get_unit_display().lower()}"
