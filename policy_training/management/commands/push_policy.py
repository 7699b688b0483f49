"""manage.py push_policy PROJECT NAME OWNER/NAME [--public] [--dry-run] [--token-file FILE]"""

from policy_training.outgoing.views import POLICIES
from runs.hub.command_line import PushModelCommand


class Command(PushModelCommand):
    help = "Push a policy with its card to a repository of the Hugging Face Hub, as one commit."
    models = POLICIES
