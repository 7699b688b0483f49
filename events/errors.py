from workspace.errors import ActionError


class WebhookRefused(ActionError):
    """The webhook cannot be made or changed as asked."""

    code = "webhook_refused"


class WebhookConflict(WebhookRefused):
    """The state of the webhook, or of the delivery, refuses it now."""

    is_conflict = True
