"""Rendering under a limit of processor seconds, which what else runs on the machine does not change."""

import json
import resource
import subprocess
import sys

RENDER = """
import json, sys
import django
django.setup()
from annotation.rendering.markdown import render_markdown
for text in json.load(sys.stdin):
    render_markdown(text)
"""


def render_all(texts, *, cpu_seconds):
    """Renders the texts in a process that the system ends after so many processor seconds; its exit status."""

    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))

    return subprocess.run(
        [sys.executable, "-c", RENDER], input=json.dumps(texts), text=True, preexec_fn=limit
    ).returncode
