"""A project whose policy and prompts are rows without weights: enough for everything that does not train."""

import pytest

from annotation.actions import add_prompts, add_source, make_prompt_set
from annotation.models import Source
from policy_training.models import Policy
from runs.models import Artifact


@pytest.fixture
def make_policy(project):
    def make(name: str, parent: Policy | None = None) -> Policy:
        artifact = Artifact.objects.create(
            project=project, kind=Artifact.Kind.POLICY, path=f"models/{name}", sha256="0" * 64, size_bytes=1
        )
        source = add_source(
            actor=project.memberships.first().user, project=project, kind=Source.Kind.POLICY, name=name
        )
        return Policy.objects.create(
            project=project, name=name, artifact=artifact, source=source, parent=parent
        )

    return make


@pytest.fixture
def policy(make_policy):
    return make_policy("base")


@pytest.fixture
def prompt_set(project, max_):
    chosen = make_prompt_set(actor=max_, project=project, name="questions", purpose="policy")
    rows = [{"messages": [{"role": "user", "content": f"Question number {n}?"}]} for n in range(12)]
    add_prompts(actor=max_, project=project, rows=rows, prompt_set=chosen)
    return chosen
