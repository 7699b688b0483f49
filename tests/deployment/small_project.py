"""Fills the installation that the environment names with a project of tiny models, starts a round and waits for it.

Prints one JSON object a line: the project and the annotator's password; then, when its first policy is trained and a
round is started from it, {"round": NUMBER}.
"""

import json
import os
import time
from dataclasses import replace

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
JUDGMENTS = 6


def main() -> None:
    import django

    django.setup()
    from demo import constants
    from demo.project_setup import base_policy, create_demo_project
    from learning.interface.options import options_to_dict
    from policy_training.actions import train_sft
    from rounds.actions import start_round
    from rounds.plans import AnnotationPlan, with_lengths
    from runs.models import Run
    from tests.demo.small import small_base_policy_config

    constants.WARM_UP_PAIRS, constants.VOCABULARY = 2, 400
    size = constants.Size(demonstrations=120, policy_prompts=60, evaluation_prompts=8)
    demo = create_demo_project(seed=3, size=size)
    config = small_base_policy_config()
    train_sft(actor=demo.manager, project=demo.project, name="base", config=options_to_dict(config))
    say(project=demo.project.slug, username=demo.annotator.username, password=demo.annotator_password)
    while (base := base_policy(demo)) is None:
        assert not Run.objects.filter(state="failed").exists(), Run.objects.latest("pk").error
        time.sleep(0.5)
    plan = constants.round_plan(3, 1, demo.annotator.username)
    plan = replace(
        plan,
        sampling=replace(plan.sampling, prompts=16, responses_per_task=2),
        annotation=AnnotationPlan(quota=JUDGMENTS, overlap=1),
        reward_model=replace(
            plan.reward_model, data=replace(plan.reward_model.data, epochs=1, comparisons_per_step=4)
        ),
        policy=replace(
            plan.policy,
            rollout=replace(plan.policy.rollout, steps=2, prompts_per_step=4, samples_per_prompt=2),
            algorithm=replace(plan.policy.algorithm, responses_per_minibatch=4),
            critic=replace(plan.policy.critic, max_pretraining_updates=1),
        ),
    )
    round_ = start_round(
        actor=demo.manager,
        project=demo.project,
        criterion=demo.project.criteria.get(),
        start_policy=base,
        prompt_set=demo.policy_prompts,
        plan=with_lengths(plan, max_prompt_tokens=48, max_response_tokens=16),
    )
    say(round=round_.number)


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main()
