"""A policy's server without a policy: it is asked as the real one, and says what a test laid down."""

from learning.interface.training_options import ModelSource
from policy_training.models import PolicyServing
from policy_training.training.config import ServeConfig
from policy_training.training.sampling.answer_queue import AnswerQueue
from policy_training.training.sampling.serve_policy import Server, Service
from workspace.database import database_now_plus

SECRET = "s"


class SteeredQueue(AnswerQueue):
    """Every answer stands at once as `says(answer)` tells; `asked` are those that were taken."""

    def __init__(self, max_waiting):
        super().__init__(max_waiting)
        self.asked = []
        self.says = lambda answer: done("Yes.")

    def put(self, answer):
        super().put(answer)
        self.asked.append(answer)
        self.change(answer, **self.says(answer))


def done(text, *, tokens=2, ended=True, cut=False):
    return {
        "state": "done", "text": text, "token_ids": list(range(tokens)), "logprobs": [-0.5] * tokens,
        "has_eos": ended, "used_max_tokens": 256, "prompt_cut": cut,
    }  # fmt: skip


class StandIn:
    def __init__(self, **options):
        self.service = Service(
            ServeConfig(policy=ModelSource(path="none"), orphaned_after_seconds=300, **options), SECRET
        )
        self.queue = self.service.queue = SteeredQueue(self.service.options.max_waiting_requests)
        self.server = Server(("127.0.0.1", 0), self.service)

    def serve(self, policy, actor):
        """As a worker has it on record."""
        values = {
            "requested_by": actor, "state": "ready", "fence": 1, "lease_until": database_now_plus(600),
            "address": f"127.0.0.1:{self.server.server_address[1]}", "secret": SECRET,
        }  # fmt: skip
        PolicyServing.objects.update_or_create(policy=policy, defaults=values)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
