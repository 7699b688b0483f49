"""manage.py adopt_checkpoint PROJECT RUN STEP NAME"""

from policy_training.checkpoints import adopt_checkpoint
from runs.adopting.command import AdoptingCommand


class Command(AdoptingCommand):
    help = "Queue the making of a policy from a checkpoint of a policy's training; a worker executes it."
    made = "policy"
    adopt = staticmethod(adopt_checkpoint)
