"""Batches of live conversations, and a writer of answers that a test steers."""

from annotation.conversation.batches import LivePlan, open_live_batch
from annotation.conversation.generation import AnswerProgress
from annotation.models import Source


class SteeredGenerator:
    """Says what the test has laid down for each side (the source's name), and remembers what it was asked."""

    def __init__(self):
        self.says = {}
        self.asked = {}
        self.cancelled = []

    def lay_down(self, name, state, text="", message=""):
        self.says[name] = (state, text, message)

    def advance(self, actor, request):
        self.asked[request.id] = request
        state, text, message = self.says.get(request.source.name, ("writing", "", ""))
        done = {"token_ids": [1, 2], "logprobs": [-0.5, -0.25], "ended": True} if state == "done" else {}
        return AnswerProgress(state=state, text=text, message=message, **done)

    def cancel(self, request):
        self.cancelled.append(request.id)

    def refusal(self, source):
        return ""

    def sources(self, project_id):
        return list(Source.objects.filter(project=project_id, kind="policy"))


def make_live_batch(project, manager, *, name="Talk", quota=10, criterion=None, **plan):
    sources = [
        Source.objects.get_or_create(project=project, kind="policy", name=policy)[0]
        for policy in ("old", "new")
    ]
    from annotation.conversation import generation

    before = list(generation._in_use)
    generation.use_generator(SteeredGenerator())
    try:
        return open_live_batch(
            actor=manager,
            project=project,
            criterion=criterion or project.criteria.first(),
            name=name,
            quota=quota,
            plan=LivePlan(first_source=sources[0], second_source=sources[1], **plan),
        )
    finally:
        generation._in_use[:] = before
