"""A policy that stays loaded and answers conversations, until it is told to stop or nobody watches over it.

    python -m policy_training.training.sampling.serve_policy DIR

DIR holds config.json (ServeConfig) and the file `secret`. Once the model is loaded, address.json says where it listens:
HTTP on one address of this machine, for whoever sends the secret as `Authorization: Bearer ...`.

    POST /answers        {id, messages, seed, max_tokens, temperature, top_p} -> taken; the same id again is one
    GET  /answers/ID     {state, text, failure}; when done also {token_ids, logprobs, ended}
    POST /cancel         {id} -> {cancelled}
    POST /drain          {} -> how it is; from then on it takes no new answer, and says how many are `unsettled`
    GET  /status         how it is; who started it asks regularly, and where nobody does it ends by itself

How it listens, and when it ends by itself: learning.model_server.
"""

import json
import logging
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import torch

from learning.distributed import DistributedContext
from learning.interface.options import UserError, load_options
from learning.model_server import (
    LOOK_SECONDS,
    SECRET_FILE,
    ModelConnection,
    ModelServer,
    ModelService,
    run_server,
)
from learning.models.loading import load_policy
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import describe_error, seed_everything
from policy_training.training.config import ServeConfig
from policy_training.training.rollouts.rollouts import FrozenModel
from policy_training.training.sampling.answer_queue import (
    AnswerBatch,
    AnswerQueue,
    Busy,
    read_request,
    together,
)

logger = logging.getLogger(__name__)

ANSWERS = "/answers"


class Service(ModelService):
    def __init__(self, options: ServeConfig, secret: str) -> None:
        super().__init__(secret, options.orphaned_after_seconds)
        self.options = options
        self.queue = AnswerQueue(options.max_waiting_requests)
        self.n_tokens = 0

    def status(self) -> dict[str, Any]:
        abandoned_before = time.monotonic() - self.options.abandoned_after_seconds
        return {
            **super().status(),
            "waiting": len(self.queue),
            "unsettled": self.queue.count_unsettled(abandoned_before),
            "tokens": self.n_tokens,
        }


class Connection(ModelConnection):
    server_version = "answers"

    def do_GET(self) -> None:
        if not self.is_allowed():
            return
        service = self.server.service
        if self.path == "/status":
            self.answer(HTTPStatus.OK, service.status())
        elif self.path.startswith(f"{ANSWERS}/"):
            found = service.queue.read(unquote(self.path.removeprefix(f"{ANSWERS}/")))
            if found is None:
                self.answer(HTTPStatus.NOT_FOUND, {"message": "there is no such answer"})
            else:
                self.answer(HTTPStatus.OK, found)
        else:
            self.refuse_address()

    def do_POST(self) -> None:
        if not self.is_allowed():
            return
        if self.path not in (ANSWERS, "/cancel", "/drain"):
            self.refuse_address()
            return
        body = self.read_body()
        if body is None:
            return
        service = self.server.service
        if self.path == "/drain":
            service.queue.drain()
            self.answer(HTTPStatus.OK, service.status())
            return
        service.last_request_at = time.monotonic()
        if self.path == "/cancel":
            self.answer(HTTPStatus.OK, {"cancelled": service.queue.cancel(str(body.get("id")))})
            return
        try:
            service.queue.put(read_request(body, service.options))
        except UserError as error:
            self.answer(HTTPStatus.BAD_REQUEST, {"message": str(error)})
        except Busy:
            self.answer(HTTPStatus.SERVICE_UNAVAILABLE, {"message": "too many answers are being written"})
        else:
            self.answer(HTTPStatus.ACCEPTED, {"taken": True})


class Server(ModelServer):
    connection_class = Connection


def main(directory: Path) -> None:
    options = load_options(ServeConfig, json.loads((directory / "config.json").read_text()))
    service = Service(options, (directory / SECRET_FILE).read_text().strip())
    service.stop_on_signals()
    seed_everything(options.runtime)
    tokenizer = load_tokenizer(options.policy)
    device = DistributedContext.start(options.runtime).device
    policy = FrozenModel(load_policy(options.policy, tokenizer), options.runtime, device)
    logger.info("%s: loaded", options.policy.path)
    server = Server((options.host, 0), service)
    server.announce(directory, options.host)
    answer_until_stopped(service, policy, tokenizer)
    server.shutdown()


def answer_until_stopped(service: Service, policy: FrozenModel, tokenizer: Any) -> None:
    """The model's thread. What is being written when a stop is asked for is cut off: it can be asked for again."""
    batches: list[AnswerBatch] = []
    while not (service.stopping or service.is_orphaned):
        for answers in together(service.queue.take(0.0 if batches else LOOK_SECONDS)):
            service.n_requests += len(answers)
            try:
                batches.append(
                    AnswerBatch(policy, tokenizer, service.queue, answers, service.options.max_prompt_tokens)
                )
            except Exception as error:
                logger.exception("answers could not be begun")
                for answer in answers:
                    service.queue.change(answer, state="failed", failure=describe_error(error))
        for batch in list(batches):
            service.last_request_at = time.monotonic()
            try:
                goes_on = batch.step(time.monotonic() - service.options.abandoned_after_seconds)
            except torch.AcceleratorError as error:
                # The device takes no work of this process any more: a new process can.
                batch.fail(describe_error(error))
                raise
            except Exception as error:
                logger.exception("answers could not be written")
                batch.fail(describe_error(error))
                goes_on = False
            service.n_tokens += len(batch.answers)
            if not goes_on:
                batches.remove(batch)


if __name__ == "__main__":
    sys.exit(run_server(main))
