"""manage.py demo: every stage of a round on this machine. See docs/architecture.md for what it shows."""

import json
import signal
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from annotation.batches.progress import batch_progress
from annotation.models import Task
from demo import constants, processes
from demo.evaluation import evaluate_with_gold
from demo.project_setup import DemoProject, base_policy, cancel_earlier_demos, create_demo_project
from demo.simulation import simulate_judgments
from learning.interface.options import options_to_dict
from policy_training.actions import sample_responses, train_sft
from policy_training.models import Policy
from policy_training.training.config import SampleConfig
from rounds.actions import start_round
from rounds.models import Round, Stage
from rounds.steps import placeholder_source
from runs.models import Run
from runs.states import FINISHED, RunState
from workspace.errors import ActionError
from workspace.web_server import default_workers

POLL_SECONDS = 0.5
MAX_START_SECONDS = 300
# Judgments per poll while somebody may be looking: slow enough to see the bar move. With --exit nobody does.
JUDGMENTS_PER_POLL = 40
JUDGMENTS_PER_POLL_UNWATCHED = 250


class Command(BaseCommand):
    help = "Show the whole circle: a site, a worker, a base policy, simulated annotators, rounds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rounds", type=int, default=2, help="rounds that simulated annotators fill (default 2)"
        )
        parser.add_argument("--exit", action="store_true", help="stop after the rounds, one JSON line last")
        parser.add_argument(
            "--small",
            action="store_true",
            help="a tenth of the prompts and steps: to see that everything works, not how well",
        )
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--seed", type=int, default=0)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rounds"] < 1:
            self.stderr.write("--rounds must be at least 1.")
            sys.exit(2)
        self.started = time.monotonic()
        self.seed: int = options["seed"]
        self.size = constants.SMALL if options["small"] else constants.FULL
        # However it is stopped, the web server and the worker go with it. A hang-up that `nohup` turned off stays off.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
        # Processes of one thread each: two threads of one process are slower than one for models this narrow, unless
        # nothing else runs at all (docs/decisions.md).
        threads = settings.RUN_THREADS or 1
        self.processes_per_run = max(1, min(constants.PROCESSES, default_workers() // threads))
        self.judgments_per_poll = JUDGMENTS_PER_POLL_UNWATCHED if options["exit"] else JUDGMENTS_PER_POLL
        try:
            port = processes.free_port(options["port"])
            cancel_earlier_demos()
            demo = create_demo_project(self.seed, self.size)
            with processes.run_processes(
                processes.web_server_command(port), processes.worker_command()
            ) as running:
                self.processes = running
                self.announce_site(demo, port)
                metrics = self.run_rounds(demo, options["rounds"], threads)
                if options["exit"]:
                    self.stdout.write(json.dumps(metrics))
                    return
                self.log("The rounds are done; the site stays open. Ctrl-C ends it.")
                while True:
                    self.sleep_and_check_processes()
        except KeyboardInterrupt:
            self.log("Stopped.")
        except (ActionError, OSError) as error:
            raise CommandError(str(error)) from error

    # --- output --------------------------------------------------------------------------------------------------

    def log(self, text: str) -> None:
        self.stdout.write(f"[{time.monotonic() - self.started:5.0f} s] {text}")
        self.stdout.flush()

    def announce_site(self, demo: DemoProject, port: int) -> None:
        address = f"http://127.0.0.1:{port}"
        # A process that ends is told at once; one that starts on a busy machine takes minutes.
        deadline = time.monotonic() + MAX_START_SECONDS
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{address}/healthz", timeout=30).close()
                break
            except (urllib.error.URLError, OSError):
                self.sleep_and_check_processes()
        else:
            raise CommandError(f"The site does not answer; see {settings.DATA_DIR / 'demonstration.log'}.")
        self.stdout.write(
            f"\n  Roundtable is at        {address}/\n"
            f"  Judge as an annotator   {demo.annotator.username}   {demo.annotator_password}\n"
            f"  Watch as a manager      {demo.manager.username}   {demo.manager_password}\n"
            f"  Twenty pairs wait at    {address}{reverse('annotation:overview', args=[demo.project.slug])}\n"
        )
        self.log("The site is open. The passwords are new at every start.")

    def sleep_and_check_processes(self) -> None:
        """Wait a little; a web server or worker that died is a failure to tell, not to wait for."""
        time.sleep(POLL_SECONDS)
        for name, process in zip(("web server", "worker"), self.processes, strict=True):
            if process.poll() is not None:
                raise CommandError(f"The {name} ended; see {settings.DATA_DIR / 'demonstration.log'}.")

    # --- rounds --------------------------------------------------------------------------------------------------

    def run_rounds(self, demo: DemoProject, rounds: int, threads: int) -> dict[str, Any]:
        policy = self.train_base_policy(demo, threads)
        plan = constants.round_plan(self.seed, threads, demo.annotator.username, self.size)
        plan = replace(plan, processes=self.processes_per_run)
        round_ = start_round(
            actor=demo.manager,
            project=demo.project,
            criterion=demo.project.criteria.get(),
            start_policy=policy,
            prompt_set=demo.policy_prompts,
            plan=plan,
        )
        while True:
            self.run_round(demo, round_)
            next_round = self.wait_for_next(demo, round_)
            if round_.number == rounds:
                return self.final_metrics(demo, policy, round_, next_round, threads)
            round_ = next_round

    def train_base_policy(self, demo: DemoProject, threads: int) -> Policy:
        run = train_sft(
            actor=demo.manager,
            project=demo.project,
            name="base",
            config=options_to_dict(constants.base_policy_config(self.seed, threads, self.size)),
            processes=self.processes_per_run,
        )
        self.log("The base policy learns from demonstrations.")
        self.wait_for(run)
        policy = base_policy(demo)
        assert policy is not None
        return policy

    def wait_for(self, run: Run) -> Run:
        while run.state not in FINISHED:
            self.sleep_and_check_processes()
            run.refresh_from_db()
        if run.state != RunState.DONE:
            raise CommandError(f"“{run.title}” ended as {run.get_state_display().lower()}: {run.error}")
        return run

    def run_round(self, demo: DemoProject, round_: Round) -> None:
        """Fill the annotation stage and tell each change of stage until the round is done."""
        logged_stage = ""
        while round_.stage != Stage.DONE:
            if round_.stage != logged_stage:
                logged_stage = round_.stage
                self.log(f"Round {round_.number}: {round_.get_stage_display().lower()}.")
            if round_.stage in (Stage.FAILED, Stage.CANCELLED):
                raise CommandError(f"Round {round_.number} ended as {round_.stage}: {round_.error}")
            if round_.stage == Stage.ANNOTATING and round_.batch is not None:
                simulate_judgments(
                    actor=demo.manager,
                    batch=round_.batch,
                    annotators=demo.simulated,
                    seed=self.seed,
                    limit=self.judgments_per_poll,
                )
            self.sleep_and_check_processes()
            round_.refresh_from_db()
        self.log(
            f"Round {round_.number}: {round_.stage_entries.filter(stage=Stage.SCORING).latest('pk').reason}."
        )

    def wait_for_next(self, demo: DemoProject, round_: Round) -> Round:
        """The next round, once its tasks wait in the annotators' queue."""
        while True:
            next_round = demo.project.rounds.filter(number=round_.number + 1).first()
            if next_round is not None and next_round.batch_id is not None:
                return next_round
            if next_round is not None and next_round.stage in (Stage.FAILED, Stage.CANCELLED):
                raise CommandError(
                    f"Round {next_round.number} ended as {next_round.stage}: {next_round.error}"
                )
            self.sleep_and_check_processes()

    def final_metrics(
        self, demo: DemoProject, base: Policy, round_: Round, next_round: Round, threads: int
    ) -> dict[str, Any]:
        """What the rounds reached, on prompts that no training saw."""
        assert round_.new_policy is not None and round_.reward_model is not None and round_.batch is not None
        prompts = list(demo.evaluation_prompts.prompts.order_by("pk"))
        runs = []
        for policy in (base, round_.new_policy):
            config = SampleConfig(
                policy=placeholder_source(),
                sampling=constants.sample_options(),
                runtime=constants.runtime(self.seed, threads),
            )
            runs.append(
                sample_responses(
                    actor=demo.manager,
                    project=demo.project,
                    policy=policy,
                    prompts=prompts,
                    config=options_to_dict(config),
                    id_prefix=f"evaluation-{policy.pk}-",
                )
            )
        before, after = (
            evaluate_with_gold(policy, self.wait_for(run))
            for policy, run in zip((base, round_.new_policy), runs, strict=True)
        )
        report = round_.new_policy.report
        new_tasks = Task.objects.filter(batch__project=demo.project, batch__round_number=next_round.number)
        metrics = {
            "round": round_.number,
            "tasks": batch_progress(round_.batch).tasks,
            "judgments": batch_progress(round_.batch).counted,
            "reward_model_accuracy": round_.reward_model.report["accuracy"],
            "reward_before": report["score_before"],
            "reward_after": report["score_after"],
            "gold_before": before.mean,
            "gold_after": after.mean,
            "gold_sd": before.sd,
            "kl": report["kl"],
            "new_tasks": new_tasks.count(),
            "seconds": time.monotonic() - self.started,
        }
        self.log(
            f"Gold score on {before.responses} held-out prompts: {before.mean:.2f} before, {after.mean:.2f} after "
            f"({(after.mean - before.mean) / before.sd:.2f} standard deviations); "
            f"sentences of the world's language: {before.fluency:.0%} before, {after.fluency:.0%} after."
        )
        return {
            name: round(value, 4) if isinstance(value, float) else value for name, value in metrics.items()
        }
