"""What stands in the way of a backup or a restore, as one sentence for whoever runs it."""

from workspace.errors import ActionError


class BackupError(ActionError):
    """Nothing was made, or nothing was changed; the sentence says why and what to do."""

    code = "backup"
