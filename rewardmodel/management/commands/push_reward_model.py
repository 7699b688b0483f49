"""manage.py push_reward_model PROJECT NAME OWNER/NAME [--public] [--dry-run] [--token-file FILE]"""

from rewardmodel.outgoing import REWARD_MODELS
from runs.hub.command_line import PushModelCommand


class Command(PushModelCommand):
    help = "Push a reward model with its card to a repository of the Hugging Face Hub, as one commit."
    models = REWARD_MODELS
