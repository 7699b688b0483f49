# %% [markdown]
# # Once round the circle, from outside
#
# A program that has nothing of a site but its address and a token makes a project, brings prompts and answers, reads
# judgments as they come, freezes them, trains a reward model on them and asks it for rewards. Run it cell by cell in an
# editor that knows `# %%`, or all at once:
#
#     CIRCLE_SITE=http://127.0.0.1:8000 ROUNDTABLE_TOKEN=rt_... python docs/circle_from_outside.py
#
# The token is an operator's, for all of their projects, with the scope “write” (page *API tokens*); the site needs a
# worker (`manage.py worker`). CIRCLE_ANNOTATOR_TOKEN is one of role “annotator”; without it your own judges, too.

# %%
import os
import random
import threading
from pathlib import Path

from roundtable.client import Client

SITE = os.environ.get("CIRCLE_SITE", "http://127.0.0.1:8000")
NAME = os.environ.get("CIRCLE_PROJECT", "Kitchen from outside")
FOLDER = Path(os.environ.get("CIRCLE_FOLDER", "kitchen"))
STEPS = int(os.environ.get("CIRCLE_STEPS", "200"))  # of the tiny language model that everything starts from
TOPICS = ["basil", "bread", "coffee", "rice", "soup", "tomatoes", "pasta", "butter", "lentils", "garlic"]
ASKED = [
    "How do I keep {} fresh?",
    "Why does my {} taste of nothing?",
    "Can I freeze {}?",
    "When is {} done?",
]
GOOD = "Keep the {} cool and dry, because warmth and water spoil it. Taste it after a day."
CURT = "No idea. Buy new {}."

desk = Client(SITE)
me = desk.me()
print(f"{me['username']} calls {SITE}.")

# %% [markdown]
# ## A project
# With what is asked of annotators, and how many people judge each pair.

# %%
project = desk.projects.create(
    name=NAME,
    question="Which answer helps the cook more?",
    guideline="Prefer the answer that says what to do, and why.",
    overlap=1,
)
kitchen = desk.project(project["slug"])
print(f"Project {project['slug']}, with the criterion {kitchen.criteria.list().first()['name']}.")

# %% [markdown]
# ## Prompts and answers
# Forty questions with two answers each, as one open batch. Whose an answer is stays with managers; who judges sees A
# and B. An Idempotency-Key goes along with all that is made: a request that has to be sent twice makes one batch.

# %%
questions = [(question.format(topic), topic) for topic in TOPICS for question in ASKED]
batch = kitchen.batches.create(
    name="First answers",
    open=True,
    tasks=[
        {
            "messages": [{"role": "user", "content": question}],
            "responses": [
                {"text": GOOD.format(topic), "source": "good cook"},
                {"text": CURT.format(topic), "source": "curt cook"},
            ],
        }
        for question, topic in questions
    ],
)
print(f"Batch {batch['id']} asks for {batch['quota']} judgments.")

# %% [markdown]
# ## Judgments, as they come
# An annotator's program claims a task, submits, and claims the next, until nothing is left. This one prefers the answer
# with a reason, nine times of ten; in your project people judge in the browser meanwhile.


# %%
def annotate() -> None:
    chance = random.Random(7)
    with Client(SITE, os.environ.get("CIRCLE_ANNOTATOR_TOKEN")) as annotators_desk:
        work = annotators_desk.project(project["slug"]).assignments
        while (task := work.claim()["task"]) is not None:
            better, worse = sorted(task["responses"], key=lambda response: "because" not in response["text"])
            if chance.random() < 0.1:
                better, worse = worse, better
            work.submit(task["assignment"], tiers=[[better["label"]], [worse["label"]]], strengths=[2])


annotator = threading.Thread(target=annotate)
annotator.start()
judgments = []
for judgment in kitchen.follow_judgments(batch=batch["id"], poll_seconds=0.5):
    judgments.append(judgment)
    if len(judgments) == batch["quota"]:
        break
annotator.join()
print(f"{len(judgments)} judgments came.")

# %% [markdown]
# ## Freeze
# A dataset never changes again; one of many judgments is frozen by a worker, which is waited for. Its files are
# downloaded, each checked by its SHA-256; the same rows come as a table of Arrow without a file in between.

# %%
dataset = kitchen.freeze_dataset(name="first-answers", licence="CC-BY-4.0")
kitchen.download_dataset(dataset["id"], FOLDER)
table = kitchen.datasets.rows(dataset["id"], view="comparisons").table()
print(
    f"Dataset {dataset['name']} has {table.num_rows} comparisons; {len(list(FOLDER.iterdir()))} files are in {FOLDER}."
)

# %% [markdown]
# ## Train
# First a tiny language model from scratch, on the good answers as demonstrations (a real project imports a model), then
# the reward model from it, on the frozen dataset. Both are runs that a worker of the site does.

# %%
prompts = [
    {"messages": [{"role": "user", "content": question}], "prompt_id": f"demonstrated-{number}"}
    for number, (question, _) in enumerate(questions)
]
added = kitchen.prompts.create(rows=prompts)["prompts"]
kitchen.demonstrations.create(
    rows=[
        {"prompt_id": prompt["prompt_id"], "response": GOOD.format(topic)}
        for prompt, (_, topic) in zip(added, questions, strict=True)
    ]
)
run = kitchen.policies.pretrain(
    name="base", preset="tiny", learn_from="demonstrations", settings={"data.steps": STEPS}
)
kitchen.wait_for_run(run["id"])
base = kitchen.policies.list().first()

run = kitchen.reward_models.train(
    name="helpful", preset="tiny", start_policy=base["id"], dataset=dataset["id"]
)
kitchen.wait_for_run(run["id"])
reward_model = kitchen.reward_models.list().first()
print(f"Reward model {reward_model['name']} was trained on dataset {reward_model['dataset']}.")

# %% [markdown]
# ## Score
# The reward model answers for texts that nobody has judged. The first request waits until a worker has loaded it.

# %%
scored = kitchen.reward_models.score(
    reward_model["id"],
    messages=[{"role": "user", "content": "How do I keep mint fresh?"}],
    responses=[GOOD.format("mint"), CURT.format("mint")],
)
good, curt = scored["rewards"]
print(f"Rewards: {good:.2f} with a reason, {curt:.2f} without.")
desk.close()
