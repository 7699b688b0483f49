"""A tiny policy in a project, and files to import, for tests of the site's half."""

import pytest

from policy_training.models import Policy
from runs.models import Artifact
from tests.annotation.importing.conftest import write_rows  # noqa: F401
from tests.policy_training.training.conftest import policy_path, tokenizer  # noqa: F401


@pytest.fixture
def policy(project, request):
    path = request.getfixturevalue("policy_path")
    artifact = Artifact.objects.create(
        project=project, kind=Artifact.Kind.POLICY, path=str(path), sha256="0" * 64, size_bytes=1
    )
    source = project.sources.create(kind="policy", name="tiny")
    return Policy.objects.create(project=project, name="tiny", artifact=artifact, source=source)
