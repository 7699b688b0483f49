"""A reward model that stays loaded and answers requests for rewards, until it is told to stop or nobody watches it.

    python -m rewardmodel.training.serve_scores DIR

DIR holds config.json (ServeConfig) and the file `secret`. Once the model is loaded, address.json says where it listens:
HTTP on one address of this machine, for whoever sends the secret as `Authorization: Bearer ...`.

    POST /score    texts, as score_queue.read_texts takes them -> rewards
    GET  /status   how it is; who started it asks regularly, and where nobody does it ends by itself

How it listens, and when it ends by itself: learning.model_server.
"""

import json
import logging
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

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
from learning.recipe_runner import seed_everything
from rewardmodel.training.config import ServeConfig
from rewardmodel.training.score_queue import (
    Busy,
    ScoreQueue,
    ScoreRequest,
    answer_requests,
    read_texts,
    warm_up,
)
from rewardmodel.training.scoring import RewardScorer

logger = logging.getLogger(__name__)


class Service(ModelService):
    """What the connections and the scoring thread share."""

    def __init__(self, options: ServeConfig, secret: str) -> None:
        super().__init__(secret, options.orphaned_after_seconds)
        self.options = options
        self.queue = ScoreQueue(options.max_waiting_requests)
        self.n_rewards = 0

    def status(self) -> dict[str, Any]:
        return {**super().status(), "waiting": len(self.queue), "rewards": self.n_rewards}


class Connection(ModelConnection):
    server_version = "scores"

    def do_GET(self) -> None:
        if self.is_allowed() and self._is_at("/status"):
            self.answer(HTTPStatus.OK, self.server.service.status())

    def do_POST(self) -> None:
        if not (self.is_allowed() and self._is_at("/score")):
            return
        body = self.read_body()
        if body is None:
            return
        service = self.server.service
        service.last_request_at = time.monotonic()
        try:
            seconds = float(body.get("seconds", 0))
            request = ScoreRequest(read_texts(body), time.monotonic() + seconds)
            service.queue.put(request)
        except (UserError, TypeError, ValueError) as error:
            self.answer(HTTPStatus.BAD_REQUEST, {"message": str(error)})
            return
        except Busy:
            self.answer(HTTPStatus.SERVICE_UNAVAILABLE, {"message": "too many requests wait already"})
            return
        if not request.finished.wait(seconds):
            self.answer(HTTPStatus.GATEWAY_TIMEOUT, {"message": f"not scored within {seconds:g} s"})
        elif request.answer is not None:
            self.answer(HTTPStatus.OK, request.answer)
        elif request.refusal:
            self.answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"message": request.refusal})
        else:
            self.answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"message": request.failure})

    def _is_at(self, path: str) -> bool:
        if self.path == path:
            return True
        self.refuse_address()
        return False


class Server(ModelServer):
    connection_class = Connection


def main(directory: Path) -> None:
    options = load_options(ServeConfig, json.loads((directory / "config.json").read_text()))
    service = Service(options, (directory / SECRET_FILE).read_text().strip())
    service.stop_on_signals()
    seed_everything(options.runtime)
    scorer = RewardScorer.load(
        options.model_path,
        batch=options.batch,
        dtype=options.runtime.dtype,
        distributed=DistributedContext.start(options.runtime),
    )
    warm_up(scorer)
    logger.info("%s: loaded (%s)", options.model_path, scorer.layout_reason)
    server = Server((options.host, 0), service)
    server.announce(directory, options.host, reward_shift=scorer.reward_shift, layout=scorer.layout)
    answer_until_stopped(service, scorer)
    server.shutdown()


def answer_until_stopped(service: Service, scorer: RewardScorer) -> None:
    """The scoring thread's life. What waits when a stop is asked for is still answered."""
    while True:
        if service.stopping or service.is_orphaned:
            service.stopping = True
            service.queue.close()
        requests = service.queue.take(LOOK_SECONDS)
        if requests:
            service.n_rewards += answer_requests(scorer, requests)
            service.n_requests += len(requests)
            service.last_request_at = time.monotonic()
        elif service.stopping:
            time.sleep(LOOK_SECONDS)  # for the last answers to be written
            return


if __name__ == "__main__":
    sys.exit(run_server(main))
