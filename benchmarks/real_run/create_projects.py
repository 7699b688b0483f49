"""Two projects and two people for docs/real-run.md: `python -m benchmarks.real_run.create_projects`.

Run in the repository's root after `manage.py migrate`. A project's split salt is random; here it is
fixed before the first prompt comes in, so that whoever follows the page gets the page's splits.
Prints the passwords.
"""

import os
import secrets
import sys
from pathlib import Path

import django

SPLIT_SALT = "real-run"
HELPFUL_QUESTION = "Which answer is more helpful to the person who asks?"
COFFEE_QUESTION = "Which next action of the coffee bar's agent is better?"
COFFEE_GUIDELINE = (
    "The agent takes coffee orders. It speaks, or it calls a function of the coffee bar's computer, which is then "
    "written as JSON. Prefer what brings this customer's order forward, is true to the menu shown by the computer, "
    "and asks no needless question."
)


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from workspace.actions import create_project
    from workspace.members import set_role
    from workspace.models import User

    people = {}
    for username, is_staff in (("manager", True), ("annotator", False)):
        password = secrets.token_urlsafe(12)
        people[username] = User.objects.create_user(username, password=password, is_staff=is_staff)
        print(f"{username}: {password}")
    for name, question, guideline in (
        ("Helpful", HELPFUL_QUESTION, ""),
        ("Coffee", COFFEE_QUESTION, COFFEE_GUIDELINE),
    ):
        project = create_project(
            actor=people["manager"],
            name=name,
            criterion_name="helpful",
            question=question,
            guideline=guideline,
            split_salt=SPLIT_SALT,
        )
        set_role(actor=people["manager"], project=project, user=people["annotator"], role="annotator")
        print(f"project {project.slug}")


if __name__ == "__main__":
    main()
