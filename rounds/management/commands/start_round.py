"""manage.py start_round PROJECT [--preset NAME] [--at TIME | --every TIME | --after WHAT]"""

from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from annotation.batches.exclusion import find_batches
from annotation.models import PromptSet
from policy_training.mixtures.arguments import (
    COMPARED,
    TRAINED,
    add_mixture_arguments,
    mixture_from_options,
)
from policy_training.models import Policy
from policy_training.rewarded.arguments import add_reward_arguments, rewards_from_options
from policy_training.training.ppo.presets import PPO_PRESETS
from rewardmodel.training.presets import PRESETS as REWARD_MODEL_PRESETS
from rounds.actions import start_round
from rounds.errors import RoundRefused
from rounds.head_to_head import held_out_shortage
from rounds.lengths import fit_plan
from rounds.plan_changes import chosen_rewards, override_plan, with_further_batches, with_steps
from rounds.plans import (
    HUMAN_REFERENCE,
    LAST,
    PRESETS,
    PREVIOUS_POLICY,
    SELECTED,
    load_plan,
    preset_plan,
    with_assignments,
)
from rounds.ppo_options import are_of_ppo
from rounds.schedules.actions import create_schedule
from rounds.schedules.command_line import add_when_arguments, when_from_options
from rounds.schedules.wording import describe_trigger
from rounds.starting_models import require_start_by_rule, start_by_rule
from rounds.step_runs import describe_mixed_in
from rounds.steps import FIRST_POLICY, NAMED_POLICY, RECIPES, STEP_FIELDS, step_from_words
from runs.execution import add_execution_arguments, runtime_values
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Start the project's next round, now or later: sample, annotate, reward model, policy training."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--preset", default="tiny", help=f"one of {', '.join(sorted(PRESETS))} (default: tiny)"
        )
        parser.add_argument("--policy", help="name of the policy to start from (default: the newest)")
        parser.add_argument(
            "--start-from",
            choices=[LAST, SELECTED, NAMED_POLICY],
            help=(
                "what this round and those that follow it start from: the policy that the round before made (the "
                "default), the project's selected one, or --policy each time"
            ),
        )
        parser.add_argument("--prompt-set", help="name (default: the only one of purpose policy)")
        parser.add_argument("--criterion", help="name (default: the only one)")
        parser.add_argument(
            "--batch",
            action="append",
            metavar="NAME",
            help="beside the round's own judgments reward model and policy learn from this batch's only (repeatable)",
        )
        for use in (COMPARED, TRAINED):
            add_mixture_arguments(parser, use)
        parser.add_argument(
            "--sampling-server", metavar="NAME", help="a model server that writes the answers people judge"
        )
        parser.add_argument(
            "--sampling-model", help="what it calls the model; {policy} stands for the policy's name"
        )
        parser.add_argument(
            "--servers-may-be-away",
            action="store_true",
            help="start although a model server that the plan names does not answer now",
        )
        parser.add_argument("--prompts", type=int, help="how many prompts to sample")
        parser.add_argument("--responses", type=int, help="how many responses a task shows, 2 to 9")
        parser.add_argument("--temperatures", type=float, nargs="+")
        parser.add_argument(
            "--max-prompt-tokens", type=int, help="longest prompt read (default: the preset's, or what fits)"
        )
        parser.add_argument(
            "--max-response-tokens",
            type=int,
            help="longest response sampled, read and written (default: the preset's, or what fits the models)",
        )
        parser.add_argument(
            "--opponents",
            nargs="*",
            choices=[PREVIOUS_POLICY, FIRST_POLICY, HUMAN_REFERENCE],
            help="whom the policy meets head to head on held-out prompts (default: the preset's)",
        )
        parser.add_argument(
            "--reference",
            choices=["start_policy", FIRST_POLICY],
            help="what PPO's KL penalty holds the policy to (default: the preset's)",
        )
        parser.add_argument(
            "--reference-policy", metavar="NAME", help="hold it to this policy, in place of --reference"
        )
        parser.add_argument(
            "--ppo-preset",
            choices=sorted(PPO_PRESETS),
            help="how PPO is done (default: as the preset of the round)",
        )
        parser.add_argument(
            "--reward-model-preset",
            choices=sorted(REWARD_MODEL_PRESETS),
            help="how the reward model is trained (default: as the preset of the round)",
        )
        parser.add_argument(
            "--reward-model-criterion",
            action="append",
            metavar="NAME",
            help="a criterion that the reward model learns beside the round's own, one model for all (repeatable)",
        )
        parser.add_argument(
            "--step",
            action="append",
            nargs="+",
            default=[],
            metavar=("RECIPE[:PRESET]", "KEY=VALUE"),
            help=(
                f"a step of the policy's training (repeatable, in their order; none: PPO): {', '.join(RECIPES)}, with "
                f"values of its own ({', '.join(STEP_FIELDS)}) or of its options, for example "
                "--step best_of_n:llama2 candidates.samples_per_prompt=16 --step ppo"
            ),
        )
        parser.add_argument("--overlap", type=int, help="how many people judge each task")
        parser.add_argument("--quota", type=int, help="how many judgments end the annotation")
        parser.add_argument("--hours", type=float, help="end the annotation this long after it began")
        add_reward_arguments(parser)
        add_execution_arguments(parser)
        add_when_arguments(parser)
        parser.add_argument(
            "--set",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help="other values of the plan, for example policy.rollout.steps=40 reward_model.data.epochs=6",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        when = when_from_options(project, options)
        if options["reference"] and options["reference_policy"]:
            raise RoundRefused("Give --reference or --reference-policy, not both.", code="two_references")
        if options["start_from"] == NAMED_POLICY and not options["policy"]:
            raise RoundRefused("--start-from named_policy needs --policy.", code="no_policy")
        sampling = {"prompts": options["prompts"], "responses_per_task": options["responses"]}
        compared, trained = (mixture_from_options(options, use) for use in (COMPARED, TRAINED))
        if compared:
            sampling["mixture"] = compared
        annotation = {name: options[name] for name in ("overlap", "quota")} | {"max_hours": options["hours"]}
        plan = override_plan(
            preset_plan(options["preset"]),
            sampling={name: value for name, value in sampling.items() if value is not None},
            temperatures=tuple(options["temperatures"]) if options["temperatures"] else None,
            annotation={name: value for name, value in annotation.items() if value is not None},
            opponents=None if options["opponents"] is None else tuple(options["opponents"]),
            reference=NAMED_POLICY if options["reference_policy"] else options["reference"],
            reference_policy=options["reference_policy"] or "",
            start_from=options["start_from"],
            start_from_policy=options["policy"] if options["start_from"] == NAMED_POLICY else "",
            ppo_preset=options["ppo_preset"],
            reward_model_preset=options["reward_model_preset"],
            reward_model_criteria=options["reward_model_criterion"],
            processes=options["processes"],
            runtime=runtime_values(options),
            rewards=rewards_from_options(options),
            policy_prompts=trained or None,
            server={
                name: options[f"sampling_{option}"]
                for name, option in (("name", "server"), ("model", "model"))
                if options[f"sampling_{option}"]
            },
            servers_may_be_away=options["servers_may_be_away"],
        )
        criterion = find_criterion(project, options["criterion"])
        start_policy = find_policy(project, options["policy"])
        if not options["policy"]:
            start_policy, _ = start_by_rule(project, plan, start_policy)
        plan = fit_plan(
            plan,
            project=project,
            criterion=criterion,
            start_policy=start_policy,
            max_prompt_tokens=options["max_prompt_tokens"],
            max_response_tokens=options["max_response_tokens"],
        )
        plan = with_assignments(plan, options["set"])
        plan = with_further_batches(plan, rewards_from_options(options))
        # After --set: PPO with options of its own is, but for these, as the plan has it.
        chosen = chosen_rewards(rewards_from_options(options), options["set"])
        steps = [step_from_words(words, policy=plan.policy, chosen=chosen) for words in options["step"]]
        plan = with_steps(plan, steps, chosen)
        if not plan.uses_policy and (options["ppo_preset"] or are_of_ppo(options["set"])):
            raise RoundRefused(
                "None of the steps is PPO as the plan has it, which --ppo-preset and policy.… are about: add "
                "--step ppo, or give a step its options after its own name.",
                code="options_of_no_step",
            )
        if options["batch"]:
            find_batches(project, options["batch"])
            plan = replace(plan, batches=tuple(options["batch"]))
        prompt_set = find_prompt_set(project, options["prompt_set"])
        require_start_by_rule(project, plan, start_policy)
        if when is not None:
            schedule = create_schedule(
                actor=actor,
                project=project,
                when=when,
                criterion=criterion,
                start_policy=start_policy if options["policy"] and plan.start_from == LAST else None,
                prompt_set=prompt_set,
                plan=plan,
            )
            self.stdout.write(
                f"Schedule {schedule.pk}: a round starts {describe_trigger(schedule)}. `manage.py worker` starts it; "
                "`manage.py schedules` lists, pauses and deletes."
            )
            return
        round_ = start_round(
            actor=actor,
            project=project,
            criterion=criterion,
            start_policy=start_policy,
            prompt_set=prompt_set,
            plan=plan,
        )
        mixed_in = describe_mixed_in(load_plan(round_.plan))
        self.stdout.write(
            " ".join(filter(None, (f"Started {round_}. `manage.py worker` executes it.", mixed_in)))
        )
        if shortage := held_out_shortage(round_):
            self.stdout.write(f"Note: {shortage}. Bring more into a set of purpose evaluation.")


def find_policy(project: Project, name: str | None) -> Policy:
    policies = Policy.objects.filter(project=project).order_by("-pk")
    policy = policies.filter(name=name).first() if name else policies.first()
    if policy is None:
        what = f"no policy “{name}”" if name else "no policy yet"
        raise RoundRefused(
            f"The project has {what}: bring one in with `manage.py import_policy`.", code="no_policy"
        )
    return policy


def find_prompt_set(project: Project, name: str | None) -> PromptSet:
    sets = PromptSet.objects.filter(project=project)
    matching = sets.filter(name=name) if name else sets.filter(purpose=PromptSet.Purpose.POLICY)
    if len(matching) != 1:
        known = ", ".join(f"“{s}”" for s in sets.values_list("name", flat=True)) or "none yet"
        raise RoundRefused(
            f"Say which prompt set to use with --prompt-set (there are: {known}); "
            "`manage.py import_prompts` brings prompts in.",
            code="no_prompts",
        )
    return matching[0]
