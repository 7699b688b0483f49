"""The API keeps to its schema: whatever the schema lets be sent, and some of what it forbids, is answered as the schema
says, and never by a fault of ours.

More of it: pytest tests/config/test_api_schema_fuzz.py --api-examples 50
"""

import re
from collections import Counter

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.config import api_world
from workspace.members import invite
from workspace.tokens.actions import create_token

pytestmark = [pytest.mark.db, pytest.mark.django_db, pytest.mark.slow]

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
# Resources below a project, and what of the world an address of theirs names.
NAMED = {
    "members": "member", "invitations": "invitation", "prompts": "prompt", "prompt-sets": "prompt_set",
    "responses": "response", "demonstrations": "demonstration", "batches": "batch", "judgments": "judgment",
    "datasets": "dataset", "imports": "import", "runs": "run", "reward-models": "reward_model",
    "policies": "policy", "rounds": "round", "schedules": "schedule", "firings": "waiting_firing",
    "assignments": "held", "uploads": "upload", "writing": "writing", "texts": "sent_text", "own-texts": "text",
}  # fmt: skip


@pytest.fixture
def connection_stays():
    """As Django's test client has it: a request closes no connection, since a transaction goes around it."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def world(project, max_, ada):
    invitation, _ = invite(actor=max_, project=project, role="annotator")
    return api_world.make(project, max_, max_, b'{"prompt": "Tea?"}\n', reviewer=ada) | {
        "slug": project.slug,
        "member": project.memberships.get(user=ada).pk,
        "invitation": invitation.pk,
    }


def keys_of(path, world):
    """Keys of things that are there: a made-up one would nearly always be a 404. What the world does not have is made
    up all the same.
    """
    values = {"slug": world["slug"]}
    for resource, name in re.findall(r"/([\w-]+)/\{(\w+)\}", path):
        if resource in NAMED:
            values[name] = str(world[NAMED[resource]])
    if "{name}" in path:
        values["name"] = "log.txt" if "/runs/" in path else "manifest.json"
    return {name: value for name, value in values.items() if f"{{{name}}}" in path}


def test_every_operation_keeps_to_the_schema(connection_stays, world, max_, request):
    examples = request.config.getoption("--api-examples")
    max_.is_staff = True
    max_.save()
    _, token = create_token(actor=max_, project=None, name="fuzz", scope="write", role="manager", days=1)
    headers = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_wsgi("/api/schema/", WSGIHandler(), headers=headers)
    calls, faults = Counter(), {}

    def check(case):
        calls[case.operation.label] += 1
        with transaction.atomic():
            response = case.call(headers=headers)
            try:
                # 503 says when to come back: no scorer is loaded here. Any other would be a fault.
                assert response.status_code < 500 or (
                    response.status_code == 503 and "retry-after" in response.headers
                )
                case.validate_response(response, checks=CHECKS, headers=headers)
            finally:
                transaction.set_rollback(True)

    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                strategy = operation.as_strategy(mode, path_parameters=keys_of(operation.path, world))
            except Exception as error:  # nothing that could be wrong about it
                assert mode == GenerationMode.NEGATIVE, (operation.label, error)
                continue
            run = settings(
                max_examples=examples, phases=[Phase.generate], deadline=None, database=None,
                derandomize=True, suppress_health_check=list(HealthCheck),
            )(given(case=strategy)(check))  # fmt: skip
            try:
                run()
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                faults[f"{operation.label} {mode.name}"] = "\n".join(
                    map(str, getattr(error, "exceptions", [error]))
                )[:1500]
    assert faults == {}, "\n\n".join(f"{label}\n{fault}" for label, fault in faults.items())
    assert len(calls) == sum(1 for _ in schema.get_all_operations()) > 90
