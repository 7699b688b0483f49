"""From a number in a URL or on a command line to a webhook or a delivery of the project."""

from django.http import Http404

from events.models import Delivery, Webhook
from workspace.models import Project


def access_webhook(project: Project, pk: int) -> Webhook:
    webhook = project.webhooks.select_related("project", "created_by").filter(pk=pk).first()
    if webhook is None:
        raise Http404("No such webhook.")
    return webhook


def access_delivery(project: Project, pk: int) -> Delivery:
    found = Delivery.objects.select_related("webhook__project", "event").filter(
        webhook__project=project, pk=pk
    )
    delivery = found.first()
    if delivery is None:
        raise Http404("No such delivery.")
    return delivery
