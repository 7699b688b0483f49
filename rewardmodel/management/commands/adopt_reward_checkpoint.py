"""manage.py adopt_reward_checkpoint PROJECT RUN STEP NAME"""

from rewardmodel.checkpoints import adopt_reward_checkpoint
from runs.adopting.command import AdoptingCommand


class Command(AdoptingCommand):
    help = "Queue the making of a reward model from a checkpoint of its training; a worker executes it."
    made = "reward model"
    adopt = staticmethod(adopt_reward_checkpoint)
